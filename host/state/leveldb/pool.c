#include "state/leveldb/pool.h"

#include "base/check.h"

enum {
	/* Room that opening a database needs beside its unflushed rows: a manifest, a log. */
	REOPEN_BYTES = 1024 * 1024,
};

void pool_init(struct pool *pool, size_t budget) {
	pool->budget = budget;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->changed, NULL);
}

void pool_finish(struct pool *pool) {
	check(pool->all == NULL);
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->changed);
}

static size_t pooled_charge(const struct pooled *pooled) {
	size_t most = 2 * (size_t)WRITE_BUFFER_BYTES;
	size_t rows = pooled->unflushed > most ? most : pooled->unflushed;
	return pooled->handle == NULL ? 0 : POOL_IDLE_BYTES + rows;
}

/* [mutex] Lets the mutex go meanwhile. */
static void pooled_shut(struct pooled *pooled) {
	struct pool *pool = pooled->pool;
	void *handle = pooled->handle;
	pooled->busy = true;
	pooled->handle = NULL;
	pthread_mutex_unlock(&pool->mutex);
	pool->close(handle);
	pthread_mutex_lock(&pool->mutex);
	pooled->busy = false;
	pthread_cond_broadcast(&pool->changed);
}

/* [mutex] The idle one that was used longest ago, if all together are over the budget. */
static struct pooled *pool_surplus(const struct pool *pool, size_t wanted, const struct pooled *keep) {
	size_t charge = wanted;
	struct pooled *oldest = NULL;
	for (struct pooled *pooled = pool->all; pooled != NULL; pooled = pooled->next) {
		charge += pooled_charge(pooled);
		bool idle = pooled->handle != NULL && pooled->pins == 0 && !pooled->busy && pooled != keep;
		if (idle && (oldest == NULL || pooled->used < oldest->used))
			oldest = pooled;
	}
	return charge > pool->budget ? oldest : NULL;
}

/* [mutex] Lets the mutex go meanwhile. */
static void pool_make_room(struct pool *pool, size_t wanted, const struct pooled *keep) {
	struct pooled *pooled;
	while ((pooled = pool_surplus(pool, wanted, keep)) != NULL)
		pooled_shut(pooled);
}

/* [mutex] REQUIRES closed and not busy. Lets the mutex go meanwhile. */
static bool pooled_open(struct pooled *pooled, bool create, struct error *error) {
	struct pool *pool = pooled->pool;
	pooled->busy = true;
	pool_make_room(pool, POOL_IDLE_BYTES, pooled);
	bool first = pooled->unflushed == 0;
	pthread_mutex_unlock(&pool->mutex);
	void *handle = pool->open(pooled, create, first, error);
	pthread_mutex_lock(&pool->mutex);
	pooled->handle = handle;
	pooled->busy = false;
	pooled->broken = pooled->broken && handle == NULL;
	pooled->used = ++pool->turn;
	pthread_cond_broadcast(&pool->changed);
	return handle != NULL;
}

/* [mutex] */
static void pooled_unlink(struct pooled *pooled) {
	struct pooled **link = &pooled->pool->all;
	while (*link != pooled)
		link = &(*link)->next;
	*link = pooled->next;
}

bool pool_add(struct pool *pool, struct pooled *pooled, bool create, struct error *error) {
	pooled->pool = pool;
	pthread_mutex_lock(&pool->mutex);
	pooled->next = pool->all;
	pool->all = pooled;
	bool good = pooled_open(pooled, create, error);
	if (!good)
		pooled_unlink(pooled);
	pthread_mutex_unlock(&pool->mutex);
	return good;
}

void pool_remove(struct pooled *pooled) {
	struct pool *pool = pooled->pool;
	pthread_mutex_lock(&pool->mutex);
	while (pooled->busy)
		pthread_cond_wait(&pool->changed, &pool->mutex);
	check(pooled->pins == 0);
	pooled_unlink(pooled);
	pthread_mutex_unlock(&pool->mutex);
	if (pooled->handle != NULL)
		pool->close(pooled->handle);
}

void *pool_pin(struct pooled *pooled, struct error *error) {
	struct pool *pool = pooled->pool;
	pthread_mutex_lock(&pool->mutex);
	while (pooled->busy)
		pthread_cond_wait(&pool->changed, &pool->mutex);
	void *handle = NULL;
	if (pooled->handle != NULL || pooled_open(pooled, false, error)) {
		handle = pooled->handle;
		pooled->pins++;
		pooled->used = ++pool->turn;
	}
	pthread_mutex_unlock(&pool->mutex);
	return handle;
}

void pool_unpin(struct pooled *pooled) {
	struct pool *pool = pooled->pool;
	pthread_mutex_lock(&pool->mutex);
	check(pooled->pins > 0);
	if (--pooled->pins == 0)
		pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->mutex);
}

uint64_t pool_broken_bytes(struct pooled *pooled) {
	pthread_mutex_lock(&pooled->pool->mutex);
	uint64_t bytes = pooled->broken ? pooled->unflushed + REOPEN_BYTES : 0;
	pthread_mutex_unlock(&pooled->pool->mutex);
	return bytes;
}

bool pool_mend(struct pooled *pooled, struct error *error) {
	struct pool *pool = pooled->pool;
	pthread_mutex_lock(&pool->mutex);
	while (pooled->busy || pooled->pins > 0)
		pthread_cond_wait(&pool->changed, &pool->mutex);
	if (pooled->handle != NULL)
		pooled_shut(pooled);
	while (pooled->busy) /* somebody who waited opens it */
		pthread_cond_wait(&pool->changed, &pool->mutex);
	bool good = pooled->handle != NULL || pooled_open(pooled, false, error);
	pthread_mutex_unlock(&pool->mutex);
	return good;
}

void pool_written(struct pooled *pooled, size_t bytes, bool failed) {
	struct pool *pool = pooled->pool;
	pthread_mutex_lock(&pool->mutex);
	pooled->unflushed += bytes;
	pooled->broken = pooled->broken || failed;
	pool_make_room(pool, 0, pooled);
	pthread_mutex_unlock(&pool->mutex);
}

/* After a failed write the flush has not happened, and the logs are all there is. */
void pool_flushed(struct pooled *pooled) {
	pthread_mutex_lock(&pooled->pool->mutex);
	if (!pooled->broken)
		pooled->unflushed = 0;
	pthread_mutex_unlock(&pooled->pool->mutex);
}
