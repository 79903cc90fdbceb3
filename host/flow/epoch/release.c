/* What leaves once an epoch is durable: answers of all kinds to the loop thread, work to the pool, figures to who asks. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/epoch/commit_inside.h"

static void release_add(struct committer *committer, struct release *release) {
	pthread_mutex_lock(&committer->release_mutex);
	*committer->release_last = release;
	committer->release_last = &release->next;
	pthread_mutex_unlock(&committer->release_mutex);
	uint64_t one = 1;
	ssize_t written = write(committer->release_fd, &one, sizeof one);
	check(written == sizeof one || errno == EAGAIN);
}

static void counts_add(struct counts *sum, const struct counts *counts) {
	sum->born += counts->born;
	sum->handled += counts->handled;
	sum->retried += counts->retried;
	sum->dead += counts->dead;
	sum->records += counts->records;
	sum->replies_stale += counts->replies_stale;
	sum->migrated += counts->migrated;
	sum->colour[0] += counts->colour[0];
	sum->colour[1] += counts->colour[1];
	sum->due += counts->due;
	if (counts->due_next_ms < sum->due_next_ms)
		sum->due_next_ms = counts->due_next_ms;
	sum->channels_in += counts->channels_in;
	sum->channels_out += counts->channels_out;
	sum->timers_set += counts->timers_set;
	sum->timers_sent += counts->timers_sent;
	sum->timers_cancelled += counts->timers_cancelled;
	sum->expired += counts->expired;
	sum->values_expired += counts->values_expired;
	sum->operations_started += counts->operations_started;
	sum->operations_succeeded += counts->operations_succeeded;
	sum->operations_failed += counts->operations_failed;
	sum->operations_unknown += counts->operations_unknown;
	sum->operations_late += counts->operations_late;
	sum->retrying += counts->retrying;
	sum->undecided += counts->undecided;
	sum->cache_bytes += counts->cache_bytes;
	if (counts->barrier_seen < sum->barrier_seen)
		sum->barrier_seen = counts->barrier_seen;
	if (counts->clock_seen < sum->clock_seen)
		sum->clock_seen = counts->clock_seen;
}

static struct counts counts_sum(const struct flow *flow) {
	struct counts sum = {.barrier_seen = UINT64_MAX, .clock_seen = UINT64_MAX, .due_next_ms = UINT64_MAX};
	for (uint32_t i = 0; i < flow->shards_count; i++)
		counts_add(&sum, &flow->shards[i]->seal.counts);
	return sum;
}

void committer_counts_update(struct committer *committer) {
	struct counts sum = counts_sum(committer->flow);
	pthread_mutex_lock(&committer->release_mutex);
	committer->counts = sum;
	pthread_mutex_unlock(&committer->release_mutex);
}

static void fence_answer(struct committer *committer) {
	if (committer->fence == NULL)
		return;
	struct engine_answer answer = {.token = committer->fence->token, .number = committer->fence->epoch};
	buf_finish(&committer->fence->redo);
	output_put(&committer->answers, &answer);
	committer->fence = NULL;
}

/* Unless the loop thread has given it up. */
static void milestone_answer(
	struct committer *committer, struct milestone *milestone, uint64_t serial, uint64_t number, uint64_t due_ms) {
	struct engine_answer answer = {.token = milestone->token, .number = number, .accepted = due_ms};
	if (atomic_compare_exchange_strong(&milestone->serial, &serial, 0))
		output_put(&committer->answers, &answer);
}

static void milestones_check(struct committer *committer, const struct counts *sum) {
	uint64_t serial = atomic_load(&committer->barrier.serial);
	if (serial != 0 && sum->barrier_seen >= serial && sum->colour[committer->barrier.colour] == 0 &&
		(!committer->barrier.both || sum->colour[1 - committer->barrier.colour] == 0))
		milestone_answer(committer, &committer->barrier, serial, committer->epoch, 0);
	serial = atomic_load(&committer->clock.serial);
	if (serial != 0 && sum->clock_seen >= serial && sum->due == 0 && sum->channels_in == sum->channels_out)
		milestone_answer(
			committer, &committer->clock, serial, flow_clock_now(&committer->flow->clock), sum->due_next_ms);
}

/* Work that the epoch asked for begins, now that it is durable (rule 41). */
static void jobs_release(struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct seal *seal = &flow->shards[i]->seal;
		work_pool_submit(&flow->pool, seal->jobs);
		seal->jobs = NULL;
	}
}

void committer_release(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct counts sum = counts_sum(flow);
	owed_publish(flow);
	fence_answer(committer);
	committer_rows_answer(committer);
	milestones_check(committer, &sum);
	bool any = committer->answers.size > 0;
	for (uint32_t i = 0; i < flow->shards_count; i++)
		any |= flow->shards[i]->seal.outputs.size > 0;
	pthread_mutex_lock(&committer->release_mutex);
	committer->counts = sum;
	committer->time_ms = committer->part->time_ms;
	pthread_mutex_unlock(&committer->release_mutex);
	atomic_store(&flow->durable, committer->epoch);
	jobs_release(flow);
	if (!any)
		return;
	struct release *release = check_alloc(1, sizeof *release + (flow->shards_count + 1) * sizeof(struct buf));
	release->count = flow->shards_count + 1;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		release->outputs[i] = flow->shards[i]->seal.outputs;
		flow->shards[i]->seal.outputs = (struct buf){0};
	}
	release->outputs[flow->shards_count] = committer->answers;
	committer->answers = (struct buf){0};
	release_add(committer, release);
}

struct release *committer_take(struct committer *committer) {
	uint64_t count;
	ssize_t got = read(committer->release_fd, &count, sizeof count);
	check(got == sizeof count || errno == EAGAIN);
	pthread_mutex_lock(&committer->release_mutex);
	struct release *first = committer->release_first;
	committer->release_first = NULL;
	committer->release_last = &committer->release_first;
	pthread_mutex_unlock(&committer->release_mutex);
	return first;
}

void release_destroy(struct release *release) {
	for (size_t i = 0; i < release->count; i++)
		buf_finish(&release->outputs[i]);
	free(release);
}

void committer_release_now(struct committer *committer, struct buf *outputs) {
	struct release *release = check_alloc(1, sizeof *release + sizeof(struct buf));
	release->count = 1;
	release->outputs[0] = *outputs;
	*outputs = (struct buf){0};
	release_add(committer, release);
}
