/* Which of many databases are open: all together within one budget, the ones used longest ago closed first (rule 18).
 * For leveldb.c; no other code should include this file. Knows nothing of LevelDB. [any thread] */
#ifndef HOST_STATE_LEVELDB_POOL_H
#define HOST_STATE_LEVELDB_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	/* LevelDB holds two of them while one is being flushed. A smaller one stalls writers for seconds. */
	WRITE_BUFFER_BYTES = 16 * 1024 * 1024,
	/* What a database costs that is open and flushed, about. */
	POOL_IDLE_BYTES = 512 * 1024,
};

struct pool;

/* A database that may be open or not. Its owner has it as a member. */
struct pooled {
	struct pool *pool;
	/* Guarded by the pool's mutex. */
	void *handle;     /* NULL: closed */
	unsigned pins;    /* calls and cursors that use the handle */
	bool busy;        /* being opened or closed by some thread */
	bool broken;      /* a write failed: it must be opened again before the next */
	uint64_t used;    /* when, in the pool's turns */
	size_t unflushed; /* bytes written since the last flush */
	struct pooled *next;
};

struct pool {
	size_t budget;
	/* Both are called without the mutex. first: no row written by this process is in a log only. */
	void *(*open)(struct pooled *pooled, bool create, bool first, struct error *error);
	void (*close)(void *handle);
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* some database's pins or busy */
	uint64_t turn;
	struct pooled *all;
};

void pool_init(struct pool *pool, size_t budget);
void pool_finish(struct pool *pool); /* REQUIRES: empty */

/* Opens it for the first time and takes it in; false: it is not taken in. */
bool pool_add(struct pool *pool, struct pooled *pooled, bool create, struct error *error);
void pool_remove(struct pooled *pooled); /* REQUIRES: no pins */

/* The handle, open until unpin; NULL if it does not open. */
void *pool_pin(struct pooled *pooled, struct error *error);
void pool_unpin(struct pooled *pooled);

/* How much must be written again when it is opened again; 0: it is not broken. */
uint64_t pool_broken_bytes(struct pooled *pooled);
/* Opens a broken one again, once nobody uses it. */
bool pool_mend(struct pooled *pooled, struct error *error);

void pool_written(struct pooled *pooled, size_t bytes, bool failed);
void pool_flushed(struct pooled *pooled);

#endif
