/* bench/errand: each message starts an operation, whose work does nothing; its result counts. */
#include "load.h"

SOFUN_FUNCTION(errand, "bench/errand", 1, SOFUN_VALUE(count, INT), SOFUN_WORK, SOFUN_ON_RESULT);

static int errand_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	const int status = sofun_start(context, 0, message->payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not started: %s", sofun_status_text(status));
}

static int errand_work(sofun_work *work, void *plugin_data) {
	(void)work, (void)plugin_data;
	return 0;
}

static int errand_on_result(sofun_context *context, void *plugin_data, const sofun_result *result) {
	int64_t count;
	(void)plugin_data, (void)result;
	int status = sofun_get_int(context, errand_count, &count);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, errand_count, count + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not counted: %s", sofun_status_text(status));
}
