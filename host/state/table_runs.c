/* See table_runs.h. An entry carries the first sixteen bytes of its key as two numbers, so that most comparisons do not
 * touch the keys themselves. */
#include "state/table_runs.h"

#include <stdlib.h>

#include "base/check.h"

enum {
	/* Slots looked at for one run: about 3 ms of collecting and 3 ms of sorting, the longest that a step may take. */
	RUN_SLOTS = 32768,
};

struct entry {
	uint64_t high; /* first 8 bytes of the key, zeros behind its end */
	uint64_t low;  /* next 8 bytes */
	const uint8_t *place;
};

struct run {
	struct entry *entries;
	size_t count;
	size_t at;
};

struct table_runs {
	struct table *table;
	uint32_t database;
	struct bytes from;
	size_t slot; /* next to collect */
	struct run *runs;
	size_t run_count;
	size_t sorted_count;
	size_t *heap; /* indices of runs that are not at their end; the least entry's run first */
	size_t heap_size;
	uint64_t bytes;
};

static uint64_t head_take(struct bytes key, size_t from) {
	uint64_t head = 0;
	for (size_t i = from; i < from + 8; i++)
		head = head << 8 | (i < key.size ? key.data[i] : 0);
	return head;
}

static struct entry entry_of(const uint8_t *place, struct bytes key) {
	return (struct entry){.high = head_take(key, 0), .low = head_take(key, 8), .place = place};
}

static int entry_compare(const void *left, const void *right) {
	const struct entry *a = left;
	const struct entry *b = right;
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return bytes_compare(table_operation(a->place).key, table_operation(b->place).key);
}

struct table_runs *table_runs_create(struct table *table, uint32_t database, struct bytes from) {
	struct table_runs *runs = check_alloc(1, sizeof *runs);
	table_reference(table);
	runs->table = table;
	runs->database = database;
	runs->from = from;
	return runs;
}

void table_runs_destroy(struct table_runs *runs) {
	if (runs == NULL)
		return;
	for (size_t i = 0; i < runs->run_count; i++)
		free(runs->runs[i].entries);
	free(runs->runs);
	free(runs->heap);
	table_release(runs->table);
	free(runs);
}

static void run_append(struct table_runs *runs, struct entry *entries, size_t count) {
	runs->runs = realloc(runs->runs, (runs->run_count + 1) * sizeof *runs->runs);
	check_memory(runs->runs);
	runs->runs[runs->run_count++] = (struct run){.entries = entries, .count = count};
	runs->bytes += count * sizeof *entries;
}

static size_t entries_collect(
	const struct table_runs *runs, const struct table_slot *slots, size_t count, struct entry *entries) {
	size_t collected = 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *place = atomic_load_explicit(&slots[i].place, memory_order_acquire);
		if (place == NULL)
			continue;
		struct bytes key = table_operation(place).key;
		if (bytes_compare(key, runs->from) >= 0)
			entries[collected++] = entry_of(place, key);
	}
	return collected;
}

bool table_runs_collect(struct table_runs *runs) {
	size_t end;
	const struct table_slot *slots = table_slots(runs->table, runs->database, &end);
	if (runs->slot == end)
		return false;
	size_t slot_count = end - runs->slot > RUN_SLOTS ? RUN_SLOTS : end - runs->slot;
	struct entry *entries = check_alloc(slot_count, sizeof *entries);
	size_t count = entries_collect(runs, slots + runs->slot, slot_count, entries);
	runs->slot += slot_count;
	if (count == 0) {
		free(entries);
		return true;
	}
	struct entry *fit = realloc(entries, count * sizeof *entries);
	check_memory(fit);
	run_append(runs, fit, count);
	return true;
}

bool table_runs_sort(struct table_runs *runs) {
	if (runs->sorted_count == runs->run_count)
		return false;
	struct run *run = &runs->runs[runs->sorted_count++];
	qsort(run->entries, run->count, sizeof *run->entries, entry_compare);
	return true;
}

static const struct entry *run_front(const struct table_runs *runs, size_t run) {
	return &runs->runs[run].entries[runs->runs[run].at];
}

static bool run_before(const struct table_runs *runs, size_t a, size_t b) {
	return entry_compare(run_front(runs, a), run_front(runs, b)) < 0;
}

static void heap_sink(struct table_runs *runs, size_t at) {
	for (;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < runs->heap_size; child++)
			if (run_before(runs, runs->heap[child], runs->heap[least]))
				least = child;
		if (least == at)
			return;
		size_t run = runs->heap[at];
		runs->heap[at] = runs->heap[least];
		runs->heap[least] = run;
		at = least;
	}
}

void table_runs_start(struct table_runs *runs) {
	check(runs->sorted_count == runs->run_count);
	if (runs->heap == NULL)
		runs->heap = check_alloc(runs->run_count + 1, sizeof *runs->heap);
	runs->heap_size = runs->run_count; /* no run is empty */
	for (size_t i = 0; i < runs->run_count; i++) {
		runs->runs[i].at = 0;
		runs->heap[i] = i;
	}
	for (size_t i = runs->heap_size; i-- > 0;)
		heap_sink(runs, i);
}

bool table_runs_peek(const struct table_runs *runs, struct redo_op *ret_op) {
	if (runs->heap_size == 0)
		return false;
	*ret_op = table_operation(run_front(runs, runs->heap[0])->place);
	return true;
}

void table_runs_next(struct table_runs *runs) {
	check(runs->heap_size > 0);
	struct run *run = &runs->runs[runs->heap[0]];
	if (++run->at == run->count)
		runs->heap[0] = runs->heap[--runs->heap_size];
	heap_sink(runs, 0);
}

uint64_t table_runs_bytes(const struct table_runs *runs) {
	return runs == NULL ? 0 : runs->bytes;
}
