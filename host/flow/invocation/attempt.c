#include "flow/invocation/attempt.h"

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/dead/letter.h"
#include "flow/expiry/expiry.h"
#include "flow/migration/migrate.h"
#include "plugin/image.h"

static const struct message_route *route_of(const struct message *message) {
	return (message->head->flags & MESSAGE_ROUTE) != 0 ? &message->route : NULL;
}

void message_handled(struct shard *shard, const struct message *message) {
	const struct message_head *head = message->head;
	shard->counts.handled++;
	shard->counts.colour[head->flags & MESSAGE_COLOUR]--;
	if ((head->flags & MESSAGE_COUNTED) != 0)
		owed_add(&shard->owed, shard->flow, head, -1);
	if (__builtin_expect(head->operation != MESSAGE_ORDINARY, 0))
		operations_handled(shard, message);
	shard->epoch_messages++;
}

static void failure_text(struct invocation *invocation, int result) {
	if (invocation->refused != NULL) {
		buf_reset(&invocation->failure);
		buf_printf(&invocation->failure, "%s", invocation->refused);
	}
	if (invocation->failure.size == 0)
		buf_printf(&invocation->failure, "the function returned %d and gave no reason", result);
}

/* The reason is in the invocation. */
static void letter_write(struct shard *shard, const struct target *target, const struct message *message,
	uint32_t attempts, const char *code) {
	const struct view *view = shard->view;
	struct dead_letter letter = {
		.to = bytes_text(target->binding->name),
		.id = message->id,
		.code = bytes_text(code),
		.reason = bytes_buf(&shard->invocation->failure),
		.attempts = attempts,
		.plugin = bytes_text(target->version->image->name),
		.version = bytes_text(target->version->image->version),
		.type = message->head->operation != MESSAGE_ORDINARY ? bytes_text(DEAD_RESULT_TYPE) : message->type,
		.time_ms = shard->epoch_time_ms,
		.payload = message->payload,
	};
	if (message->head->caller_type != 0) {
		letter.from = bytes_text(view->bindings[message->head->caller_type].name);
		letter.from_id = message->caller_id;
	}
	effects_dead(shard, &letter, route_of(message), ERROR_FUNCTION_FAILED);
}

/* The state goes to the version's schema first; its new values wait in the invocation for the call on top of them. */
static enum outcome attempt_migrated(
	struct shard *shard, const struct target *target, struct instance **instance, struct bytes payload) {
	struct invocation *invocation = shard->invocation;
	enum migrated migrated = migrate_begin(shard, target->binding, target->version->schema, payload, instance);
	shard_touch(shard); /* the epoch may have been cut while migrate ran */
	if (migrated == MIGRATED)
		return OUTCOME_DONE;
	if (migrated == MIGRATE_REFUSED)
		return OUTCOME_BLOCKED;
	shard_store_error(shard, &invocation->store_error);
	invocation->store_error.code = ERROR_NONE;
	return OUTCOME_STORE;
}

static const char *failure_code(const struct message *message) {
	return message->head->operation != MESSAGE_ORDINARY ? "result_failed" : "function_failed";
}

/* What comes of a call: its effects happen, or it is to be tried again, or a dead letter stands for it. carried: values that
 * came from a migration and were not set since: that is no write. */
static enum outcome conclude(struct shard *shard, const struct target *target, const struct message *message,
	uint32_t attempts, bool last, int result, uint64_t carried) {
	struct invocation *invocation = shard->invocation;
	shard_touch(shard); /* the epoch may have been cut while the function ran */
	if (invocation->store_error.code != ERROR_NONE) {
		shard_store_error(shard, &invocation->store_error);
		invocation->store_error.code = ERROR_NONE;
		return OUTCOME_STORE;
	}
	if (result == 0 && invocation->refused == NULL) {
		struct cause cause = {
			.route = route_of(message),
			.colour = message->head->flags & MESSAGE_COLOUR,
			.head = message->head,
		};
		uint64_t written = (invocation->changed & ~carried) | invocation->tables_changed;
		effects_apply(shard, &cause);
		if ((target->ttl != NULL || instance_life(invocation->instance) != NULL) && !invocation->expiring)
			expiry_touch(shard, target->ttl, invocation->instance, written);
		return OUTCOME_DONE;
	}
	failure_text(invocation, result);
	shard->epoch_messages++;
	struct function_tally *tally = shard_tally_of(shard, target->binding, target->version);
	tally_add(&tally->failed, 1);
	tally_add(&tally->failed_first, attempts == 0);
	if (!last && attempts + 1 < shard->flow->config->retry_attempts) {
		tally_add(&tally->retried, 1);
		return OUTCOME_AGAIN;
	}
	tally_add(&tally->exhausted, 1);
	if (!last && !invocation->expiring && target->version->probation_until_ms > shard->epoch_time_ms)
		return OUTCOME_UNDECIDED;
	letter_write(shard, target, message, attempts + 1, invocation->expiring ? "expire_failed" : failure_code(message));
	return OUTCOME_DONE;
}

static int call_enter(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call) {
	const bool sweep = (message->head->flags & MESSAGE_SWEEP) != 0;
	if (__builtin_expect(sweep || message->head->operation != MESSAGE_ORDINARY, 0))
		return sweep ? enter_expire(shard, target, instance, message, attempts, call)
					 : enter_result(shard, target, instance, message, attempts, call);
	return enter_function(shard, target, instance, message, attempts, call);
}

/* The call that a migration preceded is over. What is left of what that carried; the next one finds nothing. */
static uint64_t migration_settle(
	struct shard *shard, const struct target *target, struct instance *instance, int result) {
	struct invocation *invocation = shard->invocation;
	const uint64_t carried = invocation->carried;
	invocation->carried = 0;
	if (result == 0 && invocation->refused == NULL && invocation->store_error.code == ERROR_NONE)
		migrate_keep(shard, target->binding, instance, target->version->schema);
	return carried;
}

/* One attempt: the state goes to the version's schema, invoke (for a sweep on_expire, for a result on_result) is called, and
 * what it asked for happens. The instance may have moved: it is the invocation's then. */
static enum outcome run(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	sofun_message call;
	uint64_t carried = 0;
	bool migrates = instance->schema != target->version->schema;
	enum outcome outcome = OUTCOME_DONE;
	if (__builtin_expect(migrates, 0))
		outcome = attempt_migrated(shard, target, &instance, message->payload);
	if (outcome == OUTCOME_DONE) {
		int result = call_enter(shard, target, instance, message, attempts, &call);
		if (__builtin_expect(migrates, 0))
			carried = migration_settle(shard, target, instance, result);
		outcome = conclude(shard, target, message, attempts, last, result, carried);
	}
	note_end(shard->note);
	return outcome;
}

/* The end of an instance that was idle for too long: what on_expire causes, and the end of its state, are one. message is
 * a sweep. */
static enum outcome expire(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	/* what had no value any more when it ended had no state that could end */
	expiry_values_drop(shard, target->ttl, instance, expiry_seen_ms(instance, target->ttl, shard->epoch_time_ms));
	if (target->version->function->on_expire != NULL && expiry_has_state(instance)) {
		enum outcome outcome = run(shard, target, instance, message, attempts, last);
		if (outcome != OUTCOME_DONE)
			return outcome;
		instance = shard->invocation->instance;
	}
	expiry_end(shard, instance);
	return OUTCOME_DONE;
}

bool attempt_finds_idle(const struct shard *shard, const struct target *target, const struct instance *instance) {
	return target->ttl != NULL && expiry_idle(instance, target->ttl, shard->epoch_time_ms);
}

enum outcome attempt_expire(
	struct shard *shard, const struct target *target, struct instance *instance, uint32_t attempts) {
	struct message message;
	message_read(expiry_message(shard, instance), &message);
	shard->invocation->instance = instance;
	return expire(shard, target, instance, &message, attempts, false);
}

static enum outcome attempt_sweep(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	enum outcome outcome = OUTCOME_DONE;
	if (expiry_sweep(shard, target->ttl, instance, message))
		outcome = expire(shard, target, instance, message, attempts, last);
	if (outcome == OUTCOME_DONE) {
		message_handled(shard, message);
		tally_add(&shard_type_tally(shard, message->head->type)->sweeps_done, 1);
	}
	return outcome;
}

enum outcome attempt_message(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	shard->invocation->instance = instance;
	if (__builtin_expect((message->head->flags & MESSAGE_SWEEP) != 0, 0))
		return attempt_sweep(shard, target, instance, message, attempts, last);
	if (target->ttl != NULL)
		expiry_values_drop(shard, target->ttl, instance, shard->epoch_time_ms);
	enum outcome outcome = run(shard, target, instance, message, attempts, last);
	if (outcome == OUTCOME_DONE)
		message_handled(shard, message);
	return outcome;
}

void attempt_exhausted(struct shard *shard, const struct target *target, const struct message *message,
	uint32_t attempts, struct bytes failure) {
	buf_reset(&shard->invocation->failure);
	buf_append(&shard->invocation->failure, failure.data, failure.size);
	letter_write(shard, target, message, attempts, failure_code(message));
	message_handled(shard, message);
}

static void crashed_letter(
	struct shard *shard, const struct target *target, const struct message *message, uint32_t attempts) {
	shard_touch(shard);
	trial_reason(shard, &shard->invocation->failure);
	letter_write(shard, target, message, attempts, "crashed");
	trial_sentenced(shard);
}

void attempt_crashed(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts) {
	crashed_letter(shard, target, message, attempts);
	if ((message->head->flags & MESSAGE_SWEEP) != 0 && expiry_sweep(shard, target->ttl, instance, message))
		expiry_end(shard, instance);
	message_handled(shard, message);
}

void attempt_expire_crashed(
	struct shard *shard, const struct target *target, struct instance *instance, uint32_t attempts) {
	struct message message;
	message_read(expiry_message(shard, instance), &message);
	crashed_letter(shard, target, &message, attempts);
	expiry_end(shard, instance);
}
