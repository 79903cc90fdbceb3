/* Baseline: timers without any code of sofun. Each is of a 16-byte id, has a due time, and carries a message; it can be
 * cancelled by its id, and when it is due it is taken off and its message counted.
 *
 *   baseline_timers DIR PENDING heap|leveldb
 *
 * heap: a binary heap and a hash table in memory, nothing is kept. leveldb: two rows in the database DIR, one by due time with
 * the message and one by id with the due time; one unsynced write a timer set, cancelled or taken off. Says "ready" when
 * PENDING timers stand, at ten times; then each line on stdin is a round, answered with "SECONDS 0 0":
 *
 *   set N      N new ones, due after all others
 *   cancel N   the N that were set last
 *   fire N     the N that are due first */
#include <leveldb/c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ID_BYTES = 16,
	PLACE_BYTES = 16, /* due time, serial number; big endian, so that keys are in order */
	MESSAGE_BYTES = 84,
	ROW_BYTES = ID_BYTES + MESSAGE_BYTES,
	TIMES = 10,
	COUNTERS = 1000, /* that messages go to */
	WRITE_BUFFER_BYTES = 16 << 20,
	BLOOM_BITS = 10,
};

struct keeper {
	void (*set)(uint64_t serial, uint64_t due);
	void (*cancel)(uint64_t serial);
	void (*fire)(uint64_t count);
};

static uint64_t next_serial;
static uint64_t last_due;
static uint64_t counters[COUNTERS];
static const char message[MESSAGE_BYTES] = "what is said when the time has come";

static void fail(const char *what) {
	fprintf(stderr, "baseline_timers: %s\n", what);
	exit(1);
}

static void *allocate(void *old, size_t size) {
	void *memory = realloc(old, size);
	if (memory == NULL)
		fail("out of memory");
	return memory;
}

static uint64_t mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The id of the timer that was set as the serial-th: spread, and different from all others. */
static void id_write(uint64_t serial, char *id) {
	uint64_t number = mix(serial);
	for (int i = ID_BYTES - 1; i >= 0; i--) {
		id[i] = "0123456789abcdef"[number & 15];
		number >>= 4;
	}
}

static void message_count(const char *id) {
	uint64_t number;
	memcpy(&number, id, sizeof number);
	counters[mix(number) % COUNTERS]++;
}

/* ---- in memory ---- */

struct timer {
	uint64_t due, serial;
	size_t place;       /* in the heap */
	struct timer *next; /* in its bucket */
	char id[ID_BYTES];
	char message[MESSAGE_BYTES];
};

static struct timer **heap, **buckets;
static size_t heap_count, heap_room, bucket_count;

static bool timer_before(const struct timer *a, const struct timer *b) {
	return a->due != b->due ? a->due < b->due : a->serial < b->serial;
}

static void heap_put(size_t place, struct timer *timer) {
	heap[place] = timer;
	timer->place = place;
}

static void heap_rise(size_t place, struct timer *timer) {
	for (; place > 0 && timer_before(timer, heap[(place - 1) / 2]); place = (place - 1) / 2)
		heap_put(place, heap[(place - 1) / 2]);
	heap_put(place, timer);
}

static void heap_sink(size_t place, struct timer *timer) {
	for (size_t child; (child = 2 * place + 1) < heap_count; place = child) {
		if (child + 1 < heap_count && timer_before(heap[child + 1], heap[child]))
			child++;
		if (!timer_before(heap[child], timer))
			break;
		heap_put(place, heap[child]);
	}
	heap_put(place, timer);
}

static struct timer **bucket_of(const char *id) {
	uint64_t halves[2];
	memcpy(halves, id, sizeof halves);
	return &buckets[mix(halves[0] ^ mix(halves[1])) & (bucket_count - 1)];
}

static void heap_set(uint64_t serial, uint64_t due) {
	struct timer *timer = allocate(NULL, sizeof *timer);
	*timer = (struct timer){.due = due, .serial = serial};
	id_write(serial, timer->id);
	memcpy(timer->message, message, MESSAGE_BYTES);
	struct timer **bucket = bucket_of(timer->id);
	timer->next = *bucket;
	*bucket = timer;
	if (heap_count == heap_room)
		heap = allocate(heap, (heap_room = heap_room == 0 ? 1024 : heap_room * 2) * sizeof(struct timer *));
	heap_rise(heap_count++, timer);
}

static void heap_remove(struct timer *timer) {
	struct timer **link = bucket_of(timer->id);
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	struct timer *last = heap[--heap_count];
	if (last != timer) {
		heap_sink(timer->place, last);
		heap_rise(last->place, last);
	}
	free(timer);
}

static void heap_cancel(uint64_t serial) {
	char id[ID_BYTES];
	id_write(serial, id);
	struct timer *timer = *bucket_of(id);
	while (timer != NULL && memcmp(timer->id, id, ID_BYTES) != 0)
		timer = timer->next;
	if (timer == NULL)
		fail("a timer is missing");
	heap_remove(timer);
}

static void heap_fire(uint64_t count) {
	for (; count > 0; count--) {
		if (heap_count == 0)
			fail("no timer is left");
		message_count(heap[0]->id);
		heap_remove(heap[0]);
	}
}

/* Room for twice as many as stand at the start. */
static void heap_open(uint64_t pending) {
	for (bucket_count = 1024; bucket_count < 2 * pending;)
		bucket_count *= 2;
	buckets = calloc(bucket_count, sizeof(struct timer *));
	if (buckets == NULL)
		fail("out of memory");
}

/* ---- in LevelDB ---- */

static leveldb_t *database;
static leveldb_writeoptions_t *write_options;
static leveldb_readoptions_t *read_options;
static leveldb_writebatch_t *batch;

static void number_write(uint64_t number, char *at) {
	for (int i = 7; i >= 0; i--, number >>= 8)
		at[i] = (char)(number & 255);
}

static void batch_write(void) {
	char *problem = NULL;
	leveldb_write(database, write_options, batch, &problem);
	if (problem != NULL)
		fail(problem);
	leveldb_writebatch_clear(batch);
}

/* Keys: 'P' place, and 'N' id. */
static void rows_set(uint64_t serial, uint64_t due) {
	char place[1 + PLACE_BYTES] = "P", name[1 + ID_BYTES] = "N", row[ROW_BYTES];
	number_write(due, place + 1);
	number_write(serial, place + 9);
	id_write(serial, name + 1);
	memcpy(row, name + 1, ID_BYTES);
	memcpy(row + ID_BYTES, message, MESSAGE_BYTES);
	leveldb_writebatch_put(batch, place, sizeof place, row, sizeof row);
	leveldb_writebatch_put(batch, name, sizeof name, place + 1, PLACE_BYTES);
	batch_write();
}

static void rows_cancel(uint64_t serial) {
	char place[1 + PLACE_BYTES] = "P", name[1 + ID_BYTES] = "N", *problem = NULL;
	size_t size;
	id_write(serial, name + 1);
	char *found = leveldb_get(database, read_options, name, sizeof name, &size, &problem);
	if (problem != NULL || found == NULL || size != PLACE_BYTES)
		fail("a timer is missing");
	memcpy(place + 1, found, PLACE_BYTES);
	leveldb_free(found);
	leveldb_writebatch_delete(batch, place, sizeof place);
	leveldb_writebatch_delete(batch, name, sizeof name);
	batch_write();
}

static void rows_fire(uint64_t count) {
	leveldb_iterator_t *iterator = leveldb_create_iterator(database, read_options);
	leveldb_iter_seek(iterator, "P", 1);
	for (; count > 0; count--, leveldb_iter_next(iterator)) {
		char name[1 + ID_BYTES] = "N";
		size_t key_size = 0, size = 0;
		const char *key = leveldb_iter_valid(iterator) ? leveldb_iter_key(iterator, &key_size) : NULL;
		const char *row = key == NULL ? NULL : leveldb_iter_value(iterator, &size);
		if (row == NULL || key[0] != 'P' || size != ROW_BYTES)
			fail("no timer is left");
		memcpy(name + 1, row, ID_BYTES);
		message_count(row);
		leveldb_writebatch_delete(batch, key, key_size);
		leveldb_writebatch_delete(batch, name, sizeof name);
		batch_write();
	}
	leveldb_iter_destroy(iterator);
}

static void rows_open(const char *directory) {
	char *problem = NULL;
	leveldb_options_t *options = leveldb_options_create();
	leveldb_options_set_create_if_missing(options, 1);
	leveldb_options_set_write_buffer_size(options, WRITE_BUFFER_BYTES);
	leveldb_options_set_compression(options, leveldb_no_compression);
	leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(BLOOM_BITS));
	database = leveldb_open(options, directory, &problem);
	if (problem != NULL)
		fail(problem);
	write_options = leveldb_writeoptions_create();
	read_options = leveldb_readoptions_create();
	batch = leveldb_writebatch_create();
}

/* ---- rounds ---- */

static double seconds_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void round_run(const struct keeper *keeper, const char *what, uint64_t count) {
	if (strcmp(what, "set") == 0) {
		last_due++;
		for (uint64_t i = 0; i < count; i++)
			keeper->set(next_serial++, last_due);
	} else if (strcmp(what, "cancel") == 0) {
		for (uint64_t i = 0; i < count; i++)
			keeper->cancel(next_serial - count + i);
	} else if (strcmp(what, "fire") == 0) {
		keeper->fire(count);
	} else {
		fail("the words are set, cancel and fire");
	}
}

int main(int argc, char **argv) {
	static const struct keeper in_memory = {heap_set, heap_cancel, heap_fire},
							   in_rows = {rows_set, rows_cancel, rows_fire};
	if (argc != 4 || (strcmp(argv[3], "heap") != 0 && strcmp(argv[3], "leveldb") != 0)) {
		fputs("usage: baseline_timers DIR PENDING heap|leveldb\n", stderr);
		return 2;
	}
	const uint64_t pending = strtoull(argv[2], NULL, 10);
	const struct keeper *keeper = strcmp(argv[3], "heap") == 0 ? &in_memory : &in_rows;
	if (keeper == &in_memory)
		heap_open(pending);
	else
		rows_open(argv[1]);
	for (last_due = TIMES; next_serial < pending; next_serial++)
		keeper->set(next_serial, 1 + next_serial * TIMES / pending);
	puts("ready");
	fflush(stdout);
	char what[16];
	unsigned long long count;
	while (scanf("%15s %llu", what, &count) == 2) {
		const double start = seconds_now();
		round_run(keeper, what, count);
		printf("%.9f 0 0\n", seconds_now() - start);
		fflush(stdout);
	}
	if (database != NULL)
		leveldb_close(database);
	return 0;
}
