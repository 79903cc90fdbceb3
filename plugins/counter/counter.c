/* The bundled plugin `counter`: one function type that counts, and a router that lets each line of text count once for
 * the id that it names. */
#include <sofun/sofun.h>

SOFUN_FUNCTION(counter, "demo/counter", 1,
	SOFUN_VALUE(count, INT));
SOFUN_ROUTER(lines, "counter", "line");
SOFUN_PLUGIN("counter", "1.0.0",
	SOFUN_WITH_FUNCTION(counter),
	SOFUN_WITH_ROUTER(lines));

enum { ID_BYTES_MAX = 255 }; /* what an address allows */

/* How much to count: nil is 1. */
static bool step_read(sofun_bytes payload, int64_t *ret_step) {
	sofun_reader reader = sofun_reader_of(payload);
	if (!sofun_read_nil(&reader))
		return sofun_read_int(&reader, ret_step);
	*ret_step = 1;
	return true;
}

static int counter_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	int64_t step;
	if (!step_read(message->payload, &step))
		return sofun_fail(context, "the payload must be nil or an integer within 64 bits (signed)");
	int64_t count;
	int status = sofun_get_int(context, counter_count, &count);
	if (status != SOFUN_OK)
		return sofun_fail(context, "count could not be read: %s", sofun_status_text(status));
	int64_t sum;
	if (__builtin_add_overflow(count, step, &sum))
		return sofun_fail(context, "overflow: %lld + %lld is beyond 64 bits", (long long)count, (long long)step);
	status = sofun_set_int(context, counter_count, sum);
	if (status == SOFUN_OK)
		status = sofun_reply_int(context, sum);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "the new count was refused: %s", sofun_status_text(status));
}

static int lines_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	sofun_bytes id = record->data;
	if (id.size > 0 && id.data[id.size - 1] == '\r')
		id.size--;
	if (id.size == 0)
		return sofun_fail(context, "an empty line names no counter");
	if (id.size > ID_BYTES_MAX)
		return sofun_fail(context, "a line of %zu bytes is no id: at most %d", id.size, ID_BYTES_MAX);
	const int status = sofun_send_nil(context, "demo/counter", id);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}
