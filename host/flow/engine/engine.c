#include "flow/engine/engine.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/engine/inside.h"
#include "flow/invocation/invocation.h"
#include "flow/recover/recover.h"

/* Of limits.memory_bytes less its base: what functions keep warm, and what may wait in memory before it is paged out. The
 * rest is the store's (budget.c), but for what the open epochs hold. */
enum {
	CACHE_SHARE_PERCENT = 31,
	QUEUE_SHARE_PERCENT = 7,
	TIMER_SHARE_PERCENT = 4,
	SWEEP_SHARE_PERCENT = 3,
	OPERATION_SHARE_PERCENT = 2
};

/* ---- life ---- */

static void flow_init(
	struct flow *flow, const struct config *config, struct store *store, const struct store_recovered *recovered) {
	flow->config = config;
	flow->store = store;
	host_api_fill(&flow->host.table);
	flow->host.flow = flow;
	work_pool_init(&flow->pool, flow, config->operations_threads);
	flow->shards_count = config->shards;
	flow->owed = check_alloc((size_t)config->shards * TYPES_MAX * MESSAGE_SIDES, sizeof *flow->owed);
	flow->incarnation = recovered->epoch + 1;
	/* above all of earlier lives: no epoch sets so many */
	atomic_store(&flow->timer_next, (recovered->epoch + 1) << TIMERS_PER_EPOCH_BITS);
	atomic_store(&flow->generation_next, (recovered->epoch + 1) << TIMERS_PER_EPOCH_BITS);
	memcpy(&flow->hash_seed, recovered->store_id, sizeof flow->hash_seed);
	uint64_t base = config->memory_bytes / 4 < MEMORY_BASE_BYTES ? config->memory_bytes / 4 : MEMORY_BASE_BYTES;
	uint64_t share = (config->memory_bytes - base) / config->shards;
	flow->cache_bytes = (size_t)(share / 100 * CACHE_SHARE_PERCENT);
	flow->queue_bytes = (size_t)(share / 100 * QUEUE_SHARE_PERCENT);
	flow->timer_bytes = (size_t)(share / 100 * TIMER_SHARE_PERCENT);
	flow->sweep_bytes = (size_t)(share / 100 * SWEEP_SHARE_PERCENT);
	flow->operation_bytes = (size_t)(share / 100 * OPERATION_SHARE_PERCENT);
	flow->epoch_bytes_max = share / MEMORY_PER_EPOCH;
	if (flow->epoch_bytes_max > EPOCH_BYTES_MAX)
		flow->epoch_bytes_max = EPOCH_BYTES_MAX;
	if (flow->epoch_bytes_max < EPOCH_BYTES_MIN)
		flow->epoch_bytes_max = EPOCH_BYTES_MIN;
	flow_clock_init(&flow->clock, config->test_clock, config->test_clock_ms, recovered->time_ms);
	atomic_store(&flow->cut, recovered->epoch);
	atomic_store(&flow->durable, recovered->epoch);
	pthread_mutex_init(&flow->egress_mutex, NULL);
	schema_counts_init(&flow->schemas);
	blocked_init(&flow->blocked);
	blocked_init(&flow->undecided);
	surveys_init(&flow->surveys);
	pthread_mutex_init(&flow->failure_mutex, NULL);
}

static void shards_create(struct flow *flow, uint64_t epoch) {
	uint32_t count = flow->shards_count;
	flow->shards = check_alloc(count, sizeof *flow->shards);
	flow->channels = check_alloc((size_t)count * count, sizeof *flow->channels);
	for (uint32_t i = 0; i < count; i++)
		flow->shards[i] = shard_create(flow, i, epoch);
	for (uint32_t to = 0; to < count; to++) {
		for (uint32_t from = 0; from < count; from++)
			queue_init(shard_channel(flow, from, to),
				queue_id(QUEUE_CHANNEL, flow->layout, (uint16_t)from, (uint16_t)to), 0,
				&flow->shards[to]->queue_memory);
	}
}

struct engine *engine_create(
	const struct config *config, struct store *store, const struct store_recovered *recovered, struct error *error) {
	check(config->shards >= 1 && config->shards <= SHARDS_MAX);
	if (!config->test_clock && !config->accept_clock && !flow_clock_check(recovered->time_ms, error))
		return NULL;
	struct engine *engine = check_alloc(1, sizeof *engine);
	struct flow *flow = &engine->flow;
	flow_init(flow, config, store, recovered);
	committer_init(&engine->committer, flow, recovered->epoch + 1);
	engine->committer.time_ms = recovered->time_ms;
	pthread_mutex_init(&engine->reading_mutex, NULL);
	store_egress_watch(store, engine_egress_growth, engine);
	if (!schema_counts_load(&flow->schemas, store, recovered->created, error) ||
		!recover_layout(flow, &engine->layout_changed, error) || !recover_numbers(flow, &engine->types, error)) {
		engine_destroy(engine);
		return NULL;
	}
	shards_create(flow, recovered->epoch + 1);
	return engine;
}

void engine_start(struct engine *engine, struct view *view) {
	struct flow *flow = &engine->flow;
	struct error error;
	engine->view = view;
	atomic_store(&flow->view, view);
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		flow->shards[i]->view = view;
		flow->shards[i]->parks_live = true;
		atomic_store(&flow->shards[i]->view_generation, view->generation);
		trial_open(flow->shards[i]);
	}
	if (!schema_counts_scan(&flow->schemas, flow->store, engine->types, &error) ||
		!recover_queues(flow, &engine->committer, engine->layout_changed, &error))
		flow_fail(flow, &error);
	for (uint32_t i = 0; i < flow->shards_count; i++) { /* what was found waiting, before an epoch says so */
		flow->shards[i]->seal.counts = flow->shards[i]->counts;
		owed_seal(&flow->shards[i]->owed, &flow->shards[i]->seal.owed, flow->shards_count);
	}
	committer_counts_update(&engine->committer);
	owed_publish(flow);
	engine->started = true;
	if (!engine->threadless) {
		flow->reader_park = &engine->reader_park;
		engine_threads_start(engine);
	}
}

void engine_stop(struct engine *engine) {
	if (!engine->started)
		return;
	engine->started = false;
	if (!engine->threadless)
		engine_threads_stop(engine);
	engine_requests_refuse(engine);
}

static void views_destroy(struct engine *engine) {
	while (engine->old_views != NULL) {
		struct old_view *old = engine->old_views;
		engine->old_views = old->next;
		view_destroy(old->view);
		free(old);
	}
	view_destroy(engine->view);
}

static void pendings_destroy(struct pending *pending) {
	while (pending != NULL) {
		struct pending *next = pending->next;
		free(pending);
		pending = next;
	}
}

bool engine_abandoned(const struct engine *engine) {
	return engine != NULL && engine->abandoned;
}

void engine_destroy(struct engine *engine) {
	if (engine == NULL)
		return;
	struct flow *flow = &engine->flow;
	check(!engine->started);
	store_egress_watch(flow->store, NULL, NULL);
	for (size_t i = 0; flow->channels != NULL && i < (size_t)flow->shards_count * flow->shards_count; i++)
		queue_finish(&flow->channels[i]);
	for (uint32_t i = 0; flow->shards != NULL && i < flow->shards_count; i++)
		shard_destroy(flow->shards[i]);
	free(flow->shards);
	free(flow->channels);
	work_pool_finish(&flow->pool);
	buf_finish(&flow->timer_row);
	free(flow->owed);
	engine_fence_destroy(engine);
	committer_finish(&engine->committer);
	schema_counts_finish(&flow->schemas);
	blocked_finish(&flow->blocked);
	blocked_finish(&flow->undecided);
	surveys_finish(&flow->surveys);
	views_destroy(engine);
	pendings_destroy(engine->barriers);
	pendings_destroy(engine->clocks);
	engine_readings_done(engine);
	buf_finish(&engine->sweep.found);
	free(engine);
}

/* ---- answers ---- */

int engine_answer_fd(struct engine *engine) {
	return engine->committer.release_fd;
}

static void outputs_answer(struct engine *engine, const struct buf *outputs,
	void (*answer)(void *arg, const struct engine_answer *answer), void *arg) {
	for (size_t at = 0; at < outputs->size;) {
		struct output output;
		memcpy(&output, outputs->data + at, sizeof output);
		const uint8_t *payload = outputs->data + at + sizeof output;
		struct engine_answer out = {
			.token = output.token,
			.code = (enum error_code)output.code,
			.number = output.number,
			.accepted = output.accepted,
			.payload = bytes_of(payload, output.payload_size),
			.type = bytes_of(payload + output.payload_size, output.type_size),
		};
		at += output.size;
		if (engine_clock_goes_on(engine, &out))
			continue;
		engine_fence_answered(engine, output.token); /* first: whoever hears of it may ask for the next one */
		answer(arg, &out);
		engine_milestone_answered(engine, output.token);
	}
}

void engine_take_answers(
	struct engine *engine, void (*answer)(void *arg, const struct engine_answer *answer), void *arg) {
	struct release *release = committer_take(&engine->committer);
	while (release != NULL) {
		struct release *next = release->next;
		for (size_t i = 0; i < release->count; i++)
			outputs_answer(engine, &release->outputs[i], answer, arg);
		release_destroy(release);
		release = next;
	}
	engine_readings_done(engine);
}

bool engine_pressed(struct engine *engine) {
	struct flow *flow = &engine->flow;
	if (store_pressed(flow->store) || atomic_load(&engine->committer.waiting_for_space) || atomic_load(&flow->failed))
		return true;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->input_pending, memory_order_relaxed) > INPUT_PRESSED_BYTES)
			return true;
	}
	return false;
}

/* ---- plugins ---- */

uint64_t engine_adopted(struct engine *engine) {
	uint64_t adopted = work_pool_generation(&engine->flow.pool);
	for (uint32_t i = 0; i < engine->flow.shards_count; i++) {
		uint64_t generation = atomic_load_explicit(&engine->flow.shards[i]->view_generation, memory_order_acquire);
		adopted = generation < adopted ? generation : adopted;
	}
	for (struct old_view **place = &engine->old_views; *place != NULL;) {
		struct old_view *old = *place;
		if (old->view->generation >= adopted) {
			place = &old->next;
			continue;
		}
		*place = old->next;
		view_destroy(old->view);
		free(old);
	}
	return adopted;
}

void engine_publish(struct engine *engine, struct view *view) {
	check(view->generation > engine->view->generation && engine->fence == NULL);
	struct old_view *old = check_alloc(1, sizeof *old);
	*old = (struct old_view){.next = engine->old_views, .view = engine->view};
	engine->old_views = old;
	engine->view = view;
	atomic_store_explicit(&engine->flow.view, view, memory_order_release);
	for (uint32_t i = 0; i < engine->flow.shards_count; i++)
		park_wake(&engine->flow.shards[i]->park);
	engine_adopted(engine);
}

const struct sofun_host *engine_host(struct engine *engine) {
	return &engine->flow.host.table;
}

uint16_t engine_next_type(struct engine *engine) {
	check(engine->types + 1 < TYPES_MAX);
	return ++engine->types;
}

/* ---- figures ---- */

void engine_status(struct engine *engine, struct engine_status *ret_status) {
	struct flow *flow = &engine->flow;
	struct store_figures figures;
	store_figures(flow->store, &figures);
	pthread_mutex_lock(&engine->committer.release_mutex);
	struct counts counts = engine->committer.counts;
	uint64_t time_ms = engine->committer.time_ms;
	pthread_mutex_unlock(&engine->committer.release_mutex);
	*ret_status = (struct engine_status){
		.epoch = atomic_load(&flow->durable),
		.time_ms = time_ms,
		.accepted = counts.born,
		.handled = counts.handled,
		.in_flight = counts.born - counts.handled,
		.retried = counts.retried,
		.retrying = counts.retrying,
		.timers = {.set = counts.timers_set, .sent = counts.timers_sent, .cancelled = counts.timers_cancelled},
		.operations = {.open = atomic_load(&flow->operations_open),
			.queued = work_pool_queued(&flow->pool),
			.running = atomic_load(&flow->pool.running),
			.started = counts.operations_started,
			.succeeded = counts.operations_succeeded,
			.failed = counts.operations_failed,
			.unknown = counts.operations_unknown,
			.late = counts.operations_late},
		.dead = counts.dead,
		.records = counts.records,
		.keys = (uint64_t)atomic_load(&flow->keys),
		.replies_stale = counts.replies_stale,
		.migrated = counts.migrated,
		.memory_bytes = figures.table_bytes + counts.cache_bytes,
		.shards = flow->shards_count,
		.failed = atomic_load(&flow->failed),
		.waiting_for_space = figures.waiting_for_space || atomic_load(&engine->committer.waiting_for_space),
	};
	for (uint32_t i = 0; i < flow->shards_count; i++)
		ret_status->memory_bytes += atomic_load_explicit(&flow->shards[i]->queue_memory, memory_order_relaxed) +
			atomic_load_explicit(&flow->shards[i]->input_bytes, memory_order_relaxed);
	if (ret_status->failed) {
		pthread_mutex_lock(&flow->failure_mutex);
		ret_status->error = flow->failure;
		pthread_mutex_unlock(&flow->failure_mutex);
	}
}

void engine_parked_each(
	struct engine *engine, void (*each)(void *arg, const char *type, uint64_t messages), void *arg) {
	const struct view *view = engine->view;
	for (size_t type = 1; type < view->binding_count; type++) {
		uint64_t messages = atomic_load_explicit(&engine->flow.parked[type], memory_order_relaxed);
		if (messages > 0 && view->bindings[type].name != NULL)
			each(arg, view->bindings[type].name, messages);
	}
}

struct schemas_call {
	const struct view *view;
	void (*each)(void *arg, const struct engine_schema *schema);
	void *arg;
};

static void schemas_tell(void *arg, uint16_t type, uint32_t schema, uint64_t instances) {
	const struct schemas_call *call = arg;
	if (type >= call->view->binding_count || call->view->bindings[type].name == NULL)
		return; /* its view comes with this turn of the loop */
	const struct engine_schema told = {type, call->view->bindings[type].name, schema, instances};
	call->each(call->arg, &told);
}

void engine_schemas_each(
	struct engine *engine, void (*each)(void *arg, const struct engine_schema *schema), void *arg) {
	struct schemas_call call = {engine->view, each, arg};
	schema_counts_each(&engine->flow.schemas, schemas_tell, &call);
}

struct unread_call {
	uint16_t type;
	bool (*reads)(void *arg, uint32_t schema);
	void *arg;
	bool found;
};

static void unread_look(void *arg, uint16_t type, uint32_t schema, uint64_t instances) {
	struct unread_call *call = arg;
	if (type == call->type && instances > 0 && !call->reads(call->arg, schema))
		call->found = true;
}

bool engine_schema_unread(struct engine *engine, uint16_t type, bool (*reads)(void *arg, uint32_t schema), void *arg) {
	struct unread_call call = {.type = type, .reads = reads, .arg = arg};
	schema_counts_each(&engine->flow.schemas, unread_look, &call);
	return call.found;
}

uint32_t engine_type_schema(struct engine *engine, uint16_t type) {
	const struct view *view = engine->view;
	if (type >= view->binding_count || view->bindings[type].settled == NULL)
		return 0;
	return view->bindings[type].settled->schema;
}

struct blocked_call {
	const struct view *view;
	void (*each)(void *arg, const struct engine_blocked *blocked);
	void *arg;
};

static void blocked_tell(void *arg, const struct blocked_address *address) {
	const struct blocked_call *call = arg;
	check(address->type < call->view->binding_count);
	const struct engine_blocked told = {.type = call->view->bindings[address->type].name,
		.id = bytes_of(address->id, address->id_size),
		.since_ms = address->since_ms,
		.reason = address->reason};
	call->each(call->arg, &told);
}

uint64_t engine_blocked_each(
	struct engine *engine, void (*each)(void *arg, const struct engine_blocked *blocked), void *arg) {
	struct blocked_call call = {engine->view, each, arg};
	return blocked_each(&engine->flow.blocked, blocked_tell, &call);
}

uint64_t engine_undecided_each(
	struct engine *engine, void (*each)(void *arg, const struct engine_blocked *blocked), void *arg) {
	struct blocked_call call = {engine->view, each, arg};
	return blocked_each(&engine->flow.undecided, blocked_tell, &call);
}

uint64_t engine_time_ms(struct engine *engine) {
	return flow_clock_update(&engine->flow.clock);
}

uint64_t engine_fence_time_ms(struct engine *engine) {
	return flow_clock_hold(&engine->flow.clock);
}
