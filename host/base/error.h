/* What goes wrong in the world, as a user reads it: {code, message, found, expected, hint} of the outside.
 * Functions that can fail take a struct error * last, return false (or NULL), and set it then and only then. */
#ifndef HOST_BASE_ERROR_H
#define HOST_BASE_ERROR_H

#include <stdbool.h>

enum error_code {
	ERROR_NONE,
	ERROR_BAD_REQUEST,
	ERROR_UNKNOWN_METHOD,
	ERROR_UNKNOWN_INGRESS,
	ERROR_UNKNOWN_EGRESS,
	ERROR_UNKNOWN_TYPE,
	ERROR_BAD_ID,
	ERROR_BAD_UTF8,
	ERROR_TOO_LARGE,
	ERROR_TOO_DEEP,
	ERROR_GAP,
	ERROR_PRODUCER_BUSY,
	ERROR_FUNCTION_FAILED,
	ERROR_TIMEOUT,
	ERROR_REFUSED,
	ERROR_CONFLICT,
	ERROR_NOT_FOUND,
	ERROR_FORBIDDEN,
	ERROR_STOPPING,
	ERROR_STORE_FAILED,
	ERROR_INTERNAL,
	ERROR_KEY_REUSED, /* "conflict", too: an idempotency key with another body */
	ERROR_KEYS_FULL,
	ERROR_CODES
};

enum {
	ERROR_MESSAGE_BYTES = 512, /* a function's own text is cut here on its way out; the dead letter keeps it whole */
	ERROR_DETAIL_BYTES = 256,
};

struct error {
	enum error_code code;
	char message[ERROR_MESSAGE_BYTES];
	char found[ERROR_DETAIL_BYTES];    /* empty: does not apply */
	char expected[ERROR_DETAIL_BYTES]; /* empty: does not apply */
	char hint[ERROR_DETAIL_BYTES];     /* what to do next; empty: does not apply */
	int system;                        /* errno behind it, 0 if none */
};

/* The code as the outside spells it: "bad_request". */
const char *error_code_name(enum error_code code);

/* Sets code and message, clears the rest. Always returns false, so `return error_set(...)` reads well. */
bool error_set(struct error *error, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with strerror(system) behind the message, and as what was found. */
bool error_system(struct error *error, enum error_code code, int system, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What comes out empty was "nothing". */
void error_found(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_expected(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text of the outside as what was found, cut where it is long. */
void error_found_text(struct error *error, const void *text, unsigned long size);

/* expected and hint at once, as they are. Returns false, as error_set does. */
bool error_advise(struct error *error, const char *expected, const char *hint);

/* One line for a log or stderr: "message (found X, expected Y); hint". */
void error_line(const struct error *error, char *line, unsigned long size);

#endif
