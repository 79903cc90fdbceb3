#include "flow/operation/operations.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "flow/operation/pool.h"
#include "flow/shard.h"
#include "sofun/operation.h"

enum { BUCKETS_FIRST = 64 };

void operations_init(struct operations *operations, uint64_t incarnation, uint32_t shard) {
	*operations =
		(struct operations){.next = (incarnation << TIMERS_PER_EPOCH_BITS) | shard, .asked_last = &operations->asked};
	pthread_mutex_init(&operations->mutex, NULL);
}

static void completion_free(struct completion *completion) {
	buf_finish(&completion->asked);
	buf_finish(&completion->result);
	free(completion);
}

static void completions_free(struct completion *completion) {
	while (completion != NULL) {
		struct completion *next = completion->next;
		completion_free(completion);
		completion = next;
	}
}

void operations_finish(struct operations *operations) {
	for (size_t i = 0; i < operations->bucket_count; i++) {
		while (operations->by_id[i] != NULL) {
			struct operation *operation = operations->by_id[i];
			operations->by_id[i] = operation->next_id;
			free(operation);
		}
	}
	free(operations->by_id);
	free(operations->by_address);
	jobs_free(operations->asked);
	completions_free(operations->taken);
	completions_free(atomic_load(&operations->arrivals));
	pthread_mutex_destroy(&operations->mutex);
}

/* ---- the tables ---- */

static struct operation **id_bucket(const struct operations *operations, uint64_t id) {
	return &operations->by_id[(id >> OPERATION_SHARD_BITS) & (operations->bucket_count - 1)];
}

/* The shard is chosen by the high bits of the address's hash. */
static struct operation **address_bucket(const struct operations *operations, uint32_t hash) {
	return &operations->by_address[hash & (operations->bucket_count - 1)];
}

static void table_put(struct operations *operations, struct operation *operation) {
	struct operation **bucket = id_bucket(operations, operation->id);
	operation->next_id = *bucket;
	*bucket = operation;
	bucket = address_bucket(operations, operation->hash);
	operation->next_address = *bucket;
	*bucket = operation;
}

static void table_grow(struct operations *operations) {
	struct operation **old = operations->by_id;
	size_t old_count = operations->bucket_count;
	free(operations->by_address);
	operations->bucket_count = old_count == 0 ? BUCKETS_FIRST : old_count * 2;
	operations->by_id = check_alloc(operations->bucket_count, sizeof *operations->by_id);
	operations->by_address = check_alloc(operations->bucket_count, sizeof *operations->by_address);
	for (size_t i = 0; i < old_count; i++) {
		for (struct operation *next, *operation = old[i]; operation != NULL; operation = next) {
			next = operation->next_id;
			table_put(operations, operation);
		}
	}
	free(old);
}

static struct operation *operation_find(const struct operations *operations, uint64_t id) {
	struct operation *operation = operations->count == 0 ? NULL : *id_bucket(operations, id);
	while (operation != NULL && operation->id != id)
		operation = operation->next_id;
	return operation;
}

/* What state it begins with: others read it from the moment that the table has it. */
static void operation_add(struct shard *shard, uint64_t id, const struct message *message, bool outside, bool done) {
	struct operations *operations = &shard->operations;
	const struct message_head *head = message->head;
	struct operation *operation = check_alloc(1, sizeof *operation + head->id_size);
	operation->id = id;
	operation->birth_epoch = head->birth_epoch;
	operation->row_epoch = shard->epoch;
	operation->since_ms = flow_clock_now(&shard->flow->clock);
	operation->started_us = monotonic_us();
	operation->hash = head->hash;
	operation->type = head->type;
	operation->waits = head->operation == MESSAGE_WAITS;
	operation->outside = outside;
	atomic_init(&operation->done, done);
	operation->address_size = head->id_size;
	memcpy(operation->address, message->id.data, message->id.size);
	pthread_mutex_lock(&operations->mutex);
	if (operations->count >= operations->bucket_count)
		table_grow(operations);
	table_put(operations, operation);
	operations->count++;
	pthread_mutex_unlock(&operations->mutex);
	atomic_fetch_add_explicit(&shard->flow->operations_open, 1, memory_order_relaxed);
}

static void operation_remove(struct shard *shard, struct operation *operation) {
	struct operations *operations = &shard->operations;
	pthread_mutex_lock(&operations->mutex);
	struct operation **place = id_bucket(operations, operation->id);
	while (*place != operation)
		place = &(*place)->next_id;
	*place = operation->next_id;
	place = address_bucket(operations, operation->hash);
	while (*place != operation)
		place = &(*place)->next_address;
	*place = operation->next_address;
	operations->count--;
	pthread_mutex_unlock(&operations->mutex);
	atomic_fetch_sub_explicit(&shard->flow->operations_open, 1, memory_order_relaxed);
	free(operation);
}

void operations_each(
	struct operations *operations, void (*each)(void *arg, const struct operation *operation), void *arg) {
	pthread_mutex_lock(&operations->mutex);
	for (size_t i = 0; i < operations->bucket_count; i++) {
		for (const struct operation *operation = operations->by_id[i]; operation != NULL;
			 operation = operation->next_id)
			each(arg, operation);
	}
	pthread_mutex_unlock(&operations->mutex);
}

static bool operation_is_of(const struct operation *operation, uint32_t hash, uint16_t type, struct bytes id) {
	return operation->hash == hash && operation->type == type && bytes_equal(operation_address(operation), id);
}

void operations_of(struct operations *operations, uint32_t hash, uint16_t type, struct bytes id,
	void (*each)(void *arg, const struct operation *operation), void *arg) {
	pthread_mutex_lock(&operations->mutex);
	const struct operation *operation = operations->count == 0 ? NULL : *address_bucket(operations, hash);
	for (; operation != NULL; operation = operation->next_address) {
		if (operation_is_of(operation, hash, type, id))
			each(arg, operation);
	}
	pthread_mutex_unlock(&operations->mutex);
}

/* ---- starting ---- */

uint64_t operations_id(struct shard *shard) {
	uint64_t id = shard->operations.next;
	shard->operations.next += UINT64_C(1) << OPERATION_SHARD_BITS;
	return id;
}

static void job_ask(struct shard *shard, uint64_t id, const struct message_head *message) {
	struct operations *operations = &shard->operations;
	bool room = atomic_load_explicit(&operations->memory, memory_order_relaxed) < shard->flow->operation_bytes;
	struct job *job = job_create(id, shard->epoch, room ? message : NULL);
	if (room)
		atomic_fetch_add_explicit(&operations->memory, message->size, memory_order_relaxed);
	*operations->asked_last = job;
	operations->asked_last = &job->next;
}

void operations_start(struct shard *shard, uint64_t id, const struct message_head *message, bool outside) {
	struct message parts;
	struct key key = key_operation(id);
	message_read((const uint8_t *)message, &parts);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_of(message, message->size));
	shard->epoch_bytes += key.size + message->size;
	shard->counts.operations_started++;
	operation_add(shard, id, &parts, outside, false);
	if (!outside)
		job_ask(shard, id, message);
}

/* ---- results ---- */

static void arrivals_take(struct operations *operations) {
	struct completion *completion = atomic_exchange_explicit(&operations->arrivals, NULL, memory_order_acquire);
	struct completion *reversed = NULL;
	while (completion != NULL) {
		struct completion *next = completion->next;
		completion->next = reversed;
		reversed = completion;
		completion = next;
	}
	operations->taken = reversed;
}

/* The message that asked, if the completion does not bring it: from the row. 1: there; 0: not in the tables yet; -1: the
 * store could not be read. */
static int asked_read(struct shard *shard, const struct operation *operation, struct buf *asked) {
	struct error error;
	if (asked->size > 0)
		return 1;
	if (store_applied(shard->flow->store) < operation->row_epoch)
		return 0;
	struct key key = key_operation(operation->id);
	int found = store_get(shard->flow->store, REDO_RUNTIME, key_bytes(&key), asked, &error);
	if (found == 0 || (found == 1 && !operation_row_valid(bytes_buf(asked)))) {
		error_set(&error, ERROR_STORE_FAILED, "the row of an operation is malformed: run sofund --verify");
		found = -1;
	}
	if (found < 0)
		shard_store_error(shard, &error);
	return found;
}

static void outcome_count(struct counts *counts, uint32_t status) {
	if (status == SOFUN_RESULT_SUCCESS)
		counts->operations_succeeded++;
	else if (status == SOFUN_RESULT_FAILURE)
		counts->operations_failed++;
	else
		counts->operations_unknown++;
}

/* The row goes, and its result comes to stand in the mailbox of its address: one epoch. */
static void result_send(struct shard *shard, struct operation *operation, const struct completion *completion) {
	struct message asked;
	struct buf scratch = {0};
	message_read(completion->asked.data, &asked);
	const struct operation_outcome outcome = {
		.id = operation->id,
		.status = completion->status,
		.result = bytes_buf(&completion->result),
		.metadata = asked.payload,
	};
	const struct message_head *head = operation_result_write(&scratch, completion->asked.data, &outcome);
	struct queue *channel = shard_channel(shard->flow, shard->index, shard->index);
	struct key key = key_operation(operation->id);
	shard_touch(shard);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&key));
	memcpy(queue_reserve(channel, head->size), head, head->size);
	queue_commit(channel, head->size);
	queue_publish(channel);
	shard->counts.channels_in++;
	shard->epoch_bytes += key.size + head->size;
	shard->epoch_messages++;
	outcome_count(&shard->counts, completion->status);
	histogram_add(&shard->tally.operation_seconds, monotonic_us() - operation->started_us);
	operation->done = true;
	buf_finish(&scratch);
}

/* False: it must wait. */
static bool completion_take(struct shard *shard, struct completion *completion) {
	struct operation *operation = operation_find(&shard->operations, completion->id);
	if (operation == NULL || operation->done) {
		shard_touch(shard); /* the count is told with an epoch */
		shard->counts.operations_late++;
		return true;
	}
	int read = asked_read(shard, operation, &completion->asked);
	shard->operations.unread = read != 1;
	if (read != 1)
		return false;
	result_send(shard, operation, completion);
	return true;
}

bool operations_step(struct shard *shard, int *budget) {
	struct operations *operations = &shard->operations;
	bool worked = false;
	if (operations->taken == NULL && atomic_load_explicit(&operations->arrivals, memory_order_relaxed) != NULL)
		arrivals_take(operations);
	for (; *budget > 0 && operations->taken != NULL && shard_epoch_open(shard); (*budget)--) {
		struct completion *completion = operations->taken;
		if (!completion_take(shard, completion))
			break;
		operations->taken = completion->next;
		completion_free(completion);
		worked = true;
	}
	return worked;
}

void operations_complete(struct flow *flow, uint64_t id, uint32_t status, struct buf *result, struct buf *asked) {
	uint64_t index = id & ((UINT64_C(1) << OPERATION_SHARD_BITS) - 1);
	struct completion *completion = check_alloc(1, sizeof *completion);
	struct shard *shard = flow->shards[index < flow->shards_count ? index : 0]; /* there it is counted as late */
	*completion = (struct completion){.id = id, .status = status, .result = *result};
	*result = (struct buf){0};
	if (asked != NULL) {
		completion->asked = *asked;
		*asked = (struct buf){0};
	}
	completion->next = atomic_load_explicit(&shard->operations.arrivals, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&shard->operations.arrivals, &completion->next, completion, memory_order_release, memory_order_relaxed))
		;
	park_wake(&shard->park);
}

/* ---- who waits ---- */

bool operations_hold_back(const struct shard *shard, const struct binding *binding, const struct message *message) {
	const struct message_head *head = message->head;
	bool behind = binding->settled == NULL && head->birth_epoch >= binding->fence;
	if (head->operation != MESSAGE_ORDINARY)
		return false;
	for (const struct operation *operation = *address_bucket(&shard->operations, head->hash); operation != NULL;
		 operation = operation->next_address) {
		if (!operation_is_of(operation, head->hash, head->type, message->id))
			continue;
		if (operation->waits || (behind && operation->birth_epoch < binding->fence))
			return true;
	}
	return false;
}

void operations_handled(struct shard *shard, const struct message *message) {
	struct operation_outcome outcome;
	if (!operation_outcome_read(message->payload, &outcome))
		return;
	struct operation *operation = operation_find(&shard->operations, outcome.id);
	if (operation == NULL)
		return; /* a dead letter that is tried again */
	operation_remove(shard, operation);
	struct instance *instance = cache_find(&shard->cache, message->head->hash, message->head->type, message->id);
	if (instance != NULL && instance_wait(instance) != NULL)
		retry_release(shard, instance);
}

void operations_restore(struct shard *shard, const uint8_t *at) {
	struct message message;
	struct operation_outcome outcome;
	message_read(at, &message);
	if (!operation_outcome_read(message.payload, &outcome))
		return;
	if (operation_find(&shard->operations, outcome.id) == NULL)
		operation_add(shard, outcome.id, &message, false, true);
}
