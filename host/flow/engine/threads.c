/* The threads of the engine, and nothing else: each is a loop over a step that does not block. The simulation runs the
 * same steps without them. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/engine/inside.h"
#include "state/reclaim.h"
#include "supervisor/fault.h"

enum { APPLIER_SLEEP_US = 100000 };

static void hold_release(struct shard *shard) {
	atomic_store_explicit(&shard->hold, HOLD_IDLE, memory_order_release);
}

static void hold_acquire(struct shard *shard) {
	int idle = HOLD_IDLE;
	while (!atomic_compare_exchange_weak_explicit(
		&shard->hold, &idle, HOLD_RUN, memory_order_acquire, memory_order_relaxed)) {
		idle = HOLD_IDLE;
		sched_yield(); /* the committer is cutting: microseconds */
	}
}

static void *shard_main(void *arg) {
	struct shard *shard = arg;
	fault_thread_begin(shard->index);
	hold_acquire(shard);
	while (!atomic_load_explicit(&shard->flow->stopping, memory_order_relaxed)) {
		if (shard_step(shard))
			continue;
		uint64_t idle_us = shard_idle_us(shard);
		hold_release(shard);
		park_sleep(&shard->park, idle_us);
		hold_acquire(shard);
	}
	if (shard->epoch_start_us != 0)
		atomic_store(&shard->wants, shard->epoch);
	hold_release(shard);
	fault_thread_end();
	return NULL;
}

static bool waits_for_space(const struct engine *engine) {
	struct store_figures figures;
	store_figures(engine->flow.store, &figures);
	return figures.waiting_for_space || atomic_load(&engine->committer.waiting_for_space);
}

static void *committer_main(void *arg) {
	struct engine *engine = arg;
	while (!atomic_load(&engine->ending)) {
		if (!committer_step(&engine->committer))
			park_sleep(&engine->flow.committer_park, committer_idle_us(&engine->committer));
	}
	while (!atomic_load(&engine->flow.failed) && !committer_settled(&engine->committer)) {
		if (committer_step(&engine->committer))
			continue;
		if (waits_for_space(engine))
			break; /* what is not durable was not acknowledged */
		park_sleep(&engine->flow.committer_park, committer_idle_us(&engine->committer));
	}
	return NULL;
}

static void *applier_main(void *arg) {
	struct engine *engine = arg;
	while (!atomic_load(&engine->committed)) { /* the last epochs may have to wait until earlier ones are applied */
		struct error error;
		if (store_failed(engine->flow.store, &error)) {
			flow_fail(&engine->flow, &error);
			return NULL;
		}
		if (!store_applier_step(engine->flow.store))
			store_applier_wait(engine->flow.store, APPLIER_SLEEP_US);
	}
	return NULL;
}

static void *reclaimer_main(void *arg) {
	struct engine *engine = arg;
	while (!atomic_load(&engine->ending)) {
		uint64_t idle_us = store_reclaim_step(engine->flow.store, monotonic_us());
		if (idle_us == 0)
			continue;
		uint64_t rest_us = store_compact_step(engine->flow.store, monotonic_us());
		park_sleep(&engine->reclaimer_park, rest_us < idle_us ? rest_us : idle_us);
	}
	return NULL;
}

/* Signals are for the loop thread. */
static pthread_t thread_start(void *(*run)(void *arg), void *arg, const char *name) {
	sigset_t all, before;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_t thread;
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	check(failed == 0);
	pthread_setname_np(thread, name);
	return thread;
}

void engine_threads_start(struct engine *engine) {
	struct flow *flow = &engine->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++)
		flow->shards[i]->thread = thread_start(shard_main, flow->shards[i], "shard");
	engine->committer_thread = thread_start(committer_main, engine, "committer");
	engine->applier_thread = thread_start(applier_main, engine, "applier");
	for (uint32_t i = 0; i < flow->pool.slot_count; i++)
		flow->pool.slots[i].thread = thread_start(work_pool_main, &flow->pool.slots[i], "work");
	engine->reader_thread = thread_start(engine_reader_main, engine, "reader");
	engine->reclaimer_thread = thread_start(reclaimer_main, engine, "reclaimer");
}

/* Everything that has arrived stands in a mailbox: it is not unknown. */
static bool results_taken(const struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct operations *operations = &flow->shards[i]->operations;
		if (atomic_load(&operations->arrivals) != NULL)
			return false;
	}
	return true;
}

/* Work that runs is asked to return, and has a while for it; the results of what did are taken. False: some did not. */
static bool pool_settle(struct flow *flow) {
	enum { LOOK_US = 2000 };
	struct park park = {0};
	uint64_t until_us = monotonic_us() + (uint64_t)OPERATIONS_STOP_MS * 1000;
	work_pool_stop(&flow->pool);
	while ((atomic_load(&flow->pool.running) > 0 || !results_taken(flow)) && monotonic_us() < until_us &&
		!atomic_load(&flow->failed))
		park_sleep(&park, LOOK_US);
	return atomic_load(&flow->pool.running) == 0;
}

void engine_threads_stop(struct engine *engine) {
	struct flow *flow = &engine->flow;
	engine->abandoned = !pool_settle(flow);
	atomic_store(&flow->stopping, true);
	for (uint32_t i = 0; i < flow->shards_count; i++)
		park_wake(&flow->shards[i]->park);
	for (uint32_t i = 0; i < flow->shards_count; i++)
		pthread_join(flow->shards[i]->thread, NULL);
	atomic_store(&engine->ending, true);
	park_wake(&flow->committer_park);
	park_wake(&engine->reader_park);
	park_wake(&engine->reclaimer_park);
	pthread_join(engine->committer_thread, NULL);
	atomic_store(&engine->committed, true);
	store_applier_wake(flow->store);
	pthread_join(engine->applier_thread, NULL);
	pthread_join(engine->reader_thread, NULL);
	for (uint32_t i = 0; i < flow->pool.slot_count && !engine->abandoned; i++)
		pthread_join(flow->pool.slots[i].thread, NULL);
	pthread_join(engine->reclaimer_thread, NULL);
}
