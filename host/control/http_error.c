#include "control/http_error.h"

#include "base/check.h"

int http_status(enum error_code code) {
	static const int statuses[ERROR_CODES] = {
		[ERROR_BAD_REQUEST] = 400,
		[ERROR_UNKNOWN_METHOD] = 404,
		[ERROR_UNKNOWN_INGRESS] = 404,
		[ERROR_UNKNOWN_EGRESS] = 404,
		[ERROR_UNKNOWN_TYPE] = 404,
		[ERROR_BAD_ID] = 400,
		[ERROR_BAD_UTF8] = 400,
		[ERROR_TOO_LARGE] = 413,
		[ERROR_TOO_DEEP] = 400,
		[ERROR_GAP] = 400,
		[ERROR_PRODUCER_BUSY] = 409,
		[ERROR_FUNCTION_FAILED] = 422,
		[ERROR_TIMEOUT] = 408,
		[ERROR_REFUSED] = 422,
		[ERROR_CONFLICT] = 409,
		[ERROR_NOT_FOUND] = 404,
		[ERROR_FORBIDDEN] = 403,
		[ERROR_STOPPING] = 503,
		[ERROR_STORE_FAILED] = 503,
		[ERROR_INTERNAL] = 500,
		[ERROR_KEY_REUSED] = 422,
		[ERROR_KEYS_FULL] = 429,
	};
	check(code > ERROR_NONE && code < ERROR_CODES);
	return statuses[code];
}

static const char *code_words(enum error_code code) {
	switch (code) {
	case ERROR_TIMEOUT:
		return "it did not end in time";
	case ERROR_STOPPING:
		return "the host is stopping";
	case ERROR_STORE_FAILED:
		return "the store has failed";
	case ERROR_UNKNOWN_TYPE:
		return "no plugin ever declared this function type";
	case ERROR_FUNCTION_FAILED:
		return "the function failed without a text";
	default:
		return error_code_name(code);
	}
}

void error_from_answer(const struct engine_answer *answer, struct error *ret_error) {
	struct bytes text = answer->payload;
	check(answer->code != ERROR_NONE);
	if (text.size == 0)
		text = bytes_text(code_words(answer->code));
	error_set(ret_error, answer->code, "%.*s", (int)(text.size < ERROR_MESSAGE_BYTES ? text.size : ERROR_MESSAGE_BYTES),
		(const char *)text.data);
	switch (answer->code) {
	case ERROR_UNKNOWN_TYPE:
		error_hint(ret_error, "GET /v1/plugins lists the function types; load a plugin that declares it");
		break;
	case ERROR_FUNCTION_FAILED:
		error_hint(ret_error, "GET /v1/dead shows the message and the reason");
		break;
	case ERROR_KEY_REUSED:
		error_hint(ret_error, "a new request needs a new key");
		break;
	case ERROR_KEYS_FULL:
		error_hint(ret_error, "raise idempotency.keys_max, or lower idempotency.expiry_s");
		break;
	default:
		break;
	}
}
