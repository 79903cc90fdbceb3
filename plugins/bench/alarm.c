/* bench/alarm: a timer for each instance, and no state.
 *
 *   payload int   sets one by the name "alarm", which rings at one of a thousand demo/counter after so many milliseconds
 *   payload nil   cancels it, and fails if there is none
 */
#include "load.h"

SOFUN_STATELESS_FUNCTION(alarm, "bench/alarm");

static int alarm_set(sofun_context *context, const sofun_message *message, uint64_t delay_ms) {
	static const uint8_t nil = 0xc0;
	uint8_t id[ID_BYTES];
	id_write(index_of(mix(id_number(message->self.id)), COUNTERS), id);
	const sofun_address to = {.type = sofun_text("demo/counter"), .id = sofun_bytes_of(id, ID_BYTES)};
	const sofun_bytes no_type = {NULL, 0};
	const int status = sofun_timer_of(context)->send_after(
		context, delay_ms, sofun_text("alarm"), &to, no_type, sofun_bytes_of(&nil, 1));
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not set: %s", sofun_status_text(status));
}

static int alarm_cancel(sofun_context *context) {
	int found = 0;
	const int status = sofun_timer_of(context)->cancel(context, sofun_text("alarm"), &found);
	if (status != SOFUN_OK)
		return sofun_fail(context, "not cancelled: %s", sofun_status_text(status));
	return found == 1 ? 0 : sofun_fail(context, "there is no alarm to cancel");
}

static int alarm_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	sofun_reader reader = sofun_reader_of(message->payload);
	uint64_t delay_ms;
	if (sofun_timer_of(context) == NULL)
		return sofun_fail(context, "this host has no timers");
	if (message->payload.size == 1 && message->payload.data[0] == 0xc0)
		return alarm_cancel(context);
	if (!sofun_read_uint(&reader, &delay_ms))
		return sofun_fail(context, "the payload must be a number of milliseconds, or nil");
	return alarm_set(context, message, delay_ms);
}
