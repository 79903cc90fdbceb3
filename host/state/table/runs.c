/* See runs.h. An entry carries eight bytes of its key as a number, from where the keys begin to differ, so that most
 * comparisons touch no key, and a run is sorted by that number digit by digit. Keys and operations lie anywhere in memory:
 * each is asked for some entries before it is read. */
#include "state/table/runs.h"

#include <stdlib.h>

#include "base/check.h"

enum {
	/* Slots looked at for one run: some 3 ms of collecting and 3 ms of sorting, the longest that a step may take. */
	RUN_SLOTS = 131072,
	AHEAD = 16,     /* entries between asking for a key and reading it */
	NEXT_AHEAD = 2, /* the same while merging, in each run */
	DIGIT_BITS = 8,
	DIGITS = 256,
};

struct entry {
	uint64_t order; /* eight bytes of the key, big-endian, zeros behind its end */
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
	size_t slot;         /* next to collect */
	struct bytes common; /* how all keys begin; a view of one of them */
	struct run *runs;
	size_t run_count;
	size_t sorted_count;
	size_t *heap; /* indices of runs that are not at their end; the least entry's run first */
	size_t heap_size;
	uint64_t bytes;
};

static struct bytes entry_key(const struct entry *entry) {
	return table_operation(entry->place).key;
}

static uint64_t key_order(struct bytes key, size_t from) {
	uint64_t order = 0;
	if (key.size >= from + sizeof order) {
		memcpy(&order, key.data + from, sizeof order);
		return __builtin_bswap64(order);
	}
	for (size_t i = from; i < from + sizeof order; i++)
		order = order << 8 | (i < key.size ? key.data[i] : 0);
	return order;
}

static int entry_compare(const void *left, const void *right) {
	const struct entry *a = left;
	const struct entry *b = right;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return bytes_compare(entry_key(a), entry_key(b));
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

/* Shortens what all keys begin with to what this one does, too. */
static void common_take(struct table_runs *runs, struct bytes key, bool first) {
	if (first)
		runs->common = key;
	size_t limit = runs->common.size < key.size ? runs->common.size : key.size;
	if (limit == runs->common.size && memcmp(key.data, runs->common.data, limit) == 0)
		return;
	size_t same = 0;
	while (same < limit && key.data[same] == runs->common.data[same])
		same++;
	runs->common.size = same;
}

static size_t places_collect(
	const struct table_runs *runs, const struct table_slot *slots, size_t count, struct entry *entries) {
	const bool all = runs->from.size == 0;
	const uint8_t kind = all ? 0 : runs->from.data[0];
	size_t collected = 0;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *place = atomic_load_explicit(&slots[i].place, memory_order_acquire);
		if (place != NULL && (all || table_slot_kind(&slots[i]) == kind))
			entries[collected++].place = place;
	}
	return collected;
}

static void entry_ask(const struct entry *entries, size_t count, size_t i) {
	if (i + AHEAD < count)
		__builtin_prefetch(entries[i + AHEAD].place);
}

/* Leaves those whose key is wanted. */
static size_t entries_choose(struct table_runs *runs, struct entry *entries, size_t count) {
	size_t chosen = 0;
	for (size_t i = 0; i < count; i++) {
		entry_ask(entries, count, i);
		struct bytes key = entry_key(&entries[i]);
		if (bytes_compare(key, runs->from) < 0)
			continue;
		common_take(runs, key, runs->run_count == 0 && chosen == 0);
		entries[chosen++].place = entries[i].place;
	}
	return chosen;
}

bool table_runs_collect(struct table_runs *runs) {
	size_t end;
	const struct table_slot *slots = table_slots(runs->table, runs->database, &end);
	if (runs->slot == end)
		return false;
	size_t slot_count = end - runs->slot > RUN_SLOTS ? RUN_SLOTS : end - runs->slot;
	struct entry *entries = check_alloc(slot_count, sizeof *entries);
	size_t count = places_collect(runs, slots + runs->slot, slot_count, entries);
	count = entries_choose(runs, entries, count);
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

static void digit_sort(const struct entry *from, struct entry *to, size_t count, unsigned shift) {
	size_t starts[DIGITS] = {0};
	for (size_t i = 0; i < count; i++)
		starts[from[i].order >> shift & (DIGITS - 1)]++;
	size_t start = 0;
	for (size_t digit = 0; digit < DIGITS; digit++) {
		size_t those = starts[digit];
		starts[digit] = start;
		start += those;
	}
	for (size_t i = 0; i < count; i++)
		to[starts[from[i].order >> shift & (DIGITS - 1)]++] = from[i];
}

/* By `order`, least digit first; digits in which all are alike are passed over. */
static void run_sort_order(struct run *run) {
	uint64_t differ = 0;
	for (size_t i = 1; i < run->count; i++)
		differ |= run->entries[i].order ^ run->entries[0].order;
	struct entry *spare = check_alloc(run->count, sizeof *spare);
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
		if ((differ >> shift & (DIGITS - 1)) == 0)
			continue;
		digit_sort(run->entries, spare, run->count, shift);
		struct entry *sorted = spare;
		spare = run->entries;
		run->entries = sorted;
	}
	free(spare);
}

/* Entries of one order, which stand together, by their keys. */
static void run_sort_rest(struct run *run) {
	for (size_t i = 0; i < run->count;) {
		size_t end = i + 1;
		while (end < run->count && run->entries[end].order == run->entries[i].order)
			end++;
		if (end - i > 1)
			qsort(run->entries + i, end - i, sizeof *run->entries, entry_compare);
		i = end;
	}
}

bool table_runs_sort(struct table_runs *runs) {
	if (runs->sorted_count == runs->run_count)
		return false;
	struct run *run = &runs->runs[runs->sorted_count++];
	for (size_t i = 0; i < run->count; i++) {
		entry_ask(run->entries, run->count, i);
		run->entries[i].order = key_order(entry_key(&run->entries[i]), runs->common.size);
	}
	run_sort_order(run);
	run_sort_rest(run);
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

/* The runs that are not at their end, by where they stand. */
static void heap_build(struct table_runs *runs) {
	check(runs->sorted_count == runs->run_count);
	if (runs->heap == NULL)
		runs->heap = check_alloc(runs->run_count + 1, sizeof *runs->heap);
	runs->heap_size = 0;
	for (size_t i = 0; i < runs->run_count; i++)
		if (runs->runs[i].at < runs->runs[i].count)
			runs->heap[runs->heap_size++] = i;
	for (size_t i = runs->heap_size; i-- > 0;)
		heap_sink(runs, i);
}

void table_runs_start(struct table_runs *runs) {
	for (size_t i = 0; i < runs->run_count; i++)
		runs->runs[i].at = 0;
	heap_build(runs);
}

static size_t run_find(const struct run *run, struct bytes key) {
	size_t low = 0;
	for (size_t high = run->count; low < high;) {
		const size_t middle = low + (high - low) / 2;
		if (bytes_compare(entry_key(&run->entries[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void table_runs_seek(struct table_runs *runs, struct bytes key) {
	for (size_t i = 0; i < runs->run_count; i++)
		runs->runs[i].at = run_find(&runs->runs[i], key);
	heap_build(runs);
}

bool table_runs_peek(const struct table_runs *runs, struct redo_op *ret_op) {
	if (runs->heap_size == 0)
		return false;
	*ret_op = table_operation(run_front(runs, runs->heap[0])->place);
	ret_op->database = runs->database;
	return true;
}

void table_runs_next(struct table_runs *runs) {
	check(runs->heap_size > 0);
	struct run *run = &runs->runs[runs->heap[0]];
	if (run->at + NEXT_AHEAD < run->count)
		__builtin_prefetch(run->entries[run->at + NEXT_AHEAD].place);
	if (++run->at == run->count)
		runs->heap[0] = runs->heap[--runs->heap_size];
	heap_sink(runs, 0);
}

uint64_t table_runs_bytes(const struct table_runs *runs) {
	return runs == NULL ? 0 : runs->bytes;
}
