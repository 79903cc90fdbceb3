/* Reads of what is durable, on a thread of their own: they may sort a table or wait for a disk. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "flow/engine/inside.h"
#include "flow/timer/load.h"

enum { APPLIED_LOOK_US = 500 };

static void readings_add(struct readings *readings, struct reading *reading) {
	reading->next = NULL;
	if (readings->first == NULL)
		readings->last = &readings->first;
	*readings->last = reading;
	readings->last = &reading->next;
}

static struct reading *readings_take_all(struct engine *engine, struct readings *readings) {
	pthread_mutex_lock(&engine->reading_mutex);
	struct reading *first = readings->first;
	readings->first = NULL;
	pthread_mutex_unlock(&engine->reading_mutex);
	return first;
}

static void reading_ask(struct engine *engine, const struct reading *asked) {
	struct reading *reading = check_alloc(1, sizeof *reading);
	*reading = *asked;
	pthread_mutex_lock(&engine->reading_mutex);
	readings_add(&engine->asked, reading);
	pthread_mutex_unlock(&engine->reading_mutex);
	park_wake(&engine->reader_park);
}

void engine_read(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg) {
	reading_ask(
		engine, &(struct reading){.run = run, .done = done, .arg = arg, .epoch = atomic_load(&engine->flow.durable)});
}

void engine_read_applied(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg) {
	reading_ask(engine, &(struct reading){.run = run, .done = done, .arg = arg});
}

/* ---- egresses ---- */

void engine_egress_growth(void *arg) {
	struct engine *engine = arg;
	if (atomic_load(&engine->egress_watched) && !atomic_exchange(&engine->egress_grown, true))
		eventfd_write(engine->committer.release_fd, 1);
}

void engine_egress_watch(struct engine *engine, bool watched) {
	atomic_store(&engine->egress_watched, watched);
	store_egress_hurry(engine->flow.store, watched);
}

bool engine_egress_grown(struct engine *engine) {
	return atomic_load_explicit(&engine->egress_grown, memory_order_relaxed) &&
		atomic_exchange(&engine->egress_grown, false);
}

/* ---- the reader thread ---- */

/* What was released before the question is in the tables before the answer is read. */
static void applied_wait(struct engine *engine, uint64_t epoch) {
	struct store *store = engine->flow.store;
	while (store_applied(store) < epoch && !atomic_load(&engine->flow.failed) && !atomic_load(&engine->ending))
		park_sleep(&engine->reader_park, APPLIED_LOOK_US);
}

/* On its way back to the loop thread. */
static void reading_return(struct engine *engine, struct reading *reading) {
	pthread_mutex_lock(&engine->reading_mutex);
	readings_add(&engine->read, reading);
	pthread_mutex_unlock(&engine->reading_mutex);
	eventfd_write(engine->committer.release_fd, 1);
}

static void sweep_run(struct engine *engine) {
	if (!sweep_scan(engine))
		return;
	struct reading *reading = check_alloc(1, sizeof *reading);
	*reading = (struct reading){.done = sweep_submit, .arg = engine};
	reading_return(engine, reading);
}

void *engine_reader_main(void *arg) {
	struct engine *engine = arg;
	for (;;) {
		struct reading *reading = readings_take_all(engine, &engine->asked);
		if (reading == NULL) {
			if (atomic_load(&engine->ending))
				return NULL;
			bool more = timers_load_step(&engine->flow);
			more |= sweep_backlog_step(&engine->flow);
			sweep_run(engine);
			if (!more)
				park_sleep(&engine->reader_park, timers_load_asked(&engine->flow) ? APPLIED_LOOK_US : SWEEP_LOOK_US);
			continue;
		}
		while (reading != NULL) {
			struct reading *next = reading->next;
			applied_wait(engine, reading->epoch);
			reading->run(reading->arg, engine->flow.store);
			reading_return(engine, reading);
			timers_load_step(&engine->flow);
			reading = next;
		}
	}
}

void engine_readings_done(struct engine *engine) {
	struct reading *reading = readings_take_all(engine, &engine->read);
	while (reading != NULL) {
		struct reading *next = reading->next;
		reading->done(reading->arg);
		free(reading);
		reading = next;
	}
}
