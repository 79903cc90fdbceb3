/* An engine that does nothing but remember: what the data server hands to it can be looked at and answered as the test
 * likes. Implements what host/ingress uses of flow/engine/engine.h. */
#ifndef TESTS_INGRESS_FAKE_ENGINE_H
#define TESTS_INGRESS_FAKE_ENGINE_H

#include "flow/engine/engine.h"

enum fake_kind { FAKE_INGEST, FAKE_SEND, FAKE_CALL };

/* Copies, with a NUL behind each text. */
struct fake_request {
	enum fake_kind kind;
	uint64_t token;
	uint64_t session;
	uint64_t first;
	uint32_t count;
	char *ingress;
	char *producer;
	struct buf records;
	char *to;
	struct buf id;
	char *type;
	struct buf payload;
};

struct engine {
	struct fake_request *requests;
	size_t count;
	bool pressed;
	size_t asked; /* engine_pressed() so often */
};

struct engine *fake_engine_create(void);
void fake_engine_destroy(struct engine *engine);

#endif
