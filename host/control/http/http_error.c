#include "control/http/http_error.h"

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
