/* Baseline: work on a pool of threads without any code of sofun. One thread asks for work for 16-byte ids, the pool does it, which is
 * nothing, and hands it back; the first thread counts it by id.
 *
 *   baseline_operations DIR THREADS memory|leveldb
 *
 * memory: a queue each way under one lock, nothing is kept. leveldb: besides, a row in the database DIR for what is under way,
 * put when it is asked for and removed when it is counted, one unsynced write each. Says "ready"; then each line on stdin
 * "work N" is a round of N, answered with "SECONDS 0 0". */
#include <leveldb/c.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_BYTES = 16, IDS = 1000, THREADS_MAX = 64, KEY_BYTES = 9, AHEAD_MAX = 50000 };

struct job {
	struct job *next;
	uint64_t serial;
	char id[ID_BYTES];
};

struct queue {
	struct job *first;
	struct job **last;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked_more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t done_more = PTHREAD_COND_INITIALIZER;
static struct queue asked = {NULL, &asked.first};
static struct queue done = {NULL, &done.first};
static uint64_t counts[IDS];
static leveldb_t *database;
static leveldb_writeoptions_t *write_options;

static void fail(const char *what) {
	fprintf(stderr, "baseline_operations: %s\n", what);
	exit(1);
}

static void queue_put(struct queue *queue, struct job *job) {
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_take(struct queue *queue) {
	struct job *job = queue->first;
	if (job != NULL && (queue->first = job->next) == NULL)
		queue->last = &queue->first;
	return job;
}

/* ---- rows ---- */

static void key_write(uint64_t serial, char key[KEY_BYTES]) {
	key[0] = 'O';
	for (int i = KEY_BYTES - 1; i > 0; i--, serial >>= 8)
		key[i] = (char)(serial & 255);
}

static void row_put(const struct job *job) {
	char key[KEY_BYTES], *problem = NULL;
	key_write(job->serial, key);
	leveldb_put(database, write_options, key, sizeof key, job->id, sizeof job->id, &problem);
	if (problem != NULL)
		fail(problem);
}

static void row_remove(const struct job *job) {
	char key[KEY_BYTES], *problem = NULL;
	key_write(job->serial, key);
	leveldb_delete(database, write_options, key, sizeof key, &problem);
	if (problem != NULL)
		fail(problem);
}

static void rows_open(const char *directory) {
	char *problem = NULL;
	leveldb_options_t *options = leveldb_options_create();
	leveldb_options_set_create_if_missing(options, 1);
	leveldb_options_set_write_buffer_size(options, 16 << 20);
	leveldb_options_set_compression(options, leveldb_no_compression);
	database = leveldb_open(options, directory, &problem);
	if (problem != NULL)
		fail(problem);
	write_options = leveldb_writeoptions_create();
}

/* ---- the pool ---- */

static void *pool_run(void *arg) {
	(void)arg;
	pthread_mutex_lock(&mutex);
	for (;;) {
		struct job *job = queue_take(&asked);
		if (job == NULL) {
			pthread_cond_wait(&asked_more, &mutex);
			continue;
		}
		pthread_mutex_unlock(&mutex);
		/* here the work would be done */
		pthread_mutex_lock(&mutex);
		queue_put(&done, job);
		pthread_cond_signal(&done_more);
	}
	return NULL;
}

/* ---- rounds ---- */

static void ask(uint64_t serial) {
	struct job *job = calloc(1, sizeof *job);
	if (job == NULL)
		fail("out of memory");
	job->serial = serial;
	snprintf(job->id, sizeof job->id, "%015llu", (unsigned long long)(serial % IDS));
	if (database != NULL)
		row_put(job);
	pthread_mutex_lock(&mutex);
	queue_put(&asked, job);
	pthread_cond_signal(&asked_more);
	pthread_mutex_unlock(&mutex);
}

/* One that is done; with wait, not before one is. */
static bool count(bool wait) {
	pthread_mutex_lock(&mutex);
	struct job *job = queue_take(&done);
	while (job == NULL && wait) {
		pthread_cond_wait(&done_more, &mutex);
		job = queue_take(&done);
	}
	pthread_mutex_unlock(&mutex);
	if (job == NULL)
		return false;
	if (database != NULL)
		row_remove(job);
	counts[strtoull(job->id, NULL, 10)]++;
	free(job);
	return true;
}

static void round_run(uint64_t work) {
	static uint64_t serial;
	uint64_t counted = 0;
	for (uint64_t started = 0; started < work; started++) {
		ask(serial++);
		while (count(started + 1 - counted >= AHEAD_MAX))
			counted++;
	}
	while (counted < work)
		counted += count(true) ? 1 : 0;
}

static double seconds_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	if (argc != 4 || (strcmp(argv[3], "memory") != 0 && strcmp(argv[3], "leveldb") != 0)) {
		fputs("usage: baseline_operations DIR THREADS memory|leveldb\n", stderr);
		return 2;
	}
	const unsigned long threads = strtoul(argv[2], NULL, 10);
	if (strcmp(argv[3], "leveldb") == 0)
		rows_open(argv[1]);
	for (unsigned long i = 0; i < threads && i < THREADS_MAX; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, pool_run, NULL) != 0)
			fail("no thread");
	}
	puts("ready");
	fflush(stdout);
	char what[16];
	unsigned long long work;
	while (scanf("%15s %llu", what, &work) == 2) {
		const double start = seconds_now();
		round_run(work);
		printf("%.9f 0 0\n", seconds_now() - start);
		fflush(stdout);
	}
	if (database != NULL)
		leveldb_close(database);
	return 0; /* the pool's threads end with the process */
}
