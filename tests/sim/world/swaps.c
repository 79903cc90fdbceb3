#include "swaps.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "flow/invocation/invocation.h"
#include "state/key.h"

/* The first has nothing to go back to, and the last nobody to take over from it. */
static enum promise promise_of(const struct swaps *swaps, uint64_t generation) {
	if (generation == 0 || generation + 2 >= SWAPS_MAX)
		return PROMISE_NONE;
	return (enum promise)(hash_mix(swaps->seed, generation) % 4);
}

void swaps_init(struct swaps *swaps, uint64_t seed, uint32_t one_in, uint64_t now_ms) {
	*swaps = (struct swaps){.live = true, .seed = seed, .one_in = one_in};
	terms_init(&swaps->terms, now_ms);
	for (uint64_t i = 0; i < SWAPS_MAX; i++) {
		swaps->versions[i].generation = i;
		swaps->versions[i].broken = promise_of(swaps, i) == PROMISE_BROKEN;
	}
	for (int i = 0; i < SWAPS_MAX; i++) {
		snprintf(swaps->images[i].name, sizeof swaps->images[i].name, "sim");
		snprintf(swaps->images[i].version, sizeof swaps->images[i].version, "%d.0.0", i + 1);
		swaps->images[i].hash[1] = (uint8_t)(i + 1);
		swaps->images[i].note = (uint32_t)i + 1;
	}
}

void swaps_finish(struct swaps *swaps) {
	terms_finish(&swaps->terms);
}

/* ---- the row: fence, generation, and side and leaves_undecided, each 8 bytes big-endian; then when state ends ---- */

enum { ROW_HEAD_BYTES = 24 };

static struct key row_key(void) {
	struct key key = key_of(KEY_SHARE);
	key_append(&key, bytes_text("sim"));
	return key;
}

static struct bytes row_bytes(const struct swaps *swaps, struct buf *row) {
	struct key head = {.size = 0};
	key_u64(&head, 0);
	key_u64(&head, swaps->generation);
	key_u64(&head, (uint64_t)swaps->side << 1 | swaps->leaves_undecided);
	buf_append_bytes(row, key_bytes(&head));
	terms_write(&swaps->terms, row);
	return bytes_buf(row);
}

bool swaps_recover(struct swaps *swaps, struct engine *engine, struct store *store, struct error *error) {
	struct key key = row_key();
	struct buf row = {0};
	swaps->engine = engine;
	swaps->asked = false;
	swaps->surveying = false;
	swaps->settles = false;
	swaps->view = 0;
	swaps->fence = 0;
	swaps->generation = 0;
	swaps->side = 0;
	swaps->leaves_undecided = false;
	swaps->reshares = false;
	int found = store_get(store, REDO_RUNTIME, key_bytes(&key), &row, error);
	if (found == 1) {
		check(row.size > ROW_HEAD_BYTES);
		swaps->fence = key_u64_at(row.data);
		swaps->generation = key_u64_at(row.data + 8);
		swaps->side = (uint8_t)(key_u64_at(row.data + 16) >> 1);
		swaps->leaves_undecided = key_u64_at(row.data + 16) & 1;
		if (swaps->fence != 0)
			swaps->fences[swaps->generation] = swaps->fence; /* the answer may not have come */
		terms_read(&swaps->terms, bytes_of(row.data + ROW_HEAD_BYTES, row.size - ROW_HEAD_BYTES));
	} else if (found == 0) {
		terms_init(&swaps->terms, swaps->terms.reigns[0].from_ms);
	}
	for (uint64_t i = swaps->generation + 1; i < SWAPS_MAX; i++) {
		swaps->fences[i] = 0;
		swaps->lax[i] = false;
	}
	buf_finish(&row);
	return found >= 0;
}

/* ---- views ---- */

static const sofun_function *const functions[] = {&program_function, &idle_function};
enum { TYPES = sizeof functions / sizeof *functions };

static struct version version_of(struct swaps *swaps, const sofun_function *function, uint64_t generation) {
	return (struct version){
		.function = function,
		.plugin_data = &swaps->versions[generation],
		.host = engine_host(swaps->engine),
		.image = &swaps->images[generation],
		.schema = function->schema,
		.value_count = function->value_count,
		.tally = (uint8_t)(generation % 2),
	};
}

enum { TIMED_MS = 400 };
#define FOR_GOOD (UINT64_C(1) << 50)

static uint64_t probation_begin(struct swaps *swaps, uint64_t generation) {
	switch (promise_of(swaps, generation)) {
	case PROMISE_NONE:
		return 0;
	case PROMISE_TIMED:
		return engine_time_ms(swaps->engine) + TIMED_MS;
	default:
		return FOR_GOOD;
	}
}

/* True while it is to be decided what exhausted its attempts there. */
static bool on_probation(const struct swaps *swaps, uint64_t generation) {
	return swaps->probation_ms[generation] > engine_time_ms(swaps->engine);
}

/* Every second version has another schema. */
static const sofun_function *function_of(uint16_t number, uint64_t generation) {
	return number == 1 && generation % 2 == 1 ? &program_function_2 : functions[number - 1];
}

/* Some ids of what expires go to a canary: of the same generation, but for the times. */
static void canary_bind(struct swaps *swaps, struct binding *binding, uint64_t generation) {
	const struct reign reign = terms_now(&swaps->terms);
	binding->ttls = terms_map(&swaps->terms, swaps->view, &idle_function);
	binding->seed = reign.seed;
	if (reign.percent == 0 || !swaps->live)
		return;
	binding->versions[2] = version_of(swaps, &idle_function, generation);
	binding->now.canary = 2;
	binding->now.limit = SPLIT_WHOLE * reign.percent / 100;
}

static struct binding binding_of(struct swaps *swaps, uint16_t number) {
	uint64_t now = swaps->generation;
	const sofun_function *function = function_of(number, now);
	struct binding binding = {
		.number = number,
		.name = function->type,
		.now.base = VERSION_NONE,
		.before.base = VERSION_NONE,
		.side = swaps->side,
		.value_count = function->value_count,
	};
	if (swaps->fence != 0 && !swaps->lax[now])
		binding.fence = swaps->fence; /* while nothing is loaded, too: what waits must wait in this order */
	if (number == 2)
		canary_bind(swaps, &binding, now);
	if (!swaps->live)
		return binding;
	binding.versions[now % 2] = version_of(swaps, function, now);
	binding.versions[now % 2].probation_until_ms = swaps->probation_ms[now];
	binding.now.base = (int8_t)(now % 2);
	if (number == 1) /* stays for its way down */
		binding.versions[2] = version_of(swaps, &program_function_2, 1);
	if (swaps->fence != 0 && !swaps->lax[now]) {
		binding.versions[1 - now % 2] = version_of(swaps, function_of(number, now - 1), now - 1);
		binding.before.base = (int8_t)(1 - now % 2);
		if (swaps->leaves_undecided)
			binding.versions[1 - now % 2].probation_until_ms = PROBATION_LEAVING;
	}
	return binding;
}

struct view *swaps_view(struct swaps *swaps) {
	struct binding bindings[TYPES + 1] = {{0}};
	swaps->view++;
	for (uint16_t number = 1; number <= TYPES; number++)
		bindings[number] = binding_of(swaps, number);
	if (!swaps->live)
		return view_create(swaps->view, bindings, TYPES + 1, NULL, 0);
	struct route route = {
		.ingress = "sim",
		.until = SPLIT_WHOLE,
		.format = FORMAT_MSGPACK,
		.wanted = FORMAT_MSGPACK,
		.router = &program_router,
		.host = engine_host(swaps->engine),
		.image = &swaps->images[swaps->generation],
	};
	return view_create(swaps->view, bindings, TYPES + 1, &route, 1);
}

/* ---- a swap ---- */

static void fence_ask(struct swaps *swaps, size_t place) {
	struct key key = row_key();
	struct buf value = {0};
	const struct engine_row row = {.key = key_bytes(&key), .value = row_bytes(swaps, &value)};
	const struct engine_fence order = {.view = swaps_view(swaps), .rows = &row, .row_count = 1, .fence_offset = place};
	swaps->fenced_view = swaps->view;
	swaps->asked = true;
	engine_fence(swaps->engine, TOKEN_SWAP, &order);
	buf_finish(&value);
}

static void swap_begin(struct swaps *swaps, bool running) {
	static const uint16_t types[TYPES] = {1, 2};
	uint8_t side = engine_side_next(swaps->engine, swaps->side, types, TYPES);
	running = running ||
		side == swaps->side; /* messages of every side are on their way still: nobody could tell them apart */
	swaps->side = side;
	swaps->leaves_undecided = on_probation(swaps, swaps->generation);
	swaps->generation++;
	terms_swap(&swaps->terms, swaps->generation, engine_fence_time_ms(swaps->engine));
	swaps->probation_ms[swaps->generation] = probation_begin(swaps, swaps->generation);
	swaps->lax[swaps->generation] = running;
	swaps->fence = FENCE_NEXT;
	fence_ask(swaps, 0);
}

static void drain_end(struct swaps *swaps) {
	struct key key = row_key();
	struct buf value = {0};
	const struct engine_row row = {.key = key_bytes(&key), .value = row_bytes(swaps, &value)};
	swaps->fence = 0;
	swaps->done++;
	swaps->asked = true; /* rows and fences do not keep an order among each other */
	engine_publish(swaps->engine, swaps_view(swaps));
	engine_commit_rows(swaps->engine, TOKEN_SETTLED, &row, 1);
	buf_finish(&value);
}

/* No message goes to another generation by it, so nothing drains. */
static void reshare(struct swaps *swaps, uint64_t chance) {
	terms_canary(&swaps->terms, chance, engine_fence_time_ms(swaps->engine));
	swaps->reshares = true;
	swaps->canaries++;
	fence_ask(swaps, FENCE_NOWHERE);
}

/* A fence on its way: what the committer has made of it. */
static const char *fence_phase(const struct swaps *swaps) {
	const struct fence *fence = swaps->engine->fence;
	static const char *const phases[3][4] = {
		{"swap: fence asked", "swap: fence durable, not told", "swap: fence being written", "swap: fence published"},
		{"swap: end at its deadline asked", "swap: end at its deadline durable, not told",
			"swap: end at its deadline being written", "swap: end at its deadline published"},
		{"canary: fence asked", "canary: fence durable, not told", "canary: fence being written",
			"canary: fence published"},
	};
	const char *const *phase = phases[swaps->reshares ? 2 : swaps->settles ? 1 : 0];
	if (fence->epoch == 0)
		return phase[0];
	if (atomic_load(&swaps->engine->flow.durable) + 1 >= fence->epoch)
		return phase[1];
	return swaps->engine->committer.state == COMMITTER_WRITING ? phase[2] : phase[3];
}

const char *swaps_phase(const struct swaps *swaps) {
	if (swaps->asked)
		return swaps->engine->fence != NULL ? fence_phase(swaps) : "swap: drained, its row on the way";
	if (swaps->fence == 0)
		return "swap: none";
	return engine_adopted(swaps->engine) < swaps->fenced_view ? "swap: some shard has not seen the fence"
															  : "swap: drains";
}

/* What is left on each shard adds up to what is left. */
static void left_check(struct swaps *swaps, uint16_t number, uint64_t messages) {
	uint64_t left[SHARDS_MAX] = {0}, sum = 0;
	engine_left_add(swaps->engine, number, swaps->side, left);
	for (uint32_t shard = 0; shard < engine_shards(swaps->engine); shard++)
		sum += left[shard];
	check(sum == messages || (sum == 0 && messages == 1)); /* 1: not known to be durable */
}

static bool drained(struct swaps *swaps) {
	struct engine_waiting waiting;
	if (engine_adopted(swaps->engine) < swaps->fenced_view)
		return false;
	bool empty = true;
	for (uint16_t number = 1; number <= TYPES; number++) {
		engine_waiting(swaps->engine, number, swaps->side, swaps->fence, &waiting);
		left_check(swaps, number, waiting.messages);
		empty = empty && waiting.messages == 0;
	}
	return empty || swaps->lax[swaps->generation];
}

static void wait_count(void *arg, const struct engine_wait *wait) {
	uint64_t *count = arg;
	const bool record = wait->type[0] == '\0'; /* a router has it: no address */
	check(wait->messages > 0 && record == (wait->id.size == 0));
	check(!record || strcmp(wait->reason, "running") == 0);
	(*count)++;
}

/* The addresses that wait for a version: no more than are told of, and no more than there are messages. */
static void survey_check(struct swaps *swaps) {
	uint64_t named = 0, told = 0;
	for (uint64_t i = 0; i < 2 && i <= swaps->generation; i++)
		told += engine_waits_each(swaps->engine, swaps->images[swaps->generation - i].note, wait_count, &named);
	check(named <= told);
	swaps->surveys++;
}

static void undecided_count(void *arg, const struct engine_blocked *undecided) {
	(void)arg;
	check(undecided->reason[0] != '\0');
}

/* The version is trusted from now on. */
static void promote(struct swaps *swaps) {
	swaps->probation_ms[swaps->generation] = 0;
	engine_publish(swaps->engine, swaps_view(swaps));
}

void swaps_step(struct swaps *swaps, uint64_t chance) {
	if (swaps->live && !swaps->surveying && chance % 32 == 9) {
		swaps->surveying = true;
		engine_survey(swaps->engine, TOKEN_SURVEY);
	}
	if (!swaps->live || swaps->asked)
		return;
	bool undecided = engine_undecided_each(swaps->engine, undecided_count, NULL) > 0;
	swaps->undecided += undecided ? 1 : 0;
	if (promise_of(swaps, swaps->generation) == PROMISE_TRUSTED && on_probation(swaps, swaps->generation) &&
		chance % 16 == 1) {
		promote(swaps);
		return;
	}
	if (swaps->fence == 0) {
		if (chance % swaps->one_in == 0 && swaps->generation + 1 < SWAPS_MAX && !terms_canary_runs(&swaps->terms))
			swap_begin(swaps, chance / swaps->one_in % 4 == 0);
		else if (chance % swaps->one_in == 3 && swaps->terms.count + SWAPS_MAX < TERMS_REIGNS_MAX)
			reshare(swaps, chance >> 8);
	} else if (drained(swaps)) {
		drain_end(swaps);
	} else if (chance % 64 == 0) { /* its deadline */
		swaps->lax[swaps->generation] = true;
		swaps->settles = true;
		swaps->fence = 0;
		fence_ask(swaps, FENCE_NOWHERE);
	}
}

void swaps_answered(struct swaps *swaps, const struct engine_answer *answer) {
	if (answer->token == TOKEN_SURVEY) {
		swaps->surveying = false;
		survey_check(swaps);
		return;
	}
	if (answer->code != ERROR_NONE)
		return;
	swaps->asked = false;
	if (answer->token == TOKEN_SETTLED)
		return;
	if (swaps->reshares) {
		swaps->reshares = false;
		return;
	}
	if (!swaps->settles) {
		swaps->fence = answer->number;
		swaps->fences[swaps->generation] = answer->number;
	}
	swaps->done += swaps->settles ? 1 : 0;
	swaps->settles = false;
}

/* ---- the judge ---- */

bool swaps_judge(struct swaps *swaps, uint64_t generation, uint64_t birth_epoch) {
	const struct fence *fence = swaps->engine->fence;
	if (fence != NULL && fence->epoch != 0 && !swaps->settles && !swaps->reshares)
		swaps->fences[swaps->generation] = fence->epoch; /* placed, and not told yet */
	uint64_t wanted = 0;
	for (uint64_t i = 1; i <= swaps->generation; i++)
		if (swaps->fences[i] != 0 && swaps->fences[i] <= birth_epoch)
			wanted = i;
	while (wanted < generation && swaps->lax[wanted + 1])
		wanted++;
	return wanted == generation;
}

uint64_t swaps_ended_ms(struct swaps *swaps, const sofun_context *context, enum terms_way way, struct bytes id,
	uint64_t from_ms, uint64_t now_ms) {
	const struct invocation *invocation = (const void *)context;
	return terms_ended_ms(&swaps->terms, invocation->view->generation, way, id, from_ms, now_ms);
}
