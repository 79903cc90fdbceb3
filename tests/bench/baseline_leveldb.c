/* Baseline: one LevelDB write a message, and no code of sofun. A count for each 16-byte id is kept in memory; each message
 * puts the new one, as MessagePack, into LevelDB.
 *
 *   baseline_leveldb DIR IDS sync|unsynced|get
 *
 * get: each message reads its id's row instead. DIR is made. Says "ready" when every id has been put once (unsynced); then each line N on stdin is a round of N
 * messages, answered with "SECONDS P50_US P99_US": its time, and latencies of its puts. */
#include <leveldb/c.h>
#include <msgpack.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ID_BYTES = 16,
	WRITE_BUFFER_BYTES = 16 << 20, /* the default of 4 MiB stalls writers for seconds */
	BLOOM_BITS = 10,
};

static leveldb_t *database;
static leveldb_writeoptions_t *write_options;
static int64_t *counts;
static msgpack_sbuffer packed;

static uint64_t mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void id_write(uint64_t index, char *id) {
	for (int i = ID_BYTES - 1; i >= 0; i--) {
		id[i] = "0123456789abcdef"[index & 15];
		index >>= 4;
	}
}

static uint64_t now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fail(const char *what) {
	fprintf(stderr, "baseline_leveldb: %s\n", what);
	exit(1);
}

static leveldb_readoptions_t *read_options;

static void look(uint64_t index) {
	char id[ID_BYTES];
	char *problem = NULL;
	size_t size;
	id_write(index, id);
	char *row = leveldb_get(database, read_options, id, ID_BYTES, &size, &problem);
	if (problem != NULL || row == NULL)
		fail("a row is missing");
	leveldb_free(row);
}

static void count(uint64_t index) {
	char id[ID_BYTES];
	char *problem = NULL;
	msgpack_packer packer;
	id_write(index, id);
	msgpack_sbuffer_clear(&packed);
	msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
	if (msgpack_pack_int64(&packer, ++counts[index]) != 0)
		fail("out of memory");
	leveldb_put(database, write_options, id, ID_BYTES, packed.data, packed.size, &problem);
	if (problem != NULL)
		fail(problem);
}

static int order(const void *a, const void *b) {
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static void round_run(uint64_t messages, uint64_t ids, uint64_t *random, void (*handle)(uint64_t index)) {
	uint64_t *latencies = calloc(messages + 1, sizeof *latencies);
	if (latencies == NULL)
		fail("out of memory");
	const uint64_t start = now_ns();
	uint64_t before = start;
	for (uint64_t i = 0; i < messages; i++) {
		handle(((mix((*random)++) >> 32) * ids) >> 32);
		const uint64_t after = now_ns();
		latencies[i] = after - before;
		before = after;
	}
	qsort(latencies, messages, sizeof *latencies, order);
	printf("%.9f %.3f %.3f\n", (double)(before - start) / 1e9, (double)latencies[messages / 2] / 1e3,
		(double)latencies[messages - messages / 100 - (messages > 0)] / 1e3);
	fflush(stdout);
	free(latencies);
}

static void database_open(const char *directory) {
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
}

int main(int argc, char **argv) {
	const uint64_t ids = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
	if (ids == 0 || ids > UINT32_MAX ||
		(strcmp(argv[3], "sync") != 0 && strcmp(argv[3], "unsynced") != 0 && strcmp(argv[3], "get") != 0)) {
		fputs("usage: baseline_leveldb DIR IDS sync|unsynced|get\n", stderr);
		return 2;
	}
	database_open(argv[1]);
	counts = calloc(ids, sizeof *counts);
	if (counts == NULL)
		fail("out of memory");
	msgpack_sbuffer_init(&packed);
	for (uint64_t i = 0; i < ids; i++)
		count(i);
	leveldb_writeoptions_set_sync(write_options, strcmp(argv[3], "sync") == 0);
	puts("ready");
	fflush(stdout);
	unsigned long long messages;
	uint64_t random = 1;
	while (scanf("%llu", &messages) == 1)
		round_run(messages, ids, &random, strcmp(argv[3], "get") == 0 ? look : count);
	leveldb_close(database);
	return 0;
}
