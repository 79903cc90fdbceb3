/* One HTTP request and its answer. A handler gets it, and answers it exactly once with one of the exchange_ functions
 * below: at once, or later from a callback on the loop thread; after that it must not be touched. [loop thread] */
#ifndef HOST_CONTROL_HTTP_EXCHANGE_H
#define HOST_CONTROL_HTTP_EXCHANGE_H

#include <jansson.h>

#include "base/error.h"
#include "control/control.h"
#include "control/http/endpoint.h"

struct doors;
struct evhttp_connection;
struct evhttp_request;

struct exchange {
	uint32_t magic;
	struct control *control;
	struct evhttp_request *event;
	const struct doors *doors; /* NULL: the Unix socket, whose user may do everything */
	struct target target;
	struct endpoint_match match;
	struct exchange *next; /* of those that are open or being written */
	struct exchange *previous;
	struct exchange **list;
	bool answered;
	bool head; /* HEAD: what GET would answer, without the body */
};

/* ---- what was asked ---- */

/* A part of the path that stands in braces in the endpoint's pattern. */
struct bytes exchange_param(const struct exchange *exchange, size_t index);

/* NULL if it was not sent. */
const char *exchange_header(const struct exchange *exchange, const char *name);

struct bytes exchange_body(const struct exchange *exchange);

/* Says as what was found what stands in a path or query: percent-encoded, since it may be anything. */
void exchange_found(const struct exchange *exchange, struct bytes text, struct error *error);

/* What the Content-Type says. JSON also when there is none, and for curl's default for -d, since a form is never
 * meant here. */
enum body_kind { BODY_JSON, BODY_MSGPACK, BODY_OTHER };
enum body_kind exchange_body_kind(const struct exchange *exchange);

/* The body as a JSON object whose keys are all in `names` ("to_ms,advance_ms"); an empty body is {}. names may
 * be NULL: any key. NULL: it was
 * answered with what is wrong. The caller's reference. */
json_t *exchange_body_object(struct exchange *exchange, const char *names);

/* ---- answers ---- */

/* Takes over the reference. */
void exchange_json(struct exchange *exchange, int status, json_t *body);
void exchange_bytes(struct exchange *exchange, int status, const char *content_type, struct bytes body);
void exchange_error(struct exchange *exchange, const struct error *error);
void exchange_error_status(struct exchange *exchange, int status, const struct error *error);

/* An engine's answer that is no good. */
void exchange_answer_error(struct exchange *exchange, const struct engine_answer *answer);

/* ---- for stream.c only ---- */

/* It counts as answered, with that status. */
void exchange_answered(struct exchange *exchange, int status);

/* The last byte of its answer is written: the connection is free for the next one. */
void exchange_written(struct exchange *exchange, struct evhttp_connection *connection);

/* Its last byte is written, or its client has gone. */
void exchange_end(struct exchange *exchange);

/* ---- for the server only ---- */

/* Finds the handler of a request that evhttp has read whole. list: where it stands until it is written. */
void exchange_begin(
	struct control *control, struct evhttp_request *event, const struct doors *doors, struct exchange **list);

#endif
