#include "control/http/openapi_table.h"

#include <string.h>

#include "control/read/read.h"

/* ---- what several take ---- */

#define END_OF_FIELDS \
	{ NULL, NULL, NULL, NULL, NULL, 0, 0, false }
#define END_OF_ERRORS \
	{ ERROR_NONE, NULL }
#define DAY_MS 86400000

/* clang-format off */
#define FILTER \
	{.name = "type", .type = "string", .about = "the letter's `to`: NS/NAME, or ingress/NAME of a record"}, \
	{.name = "id", .type = "string", .about = "the letter's id; in a body also {\"base64\":...}"}, \
	{.name = "code", .type = "string", .about = "why it died: unknown_type, function_failed, router_failed, crashed"}, \
	{.name = "plugin", .type = "string", .about = "the plugin in which it died"}, \
	{.name = "version", .type = "string", .about = "the version of that plugin"}, \
	{.name = "since_ms", .type = "integer", .about = "it died at that time or later, milliseconds since 1970"}, \
	{.name = "before_ms", .type = "integer", .about = "it died before that time"}
#define LIMIT \
	{.name = "limit", .type = "integer", .about = "of a page; more is no error, the page is only shorter", \
		.least = 1, .most = PAGE_ENTRIES_MAX, .preset = "100"}
#define DEADLINE \
	{.name = "deadline_ms", .type = "integer", .about = "then what still waits for the old version goes to the new one", \
		.most = DAY_MS, .preset = "30000"}
#define SHADOW \
	{.name = "shadow", .type = "any", .about = "not in this version of sofun: answered not_found"}
#define CANARY_NONE \
	{.name = "canary", .type = "integer", .about = "of a swap: refused here", .least = 1, .most = 100}
/* clang-format on */

const struct openapi_field openapi_payload[] = {END_OF_FIELDS};
static const struct openapi_field body_empty[] = {END_OF_FIELDS};

const char *openapi_path_about(const char *path, const char *name) {
	if (strncmp(path, "/v1/plugins/", 12) == 0)
		return "the name of a plugin";
	if (strcmp(name, "ns") == 0)
		return "namespace of the function type";
	if (strcmp(name, "name") == 0)
		return "name of the function type";
	if (strcmp(name, "id") == 0)
		return "id of the instance: 1 to 255 bytes, percent-encoded";
	if (strcmp(name, "number") == 0)
		return "number of the dead letter";
	return "name of the egress";
}

/* ---- the host ---- */

static const struct openapi_field barrier_body[] = {
	{.name = "timeout_ms",
		.type = "integer",
		.about = "wait at most so long; left out: the setting call.timeout_ms",
		.most = DAY_MS},
	END_OF_FIELDS};
static const struct openapi_error barrier_errors[] = {{ERROR_BAD_REQUEST, "the body is not as described"},
	{ERROR_BAD_UTF8, "the body is not UTF-8"}, {ERROR_TIMEOUT, "not everything is handled yet"}, END_OF_ERRORS};

static const struct openapi_field clock_body[] = {
	{.name = "to_ms", .type = "integer", .about = "the time, milliseconds since 1970"},
	{.name = "advance_ms", .type = "integer", .about = "so much later; one of the two"}, END_OF_FIELDS};
static const struct openapi_error clock_errors[] = {
	{ERROR_BAD_REQUEST, "not one of the two"}, {ERROR_FORBIDDEN, "the host runs without --test-clock"}, END_OF_ERRORS};

static const struct openapi_field events_query[] = {
	{.name = "from", .type = "string", .about = "all that is kept, not only what comes", .words = "earliest"},
	END_OF_FIELDS};
static const struct openapi_error events_errors[] = {{ERROR_BAD_REQUEST, "another `from`"}, END_OF_ERRORS};

static const struct openapi_error config_errors[] = {{ERROR_BAD_REQUEST, "an unknown setting, or a wrong value"},
	{ERROR_CONFLICT, "one of the settings is read at the start only; nothing is changed"}, END_OF_ERRORS};
static const struct openapi_error reload_errors[] = {
	{ERROR_BAD_REQUEST, "the file has a mistake, or the body is not empty; nothing is changed"}, END_OF_ERRORS};

/* ---- functions and state ---- */

static const struct openapi_field function_query[] = {
	{.name = "mode",
		.type = "string",
		.about = "call waits for the reply; send until the message is durable, and answers 202 {epoch}",
		.words = "call,send",
		.preset = "call"},
	{.name = "timeout_ms",
		.type = "integer",
		.about = "of a call; left out: the setting call.timeout_ms",
		.most = DAY_MS},
	END_OF_FIELDS};
static const struct openapi_error function_errors[] = {
	{ERROR_BAD_REQUEST,
		"a body that is not what its Content-Type says (415: a Content-Type that is not read), or a "
		"parameter that is none"},
	{ERROR_BAD_ID, "an id of 0 or more than 255 bytes"}, {ERROR_BAD_UTF8, "a JSON body that is not UTF-8"},
	{ERROR_TOO_DEEP, "more than limits.nesting"}, {ERROR_TOO_LARGE, "more than limits.message_bytes"},
	{ERROR_UNKNOWN_TYPE, "no plugin ever declared it; the message is a dead letter"},
	{ERROR_FUNCTION_FAILED, "all attempts failed; the message is a dead letter"},
	{ERROR_TIMEOUT, "no reply in time; what was done stands"},
	{ERROR_CONFLICT, "the request with this Idempotency-Key still runs"},
	{ERROR_KEY_REUSED, "the Idempotency-Key was used for another request"},
	{ERROR_KEYS_FULL, "as many Idempotency-Keys as idempotency.keys_max are kept"}, END_OF_ERRORS};

static const struct openapi_field state_list_query[] = {LIMIT,
	{.name = "after", .type = "string", .about = "`next` of the page before: an id, percent-encoded"}, END_OF_FIELDS};
static const struct openapi_error state_list_errors[] = {{ERROR_BAD_REQUEST, "a parameter that is none"},
	{ERROR_BAD_ID, "after is longer than an id"}, {ERROR_UNKNOWN_TYPE, "no plugin ever declared it"}, END_OF_ERRORS};
static const struct openapi_field state_show_query[] = {
	{.name = "table", .type = "string", .about = "a page of that table or list instead of the values"}, LIMIT,
	{.name = "after", .type = "string", .about = "`next` of the page before"}, END_OF_FIELDS};
static const struct openapi_error state_show_errors[] = {{ERROR_BAD_REQUEST, "a parameter that is none"},
	{ERROR_BAD_ID, "an id of 0 or more than 255 bytes"}, {ERROR_UNKNOWN_TYPE, "no plugin ever declared it"},
	{ERROR_NOT_FOUND, "the instance has no state, or no such table"}, END_OF_ERRORS};

static const struct openapi_error ttl_show_errors[] = {
	{ERROR_UNKNOWN_TYPE, "no plugin ever declared it"}, END_OF_ERRORS};
static const struct openapi_field ttl_body[] = {
	{.name = "idle_ttl_ms",
		.type = "any",
		.about = "an instance ends so long after its last message; 0: never, null: no more from here"},
	{.name = "values",
		.type = "object",
		.about = "name of a value: {expire_after_write_ms, expire_after_invoke_ms}, each as idle_ttl_ms"},
	{.name = "clear", .type = "boolean", .about = "first take back all that was set here", .preset = "false"},
	END_OF_FIELDS};
static const struct openapi_error ttl_set_errors[] = {{ERROR_BAD_REQUEST, "the body is not as described"},
	{ERROR_BAD_UTF8, "the body is not UTF-8"}, {ERROR_UNKNOWN_TYPE, "no plugin ever declared it"},
	{ERROR_NOT_FOUND, "the type has no value of that name"}, END_OF_ERRORS};

/* ---- dead letters ---- */

static const struct openapi_field dead_query[] = {
	LIMIT, {.name = "after", .type = "integer", .about = "`next` of the page before: a number"}, FILTER, END_OF_FIELDS};
static const struct openapi_error dead_errors[] = {{ERROR_BAD_REQUEST, "a parameter that is none"}, END_OF_ERRORS};
static const struct openapi_field bulk_body[] = {FILTER,
	{.name = "all", .type = "boolean", .about = "every letter; without it a filter is needed", .preset = "false"},
	{.name = "after", .type = "integer", .about = "only letters behind this number: `next` of the answer before"},
	{.name = "through", .type = "integer", .about = "only letters up to this number; left out: the last there is now"},
	{.name = "limit",
		.type = "integer",
		.about = "so many letters at most",
		.least = 1,
		.most = 10000,
		.preset = "1000"},
	{.name = "dry_run", .type = "boolean", .about = "only count", .preset = "false"}, END_OF_FIELDS};
static const struct openapi_error bulk_errors[] = {
	{ERROR_BAD_REQUEST, "the body is not as described, or does not say which letters"},
	{ERROR_BAD_ID, "id is neither a string nor {\"base64\":...}"}, END_OF_ERRORS};
static const struct openapi_error letter_errors[] = {
	{ERROR_BAD_REQUEST, "no number"}, {ERROR_NOT_FOUND, "there is no such letter, or no more"}, END_OF_ERRORS};
static const struct openapi_error letter_retry_errors[] = {{ERROR_BAD_REQUEST, "no number"},
	{ERROR_NOT_FOUND, "there is no such letter, or no more"},
	{ERROR_UNKNOWN_TYPE, "still no plugin declares its type: it stays"},
	{ERROR_UNKNOWN_INGRESS, "no router serves its ingress now: it stays"}, END_OF_ERRORS};

/* ---- egresses ---- */

static const struct openapi_field egress_query[] = {
	{.name = "from", .type = "string", .about = "an offset, earliest or latest", .preset = "earliest"}, LIMIT,
	END_OF_FIELDS};
static const struct openapi_error egress_errors[] = {{ERROR_BAD_REQUEST, "a parameter that is none"},
	{ERROR_UNKNOWN_EGRESS, "it was never used, and no live plugin declares it"}, END_OF_ERRORS};

/* ---- plugins ---- */

static const struct openapi_field load_body[] = {
	{.name = "path",
		.type = "string",
		.about = "absolute path of a plugin file, as the host sees it; a copy "
				 "goes into the plugins directory",
		.required = true},
	END_OF_FIELDS};
static const struct openapi_error load_errors[] = {{ERROR_BAD_REQUEST, "no absolute path"},
	{ERROR_NOT_FOUND, "there is no such file"}, {ERROR_REFUSED, "the file cannot be a plugin here: it says why"},
	{ERROR_CONFLICT, "another version of the plugin is on its way in or out, or a canary runs"}, END_OF_ERRORS};
static const struct openapi_error unload_errors[] = {{ERROR_NOT_FOUND, "no plugin of that name is in"},
	{ERROR_CONFLICT, "a version of it is on its way out already"},
	{ERROR_TIMEOUT, "a call of it does not end: its image is stuck until it does"}, END_OF_ERRORS};
static const struct openapi_error plugin_errors[] = {
	{ERROR_NOT_FOUND, "there is no plugin of that name"}, END_OF_ERRORS};

static const struct openapi_field swap_body[] = {
	{.name = "version",
		.type = "string",
		.about = "MAJOR.MINOR.PATCH of a version that is ready, or was live",
		.required = true},
	{.name = "drain",
		.type = "string",
		.about = "accepted: the old version finishes what was accepted before; running: only what runs",
		.words = "accepted,running",
		.preset = "accepted"},
	DEADLINE,
	{.name = "canary",
		.type = "integer",
		.about = "only so many of a hundred ids, always the same; 100, or left out: all",
		.least = 1,
		.most = 100},
	{.name = "no_way_back",
		.type = "boolean",
		.about =
			"even if the old version could not read the state that this one writes; messages for what a canary has "
			"written then wait, shown as blocked, when it ends",
		.preset = "false"},
	SHADOW, END_OF_FIELDS};
static const struct openapi_error swap_errors[] = {{ERROR_BAD_REQUEST, "the body is not as described"},
	{ERROR_NOT_FOUND, "there is no such plugin or version, or shadow was asked for"},
	{ERROR_CONFLICT, "another change of the plugin is not through, or another version is its canary"},
	{ERROR_REFUSED, "the version cannot be loaded now, or there would be no way back: nothing changes"}, END_OF_ERRORS};

static const struct openapi_field promote_body[] = {
	{.name = "version", .type = "string", .about = "the canary's, for whoever wants to be sure"},
	{.name = "drain",
		.type = "string",
		.about = "accepted: the old version finishes what was accepted before; running: only what runs",
		.words = "accepted,running",
		.preset = "accepted"},
	DEADLINE, CANARY_NONE, SHADOW, END_OF_FIELDS};
static const struct openapi_error promote_errors[] = {
	{ERROR_BAD_REQUEST, "the body is not as described, or has a canary"}, {ERROR_NOT_FOUND, "there is no such plugin"},
	{ERROR_CONFLICT, "no canary runs and no version is on probation, or another is next, or a change is not through"},
	END_OF_ERRORS};

static const struct openapi_field rollback_body[] = {
	{.name = "version", .type = "string", .about = "the one to go back to, for whoever wants to be sure"},
	{.name = "drain",
		.type = "string",
		.about = "running: only what runs is finished by the version that goes; accepted: all that was accepted",
		.words = "accepted,running",
		.preset = "running"},
	DEADLINE, CANARY_NONE, SHADOW, END_OF_FIELDS};
static const struct openapi_error rollback_errors[] = {
	{ERROR_BAD_REQUEST, "the body is not as described, or has a canary"}, {ERROR_NOT_FOUND, "there is no such plugin"},
	{ERROR_CONFLICT, "there is nothing, or another version, to go back to, or a change is not through"},
	{ERROR_REFUSED, "the version before cannot be loaded, or cannot read the state: nothing changes"}, END_OF_ERRORS};

/* ---- the table ---- */

const struct openapi_operation openapi_operations[] = {
	{"GET", "/healthz", NULL, NULL, NULL, 200, NULL},
	{"GET", "/metrics", NULL, NULL, NULL, 200, NULL},
	{"GET", "/openapi.json", NULL, NULL, NULL, 200, NULL},
	{"GET", "/v1", NULL, NULL, NULL, 200, NULL},
	{"GET", "/v1/status", NULL, NULL, "Status", 200, NULL},
	{"POST", "/v1/barrier", NULL, barrier_body, NULL, 200, barrier_errors},
	{"POST", "/v1/clock", NULL, clock_body, NULL, 200, clock_errors},
	{"GET", "/v1/events", events_query, NULL, NULL, 200, events_errors},
	{"GET", "/v1/config", NULL, NULL, NULL, 200, NULL},
	{"POST", "/v1/config", NULL, openapi_payload, NULL, 200, config_errors},
	{"POST", "/v1/config/reload", NULL, body_empty, NULL, 200, reload_errors},
	{"POST", "/v1/functions/{ns}/{name}/{id}", function_query, openapi_payload, NULL, 200, function_errors},
	{"GET", "/v1/state/{ns}/{name}", state_list_query, NULL, NULL, 200, state_list_errors},
	{"GET", "/v1/state/{ns}/{name}/{id}", state_show_query, NULL, NULL, 200, state_show_errors},
	{"GET", "/v1/ttl/{ns}/{name}", NULL, NULL, NULL, 200, ttl_show_errors},
	{"POST", "/v1/ttl/{ns}/{name}", NULL, ttl_body, NULL, 200, ttl_set_errors},
	{"GET", "/v1/dead", dead_query, NULL, "Letters", 200, dead_errors},
	{"POST", "/v1/dead/retry", NULL, bulk_body, "Bulk", 200, bulk_errors},
	{"POST", "/v1/dead/drop", NULL, bulk_body, "Bulk", 200, bulk_errors},
	{"GET", "/v1/dead/{number}", NULL, NULL, "Letter", 200, letter_errors},
	{"DELETE", "/v1/dead/{number}", NULL, NULL, "Gone", 200, letter_errors},
	{"POST", "/v1/dead/{number}/retry", NULL, NULL, "Gone", 200, letter_retry_errors},
	{"GET", "/v1/egresses", NULL, NULL, NULL, 200, NULL},
	{"GET", "/v1/egresses/{egress}", egress_query, NULL, NULL, 200, egress_errors},
	{"GET", "/v1/plugins", NULL, NULL, "Plugins", 200, NULL},
	{"POST", "/v1/plugins", NULL, load_body, "Plugin", 200, load_errors},
	{"DELETE", "/v1/plugins/{name}", NULL, NULL, "Plugin", 200, unload_errors},
	{"GET", "/v1/plugins/{name}/versions", NULL, NULL, "Versions", 200, plugin_errors},
	{"POST", "/v1/plugins/{name}/swap", NULL, swap_body, "Plugin", 200, swap_errors},
	{"POST", "/v1/plugins/{name}/promote", NULL, promote_body, "Plugin", 200, promote_errors},
	{"POST", "/v1/plugins/{name}/migrate", NULL, NULL, "Migrations", 202, plugin_errors},
	{"POST", "/v1/plugins/{name}/rollback", NULL, rollback_body, "Plugin", 200, rollback_errors},
};
const size_t openapi_operation_count = sizeof openapi_operations / sizeof openapi_operations[0];

/* ---- answers ---- */

static const struct openapi_field plugin_fields[] = {{.name = "name", .type = "string", .about = "of the plugin"},
	{.name = "version", .type = "string", .about = "MAJOR.MINOR.PATCH"},
	{.name = "state",
		.type = "string",
		.about = "where it stands in its life",
		.words = "ready,live,draining,stuck,retired,refused,quarantined"},
	{.name = "share_percent", .type = "integer", .about = "of the ids that it has"},
	{.name = "rollback_target", .type = "boolean", .about = "a rollback goes back to it"},
	{.name = "file", .type = "string", .about = "the name under which it came into the plugins directory"},
	{.name = "content_hash", .type = "string", .about = "SHA-256 of its bytes, hexadecimal"},
	{.name = "functions", .type = "array", .about = "its function types"},
	{.name = "routers", .type = "array", .about = "{ingress, format} of each"},
	{.name = "egresses", .type = "array", .about = "that it declares"},
	{.name = "waiting_for", .type = "array", .about = "{reason, address, since_ms}: what keeps it from going"},
	END_OF_FIELDS};
static const struct openapi_field plugins_fields[] = {{.name = "plugins", .type = "[Plugin]", .about = "that are in"},
	{.name = "refused", .type = "array", .about = "files that were refused, with the error"}, END_OF_FIELDS};
static const struct openapi_field versions_fields[] = {{.name = "name", .type = "string", .about = "of the plugin"},
	{.name = "versions", .type = "[Plugin]", .about = "what is loaded or ready, then what may come back"},
	END_OF_FIELDS};
static const struct openapi_field migrations_fields[] = {
	{.name = "migrations",
		.type = "array",
		.about = "{type, plugin, schema, total, left, refused, reason} of each type in work"},
	END_OF_FIELDS};
static const struct openapi_field letter_fields[] = {
	{.name = "number", .type = "integer", .about = "rises, and is never given again"},
	{.name = "to", .type = "string", .about = "NS/NAME, or ingress/NAME"},
	{.name = "id", .type = "any", .about = "of the instance, or the producer of a record"},
	{.name = "from", .type = "any", .about = "{type, id} of who sent it; null: from outside"},
	{.name = "code", .type = "string", .about = "why it died"},
	{.name = "reason", .type = "string", .about = "the function's own text"},
	{.name = "attempts", .type = "integer", .about = "that were made"},
	{.name = "plugin", .type = "any", .about = "in which it died; null: in none"},
	{.name = "version", .type = "any", .about = "of that plugin"},
	{.name = "type", .type = "any", .about = "of the payload; null: none was said"},
	{.name = "payload", .type = "any", .about = "the message, or the record"},
	{.name = "time_ms", .type = "integer", .about = "when it died, milliseconds since 1970"}, END_OF_FIELDS};
static const struct openapi_field letters_fields[] = {{.name = "dead", .type = "[Letter]", .about = "oldest first"},
	{.name = "next", .type = "any", .about = "give it as `after`; null at the end"}, END_OF_FIELDS};
static const struct openapi_field gone_fields[] = {
	{.name = "number", .type = "integer", .about = "of the letter that went"},
	{.name = "epoch", .type = "integer", .about = "with which that is durable"}, END_OF_FIELDS};
static const struct openapi_field bulk_fields[] = {
	{.name = "count", .type = "integer", .about = "letters that were sent again, or dropped"},
	{.name = "matched", .type = "integer", .about = "letters that were met"},
	{.name = "gone", .type = "integer", .about = "of these, somebody else was faster"},
	{.name = "stayed", .type = "integer", .about = "of these, nobody takes them now"},
	{.name = "reason", .type = "any", .about = "the error of the first that stayed; null: none did"},
	{.name = "dry_run", .type = "boolean", .about = "nothing was changed"},
	{.name = "next", .type = "any", .about = "give it as `after`; null: nothing is left"},
	{.name = "through", .type = "integer", .about = "give it as `through`: what fails again is behind it"},
	{.name = "epoch", .type = "any", .about = "with which all of it is durable; null: nothing was changed"},
	END_OF_FIELDS};
static const struct openapi_field status_fields[] = {{.name = "version", .type = "string", .about = "of sofun"},
	{.name = "pid", .type = "integer", .about = "of sofund"},
	{.name = "worker_pid", .type = "integer", .about = "of its worker"},
	{.name = "recovered", .type = "string", .about = "how this life began", .words = "none,clean,crash"},
	{.name = "timers",
		.type = "any",
		.about =
			"{pending, more, next_ms}: delayed messages, more: there are others in the store, when the first is due"},
	{.name = "plugins", .type = "[Plugin]", .about = "that are in"}, END_OF_FIELDS};

const struct openapi_component openapi_components[] = {
	{"Plugin", plugin_fields},
	{"Plugins", plugins_fields},
	{"Versions", versions_fields},
	{"Migrations", migrations_fields},
	{"Letter", letter_fields},
	{"Letters", letters_fields},
	{"Gone", gone_fields},
	{"Bulk", bulk_fields},
	{"Status", status_fields},
};
const size_t openapi_component_count = sizeof openapi_components / sizeof openapi_components[0];
