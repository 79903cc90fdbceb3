/* See table_runs.h. An entry carries the database and the first twelve bytes of its key as two numbers, so that most
 * comparisons do not touch the keys themselves. */
#include "state/table_runs.h"

#include <stdlib.h>

#include "base/check.h"

enum {
	/* Slots looked at for one run: about 3 ms of collecting and 3 ms of sorting, the longest that a step may take. */
	RUN_SLOTS = 32768,
};

struct entry {
	uint64_t high; /* order of the database, first 4 bytes of the key */
	uint64_t low;  /* next 8 bytes */
	const uint8_t *place;
};

struct run {
	struct entry *entries;
	size_t count;
	size_t at;
	size_t marked;
};

struct table_runs {
	struct table *table;
	int64_t database;
	size_t slot; /* next to collect */
	struct run *runs;
	size_t run_count;
	size_t sorted_count;
	size_t *heap; /* indices of runs that are not at their end; the least entry's run first */
	size_t heap_size;
	uint64_t bytes;
};

/* Function types by number, then the runtime database. */
static uint32_t database_order(uint32_t database) {
	return database - 1;
}

static uint64_t head_take(struct bytes key, size_t from, size_t size) {
	uint64_t head = 0;
	for (size_t i = from; i < from + size; i++)
		head = head << 8 | (i < key.size ? key.data[i] : 0);
	return head;
}

static struct entry entry_of(const uint8_t *place, const struct redo_op *op) {
	return (struct entry){
		.high = (uint64_t)database_order(op->database) << 32 | head_take(op->key, 0, 4),
		.low = head_take(op->key, 4, 8),
		.place = place,
	};
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

struct table_runs *table_runs_create(struct table *table, int64_t database) {
	struct table_runs *runs = check_alloc(1, sizeof *runs);
	table_reference(table);
	runs->table = table;
	runs->database = database;
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

bool table_runs_collect(struct table_runs *runs) {
	size_t end = table_slot_count(runs->table);
	if (runs->slot == end)
		return false;
	end = end - runs->slot > RUN_SLOTS ? runs->slot + RUN_SLOTS : end;
	const struct table_slot *slots = table_slots(runs->table);
	struct entry *entries = check_alloc(end - runs->slot, sizeof *entries);
	size_t count = 0;
	for (; runs->slot < end; runs->slot++) {
		const uint8_t *place = atomic_load_explicit(&slots[runs->slot].place, memory_order_acquire);
		if (place == NULL)
			continue;
		struct redo_op op = table_operation(place);
		if (runs->database == TABLE_RUNS_ALL || runs->database == op.database)
			entries[count++] = entry_of(place, &op);
	}
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

static void heap_build(struct table_runs *runs) {
	runs->heap_size = 0;
	for (size_t i = 0; i < runs->run_count; i++)
		if (runs->runs[i].at < runs->runs[i].count)
			runs->heap[runs->heap_size++] = i;
	for (size_t i = runs->heap_size; i-- > 0;)
		heap_sink(runs, i);
}

void table_runs_start(struct table_runs *runs) {
	check(runs->slot == table_slot_count(runs->table) && runs->sorted_count == runs->run_count);
	runs->heap = check_alloc(runs->run_count + 1, sizeof *runs->heap);
	heap_build(runs);
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

void table_runs_mark(struct table_runs *runs) {
	for (size_t i = 0; i < runs->run_count; i++)
		runs->runs[i].marked = runs->runs[i].at;
}

void table_runs_rewind(struct table_runs *runs) {
	for (size_t i = 0; i < runs->run_count; i++)
		runs->runs[i].at = runs->runs[i].marked;
	heap_build(runs);
}

uint64_t table_runs_bytes(const struct table_runs *runs) {
	return runs == NULL ? 0 : runs->bytes;
}
