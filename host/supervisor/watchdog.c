#include "supervisor/watchdog.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/park.h"
#include "supervisor/fault.h"

enum {
	LOOKS_PER_LIMIT = 10, /* so a call is ended at most a tenth late */
	LOOK_MS_MAX = 500,
	LOOK_MS_MIN = 5,
	WALL_LIMITS = 10,
};

/* What was seen of a thread at the last look. */
struct watched {
	uint64_t entries; /* of the call; 0: none */
	uint64_t cpu_ms;  /* of the thread, when the call was first seen */
	uint64_t wall_ms; /* that it has run since, as far as the watchdog was there to see it */
};

struct watchdog {
	const _Atomic uint64_t *limit_ms;
	const _Atomic uint64_t *work_limit_ms;
	struct watched watched[NOTE_PLACES];
	uint64_t looked_ms;
	_Atomic bool stopping;
	struct park park;
	pthread_t thread;
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec now;
	if (clock_gettime(clock, &now) != 0)
		return 0; /* its thread has just ended */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool inside(const struct note *note) {
	uint32_t kind = atomic_load(&note->kind);
	return atomic_load(&note->running) && kind != NOTE_NOTHING && (kind & NOTE_LEFT) == 0;
}

struct limits {
	uint64_t cpu_ms;
	uint64_t work_ms;
};

static void note_judge(const struct watched *watched, struct note *note, uint64_t cpu_ms, const struct limits *limits) {
	if (atomic_load(&note->kind) == NOTE_WORK) {
		if (limits->work_ms > 0 && watched->wall_ms > limits->work_ms)
			fault_overrun(note, watched->entries, FAULT_WALL, limits->work_ms);
		return;
	}
	if (cpu_ms > watched->cpu_ms + limits->cpu_ms)
		fault_overrun(note, watched->entries, FAULT_CPU, limits->cpu_ms);
	else if (watched->wall_ms > limits->cpu_ms * WALL_LIMITS)
		fault_overrun(note, watched->entries, FAULT_WALL, limits->cpu_ms * WALL_LIMITS);
}

static void note_look(struct watched *watched, struct note *note, uint64_t passed_ms, const struct limits *limits) {
	uint64_t entries = atomic_load(&note->entries);
	if (!inside(note)) {
		watched->entries = 0;
		return;
	}
	uint64_t cpu_ms = clock_ms(note->clock);
	if (watched->entries != entries) {
		*watched = (struct watched){.entries = entries, .cpu_ms = cpu_ms};
		return;
	}
	watched->wall_ms += passed_ms;
	note_judge(watched, note, cpu_ms, limits);
}

static uint64_t look_ms(uint64_t limit_ms) {
	uint64_t look = limit_ms / LOOKS_PER_LIMIT;
	look = look > LOOK_MS_MAX ? LOOK_MS_MAX : look;
	return look < LOOK_MS_MIN ? LOOK_MS_MIN : look;
}

static void look(struct watchdog *watchdog) {
	const struct limits limits = {atomic_load(watchdog->limit_ms), atomic_load(watchdog->work_limit_ms)};
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
	uint64_t passed_ms = now_ms - watchdog->looked_ms;
	uint64_t passed_ms_max = 2 * look_ms(limits.cpu_ms); /* whoever stopped the process stopped the call, too */
	watchdog->looked_ms = now_ms;
	for (uint32_t i = 0; i < NOTE_PLACES; i++)
		note_look(&watchdog->watched[i], note_of(i), passed_ms < passed_ms_max ? passed_ms : passed_ms_max, &limits);
}

static void *watchdog_run(void *arg) {
	struct watchdog *watchdog = arg;
	pthread_setname_np(pthread_self(), "watchdog");
	watchdog->looked_ms = clock_ms(CLOCK_MONOTONIC);
	while (!atomic_load(&watchdog->stopping)) {
		park_sleep(&watchdog->park, look_ms(atomic_load(watchdog->limit_ms)) * 1000);
		look(watchdog);
	}
	return NULL;
}

struct watchdog *watchdog_start(const _Atomic uint64_t *limit_ms, const _Atomic uint64_t *work_limit_ms) {
	struct watchdog *watchdog = check_alloc(1, sizeof *watchdog);
	sigset_t all, before;
	watchdog->limit_ms = limit_ms;
	watchdog->work_limit_ms = work_limit_ms;
	sigfillset(&all); /* signals are for the loop thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&watchdog->thread, NULL, watchdog_run, watchdog);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	check(failed == 0);
	return watchdog;
}

void watchdog_stop(struct watchdog *watchdog) {
	if (watchdog == NULL)
		return;
	atomic_store(&watchdog->stopping, true);
	park_wake(&watchdog->park);
	pthread_join(watchdog->thread, NULL);
	free(watchdog);
}
