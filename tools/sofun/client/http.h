/* A small HTTP/1.1 client over the host's Unix control socket: one request a connection, answers with Content-Length,
 * chunked, or until close. */
#ifndef SOFUN_HTTP_H
#define SOFUN_HTTP_H

#include <jansson.h>
#include <stdint.h>

#include "base/bytes.h"
#include "command.h"

struct http_answer {
	int status;
	struct buf body;
};

enum http_result { HTTP_OK, HTTP_UNREACHABLE, HTTP_TIMEOUT, HTTP_BROKEN };

/* body {NULL, 0}: none; it is sent as application/json. timeout_ms 0: waits for ever. HTTP_OK fills *ret_answer, the
 * rest a text in problem (of at least 256 bytes). */
enum http_result http_request(const char *socket_path, const char *method, const char *target, struct bytes body,
	uint64_t timeout_ms, struct http_answer *ret_answer, char *problem);

/* The request of a subcommand: 2xx gives EXIT_OK and the parsed answer (json_null() for an empty body), which the caller
 * owns; everything else is told as the user reads it and gives its exit code. */
int http_call(const struct invocation *run, const char *method, const char *target, struct bytes body,
	uint64_t timeout_ms, json_t **ret_answer);

/* The second half of http_call, for an answer that http_request gave; the answer's body is freed. */
int http_answered(const struct invocation *run, const char *target, struct http_answer *answer, json_t **ret_answer);

/* As http_call with a JSON body (borrowed), or none (NULL), and the usual limit of time. */
int http_json(
	const struct invocation *run, const char *method, const char *target, const json_t *body, json_t **ret_answer);

/* GET that a host which is away, dies over it or starts is asked again for so long. */
int http_json_patient(const struct invocation *run, const char *target, uint64_t patience_ms, json_t **ret_answer);

/* GET of what is only nice to know: NULL, and nothing told, if there is no good answer in time. */
json_t *http_json_quiet(const struct invocation *run, const char *target, uint64_t timeout_ms);

/* GET, where not_found is no failure: *ret_answer is NULL then. */
int http_json_if_found(const struct invocation *run, const char *target, json_t **ret_answer);

/* Appends text percent-encoded, as one segment of a path or one value of a query. */
void target_append(struct buf *target, struct bytes text);

/* As target_append for NS/NAME, keeping the slash; false if it has none. */
bool target_append_type(struct buf *target, const char *type);

/* NUL-terminated view of a built target. */
const char *target_text(struct buf *target);

#endif
