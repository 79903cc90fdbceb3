/* The bundled plugin `authwatch`: reads an sshd log, keeps for each remote address what it has tried, and names those
 * that failed too often. */
#include <sofun/sofun.h>

#include "line.h"
#include "names.h"

SOFUN_FUNCTION(source, "auth/source", 1,
	SOFUN_VALUE(failures, INT),
	SOFUN_VALUE(users, INT), /* how many distinct names */
	SOFUN_VALUE(first, STR), /* when it first failed, as the log spells time */
	SOFUN_VALUE(last, STR),
	SOFUN_VALUE(names, RAW)); /* those names */
SOFUN_ROUTER(authlog, "authlog", "line");
SOFUN_PLUGIN("authwatch", "1.0.0",
	SOFUN_WITH_FUNCTION(source),
	SOFUN_WITH_ROUTER(authlog),
	SOFUN_WITH_EGRESS("bans"));

enum {
	BAN_FAILURES = 5,   /* a person who forgot a password has given up by then */
	ID_BYTES_MAX = 255, /* what an address allows */
	ROOM_BYTES = 512,   /* on the stack for a message: names are short; a longer one takes a builder */
};

/* ---- the message from router to source: {count, time, user} ---- */

static int failure_send(sofun_context *context, const struct failure *failure) {
	uint8_t room[ROOM_BYTES];
	const bool fits = failure->user.size < ROOM_BYTES / 2;
	sofun_writer writer = fits ? sofun_writer_into(room, sizeof room) : sofun_writer_builder(context);
	sofun_write_map(&writer, 3);
	sofun_write_text(&writer, "count");
	sofun_write_int(&writer, failure->count);
	sofun_write_text(&writer, "time");
	sofun_write_str(&writer, failure->time);
	sofun_write_text(&writer, "user");
	sofun_write_str_or_bin(&writer, failure->user);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_send(context, "auth/source", failure->source, payload) : status;
}

static bool failure_read(sofun_bytes payload, struct failure *ret_failure) {
	sofun_reader reader = sofun_reader_of(payload);
	uint32_t pairs;
	sofun_bytes key;
	if (!sofun_read_map(&reader, &pairs) || pairs != 3)
		return false;
	for (; pairs > 0; pairs--) {
		if (!sofun_read_str(&reader, &key))
			return false;
		const bool is_count = sofun_bytes_are(key, "count");
		const bool is_time = sofun_bytes_are(key, "time");
		if (is_count      ? !sofun_read_int(&reader, &ret_failure->count)
				: is_time ? !sofun_read_str(&reader, &ret_failure->time)
						  : !sofun_bytes_are(key, "user") || !sofun_read_str_or_bin(&reader, &ret_failure->user))
			return false;
	}
	return ret_failure->count >= 1 && ret_failure->time.data != NULL && ret_failure->user.data != NULL;
}

static int authlog_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	struct failure failure;
	if (!line_read(record->data, &failure))
		return 0;
	if (failure.source.size > ID_BYTES_MAX)
		return sofun_fail(context, "an address of %zu bytes is none: at most %d", failure.source.size, ID_BYTES_MAX);
	const int status = failure_send(context, &failure);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}

/* ---- what a source keeps ---- */

static int times_keep(sofun_context *context, sofun_bytes time) {
	sofun_bytes first;
	int status = sofun_get_raw(context, source_first, &first);
	if (status == SOFUN_OK && first.size == 0)
		status = sofun_set_str(context, source_first, time);
	return status == SOFUN_OK ? sofun_set_str(context, source_last, time) : status;
}

static int user_keep(sofun_context *context, sofun_bytes user) {
	bool is_new;
	if (names_add(context, source_names, user, &is_new) != 0)
		return SOFUN_FAILED;
	if (!is_new)
		return 0;
	int64_t users;
	int status = sofun_get_int(context, source_users, &users);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, source_users, users + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "users could not be kept: %s", sofun_status_text(status));
}

static int ban_emit(sofun_context *context, sofun_bytes source, int64_t failures, sofun_bytes last) {
	uint8_t room[ROOM_BYTES];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_map(&writer, 3);
	sofun_write_text(&writer, "source");
	sofun_write_str_or_bin(&writer, source);
	sofun_write_text(&writer, "failures");
	sofun_write_int(&writer, failures);
	sofun_write_text(&writer, "last");
	sofun_write_str(&writer, last);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_emit(context, "bans", payload) : status;
}

static int source_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	struct failure failure;
	memset(&failure, 0, sizeof failure);
	if (!failure_read(message->payload, &failure) || failure.time.size > LINE_TIME_BYTES)
		return sofun_fail(context,
			"the payload must be {count: 1 or more, time: a text of at most %d bytes, user: a name}", LINE_TIME_BYTES);
	int64_t before, after;
	int status = sofun_get_int(context, source_failures, &before);
	if (status == SOFUN_OK && __builtin_add_overflow(before, failure.count, &after))
		return sofun_fail(context, "overflow: %lld + %lld failures", (long long)before, (long long)failure.count);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, source_failures, after);
	if (status == SOFUN_OK)
		status = times_keep(context, failure.time);
	if (status == SOFUN_OK && before < BAN_FAILURES && after >= BAN_FAILURES)
		status = ban_emit(context, message->self.id, after, failure.time);
	if (status != SOFUN_OK)
		return sofun_fail(context, "the failure could not be kept: %s", sofun_status_text(status));
	return user_keep(context, failure.user);
}
