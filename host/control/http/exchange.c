#include "control/http/exchange.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/check.h"
#include "control/http/body.h"
#include "control/http/endpoints.h"
#include "control/http/http_error.h"
#include "control/http/peers.h"
#include "door/door.h"
#include "flow/request/answer_error.h"
#include "wire/json.h"

#define EXCHANGE_MAGIC 0x48545450u

/* ---- life ---- */

static struct exchange *exchange_create(struct control *control, struct evhttp_request *event, struct exchange **list) {
	struct exchange *exchange = check_alloc(1, sizeof *exchange);
	exchange->magic = EXCHANGE_MAGIC;
	exchange->control = control;
	exchange->event = event;
	exchange->list = list;
	exchange->next = *list;
	if (*list != NULL)
		(*list)->previous = exchange;
	*list = exchange;
	control->http.open++;
	return exchange;
}

void exchange_end(struct exchange *exchange) {
	CHECK_OBJECT(exchange, EXCHANGE_MAGIC);
	check(exchange->answered);
	if (exchange->next != NULL)
		exchange->next->previous = exchange->previous;
	if (exchange->previous != NULL)
		exchange->previous->next = exchange->next;
	else
		*exchange->list = exchange->next;
	target_finish(&exchange->target);
	exchange->magic = 0;
	free(exchange);
}

void exchange_written(struct exchange *exchange, struct evhttp_connection *connection) {
	struct peers *peers = exchange->control->peers;
	peer_on_close(peers, connection, NULL, NULL);
	peer_answered(peers, connection);
}

/* The answer is on its way; the exchange stays in its list until then, so that a stop can wait for it. */
static void answer_written(struct evhttp_request *event, void *arg) {
	struct exchange *exchange = arg;
	exchange_written(exchange, evhttp_request_get_connection(event));
	exchange_end(exchange);
}

static void connection_closed(struct evhttp_connection *connection, void *arg) {
	(void)connection;
	exchange_end(arg);
}

/* ---- what was asked ---- */

struct bytes exchange_param(const struct exchange *exchange, size_t index) {
	check(index < exchange->match.param_count);
	return exchange->match.params[index];
}

const char *exchange_header(const struct exchange *exchange, const char *name) {
	return evhttp_find_header(evhttp_request_get_input_headers(exchange->event), name);
}

struct bytes exchange_body(const struct exchange *exchange) {
	struct evbuffer *input = evhttp_request_get_input_buffer(exchange->event);
	size_t size = evbuffer_get_length(input);
	if (size == 0)
		return (struct bytes){0};
	uint8_t *data = evbuffer_pullup(input, -1);
	check_memory(data);
	return bytes_of(data, size);
}

void exchange_found(const struct exchange *exchange, struct bytes text, struct error *error) {
	CHECK_OBJECT(exchange, EXCHANGE_MAGIC);
	struct buf shown = {0};
	percent_encode(&shown, bytes_of(text.data, text.size < ERROR_DETAIL_BYTES ? text.size : ERROR_DETAIL_BYTES));
	error_found_text(error, shown.data, shown.size);
	buf_finish(&shown);
}

static bool content_type_is(const char *header, const char *type) {
	size_t size = strcspn(header, "; \t");
	return size == strlen(type) && strncasecmp(header, type, size) == 0;
}

enum body_kind exchange_body_kind(const struct exchange *exchange) {
	const char *header = exchange_header(exchange, "Content-Type");
	if (header == NULL || header[0] == '\0' || content_type_is(header, "application/json") ||
		content_type_is(header, "application/x-www-form-urlencoded"))
		return BODY_JSON;
	if (content_type_is(header, "application/msgpack") || content_type_is(header, "application/x-msgpack") ||
		content_type_is(header, "application/vnd.msgpack"))
		return BODY_MSGPACK;
	return BODY_OTHER;
}

static bool keys_check(json_t *object, const char *names, struct error *error) {
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value) {
		if (name_listed(names, bytes_text(key)))
			continue;
		error_set(error, ERROR_BAD_REQUEST, "the body has an unknown key");
		error_found(error, "%.200s", key);
		error_expected(error, "%s", names[0] == '\0' ? "an empty object" : names);
		error_hint(error, "GET /openapi.json describes the body");
		return false;
	}
	return true;
}

static json_t *object_parse(struct bytes body, const char *names, struct error *error) {
	json_t *object = body.size == 0 ? json_object() : json_from_text(body, error);
	if (object == NULL)
		return NULL;
	if (!json_is_object(object)) {
		error_set(error, ERROR_BAD_REQUEST, "the body is not a JSON object");
		error_expected(error, "an object with %s",
			names == NULL          ? "settings"
				: names[0] == '\0' ? "nothing in it"
								   : names);
		body_found(error, object);
		error_hint(error, "GET /openapi.json describes the body");
	} else if (names == NULL || keys_check(object, names, error)) {
		return object;
	}
	json_decref(object);
	return NULL;
}

json_t *exchange_body_object(struct exchange *exchange, const char *names) {
	struct error error;
	if (exchange_body_kind(exchange) != BODY_JSON) {
		error_set(&error, ERROR_BAD_REQUEST, "the body's Content-Type is not one that is read here");
		error_found(&error, "%.200s", exchange_header(exchange, "Content-Type"));
		error_advise(&error, "application/json", "curl: -H 'Content-Type: application/json'");
		exchange_error_status(exchange, 415, &error);
		return NULL;
	}
	json_t *object = object_parse(exchange_body(exchange), names, &error);
	if (object == NULL)
		exchange_error(exchange, &error);
	return object;
}

/* ---- answers ---- */

static void figures_count(struct control *control, int status) {
	control->http.open--;
	if (status < 400)
		control->http.good++;
	else if (status < 500)
		control->http.refused++;
	else
		control->http.failed++;
}

void exchange_answered(struct exchange *exchange, int status) {
	check(!exchange->answered);
	exchange->answered = true;
	figures_count(exchange->control, status);
}

void exchange_bytes(struct exchange *exchange, int status, const char *content_type, struct bytes body) {
	CHECK_OBJECT(exchange, EXCHANGE_MAGIC);
	exchange_answered(exchange, status);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(exchange->event);
	evhttp_add_header(headers, "Content-Type", content_type);
	if (status == 405)
		evhttp_add_header(headers, "Allow", exchange->match.allow);
	struct evbuffer *output = evbuffer_new();
	check_memory(output);
	if (exchange->head) {
		char size[24];
		snprintf(size, sizeof size, "%zu", body.size);
		evhttp_add_header(headers, "Content-Length", size);
	} else {
		check(evbuffer_add(output, body.data, body.size) == 0);
	}
	struct evhttp_request *event = exchange->event;
	struct evhttp_connection *connection = evhttp_request_get_connection(event);
	if (connection == NULL) {
		exchange_end(exchange); /* the client has gone; evhttp only frees the request */
	} else {
		peer_on_close(exchange->control->peers, connection, connection_closed, exchange);
		evhttp_request_set_on_complete_cb(event, answer_written, exchange);
	}
	evhttp_send_reply(event, status, NULL, output);
	evbuffer_free(output);
}

void exchange_json(struct exchange *exchange, int status, json_t *body) {
	struct buf text = {0};
	check_memory(body);
	json_to_text(body, &text);
	buf_append_u8(&text, '\n');
	json_decref(body);
	exchange_bytes(exchange, status, "application/json", bytes_buf(&text));
	buf_finish(&text);
}

void exchange_error_status(struct exchange *exchange, int status, const struct error *error) {
	exchange_json(exchange, status, json_pack("{s:o}", "error", json_from_error(error)));
}

void exchange_error(struct exchange *exchange, const struct error *error) {
	exchange_error_status(exchange, http_status(error->code), error);
}

void exchange_answer_error(struct exchange *exchange, const struct engine_answer *answer) {
	struct error error;
	answer_error(answer, &error);
	exchange_error(exchange, &error);
}

/* ---- from evhttp to the handler ---- */

static const char *method_name(enum evhttp_cmd_type command) {
	switch (command) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	default:
		return "another method";
	}
}

/* What whoever asks may do here: on the Unix socket everything, if it is the host's user; else what the token says, of
 * which control is never a part. */
static bool rights_find(const struct exchange *exchange, uint32_t *ret_rights, struct error *error) {
	static const char scheme[] = "Bearer ";
	struct evhttp_connection *connection = evhttp_request_get_connection(exchange->event);
	*ret_rights = RIGHTS_ALL;
	if (exchange->doors == NULL)
		return access_peer(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), error);
	struct access_pass pass = {0};
	const char *header = exchange_header(exchange, "Authorization");
	if (header != NULL && strncasecmp(header, scheme, sizeof scheme - 1) == 0)
		access_show(&pass, bytes_text(header + sizeof scheme - 1));
	*ret_rights = access_rights(exchange->doors->access, &pass);
	if (*ret_rights != 0)
		return true;
	error_set(error, ERROR_FORBIDDEN, pass.shown ? "nobody has this token" : "a token is needed here");
	error_found(error, "%s", pass.shown ? "an unknown token" : "no Authorization: Bearer");
	error_expected(error, "Authorization: Bearer TOKEN");
	error_hint(error, "the tokens are in the file that auth.tokens names; SIGHUP reads it again");
	return false;
}

static bool right_check(const struct exchange *exchange, uint32_t rights, struct error *error) {
	uint32_t right = endpoint_right(exchange->match.endpoint);
	if ((right & ~rights) == 0)
		return true;
	access_refuse(right, exchange->doors->access != NULL, error);
	return false;
}

static void refuse_endpoint(struct exchange *exchange, const char *method) {
	struct error error;
	if (exchange->match.allow[0] != '\0') {
		error_set(&error, ERROR_BAD_REQUEST, "this path does not know the method");
		error_found(&error, "%s", method);
		error_expected(&error, "%s", exchange->match.allow);
		error_hint(&error, "GET /v1 lists what there is");
		exchange_error_status(exchange, 405, &error);
		return;
	}
	error_set(&error, ERROR_NOT_FOUND, "there is nothing at this path");
	error_found(&error, "%.200s", evhttp_request_get_uri(exchange->event));
	error_expected(&error, "a path of GET /v1");
	error_hint(&error, "GET /v1 lists what there is; a slash within an id is written %%2F");
	exchange_error(exchange, &error);
}

static bool target_read(struct exchange *exchange, struct error *error) {
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(exchange->event);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	if (path == NULL) {
		error_set(error, ERROR_BAD_REQUEST, "the request's address cannot be read");
		error_found(error, "%.200s", evhttp_request_get_uri(exchange->event));
		return error_advise(error, "a path, and a query behind ?", "percent-encode what is no plain character");
	}
	return target_parse(&exchange->target, path, evhttp_uri_get_query(uri), error);
}

/* Once the engine has stopped nobody would answer; what only reports goes on. */
static bool stopping(const struct exchange *exchange, struct error *error) {
	if (exchange->control->phase != CONTROL_STOPPING || exchange->match.endpoint->report)
		return false;
	answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, error);
	return true;
}

/* Two lengths that differ: a proxy before us may go by the other one, and take a part of the body for a request. Whatever
 * follows is not read. */
static bool lengths_agree(const struct exchange *exchange, struct error *error) {
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(exchange->event);
	const struct evkeyval *header;
	const char *length = NULL;
	TAILQ_FOREACH(header, headers, next) {
		if (strcasecmp(header->key, "Content-Length") != 0)
			continue;
		if (length == NULL || strcmp(length, header->value) == 0) {
			length = header->value;
			continue;
		}
		error_set(error, ERROR_BAD_REQUEST, "the request has two lengths");
		error_found(error, "Content-Length %.50s and %.50s", length, header->value);
		error_advise(error, "one Content-Length", "send the header once");
		evhttp_add_header(evhttp_request_get_output_headers(exchange->event), "Connection", "close");
		return false;
	}
	return true;
}

void exchange_begin(
	struct control *control, struct evhttp_request *event, const struct doors *doors, struct exchange **list) {
	struct exchange *exchange = exchange_create(control, event, list);
	const char *method = method_name(evhttp_request_get_command(event));
	struct error error;
	uint32_t rights;
	size_t count;
	const struct endpoint *endpoints = endpoints_all(&count);
	exchange->doors = doors;
	exchange->head = strcmp(method, "HEAD") == 0;
	peer_asked(control->peers, evhttp_request_get_connection(event));
	if (!rights_find(exchange, &rights, &error) || !lengths_agree(exchange, &error) || !target_read(exchange, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	endpoint_match(endpoints, count, exchange->head ? "GET" : method, &exchange->target, &exchange->match);
	if (exchange->match.endpoint == NULL)
		refuse_endpoint(exchange, method);
	else if (!right_check(exchange, rights, &error) ||
		!endpoint_query_check(exchange->match.endpoint, &exchange->target, &error) || stopping(exchange, &error))
		exchange_error(exchange, &error);
	else
		exchange->match.endpoint->handle(exchange);
}
