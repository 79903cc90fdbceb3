/* The bundled plugin `authwatch`, version 1: reads an sshd log, keeps for each remote address what it has tried, and names
 * those that failed too often. Version 2 is authwatch_2.c. */
#include <sofun/sofun.h>

#include "failure.h"
#include "keep.h"

SOFUN_FUNCTION(source, "auth/source", 1,
	SOFUN_VALUE(failures, INT),
	SOFUN_VALUE(users, INT), /* how many distinct names */
	SOFUN_VALUE(first, STR), /* when it first failed, as the log spells time */
	SOFUN_VALUE(last, STR),
	SOFUN_VALUE(names, RAW)); /* those names */
SOFUN_PLUGIN("authwatch", "1.0.0",
	SOFUN_WITH_FUNCTION(source),
	SOFUN_WITH_ROUTER(authlog),
	SOFUN_WITH_EGRESS("bans"));

static int source_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	static const struct keep keep = {source_failures, source_users, source_first, source_last, source_names};
	struct failure failure;
	(void)plugin_data;
	if (!failure_read(message->payload, &failure))
		return keep_refuse(context);
	return keep_failure(context, &keep, message->self.id, &failure);
}
