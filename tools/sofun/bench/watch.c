#include "bench/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench/program.h"

enum { ROOM_FIRST = 1024 };

#define BIN_NS ((uint64_t)WATCH_BIN_MS * 1000000u)

/* Room for one more of `count`. */
static void *grown(void *items, size_t count, size_t *room, size_t size) {
	if (count < *room)
		return items;
	*room = *room == 0 ? ROOM_FIRST : *room * 2;
	items = realloc(items, *room * size);
	check_memory(items);
	return items;
}

void watch_init(struct watch *watch) {
	memset(watch, 0, sizeof *watch);
	watch->start_ns = clock_ns();
}

void watch_finish(struct watch *watch) {
	free(watch->arrivals);
	free(watch->bins);
	memset(watch, 0, sizeof *watch);
}

/* ---- what comes ---- */

static void bin_end(struct watch *watch) {
	watch->bins = grown(watch->bins, watch->bin_count, &watch->bin_room, sizeof *watch->bins);
	watch->bins[watch->bin_count++] = (struct bin){.count = (uint32_t)watch->latency.total,
		.p50_us = (uint32_t)histogram_us(&watch->latency, 0.5),
		.p99_us = (uint32_t)histogram_us(&watch->latency, 0.99),
		.longest_us = (uint32_t)histogram_us(&watch->latency, 1)};
	if (watch->latency.total > 0)
		memset(&watch->latency, 0, sizeof watch->latency);
}

static struct arrival *arrival_at(struct watch *watch, uint64_t now_ns) {
	if (watch->arrival_count > 0 && watch->arrivals[watch->arrival_count - 1].time_ns == now_ns)
		return &watch->arrivals[watch->arrival_count - 1];
	watch->arrivals = grown(watch->arrivals, watch->arrival_count, &watch->arrival_room, sizeof *watch->arrivals);
	struct arrival *arrival = &watch->arrivals[watch->arrival_count++];
	*arrival = (struct arrival){.time_ns = now_ns};
	return arrival;
}

void watch_answer(void *arg, uint64_t due_ns, uint64_t now_ns) {
	struct watch *watch = arg;
	const uint64_t took_ns = now_ns > due_ns ? now_ns - due_ns : 0;
	check(now_ns >= watch->start_ns);
	while ((now_ns - watch->start_ns) / BIN_NS > watch->bin_count)
		bin_end(watch);
	histogram_add(&watch->latency, took_ns, 1);
	struct arrival *arrival = arrival_at(watch, now_ns);
	arrival->count++;
	if (took_ns / 1000 > arrival->longest_us)
		arrival->longest_us = (uint32_t)(took_ns / 1000);
}

/* ---- what is asked ---- */

/* The first that came at that time or later. */
static size_t arrival_find(const struct watch *watch, uint64_t time_ns) {
	size_t low = 0, high = watch->arrival_count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (watch->arrivals[middle].time_ns < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

double watch_gap_ms(const struct watch *watch, struct stretch stretch) {
	uint64_t before_ns = stretch.from_ns, longest_ns = 0;
	for (size_t i = arrival_find(watch, stretch.from_ns); before_ns < stretch.to_ns; i++) {
		const bool inside = i < watch->arrival_count && watch->arrivals[i].time_ns < stretch.to_ns;
		const uint64_t now_ns = inside ? watch->arrivals[i].time_ns : stretch.to_ns;
		longest_ns = now_ns - before_ns > longest_ns ? now_ns - before_ns : longest_ns;
		before_ns = now_ns;
	}
	return (double)longest_ns / 1e6;
}

double watch_longest_ms(const struct watch *watch, struct stretch stretch) {
	uint32_t longest_us = 0;
	const size_t end = arrival_find(watch, stretch.to_ns);
	for (size_t i = arrival_find(watch, stretch.from_ns); i < end; i++)
		longest_us = watch->arrivals[i].longest_us > longest_us ? watch->arrivals[i].longest_us : longest_us;
	return (double)longest_us / 1e3;
}

uint64_t watch_count(const struct watch *watch, struct stretch stretch) {
	uint64_t count = 0;
	const size_t end = arrival_find(watch, stretch.to_ns);
	for (size_t i = arrival_find(watch, stretch.from_ns); i < end; i++)
		count += watch->arrivals[i].count;
	return count;
}

json_t *watch_json(struct watch *watch) {
	json_t *bins = json_array();
	check_memory(bins);
	if (watch->latency.total > 0)
		bin_end(watch);
	for (size_t i = 0; i < watch->bin_count; i++) {
		const struct bin *bin = &watch->bins[i];
		json_array_append_new(bins,
			json_pack("[I, I, I, I]", (json_int_t)bin->count, (json_int_t)bin->p50_us, (json_int_t)bin->p99_us,
				(json_int_t)bin->longest_us));
	}
	return bins;
}
