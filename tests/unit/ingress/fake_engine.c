#include "fake_engine.h"

#include <stdlib.h>

#include "base/check.h"

enum { FAKE_TYPE = 7 };

struct engine *fake_engine_create(void) {
	return check_alloc(1, sizeof(struct engine));
}

void fake_engine_destroy(struct engine *engine) {
	for (size_t i = 0; i < engine->count; i++) {
		struct fake_request *request = &engine->requests[i];
		free(request->ingress);
		free(request->producer);
		free(request->to);
		free(request->type);
		buf_finish(&request->records);
		buf_finish(&request->id);
		buf_finish(&request->payload);
	}
	free(engine->requests);
	free(engine);
}

static char *text_copy(struct bytes text) {
	char *copy = check_alloc(text.size + 1, 1);
	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	return copy;
}

static struct fake_request *request_add(struct engine *engine, enum fake_kind kind, uint64_t token) {
	engine->requests = realloc(engine->requests, (engine->count + 1) * sizeof *engine->requests);
	check_memory(engine->requests);
	struct fake_request *request = &engine->requests[engine->count++];
	*request = (struct fake_request){.kind = kind, .token = token};
	return request;
}

void engine_ingest(struct engine *engine, uint64_t token, uint64_t session, struct bytes ingress, struct bytes producer,
	uint64_t first, uint32_t count, struct bytes records) {
	struct fake_request *request = request_add(engine, FAKE_INGEST, token);
	request->session = session;
	request->ingress = text_copy(ingress);
	request->producer = text_copy(producer);
	request->first = first;
	request->count = count;
	buf_append_bytes(&request->records, records);
}

static void message_add(
	struct engine *engine, enum fake_kind kind, uint64_t token, const struct engine_message *message) {
	struct fake_request *request = request_add(engine, kind, token);
	request->to = text_copy(message->to);
	request->type = text_copy(message->type);
	buf_append_bytes(&request->id, message->id);
	buf_append_bytes(&request->payload, message->payload);
}

void engine_send(struct engine *engine, uint64_t token, const struct engine_message *message) {
	message_add(engine, FAKE_SEND, token, message);
}

uint16_t engine_call(struct engine *engine, uint64_t token, const struct engine_message *message) {
	message_add(engine, FAKE_CALL, token, message);
	return FAKE_TYPE;
}

void engine_call_late(struct engine *engine, uint16_t type, uint64_t waited_ms, struct error *ret_error) {
	(void)engine;
	check(type == FAKE_TYPE);
	error_set(ret_error, ERROR_TIMEOUT, "no reply in time");
	error_found(ret_error, "no reply after %llu ms", (unsigned long long)waited_ms);
}

bool engine_pressed(struct engine *engine) {
	engine->asked++;
	return engine->pressed;
}

/* The way out is not what these tests are about: nobody subscribes. */

void engine_read(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg) {
	(void)engine, (void)run, (void)done, (void)arg;
	check(false);
}

void engine_read_applied(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg) {
	engine_read(engine, run, done, arg);
}

void engine_commit_rows(struct engine *engine, uint64_t token, const struct engine_row *rows, size_t count) {
	(void)engine, (void)token, (void)rows, (void)count;
	check(false);
}

void engine_egress_watch(struct engine *engine, bool watched) {
	(void)engine, (void)watched;
}

bool engine_egress_grown(struct engine *engine) {
	(void)engine;
	return false;
}

uint64_t engine_time_ms(struct engine *engine) {
	(void)engine;
	return 0;
}
