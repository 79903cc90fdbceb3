/* The counter with and without an end, to compare what the end costs; and instances that only wait for theirs.
 *
 *   bench/lasting  counts messages, as demo/counter does
 *   bench/idle     the same, and ends when no message came for an hour
 *   bench/note     keeps a text of 84 bytes, which with its id are 100, and ends likewise
 */
#include "load.h"

#define IDLE_MS 3600000 /* a literal, since idle_ttl_ms is one */

SOFUN_FUNCTION(lasting, "bench/lasting", 1,
	SOFUN_VALUE(count, INT));
SOFUN_FUNCTION(idle, "bench/idle", 1, SOFUN_VALUE(count, INT), SOFUN_IDLE_TTL(IDLE_MS));
SOFUN_FUNCTION(note, "bench/note", 1, SOFUN_VALUE(text, STR), SOFUN_IDLE_TTL(IDLE_MS));

/* Both functions, but for the number of their value, which is the same: they must differ in the declaration alone. */
static int count(sofun_context *context, uint32_t value) {
	int64_t number;
	int status = sofun_get_int(context, value, &number);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, value, number + 1);
	if (status == SOFUN_OK)
		status = sofun_reply_int(context, number + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not counted: %s", sofun_status_text(status));
}

static int lasting_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data, (void)message;
	return count(context, lasting_count);
}

static int idle_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data, (void)message;
	return count(context, idle_count);
}

static int note_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data, (void)message;
	static const char text[] =
		"what an instance keeps until it ends; its id is 16 bytes more, so that it has a hundred ";
	const int status = sofun_set_str(context, note_text, sofun_bytes_of((const uint8_t *)text, 84));
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not kept: %s", sofun_status_text(status));
}
