/* Operations under way, for whoever looks at the host. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/engine/inside.h"

/* A copy, so that each() may take its time. */
struct shown {
	struct engine_operation operation;
	uint8_t address[ID_BYTES_MAX];
};

struct listing {
	struct engine *engine;
	uint16_t type;
	size_t most;
	size_t count;
	struct shown *oldest; /* first */
	uint64_t total;
};

static bool older(const struct operation *a, const struct engine_operation *b) {
	return a->since_ms != b->since_ms ? a->since_ms < b->since_ms : a->id < b->id;
}

static enum engine_operation_state state_of(struct engine *engine, const struct operation *operation) {
	if (operation->done)
		return ENGINE_OPERATION_RESULT;
	if (operation->outside)
		return ENGINE_OPERATION_OUTSIDE;
	if (work_pool_runs(&engine->flow.pool, operation->id, NULL))
		return ENGINE_OPERATION_RUNNING;
	return ENGINE_OPERATION_QUEUED;
}

static void listing_put(struct listing *listing, size_t at, const struct operation *operation) {
	struct shown *shown = &listing->oldest[at];
	size_t last = listing->count < listing->most ? listing->count++ : listing->count - 1;
	memmove(shown + 1, shown, (last - at) * sizeof *shown);
	shown->operation = (struct engine_operation){
		.number = operation->type,
		.id = operation->id,
		.birth_epoch = operation->birth_epoch,
		.since_ms = operation->since_ms,
		.state = state_of(listing->engine, operation),
		.waits = operation->waits,
	};
	shown->operation.address.size = operation->address_size;
	memcpy(shown->address, operation->address, operation->address_size);
}

static void listing_look(void *arg, const struct operation *operation) {
	struct listing *listing = arg;
	if (listing->type != 0 && listing->type != operation->type)
		return;
	listing->total++;
	size_t at = listing->count;
	while (at > 0 && older(operation, &listing->oldest[at - 1].operation))
		at--;
	if (at < listing->most)
		listing_put(listing, at, operation);
}

/* And ends the listing. */
static void listing_tell(
	struct listing *listing, void (*each)(void *arg, const struct engine_operation *operation), void *arg) {
	const struct view *view = listing->engine->view;
	for (size_t i = 0; i < listing->count; i++) {
		struct shown *shown = &listing->oldest[i];
		shown->operation.address.data = shown->address;
		if (shown->operation.number < view->binding_count)
			shown->operation.type = view->bindings[shown->operation.number].name;
		if (shown->operation.type != NULL) /* else its view comes with this turn of the loop */
			each(arg, &shown->operation);
	}
	free(listing->oldest);
}

uint64_t engine_operations_each(struct engine *engine, uint16_t type, size_t most,
	void (*each)(void *arg, const struct engine_operation *operation), void *arg) {
	struct listing listing = {.engine = engine, .type = type, .most = most};
	listing.oldest = check_alloc(most, sizeof *listing.oldest);
	for (uint32_t i = 0; i < engine->flow.shards_count; i++)
		operations_each(&engine->flow.shards[i]->operations, listing_look, &listing);
	listing_tell(&listing, each, arg);
	return listing.total;
}

void engine_operations_of(struct engine *engine, uint16_t type, struct bytes id,
	void (*each)(void *arg, const struct engine_operation *operation), void *arg) {
	enum { MOST = 100 };
	struct listing listing = {.engine = engine, .type = type, .most = MOST};
	struct flow *flow = &engine->flow;
	uint32_t hash = flow_hash(flow, type, id);
	listing.oldest = check_alloc(listing.most, sizeof *listing.oldest);
	operations_of(
		&flow->shards[message_shard(hash, flow->shards_count)]->operations, hash, type, id, listing_look, &listing);
	listing_tell(&listing, each, arg);
}

const char *engine_operation_state_name(enum engine_operation_state state) {
	static const char *const names[] = {"queued", "running", "outside", "result"};
	return names[state];
}
