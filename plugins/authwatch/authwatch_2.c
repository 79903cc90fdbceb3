/* The bundled plugin `authwatch`, version 2: what version 1 keeps, and how fast a source fails: its last ten minutes, and a
 * score of them. Its state has another schema, with a migration both ways. */
#include <sofun/sofun.h>

#include "failure.h"
#include "keep.h"
#include "window.h"

SOFUN_SCHEMA(source_1, "auth/source", 1, BOTH, SOFUN_VALUE(failures, INT), SOFUN_VALUE(users, INT),
	SOFUN_VALUE(first, STR), SOFUN_VALUE(last, STR), SOFUN_VALUE(names, RAW));
SOFUN_FUNCTION(source, "auth/source", 2,
	SOFUN_VALUE(score, INT), /* of the window: recent failures count more */
	SOFUN_VALUE(failures, INT), SOFUN_VALUE(users, INT), SOFUN_VALUE(first, STR), SOFUN_VALUE(last, STR),
	SOFUN_VALUE(window, RAW), /* failures by minute: window.h */
	SOFUN_VALUE(names, RAW), SOFUN_EARLIER(source_1));
SOFUN_PLUGIN("authwatch", "2.0.0",
	SOFUN_WITH_FUNCTION(source),
	SOFUN_WITH_ROUTER(authlog),
	SOFUN_WITH_EGRESS("bans"));

static int window_keep(sofun_context *context, const struct window *window) {
	uint8_t room[WINDOW_BYTES_MAX];
	int status = sofun_set_raw(context, source_window, window_write(window, room));
	if (status == SOFUN_OK)
		status = sofun_set_int(context, source_score, window_score(window));
	return status == SOFUN_OK ? 0 : sofun_fail(context, "the window could not be kept: %s", sofun_status_text(status));
}

static int source_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	static const struct keep keep = {source_failures, source_users, source_first, source_last, source_names};
	struct failure failure;
	struct window window;
	sofun_bytes kept;
	(void)plugin_data;
	if (!failure_read(message->payload, &failure))
		return keep_refuse(context);
	if (sofun_get_raw(context, source_window, &kept) != SOFUN_OK || !window_read(kept, &window))
		return sofun_fail(context, "the window could not be read");
	window_add(&window, failure.time, failure.count);
	const int result = keep_failure(context, &keep, message->self.id, &failure);
	return result == 0 ? window_keep(context, &window) : result;
}

/* ---- migration ---- */

/* What both schemas have. */
static const struct carried {
	uint32_t of_1;
	uint32_t of_2;
} carried[] = {
	{source_1_failures, source_failures},
	{source_1_users, source_users},
	{source_1_first, source_first},
	{source_1_last, source_last},
	{source_1_names, source_names},
};

/* Schema 1 does not say when the failures were, but that one was at `last`: more is not claimed. */
static int window_begin(sofun_context *context) {
	struct window window = {0, {0}};
	sofun_bytes last;
	if (sofun_get_str(context, source_1_last, &last) != SOFUN_OK)
		return sofun_fail(context, "the time of the last failure could not be read");
	window_add(&window, last, 1);
	return window_keep(context, &window);
}

static int source_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	const bool up = migration->to == 2;
	(void)plugin_data;
	for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++) {
		const struct carried *value = &carried[i];
		const int status =
			up ? sofun_carry(context, value->of_1, value->of_2) : sofun_carry(context, value->of_2, value->of_1);
		if (status != SOFUN_OK)
			return sofun_fail(context, "value %zu could not be carried over: %s", i, sofun_status_text(status));
	}
	return up ? window_begin(context) : 0;
}
