/* Egresses: what a checkpoint has written is in the logs, what came since in the tables; readers see both as one. */
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

enum {
	/* Records whose places are copied under the lock at a time. */
	RECORDS_AT_ONCE = 256,
};

/* Where the name stands in the sorted list, or should. [with egress_mutex] */
static size_t egress_place(const struct store *store, struct bytes name, bool *ret_found) {
	size_t low = 0;
	size_t high = store->egress_count;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = bytes_compare(bytes_buf(&store->egresses[middle]->name), name);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct egress *egress_find(struct store *store, struct bytes name) {
	bool found;
	size_t place = egress_place(store, name, &found);
	return found ? store->egresses[place] : NULL;
}

static struct egress *egress_add(struct store *store, struct bytes name) {
	bool found;
	size_t place = egress_place(store, name, &found);
	check(!found);
	if (store->egress_count == store->egress_capacity) {
		store->egress_capacity = store->egress_capacity == 0 ? 16 : store->egress_capacity * 2;
		store->egresses = realloc(store->egresses, store->egress_capacity * sizeof(struct egress *));
		check_memory(store->egresses);
	}
	struct egress *egress = check_alloc(1, sizeof *egress);
	buf_append_bytes(&egress->name, name);
	memmove(
		store->egresses + place + 1, store->egresses + place, (store->egress_count - place) * sizeof(struct egress *));
	store->egresses[place] = egress;
	store->egress_count++;
	return egress;
}

void egress_destroy(struct egress *egress) {
	egress_log_close(egress->log);
	buf_finish(&egress->name);
	free(egress->records);
	free(egress);
}

static uint64_t egress_end(const struct egress *egress) {
	return egress->first + egress->record_count;
}

static void record_add(struct egress *egress, const uint8_t *place) {
	if (egress->record_count == egress->record_capacity) {
		egress->record_capacity = egress->record_capacity == 0 ? 64 : egress->record_capacity * 2;
		egress->records = realloc(egress->records, egress->record_capacity * sizeof *egress->records);
		check_memory(egress->records);
	}
	egress->records[egress->record_count++] = place;
}

bool egress_take(void *arg, const uint8_t *place) {
	struct store *store = arg;
	const struct redo_op op = table_operation(place);
	pthread_mutex_lock(&store->egress_mutex);
	struct egress *egress = store->egress_last;
	if (egress == NULL || !bytes_equal(bytes_buf(&egress->name), op.key))
		egress = egress_find(store, op.key);
	if (egress == NULL)
		egress = egress_add(store, op.key);
	store->egress_last = egress;
	/* Less: replayed although the log has it already. More: something is missing. */
	bool good = op.offset <= egress_end(egress);
	if (op.offset == egress_end(egress)) {
		record_add(egress, place);
		egress->time_ms = store->taking_ms;
		store->egress_grown = true;
	}
	pthread_mutex_unlock(&store->egress_mutex);
	return good;
}

static struct egress_log *log_open(
	struct store *store, struct bytes name, const struct egress_row *row, struct error *error) {
	char *dir = path_of(store->dir, "egress", name);
	struct egress_log_options options = {
		.disk = store->disk, .dir = dir, .name = name, .segment_bytes = EGRESS_SEGMENT_BYTES};
	memcpy(options.store_id, store->id, STORE_ID_BYTES);
	struct egress_log *log = egress_log_open(&options, row, error);
	free(dir);
	return log;
}

bool egress_restore(struct store *store, struct bytes name, const struct egress_row *row, struct error *error) {
	struct egress *egress = egress_add(store, name);
	egress->log = log_open(store, name, row, error);
	egress->first = row->end;
	return egress->log != NULL;
}

bool egress_log_make(struct store *store, struct egress *egress, struct error *error) {
	struct egress_log *log = log_open(store, bytes_buf(&egress->name), &(struct egress_row){0}, error);
	if (log == NULL)
		return false;
	pthread_mutex_lock(&store->egress_mutex);
	egress->log = log;
	pthread_mutex_unlock(&store->egress_mutex);
	return true;
}

void egress_freeze(struct store *store) {
	for (size_t i = 0; i < store->egress_count; i++)
		store->egresses[i]->frozen_count = store->egresses[i]->record_count;
}

void egress_thaw(struct store *store) {
	for (size_t i = 0; i < store->egress_count; i++) {
		struct egress *egress = store->egresses[i];
		egress->record_count -= egress->frozen_count;
		if (egress->record_count > 0)
			memmove(egress->records, egress->records + egress->frozen_count,
				egress->record_count * sizeof *egress->records);
		egress->first += egress->frozen_count;
		egress->frozen_count = 0;
	}
}

void store_egress_watch(struct store *store, void (*grown)(void *arg), void *arg) {
	CHECK_OBJECT(store, STORE_MAGIC);
	store->egress_growth_arg = arg;
	store->egress_growth = grown;
}

void store_egress_hurry(struct store *store, bool hurry) {
	CHECK_OBJECT(store, STORE_MAGIC);
	atomic_store(&store->egress_hurry, hurry);
}

void egress_growth_tell(struct store *store) {
	if (!store->egress_grown)
		return;
	store->egress_grown = false;
	if (store->egress_growth != NULL)
		store->egress_growth(store->egress_growth_arg);
}

uint64_t store_egress_end(struct store *store, struct bytes name) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_mutex_lock(&store->egress_mutex);
	struct egress *egress = egress_find(store, name);
	uint64_t end = egress == NULL ? 0 : egress_end(egress);
	pthread_mutex_unlock(&store->egress_mutex);
	return end;
}

static uint64_t egress_start(const struct egress *egress) {
	return egress->log == NULL ? egress->first : egress_log_start(egress->log);
}

uint64_t store_egress_start(struct store *store, struct bytes name) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_mutex_lock(&store->egress_mutex);
	struct egress *egress = egress_find(store, name);
	uint64_t start = egress == NULL ? 0 : egress_start(egress);
	pthread_mutex_unlock(&store->egress_mutex);
	return start;
}

void store_egress_names(
	struct store *store, void (*each)(void *arg, struct bytes name, uint64_t start, uint64_t end), void *arg) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_mutex_lock(&store->egress_mutex);
	for (size_t i = 0; i < store->egress_count; i++)
		each(arg, bytes_buf(&store->egresses[i]->name), egress_start(store->egresses[i]),
			egress_end(store->egresses[i]));
	pthread_mutex_unlock(&store->egress_mutex);
}

/* ---- reading ---- */

struct reading {
	struct store *store;
	struct egress *egress;
	bool (*each)(void *arg, uint64_t offset, struct bytes record);
	void *arg;
	uint64_t next;
	bool stopped; /* each() returned false */
	/* Places of records from `next` on, and what keeps them alive. */
	const uint8_t *places[RECORDS_AT_ONCE];
	size_t count;
	struct table *tables[2];
};

static bool reading_each(void *arg, uint64_t offset, struct bytes record) {
	struct reading *reading = arg;
	reading->stopped = !reading->each(reading->arg, offset, record);
	return !reading->stopped;
}

/* Copies places, and keeps the tables; which tables there are does not change meanwhile. False: a checkpoint has just
 * moved the record to the log. */
static bool places_take(struct reading *reading) {
	struct store *store = reading->store;
	struct egress *egress = reading->egress;
	pthread_mutex_lock(&store->egress_mutex);
	reading->count = 0;
	bool here = reading->next >= egress->first;
	if (here)
		for (uint64_t i = reading->next - egress->first; i < egress->record_count && reading->count < RECORDS_AT_ONCE;
			 i++)
			reading->places[reading->count++] = egress->records[i];
	pthread_rwlock_rdlock(&store->readers);
	reading->tables[0] = store->active;
	reading->tables[1] = store->frozen;
	for (size_t i = 0; i < 2; i++)
		if (reading->tables[i] != NULL)
			table_reference(reading->tables[i]);
	pthread_rwlock_unlock(&store->readers);
	pthread_mutex_unlock(&store->egress_mutex);
	return here;
}

static void places_read(struct reading *reading) {
	for (size_t i = 0; i < reading->count && !reading->stopped; i++) {
		struct redo_op op = table_operation(reading->places[i]);
		check(op.offset == reading->next);
		reading->next++;
		reading_each(reading, op.offset, op.value);
	}
	for (size_t i = 0; i < 2; i++)
		table_release(reading->tables[i]);
}

/* Moves on by what the log has, else by what the tables have; *ret_moved: by anything. */
static bool reading_step(struct reading *reading, bool *ret_moved, struct error *error) {
	pthread_mutex_lock(&reading->store->egress_mutex);
	struct egress_log *log = reading->egress->log;
	uint64_t start = egress_start(reading->egress);
	pthread_mutex_unlock(&reading->store->egress_mutex);
	if (reading->next < start)
		reading->next = start;
	uint64_t before = reading->next;
	if (log != NULL && reading->next < egress_log_end(log)) {
		if (!egress_log_read(log, reading->next, reading_each, reading, &reading->next, error))
			return false;
		*ret_moved = true;
	} else {
		bool here = places_take(reading);
		places_read(reading);
		*ret_moved = !here || reading->next > before;
	}
	return true;
}

bool store_egress_read(struct store *store, struct bytes name, uint64_t from,
	bool (*each)(void *arg, uint64_t offset, struct bytes record), void *arg, uint64_t *ret_next, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	struct reading reading = {.store = store, .each = each, .arg = arg, .next = from};
	pthread_mutex_lock(&store->egress_mutex);
	reading.egress = egress_find(store, name); /* never removed */
	pthread_mutex_unlock(&store->egress_mutex);
	bool good = true;
	for (bool moved = reading.egress != NULL; good && moved && !reading.stopped;)
		good = reading_step(&reading, &moved, error);
	*ret_next = reading.next;
	return good;
}
