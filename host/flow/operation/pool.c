#include "flow/operation/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "flow/operation/operations.h"
#include "flow/shard.h"
#include "plugin/image.h"
#include "sofun/operation.h"
#include "supervisor/fault.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { UNREAD_LOOK_NS = 1000000 }; /* how soon to look again whether the first one's row can be read */

/* ---- jobs ---- */

struct job *job_create(uint64_t id, uint64_t row_epoch, const struct message_head *asked) {
	struct job *job = check_alloc(1, sizeof *job);
	job->id = id;
	job->row_epoch = row_epoch;
	if (asked != NULL)
		buf_append(&job->asked, asked, asked->size);
	return job;
}

void job_free(struct job *job) {
	buf_finish(&job->asked);
	free(job);
}

void jobs_free(struct job *job) {
	while (job != NULL) {
		struct job *next = job->next;
		job_free(job);
		job = next;
	}
}

void work_pool_init(struct work_pool *pool, struct flow *flow, uint32_t threads) {
	check(threads >= 1 && threads <= OPERATION_THREADS_MAX);
	pool->flow = flow;
	pool->last = &pool->first;
	pool->slot_count = threads;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->more, NULL);
	for (uint32_t i = 0; i < threads; i++) {
		pool->slots[i].pool = pool;
		pool->slots[i].note = note_of(NOTE_PLACE_POOL + i);
		atomic_init(&pool->slots[i].generation, UINT64_MAX);
	}
}

void work_pool_finish(struct work_pool *pool) {
	jobs_free(pool->first);
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->mutex);
}

void work_pool_submit(struct work_pool *pool, struct job *jobs) {
	if (jobs == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	*pool->last = jobs;
	for (; jobs != NULL; jobs = jobs->next) {
		pool->last = &jobs->next;
		pool->queued++;
	}
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->mutex);
}

static bool job_ready(const struct work_pool *pool, const struct job *job) {
	return job->asked.size > 0 || store_applied(pool->flow->store) >= job->row_epoch;
}

/* REQUIRES the mutex. */
static struct job *job_next(struct work_pool *pool) {
	struct job *job = pool->first;
	if (job == NULL || atomic_load(&pool->stopping) || !job_ready(pool, job))
		return NULL;
	pool->first = job->next;
	if (pool->first == NULL)
		pool->last = &pool->first;
	pool->queued--;
	job->next = NULL;
	return job;
}

struct job *work_pool_take(struct work_pool *pool) {
	pthread_mutex_lock(&pool->mutex);
	struct job *job = job_next(pool);
	pthread_mutex_unlock(&pool->mutex);
	return job;
}

/* ---- one call of work ---- */

struct call {
	sofun_work work; /* first: what the plugin has */
	const struct work_pool *pool;
	struct buf result;
	struct buf failure;
};

static struct call *call_of(const sofun_work *work) {
	return (struct call *)(uintptr_t)work;
}

int operation_payload_check(const struct flow *flow, struct bytes payload) {
	if (payload.size > flow->config->message_bytes)
		return SOFUN_TOO_LARGE;
	switch (cursor_check(payload, flow->config->nesting)) {
	case CURSOR_GOOD:
		return SOFUN_OK;
	case CURSOR_DEEP:
		return SOFUN_TOO_DEEP;
	default:
		return SOFUN_BAD_ARGUMENT;
	}
}

static int work_result(sofun_work *work, sofun_bytes msgpack) {
	struct call *call = call_of(work);
	int status = operation_payload_check(call->pool->flow, bytes_of(msgpack.data, msgpack.size));
	if (status != SOFUN_OK)
		return status;
	buf_reset(&call->result);
	buf_append(&call->result, msgpack.data, msgpack.size);
	return SOFUN_OK;
}

void operation_failure_write(struct buf *failure, struct bytes text) {
	buf_reset(failure);
	buf_append(failure, text.data, text.size < OPERATION_FAILURE_BYTES_MAX ? text.size : OPERATION_FAILURE_BYTES_MAX);
}

static void work_fail(sofun_work *work, sofun_bytes text) {
	operation_failure_write(&call_of(work)->failure, bytes_of(text.data, text.size));
}

static int work_stopping(const sofun_work *work) {
	return atomic_load_explicit(&call_of(work)->pool->stopping, memory_order_relaxed);
}

/* The version that the operation goes to now, its image pinned; false: there is none. While the slot's generation is 0 no view
 * and no image that a view names goes (engine_adopted). */
static bool version_pin(
	struct work_slot *slot, const struct message *asked, struct version *ret_version, struct bytes *ret_name) {
	atomic_store(&slot->generation, 0);
	const struct view *view = atomic_load(&slot->pool->flow->view);
	check(asked->head->type < view->binding_count);
	const struct binding *binding = &view->bindings[asked->head->type];
	const struct version *version = binding_version(binding, asked->head->birth_epoch, asked->id);
	*ret_name = bytes_of(binding->name, binding->name_size); /* the registry never frees names */
	if (version != NULL) {
		*ret_version = *version;
		atomic_fetch_add(&version->image->working, 1);
	}
	atomic_store(&slot->generation, UINT64_MAX);
	return version != NULL;
}

static void version_unpin(const struct version *version) {
	atomic_fetch_sub(&version->image->working, 1);
}

static int work_enter(struct work_slot *slot, const struct version *version, struct call *call) {
	const sofun_message told = {
		.size = sizeof told, .attempt = 1, .self = call->work.self, .payload = call->work.metadata};
	note_enter(slot->note, NOTE_WORK, version->image->note, &told);
	int result = version->function->work(&call->work, version->plugin_data);
	note_end(slot->note);
	return result;
}

static void call_conclude(struct call *call, int result, uint32_t *ret_status) {
	*ret_status = result == 0 ? SOFUN_RESULT_SUCCESS : SOFUN_RESULT_FAILURE;
	if (result == 0 && call->result.size == 0)
		pack_nil(&call->result);
	if (result != 0 && call->failure.size == 0)
		buf_printf(&call->failure, "work returned %d and gave no reason", result);
}

/* False: the plugin's own means bring the result. */
static bool job_work(struct work_slot *slot, const struct job *job, struct call *call, uint32_t *ret_status) {
	struct message asked;
	struct version version;
	struct bytes name;
	message_read(job->asked.data, &asked);
	*ret_status = SOFUN_RESULT_FAILURE;
	if (!version_pin(slot, &asked, &version, &name)) {
		buf_printf(&call->failure, "no version of %.*s was live when its work was to begin", (int)name.size,
			(const char *)name.data);
		return true;
	}
	if (version.function->work == NULL) {
		buf_printf(&call->failure, "version %s of %s has no work", version.image->version, version.image->name);
		version_unpin(&version);
		return true;
	}
	call->work = (sofun_work){
		.size = sizeof call->work,
		.host = version.host,
		.id = job->id,
		.self = {{name.data, name.size}, {asked.id.data, asked.id.size}},
		.metadata = {asked.payload.data, asked.payload.size},
		.result = work_result,
		.fail = work_fail,
		.stopping = work_stopping,
	};
	atomic_store(&slot->image, version.image->note);
	int result = work_enter(slot, &version, call);
	version_unpin(&version);
	if (result == SOFUN_WORK_LATER)
		return false;
	call_conclude(call, result, ret_status);
	return true;
}

/* False: the store could not be read; the row stays, and the next start tells that nobody knows. */
static bool job_read(struct work_pool *pool, struct job *job) {
	struct error error;
	if (job->asked.size > 0)
		return true;
	struct key key = key_operation(job->id);
	int found = store_get(pool->flow->store, REDO_RUNTIME, key_bytes(&key), &job->asked, &error);
	if (found == 1 && operation_row_valid(bytes_buf(&job->asked)))
		return true;
	if (found >= 0)
		error_set(&error, ERROR_STORE_FAILED, "the row of an operation is malformed: run sofund --verify");
	flow_fail(pool->flow, &error);
	return false;
}

void work_pool_run(struct work_slot *slot, struct job *job) {
	struct work_pool *pool = slot->pool;
	struct operations *operations =
		&pool->flow->shards[job->id & ((UINT64_C(1) << OPERATION_SHARD_BITS) - 1)]->operations;
	struct call call = {.pool = pool};
	uint32_t status;
	size_t counted = job->asked.size;
	atomic_fetch_add(&pool->running, 1);
	atomic_store(&slot->image, NOTE_IMAGE_NONE);
	atomic_store(&slot->id, job->id);
	bool done = job_read(pool, job) && job_work(slot, job, &call, &status);
	if (done)
		operations_complete(
			pool->flow, job->id, status, status == SOFUN_RESULT_SUCCESS ? &call.result : &call.failure, &job->asked);
	atomic_fetch_sub(&operations->memory, counted);
	atomic_store(&slot->id, 0);
	atomic_fetch_sub(&pool->running, 1);
	buf_finish(&call.result);
	buf_finish(&call.failure);
	job_free(job);
}

/* ---- the threads ---- */

/* NULL: the pool stops. */
static struct job *job_wait(struct work_pool *pool) {
	struct job *job = NULL;
	pthread_mutex_lock(&pool->mutex);
	while (!atomic_load(&pool->stopping) && (job = job_next(pool)) == NULL) {
		struct timespec until;
		if (pool->first == NULL) {
			pthread_cond_wait(&pool->more, &pool->mutex);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += UNREAD_LOOK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&pool->more, &pool->mutex, &until);
	}
	pthread_mutex_unlock(&pool->mutex);
	return job;
}

void *work_pool_main(void *arg) {
	struct work_slot *slot = arg;
	struct work_pool *pool = slot->pool;
	struct job *job;
	fault_thread_begin(NOTE_PLACE_POOL + (uint32_t)(slot - pool->slots));
	while ((job = job_wait(pool)) != NULL)
		work_pool_run(slot, job);
	fault_thread_end();
	return NULL;
}

void work_pool_stop(struct work_pool *pool) {
	pthread_mutex_lock(&pool->mutex);
	atomic_store(&pool->stopping, true);
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->mutex);
}

uint64_t work_pool_generation(struct work_pool *pool) {
	uint64_t oldest = UINT64_MAX;
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		uint64_t generation = atomic_load(&pool->slots[i].generation);
		oldest = generation < oldest ? generation : oldest;
	}
	return oldest;
}

uint64_t work_pool_queued(struct work_pool *pool) {
	pthread_mutex_lock(&pool->mutex);
	uint64_t queued = pool->queued;
	pthread_mutex_unlock(&pool->mutex);
	return queued;
}

bool work_pool_runs(struct work_pool *pool, uint64_t id, uint32_t *ret_image) {
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		const struct work_slot *slot = &pool->slots[i];
		if (atomic_load(&slot->id) != id)
			continue;
		if (ret_image != NULL)
			*ret_image = atomic_load(&slot->image);
		return true;
	}
	return false;
}
