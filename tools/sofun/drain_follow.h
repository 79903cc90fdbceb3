/* The way out of a version, followed: a bar on a terminal, lines elsewhere. */
#ifndef SOFUN_DRAIN_FOLLOW_H
#define SOFUN_DRAIN_FOLLOW_H

#include <jansson.h>

#include "command.h"

/* What every command that changes a version takes. */
#define WAIT_OPTION \
	{ "--wait", NULL, "return when the version before has gone, as on a terminal; else when the new one is live" }

/* After a change of the plugin's versions: on a terminal, or with --wait, until none of them drains any more, or one is stuck in a
 * call; else one line if one does. Under --json nothing is shown. An exit code: a host that goes away meanwhile is waited
 * for, and then it is told that the change stands. */
int drain_follow(const struct invocation *run, const char *name);

/* A request that is answered when the plugin has gone: as http_json, with the bar meanwhile. */
int drain_request(
	const struct invocation *run, const char *name, const char *method, const char *target, json_t **ret_answer);

#endif
