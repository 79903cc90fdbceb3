#include "points.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum { POINTS_MAX = 128, POINT_NAME_BYTES = 64 };

struct point {
	char name[POINT_NAME_BYTES];
	uint64_t passed;
	uint64_t crashed;
};

static struct {
	struct point points[POINTS_MAX];
	unsigned count;
	uint64_t countdown; /* 0: none is planned */
	bool crashed;
} state;

static struct point *point_named(const char *name) {
	for (unsigned i = 0; i < state.count; i++) {
		if (strcmp(state.points[i].name, name) == 0)
			return &state.points[i];
	}
	check(state.count < POINTS_MAX);
	struct point *point = &state.points[state.count++];
	snprintf(point->name, sizeof point->name, "%s", name);
	return point;
}

static struct point *point_of(const struct fault_event *event) {
	char name[POINT_NAME_BYTES];
	if (strncmp(event->operation, "kv_", 3) == 0)
		snprintf(
			name, sizeof name, "%s %s", event->operation, strstr(event->path, "types") != NULL ? "type" : "runtime");
	else
		fault_event_name(event, name, sizeof name);
	return point_named(name);
}

void point_pass(const char *name, bool crashes) {
	struct point *point = point_named(name);
	point->passed += crashes ? 0 : 1;
	point->crashed += crashes ? 1 : 0;
}

static enum fault_action decide(void *arg, const struct fault_event *event) {
	(void)arg;
	struct point *point = point_of(event);
	if (state.crashed)
		return FAULT_CRASH;
	point->passed++;
	if (state.countdown == 0 || --state.countdown > 0)
		return FAULT_NONE;
	point->crashed++;
	state.crashed = true;
	return FAULT_CRASH;
}

void points_watch(struct fault_disk *disk, struct sim_kv *kv) {
	points_calm();
	fault_disk_decide(disk, decide, NULL);
	sim_kv_decide(kv, decide, NULL);
}

void points_plan(uint64_t countdown) {
	state.countdown = countdown;
	state.crashed = false;
}

void points_calm(void) {
	state.countdown = 0;
	state.crashed = false;
}

bool points_crashed(void) {
	return state.crashed;
}

void points_print(void) {
	for (unsigned i = 0; i < state.count; i++)
		printf("crash point %-40s passed %9llu  crashed %6llu\n", state.points[i].name,
			(unsigned long long)state.points[i].passed, (unsigned long long)state.points[i].crashed);
}

unsigned points_missed(void) {
	unsigned missed = 0;
	for (unsigned i = 0; i < state.count; i++)
		missed += state.points[i].crashed == 0;
	return missed;
}
