/* Barriers and clock moves: an input at every shard marks where they stand, the committer tells when what was before
 * them is done. One of each at a time; the others wait for their turn. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/engine/inside.h"

static void pending_add(struct pending **list, uint64_t token, bool relative, uint64_t ms) {
	struct pending *pending = check_alloc(1, sizeof *pending);
	*pending = (struct pending){.token = token, .relative = relative, .ms = ms};
	while (*list != NULL)
		list = &(*list)->next;
	*list = pending;
}

static bool pending_take(struct pending **list, struct pending *ret_pending) {
	struct pending *pending = *list;
	if (pending == NULL)
		return false;
	*list = pending->next;
	*ret_pending = *pending;
	free(pending);
	return true;
}

static void inputs_place(struct engine *engine, enum input_kind kind, uint64_t serial) {
	for (uint32_t to = 0; to < engine->flow.shards_count; to++) {
		struct input *input = input_reserve(engine, to, kind, 0);
		input->first = serial;
		input_submit(engine, to, input);
	}
}

/* What came before gets waited for by its colour; what comes from now on has the other one. */
static void barrier_next(struct engine *engine) {
	struct pending pending;
	if (engine->barrier_token != 0 || !pending_take(&engine->barriers, &pending))
		return;
	struct committer *committer = &engine->committer;
	pthread_mutex_lock(&committer->release_mutex);
	bool left = committer->counts.colour[1 - engine->colour] != 0;
	pthread_mutex_unlock(&committer->release_mutex);
	uint64_t serial = ++engine->serial;
	engine->barrier_token = pending.token;
	committer->barrier.token = pending.token;
	committer->barrier.colour = engine->colour;
	committer->barrier.both = left;
	engine->colour = 1 - engine->colour;
	atomic_store(&committer->barrier.serial, serial); /* before the inputs: the last of them may be the last epoch */
	inputs_place(engine, INPUT_BARRIER, serial);
}

void engine_barrier(struct engine *engine, uint64_t token) {
	pending_add(&engine->barriers, token, false, 0);
	barrier_next(engine);
}

static void timeout_answer(struct engine *engine, uint64_t token) {
	struct engine_answer answer = {.token = token, .code = ERROR_TIMEOUT};
	answer.payload = bytes_text("not everything that was accepted before is handled yet");
	struct buf outputs = {0};
	output_put(&outputs, &answer);
	committer_release_now(&engine->committer, &outputs);
}

void engine_barrier_cancel(struct engine *engine, uint64_t token) {
	if (engine->barrier_token == token) {
		uint64_t serial = atomic_exchange(&engine->committer.barrier.serial, 0);
		if (serial != 0)
			timeout_answer(engine, token);
		return; /* else its answer is on the way */
	}
	for (struct pending **place = &engine->barriers; *place != NULL; place = &(*place)->next) {
		struct pending *pending = *place;
		if (pending->token == token) {
			*place = pending->next;
			free(pending);
			timeout_answer(engine, token);
			return;
		}
	}
}

/* The clock goes from one due time to the next, and each waits until what was due before has been handled: so what it sets in
 * turn is found, and everyone sees its own time. The first step goes nowhere: it finds out what is due. */
static void clock_step(struct engine *engine, uint64_t to_ms) {
	flow_clock_set(&engine->flow.clock, to_ms);
	uint64_t serial = ++engine->serial;
	engine->committer.clock.token = engine->clock_token;
	atomic_store(&engine->committer.clock.serial, serial);
	inputs_place(engine, INPUT_CLOCK, serial);
}

static void clock_next(struct engine *engine) {
	struct pending pending;
	if (engine->clock_token != 0 || !pending_take(&engine->clocks, &pending))
		return;
	uint64_t now_ms = flow_clock_now(&engine->flow.clock);
	engine->clock_to_ms = pending.relative ? now_ms + pending.ms : pending.ms;
	engine->clock_token = pending.token;
	clock_step(engine, now_ms);
}

bool engine_clock_goes_on(struct engine *engine, const struct engine_answer *answer) {
	if (answer->token != engine->clock_token || answer->code != ERROR_NONE || answer->number >= engine->clock_to_ms)
		return false;
	uint64_t due_ms = answer->accepted;
	clock_step(engine, due_ms < engine->clock_to_ms ? due_ms : engine->clock_to_ms);
	return true;
}

void engine_clock(struct engine *engine, uint64_t token, bool relative, uint64_t ms) {
	check(engine->flow.clock.test);
	pending_add(&engine->clocks, token, relative, ms);
	clock_next(engine);
}

void engine_milestone_answered(struct engine *engine, uint64_t token) {
	if (token == engine->barrier_token) {
		engine->barrier_token = 0;
		barrier_next(engine);
	}
	if (token == engine->clock_token) {
		engine->clock_token = 0;
		clock_next(engine);
	}
}
