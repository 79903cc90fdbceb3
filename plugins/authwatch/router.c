/* The router of every version: lines of an sshd log in, a message to the source for each that reports failures. */
#include <sofun/sofun.h>

#include "failure.h"

SOFUN_ROUTER(authlog, "authlog", "line");

enum { ID_BYTES_MAX = 255 }; /* what an address allows */

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
