/* Takes a message to its instance: to the version that its birth and id say, behind what waits there already. */
#include "base/check.h"
#include "flow/expiry/expiry.h"
#include "flow/invocation/attempt.h"
#include "flow/queue/undecided.h"

struct instance *dispatch_fit(struct shard *shard, struct instance *instance, uint32_t value_count) {
	if (instance->value_count >= value_count)
		return instance;
	struct instance *wide = cache_widen(&shard->cache, instance, value_count);
	for (struct wait *wait = instance_wait(wide); wait != NULL; wait = wait->under)
		wait->instance = wide;
	for (size_t i = 0; (wide->flags & INSTANCE_DIRTY) != 0 && i < shard->dirty_count; i++) {
		if (shard->dirty[i] == instance)
			shard->dirty[i] = wide;
	}
	return wide;
}

/* It is not in memory; NULL: the store failed. */
static struct instance *instance_bring(
	struct shard *shard, const struct target *target, const struct message *message) {
	const struct version *version = target->version;
	struct error error;
	struct flow *flow = shard->flow;
	struct instance *instance =
		cache_bring(&shard->cache, flow->store, message->head->hash, message->head->type, message->id,
			version->value_count, version->schema, expiry_room(target->ttl), store_applied(flow->store), &error);
	if (instance == NULL)
		shard_store_error(shard, &error);
	return instance;
}

static struct instance *instance_of(struct shard *shard, const struct target *target, const struct message *message) {
	const struct message_head *head = message->head;
	struct instance *instance = cache_find(&shard->cache, head->hash, head->type, message->id);
	if (__builtin_expect(instance == NULL, 0))
		instance = instance_bring(shard, target, message);
	if (instance == NULL)
		return NULL;
	instance->flags |= INSTANCE_USED;
	return dispatch_fit(shard, instance, target->version->value_count);
}

/* Without suspects, which is the rule, nobody is asked. */
static inline enum trial_answer trial_of(
	struct shard *shard, const struct target *target, const struct message *message) {
	if (__builtin_expect(shard->trial.count == 0, 1))
		return TRIAL_FREE;
	return trial_of_message(shard, target->version->image, message);
}

/* The end of an idle instance, ahead of the message that met it, asks for itself: it has a death of its own. Unless FREE the
 * message waits: until the trial, or until the dead letter is durable. */
static enum trial_answer expire_trial(
	struct shard *shard, const struct target *target, struct instance *instance, uint32_t attempts) {
	struct message sweep;
	if (__builtin_expect(shard->trial.count == 0, 1))
		return TRIAL_FREE;
	message_read(expiry_message(shard, instance), &sweep);
	enum trial_answer answer = trial_of(shard, target, &sweep);
	if (answer == TRIAL_DEAD)
		attempt_expire_crashed(shard, target, instance, attempts);
	return answer;
}

/* A sweep waits at the head of the address from here on, and the message behind it. */
static void expire_later(
	struct shard *shard, struct instance *instance, enum outcome outcome, const uint8_t *at, bool ahead) {
	struct message sweep;
	message_read(expiry_message_born(shard), &sweep);
	if (outcome == OUTCOME_AGAIN)
		retry_begin(shard, instance, &sweep, ahead);
	else
		retry_block(shard, instance, &sweep, ahead);
	retry_behind(shard, instance, at, ahead);
}

/* A result waits for no message of its address. */
static bool message_ahead(const struct message *message) {
	return message->head->operation != MESSAGE_ORDINARY;
}

/* The rule: nobody waits there, no operation is under way, nobody is suspected. */
static inline bool way_clear(const struct shard *shard, const struct instance *instance) {
	return ((uintptr_t)instance_wait(instance) | shard->operations.count | shard->trial.count) == 0;
}

/* Else it may be that the message waits, or is a dead letter. False: it runs all the same. */
static bool message_stopped(struct shard *shard, const struct target *target, struct instance *instance,
	const uint8_t *at, const struct message *message) {
	const bool ahead = message_ahead(message);
	if (retry_waits(instance, ahead)) {
		retry_behind(shard, instance, at, ahead);
		return true;
	}
	if (operations_hold(&shard->operations, shard, target->binding, message)) {
		retry_hold(shard, instance, message, false);
		return true;
	}
	switch (trial_of(shard, target, message)) {
	case TRIAL_FREE:
		break;
	case TRIAL_HOLD:
		retry_hold(shard, instance, message, ahead);
		return true;
	case TRIAL_DEAD:
		attempt_crashed(shard, target, instance, message, 0);
		return true;
	}
	return false;
}

/* What comes of an attempt that did not end the message. False: the store failed. */
static bool message_unsettled(
	struct shard *shard, const struct target *target, const struct message *message, enum outcome outcome) {
	struct instance *instance = shard->invocation->instance;
	const bool ahead = message_ahead(message);
	switch (outcome) {
	case OUTCOME_STORE:
		return false;
	case OUTCOME_AGAIN:
		retry_begin(shard, instance, message, ahead);
		break;
	case OUTCOME_BLOCKED:
		retry_block(shard, instance, message, ahead);
		break;
	case OUTCOME_UNDECIDED:
		retry_hold(shard, instance, message, ahead);
		retry_undecided(shard, instance_wait(shard->invocation->instance), target->version, 1);
		break;
	case OUTCOME_DONE:
		break;
	}
	return true;
}

/* The instance has expired: its end comes ahead of the message that met it. Unless DONE the message waits. */
static enum outcome message_expire(struct shard *shard, const struct target *target, struct instance *instance,
	const uint8_t *at, const struct message *message) {
	const bool ahead = message_ahead(message);
	if (expire_trial(shard, target, instance, 0) != TRIAL_FREE) {
		retry_hold(shard, instance, message, ahead);
		return OUTCOME_BLOCKED;
	}
	enum outcome outcome = attempt_expire(shard, target, instance, 0);
	if (outcome == OUTCOME_AGAIN || outcome == OUTCOME_BLOCKED)
		expire_later(shard, shard->invocation->instance, outcome, at, ahead);
	return outcome;
}

static bool message_live(
	struct shard *shard, const struct target *target, const uint8_t *at, const struct message *message) {
	struct instance *instance = instance_of(shard, target, message);
	if (instance == NULL)
		return false;
	if (__builtin_expect(!way_clear(shard, instance), 0) && message_stopped(shard, target, instance, at, message))
		return true;
	if (target->ttl != NULL && (message->head->flags & MESSAGE_SWEEP) == 0 &&
		attempt_finds_idle(shard, target, instance)) {
		enum outcome ended = message_expire(shard, target, instance, at, message);
		if (ended != OUTCOME_DONE)
			return ended != OUTCOME_STORE;
		instance = shard->invocation->instance;
	}
	enum outcome outcome = attempt_message(shard, target, instance, message, 0, false);
	return __builtin_expect(outcome == OUTCOME_DONE, 1) || message_unsettled(shard, target, message, outcome);
}

static inline struct target target_of(const struct shard *shard, const struct message *message) {
	const struct binding *binding = &shard->view->bindings[message->head->type];
	return (struct target){
		.binding = binding,
		.version = binding_version(binding, message->head->birth_epoch, message->id),
		.ttl = binding_ttl(binding, message->id),
	};
}

/* It was born behind the fence, and another channel may still bring messages to the version before. */
static bool held(struct shard *shard, const struct binding *binding, const struct message_head *head) {
	if (head->birth_epoch < binding->fence || shard_fence_passed(shard, binding->fence))
		return false;
	shard->behind_mark = true;
	return true;
}

bool dispatch_message(struct shard *shard, const uint8_t *at) {
	struct message message;
	message_read(at, &message);
	shard_touch(shard);
	if ((message.head->flags & MESSAGE_TIMED) != 0)
		shard_clock_look(shard);
	check(message.head->type < shard->view->binding_count);
	if ((message.head->flags & MESSAGE_ANSWER) != 0) {
		keyed_home(shard, &message);
		message_handled(shard, &message);
		return true;
	}
	const struct target target = target_of(shard, &message);
	if (__builtin_expect(target.binding->settled == NULL, 0) && held(shard, target.binding, message.head))
		return false;
	if (target.version == NULL || park_waits(shard, message.head->type)) {
		park_message(shard, at);
		return true;
	}
	return message_live(shard, &target, at, &message);
}

/* The message at the head of a queue of its own; false: the store failed. */
static bool head_read(struct shard *shard, struct queue *queue, const uint8_t **ret_at, struct message *ret_message) {
	struct error error;
	bool failed = false;
	*ret_at = queue_peek(queue, shard->flow->store, &failed, &error);
	if (failed) {
		shard_store_error(shard, &error);
		return false;
	}
	message_read(*ret_at, ret_message);
	shard_touch(shard);
	return true;
}

bool dispatch_parked(struct shard *shard, struct queue *park) {
	const uint8_t *at;
	struct message message;
	if (!head_read(shard, park, &at, &message))
		return false;
	const struct target target = target_of(shard, &message);
	check(target.version != NULL); /* parks_step looks at live types only */
	return message_live(shard, &target, at, &message);
}

/* It may be that the head of a wait may not run now, or is a dead letter. */
static bool wait_stopped(
	struct shard *shard, struct wait *wait, const struct target *target, const struct message *message) {
	if (target->version == NULL || instance_wait(wait->instance) != wait ||
		operations_hold(&shard->operations, shard, target->binding, message)) {
		retry_stall(shard, wait, bytes_of(NULL, 0));
		return true;
	}
	if (wait->undecided != 0 && undecided_look(shard, wait, target, message))
		return true;
	switch (trial_of(shard, target, message)) {
	case TRIAL_FREE:
		break;
	case TRIAL_HOLD:
		retry_stall(shard, wait, bytes_of(NULL, 0));
		return true;
	case TRIAL_DEAD:
		dispatch_fit(shard, wait->instance, target->version->value_count);
		attempt_crashed(shard, target, wait->instance, message, wait->attempts);
		retry_done(shard, wait);
		return true;
	}
	return false;
}

/* The instance expired while the message waited: its end comes first. Unless DONE the message waits on. */
static enum outcome wait_expire(struct shard *shard, struct wait *wait, const struct target *target) {
	if (expire_trial(shard, target, wait->instance, wait->expire_attempts) != TRIAL_FREE) {
		retry_stall(shard, wait, bytes_of(NULL, 0));
		return OUTCOME_BLOCKED;
	}
	enum outcome outcome = attempt_expire(shard, target, wait->instance, wait->expire_attempts);
	if (outcome == OUTCOME_AGAIN)
		retry_expire(shard, wait);
	if (outcome == OUTCOME_BLOCKED)
		retry_stall(shard, wait, bytes_buf(&shard->invocation->failure));
	if (outcome != OUTCOME_DONE)
		return outcome;
	wait->expire_attempts = 0;
	if (!trial_of_itself(&shard->trial))
		return OUTCOME_DONE;
	retry_due(shard, wait, 0);
	return OUTCOME_AGAIN;
}

/* What comes of an attempt at the head of a wait. False: the store failed. */
static bool wait_settle(struct shard *shard, struct wait *wait, const struct target *target, enum outcome outcome) {
	switch (outcome) {
	case OUTCOME_STORE:
		return false;
	case OUTCOME_AGAIN:
		retry_again(shard, wait);
		break;
	case OUTCOME_BLOCKED:
		retry_stall(shard, wait, bytes_buf(&shard->invocation->failure));
		break;
	case OUTCOME_UNDECIDED:
		retry_undecided(shard, wait, target->version, wait->attempts + 1);
		break;
	case OUTCOME_DONE:
		retry_done(shard, wait);
		break;
	}
	return true;
}

bool dispatch_waiting(struct shard *shard, struct wait *wait) {
	const uint8_t *at;
	struct message message;
	if (!head_read(shard, &wait->queue, &at, &message))
		return false;
	const struct target target = target_of(shard, &message);
	if (wait_stopped(shard, wait, &target, &message))
		return true;
	const uint64_t failing_ms = shard->epoch_time_ms - wait->first_failed_ms;
	const bool last = wait->attempts > 0 && failing_ms >= shard->flow->config->retry_block_ms_max;
	dispatch_fit(shard, wait->instance, target.version->value_count);
	if ((message.head->flags & MESSAGE_SWEEP) == 0 && attempt_finds_idle(shard, &target, wait->instance)) {
		enum outcome ended = wait_expire(shard, wait, &target);
		if (ended != OUTCOME_DONE)
			return ended != OUTCOME_STORE;
	}
	enum outcome outcome = attempt_message(shard, &target, wait->instance, &message, wait->attempts, last);
	return wait_settle(shard, wait, &target, outcome);
}
