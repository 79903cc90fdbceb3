#include "flow/request/answer_error.h"

#include "base/check.h"

/* Where the engine has no words of its own; a function's failure has neither found nor expected: its text says all. */
static const struct {
	const char *message;
	const char *found;
	const char *expected;
	const char *hint;
} words[ERROR_CODES] = {
	[ERROR_BAD_REQUEST] = {NULL, "an empty name", "1 to 200 bytes", "give the producer a shorter name"},
	[ERROR_TOO_LARGE] = {NULL, "a longer one", "at most 255 bytes", "a payload's type is a name, not a text"},
	[ERROR_UNKNOWN_INGRESS] = {"no router serves this ingress", "an empty name",
		"an ingress that a live plugin has a router for",
		"`sofun status` lists them; drop a plugin with such a router into the plugins directory"},
	[ERROR_UNKNOWN_TYPE] = {"no plugin ever declared this function type", "another name",
		"a function type that a plugin declared",
		"`sofun status` lists them; load a plugin that declares it, then retry the dead letter"},
	[ERROR_GAP] = {"records are missing before these", NULL, NULL, "go on at accepted + 1"},
	[ERROR_PRODUCER_BUSY] = {"a younger connection sends as this producer", "another connection of the same name",
		"one connection a producer", "use a name of your own for each producer"},
	[ERROR_FUNCTION_FAILED] = {"the function failed and gave no reason", NULL, NULL,
		"`sofun dead` shows the message and the reason, and sends it again when the cause is gone"},
	[ERROR_TIMEOUT] = {"it did not end in time", "no end yet", "an end within the time that was given",
		"what was done stands; a longer timeout_ms waits longer"},
	[ERROR_CONFLICT] = {NULL, "a request with this key that has no answer yet",
		"an answer that is stored, or a new key", "ask again with the same key when the first request has ended"},
	[ERROR_KEY_REUSED] = {"this key was used for another request", "another mode, content type, payload type or body",
		"the request that the key was first used for", "a new request needs a new key"},
	[ERROR_KEYS_FULL] = {"no more idempotency keys are kept", "as many keys as idempotency.keys_max",
		"room for one more", "wait until some expire, raise idempotency.keys_max, or lower idempotency.expiry_s"},
	[ERROR_NOT_FOUND] = {"there is no such dead letter any more", "its number only", "the number of a dead letter",
		"GET /v1/dead, or `sofun dead`, lists them"},
	[ERROR_STOPPING] = {"the host is stopping", "a host that stops", "a host that runs",
		"ask again when it runs; a producer asks for its position first"},
	[ERROR_STORE_FAILED] = {"the store has failed", "a store that takes nothing", "a store that can be written",
		"the host's log says why; sofund --verify checks the data directory"},
};

static void gap_fill(const struct engine_answer *answer, struct error *error) {
	error_found(error, "a first record behind %llu", (unsigned long long)answer->accepted + 1);
	error_expected(error, "first of at most %llu", (unsigned long long)answer->accepted + 1);
}

void answer_error(const struct engine_answer *answer, struct error *ret_error) {
	check(answer->code != ERROR_NONE);
	if (answer->error != NULL) {
		*ret_error = *answer->error;
		return;
	}
	const char *message = words[answer->code].message, *found = words[answer->code].found;
	struct bytes text = answer->payload;
	if (text.size == 0)
		text = bytes_text(message != NULL ? message : error_code_name(answer->code));
	error_set(ret_error, answer->code, "%.*s", (int)(text.size < ERROR_MESSAGE_BYTES ? text.size : ERROR_MESSAGE_BYTES),
		(const char *)text.data);
	if (answer->type.size > 0)
		error_found_text(ret_error, answer->type.data, answer->type.size);
	else if (found != NULL)
		error_found(ret_error, "%s", found);
	if (words[answer->code].expected != NULL)
		error_expected(ret_error, "%s", words[answer->code].expected);
	if (words[answer->code].hint != NULL)
		error_hint(ret_error, "%s", words[answer->code].hint);
	if (answer->code == ERROR_GAP)
		gap_fill(answer, ret_error);
}
