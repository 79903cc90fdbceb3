/* Addresses that wait behind a message in backoff: a queue each, so that others pass and their own order holds. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/queue/undecided.h"
#include "flow/shard.h"
#include "state/key.h"

/* ---- by due time ---- */

static struct wait *wait_of(const struct heap_node *node) {
	return (struct wait *)(uintptr_t)node; /* its first member */
}

bool retry_less(const struct heap_node *a, const struct heap_node *b) {
	const struct wait *left = wait_of(a);
	const struct wait *right = wait_of(b);
	return left->due_ms != right->due_ms ? left->due_ms < right->due_ms : left->queue.id < right->queue.id;
}

static struct wait *wait_first(const struct shard *shard) {
	struct heap_node *node = heap_first(&shard->waits);
	return node == NULL ? NULL : wait_of(node);
}

/* ---- waits ---- */

static void wait_touch(struct shard *shard, struct wait *wait) {
	if (wait->dirty)
		return;
	wait->dirty = true;
	if (shard->waits_dirty_count == shard->waits_dirty_capacity) {
		shard->waits_dirty_capacity = shard->waits_dirty_capacity == 0 ? 16 : shard->waits_dirty_capacity * 2;
		shard->waits_dirty = realloc(shard->waits_dirty, shard->waits_dirty_capacity * sizeof(struct wait *));
		check_memory(shard->waits_dirty);
	}
	shard->waits_dirty[shard->waits_dirty_count++] = wait;
}

static void wait_append(struct shard *shard, struct wait *wait, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	memcpy(queue_reserve(&wait->queue, head->size), head, head->size);
	queue_commit(&wait->queue, head->size);
	queue_publish(&wait->queue);
	shard->epoch_bytes += head->size;
	shard->counts.undecided += wait->undecided != 0;
	wait_touch(shard, wait);
}

static uint64_t backoff_ms(const struct config *config, uint32_t attempts) {
	uint64_t wait_ms = config->retry_backoff_ms;
	for (uint32_t i = 1; i < attempts && wait_ms < config->retry_backoff_ms_max; i++)
		wait_ms *= config->retry_factor;
	return wait_ms < config->retry_backoff_ms_max ? wait_ms : config->retry_backoff_ms_max;
}

/* Beyond the limit nobody waits: the message is tried again at the next turn. */
static uint64_t due_after(const struct shard *shard, uint32_t attempts) {
	if (shard->waits.count >= RETRY_ADDRESSES_MAX)
		return shard->epoch_time_ms;
	return shard->epoch_time_ms + backoff_ms(shard->flow->config, attempts);
}

/* In whatever order they come: a restart may find what waits behind before what is ahead. */
static void wait_attach(struct instance *instance, struct wait *wait) {
	struct wait *top = instance_wait(instance);
	wait->instance = instance;
	if (top != NULL && top->ahead) {
		check(!wait->ahead && top->under == NULL);
		top->under = wait;
		return;
	}
	check(top == NULL || wait->ahead);
	wait->under = top;
	instance_wait_set(instance, wait);
}

static struct wait *wait_create(struct shard *shard, struct instance *instance, bool ahead, uint64_t queue) {
	struct wait *wait = check_alloc(1, sizeof *wait);
	queue_init(&wait->queue, queue, 0, &shard->queue_memory);
	wait->since_ms = flow_clock_now(&shard->flow->clock);
	wait->ahead = ahead;
	wait_attach(instance, wait);
	return wait;
}

static struct wait *wait_new(struct shard *shard, struct instance *instance, bool ahead) {
	return wait_create(shard, instance, ahead, queue_wait_id(atomic_fetch_add(&shard->flow->wait_next, 1)));
}

/* That of the address's messages; NULL: none of them waits. */
static struct wait *wait_plain(const struct instance *instance) {
	struct wait *top = instance_wait(instance);
	return top != NULL && top->ahead ? top->under : top;
}

void retry_begin(struct shard *shard, struct instance *instance, const struct message *message, bool ahead) {
	struct wait *wait = wait_new(shard, instance, ahead);
	wait->attempts = 1;
	wait->first_failed_ms = shard->epoch_time_ms;
	wait->due_ms = due_after(shard, 1);
	heap_add(&shard->waits, &wait->node);
	wait_append(shard, wait, (const uint8_t *)message->head);
	shard->counts.retried++;
	shard->counts.retrying = shard->waits.count;
}

/* A wait that stands still, with the message at its head. */
static struct wait *wait_still(struct shard *shard, struct instance *instance, const uint8_t *at, bool ahead) {
	struct wait *wait = wait_new(shard, instance, ahead);
	wait->due_ms = UINT64_MAX;
	heap_add(&shard->waits, &wait->node);
	wait_append(shard, wait, at);
	shard->counts.retrying = shard->waits.count;
	return wait;
}

void retry_hold(struct shard *shard, struct instance *instance, const struct message *message, bool ahead) {
	wait_still(shard, instance, (const uint8_t *)message->head, ahead);
}

void retry_again(struct shard *shard, struct wait *wait) {
	if (wait->attempts == 0)
		wait->first_failed_ms = shard->epoch_time_ms;
	wait->attempts++;
	wait->due_ms = due_after(shard, wait->attempts);
	heap_update(&shard->waits, &wait->node);
	wait_touch(shard, wait);
	shard->counts.retried++;
}

void retry_due(struct shard *shard, struct wait *wait, uint64_t due_ms) {
	wait->due_ms = due_ms;
	heap_update(&shard->waits, &wait->node);
}

void retry_undecided(struct shard *shard, struct wait *wait, const struct version *version, uint32_t attempts) {
	if (wait->first_failed_ms == 0)
		wait->first_failed_ms = shard->epoch_time_ms;
	wait->attempts = attempts;
	wait->undecided = version_mark(version);
	buf_reset(&wait->failure);
	buf_append(&wait->failure, shard->invocation->failure.data, shard->invocation->failure.size);
	retry_due(shard, wait, undecided_until(shard, wait, version));
	undecided_show(shard, wait);
	shard->counts.undecided += queue_count(&wait->queue);
	wait_touch(shard, wait);
}

void retry_expire(struct shard *shard, struct wait *wait) {
	wait->due_ms = due_after(shard, ++wait->expire_attempts);
	heap_update(&shard->waits, &wait->node);
	wait_touch(shard, wait);
}

static void wait_end(struct shard *shard, struct wait *wait) {
	struct wait *under = wait->under;
	check(instance_wait(wait->instance) == wait);
	heap_remove(&shard->waits, &wait->node);
	instance_wait_set(wait->instance, under);
	wait->instance = NULL;
	if (under != NULL) {
		under->due_ms = 0;
		heap_update(&shard->waits, &under->node);
	}
	wait_touch(shard, wait); /* its rows go at the next cut, then it goes itself */
	shard->counts.retrying = shard->waits.count;
}

void retry_done(struct shard *shard, struct wait *wait) {
	queue_consume(&wait->queue);
	wait->attempts = 0;
	wait->first_failed_ms = 0;
	wait_touch(shard, wait);
	if (queue_empty(&wait->queue)) {
		wait_end(shard, wait);
		return;
	}
	wait->due_ms = 0;
	heap_update(&shard->waits, &wait->node);
}

void retry_behind(struct shard *shard, struct instance *instance, const uint8_t *at, bool ahead) {
	struct wait *wait = ahead ? instance_wait(instance) : wait_plain(instance);
	if (wait != NULL)
		wait_append(shard, wait, at);
	else
		wait_still(shard, instance, at, false);
}

void retry_release(struct shard *shard, struct instance *instance) {
	struct wait *wait = wait_plain(instance);
	if (wait == NULL || wait->due_ms != UINT64_MAX)
		return;
	wait->due_ms = 0;
	heap_update(&shard->waits, &wait->node);
}

static void wait_block(struct shard *shard, struct wait *wait, struct bytes reason) {
	if (wait->first_failed_ms == 0)
		wait->first_failed_ms = shard->epoch_time_ms;
	blocked_add(
		&shard->flow->blocked, wait->instance->type, instance_id_bytes(wait->instance), wait->first_failed_ms, reason);
	wait->blocked = true;
}

static void wait_unblock(struct shard *shard, struct wait *wait) {
	if (!wait->blocked)
		return;
	blocked_remove(&shard->flow->blocked, wait->instance->type, instance_id_bytes(wait->instance));
	wait->blocked = false;
}

void retry_block(struct shard *shard, struct instance *instance, const struct message *message, bool ahead) {
	struct wait *wait = wait_still(shard, instance, (const uint8_t *)message->head, ahead);
	wait_block(shard, wait, bytes_buf(&shard->invocation->failure));
}

void retry_stall(struct shard *shard, struct wait *wait, struct bytes reason) {
	wait->due_ms = UINT64_MAX;
	heap_update(&shard->waits, &wait->node);
	if (reason.size == 0)
		return;
	wait_block(shard, wait, reason);
	wait_touch(shard, wait); /* since when it waits is durable */
}

void retry_view_changed(struct shard *shard) {
	for (size_t i = 0; i < shard->waits.count; i++) {
		struct wait *wait = wait_of(shard->waits.nodes[i]);
		if (wait->due_ms == UINT64_MAX || wait->undecided != 0)
			wait->due_ms = 0;
	}
	heap_rebuild(&shard->waits);
}

bool retry_step(struct shard *shard, int *budget) {
	bool worked = false;
	uint64_t now_ms = flow_clock_now(&shard->flow->clock);
	while (*budget > 0 && shard->waits.count > 0 && wait_first(shard)->due_ms <= now_ms && shard_epoch_open(shard)) {
		wait_unblock(shard, wait_first(shard));
		if (!dispatch_waiting(shard, wait_first(shard)))
			return worked;
		worked = true;
		(*budget)--;
	}
	return worked;
}

uint64_t retry_due_ms(const struct shard *shard) {
	return shard->waits.count > 0 ? wait_first(shard)->due_ms : UINT64_MAX;
}

/* ---- making it durable ---- */

static void wait_head_row(void *arg, uint64_t head, struct buf *ret_value) {
	const struct wait *wait = arg;
	const struct wait_row row = {
		.ahead = wait->ahead,
		.head = head,
		.type = wait->instance->type,
		.id = instance_id_bytes(wait->instance),
		.attempts = wait->attempts,
		.first_failed_ms = wait->first_failed_ms,
		.due_ms = wait->due_ms == UINT64_MAX ? 0 : wait->due_ms,
		.undecided = wait->undecided,
		.failure = bytes_buf(&wait->failure),
	};
	wait_row_write(ret_value, &row);
}

static void wait_destroy(struct wait *wait) {
	queue_finish(&wait->queue);
	buf_finish(&wait->failure);
	free(wait);
}

void retry_redo(struct shard *shard, struct buf *redo, uint64_t epoch) {
	for (size_t i = 0; i < shard->waits_dirty_count; i++) {
		struct wait *wait = shard->waits_dirty[i];
		wait->dirty = false;
		if (wait->instance == NULL) {
			queue_drop_rows(&wait->queue, redo);
			wait_destroy(wait);
			continue;
		}
		struct queue_head_row row = {.always = true, .write = wait_head_row, .arg = wait};
		queue_trim(&wait->queue, redo, &row);
		queue_log(&wait->queue, epoch, redo);
		shard_page_out(shard, &wait->queue, epoch, redo);
	}
	shard->waits_dirty_count = 0;
}

void retry_finish(struct shard *shard) {
	for (size_t i = 0; i < shard->waits_dirty_count; i++) {
		if (shard->waits_dirty[i]->instance == NULL)
			wait_destroy(shard->waits_dirty[i]);
	}
	for (size_t i = 0; i < shard->waits.count; i++)
		wait_destroy(wait_of(shard->waits.nodes[i]));
	heap_finish(&shard->waits);
	free(shard->waits_dirty);
}

struct wait *retry_restore(
	struct shard *shard, struct instance *instance, const struct wait_row *row, uint64_t queue_id) {
	struct wait *wait = wait_create(shard, instance, row->ahead, queue_id);
	wait->attempts = (uint32_t)row->attempts;
	wait->first_failed_ms = row->first_failed_ms;
	wait->due_ms = row->due_ms;
	wait->undecided = row->undecided;
	if (wait->undecided != 0) {
		buf_append(&wait->failure, row->failure.data, row->failure.size);
		undecided_show(shard, wait);
		wait->due_ms = 0; /* its version may have lost its share by this start */
	}
	heap_add(&shard->waits, &wait->node);
	shard->counts.retrying = shard->waits.count;
	return wait;
}
