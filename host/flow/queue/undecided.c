/* Messages that exhausted their attempts on a version on probation: whether they are at fault or the version is not known yet
 * (rule 35). Such a message keeps its place at the head of its address's wait, with everything for the address behind it, so
 * that order holds whatever the verdict: another version runs it anew, and in its order; the same one, once it is trusted,
 * makes it a dead letter. Nobody waits longer for a verdict than for retries (rule 28). */
#include "flow/queue/undecided.h"
#include "base/check.h"
#include "base/little.h"
#include "flow/invocation/attempt.h"
#include "plugin/image.h"

uint64_t version_mark(const struct version *version) {
	return little_u64(version->image->hash) | 1;
}

uint64_t undecided_until(const struct shard *shard, const struct wait *wait, const struct version *version) {
	uint64_t until_ms = version->probation_until_ms;
	uint64_t blocked_ms = wait->first_failed_ms + shard->flow->config->retry_block_ms_max;
	return until_ms == PROBATION_LEAVING || until_ms < blocked_ms ? until_ms : blocked_ms;
}

void undecided_show(struct shard *shard, struct wait *wait) {
	blocked_add(&shard->flow->undecided, wait->instance->type, instance_id_bytes(wait->instance), wait->first_failed_ms,
		bytes_buf(&wait->failure));
}

void undecided_end(struct shard *shard, struct wait *wait) {
	blocked_remove(&shard->flow->undecided, wait->instance->type, instance_id_bytes(wait->instance));
	wait->undecided = 0;
	check(shard->counts.undecided >= queue_count(&wait->queue));
	shard->counts.undecided -= queue_count(&wait->queue);
	buf_reset(&wait->failure);
}

bool undecided_look(
	struct shard *shard, struct wait *wait, const struct target *target, const struct message *message) {
	check(wait->undecided != 0);
	shard_clock_look(shard);
	if (wait->undecided != version_mark(target->version)) {
		undecided_end(shard, wait);
		wait->attempts = 0;
		wait->first_failed_ms = 0;
		return false;
	}
	uint64_t until_ms = undecided_until(shard, wait, target->version);
	if (until_ms > shard->epoch_time_ms) {
		retry_due(shard, wait, until_ms);
		return true;
	}
	attempt_exhausted(shard, target, message, wait->attempts, bytes_buf(&wait->failure));
	undecided_end(shard, wait);
	retry_done(shard, wait);
	return true;
}
