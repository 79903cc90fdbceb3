/* The one place where plugin code is entered: give up the hold, call, take the hold back. */
#include <sched.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/dead_letter.h"
#include "flow/expiry.h"
#include "flow/migration/migrate.h"
#include "flow/shard.h"
#include "plugin/image.h"

/* From here until hold_take the committer may cut on this shard's behalf (rule 21). */
static void hold_give(struct shard *shard) {
	atomic_store_explicit(&shard->hold, HOLD_PLUGIN, memory_order_release);
}

static void hold_take(struct shard *shard) {
	int plugin = HOLD_PLUGIN;
	while (!atomic_compare_exchange_weak_explicit(
		&shard->hold, &plugin, HOLD_RUN, memory_order_acquire, memory_order_relaxed)) {
		plugin = HOLD_PLUGIN;
		sched_yield(); /* a cut takes microseconds */
	}
}

int dispatch_route(struct shard *shard, const struct route *route, const sofun_record *record) {
	struct invocation *invocation = shard->invocation;
	hold_give(shard);
	note_enter(shard->note, NOTE_ROUTER, route->image->note, record);
	int result = route->router->route(&invocation->context, route->plugin_data, record);
	note_left(shard->note, NOTE_ROUTER);
	hold_take(shard);
	return result;
}

int dispatch_migrate(struct shard *shard, const struct migrator *migrator, struct bytes payload) {
	static const struct version blind = {0}; /* the table of invoke has no value here, wherever the plugin kept it */
	struct invocation *invocation = shard->invocation;
	const struct instance *instance = invocation->instance;
	const struct binding *binding = invocation->binding;
	const sofun_migration call = {
		.size = sizeof call,
		.from = migrator->from,
		.to = migrator->to,
		.self = {{(const uint8_t *)binding->name, binding->name_size}, {instance_id(instance), instance->id_size}},
	};
	const sofun_host *host = invocation->context.host;
	invocation->context.host = &invocation->migration_host;
	invocation->migrator = migrator;
	invocation->version = &blind;
	invocation->migration_cause = (sofun_message){
		.size = sizeof invocation->migration_cause, .self = call.self, .payload = {payload.data, payload.size}};
	hold_give(shard);
	note_enter(shard->note, NOTE_MIGRATE, migrator->version->image->note, &invocation->migration_cause);
	int result = migrator->version->function->migrate(&invocation->context, migrator->version->plugin_data, &call);
	note_left(shard->note, NOTE_MIGRATE);
	hold_take(shard);
	invocation->version = migrator->version;
	invocation->migrator = NULL;
	invocation->context.host = host;
	return result;
}

/* Whom a message is for. */
struct target {
	const struct binding *binding;
	const struct version *version;
};

/* call: filled in, and alive until note_end. */
static int invoke(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call) {
	struct invocation *invocation = shard->invocation;
	const struct view *view = shard->view;
	const struct binding *binding = target->binding;
	const struct version *version = target->version;
	*call = (sofun_message){
		.size = sizeof *call,
		.attempt = attempts + 1,
		.self = {.type = {(const uint8_t *)binding->name, binding->name_size},
			.id = {message->id.data, message->id.size}},
		.type = {message->type.size > 0 ? message->type.data : NULL, message->type.size},
		.payload = {message->payload.data, message->payload.size},
	};
	uint16_t caller = message->head->caller_type;
	if (caller != 0 && caller < view->binding_count && view->bindings[caller].name != NULL) {
		const struct binding *from = &view->bindings[caller];
		call->caller.type = (sofun_bytes){(const uint8_t *)from->name, from->name_size};
		call->caller.id = (sofun_bytes){message->caller_id.data, message->caller_id.size};
	}
	invocation_begin(invocation, view, binding, version, instance, shard->epoch_time_ms);
	struct function_tally *tally = &shard->functions[binding->number];
	bool sampled = tally_get(&tally->in) % TALLY_SAMPLE == 0;
	tally_add(&tally->in, 1);
	uint64_t start_us = sampled || shard->measured_turns > 0 ? monotonic_us() : 0;
	hold_give(shard);
	note_enter(shard->note, NOTE_FUNCTION, version->image->note, call);
	int result = version->function->invoke(&invocation->context, version->plugin_data, call);
	note_left(shard->note, NOTE_FUNCTION);
	hold_take(shard);
	if (start_us > 0) {
		uint64_t took_us = monotonic_us() - start_us;
		if (sampled)
			histogram_add(&tally->seconds, took_us);
		dispatch_slow(shard, took_us);
	}
	return result;
}

void dispatch_slow(struct shard *shard, uint64_t took_us) {
	enum { WARN_INTERVAL_US = 1000000 };
	const struct invocation *invocation = shard->invocation;
	uint64_t now_us = monotonic_us();
	if (took_us < shard->flow->config->invocation_warn_ms * 1000 || invocation->binding == NULL ||
		(shard->warned_us != 0 && now_us - shard->warned_us < WARN_INTERVAL_US))
		return;
	shard->warned_us = now_us;
	log_event(LOG_WARN, "slow", "function=%s id=\"%.*s\" ms=%llu limit_ms=%llu shard=%u", invocation->binding->name,
		(int)invocation->instance->id_size, (const char *)instance_id(invocation->instance),
		(unsigned long long)took_us / 1000, (unsigned long long)shard->flow->config->invocation_warn_ms, shard->index);
}

static const struct message_route *route_of(const struct message *message) {
	return (message->head->flags & MESSAGE_ROUTE) != 0 ? &message->route : NULL;
}

static void handled(struct shard *shard, const struct message *message) {
	const struct message_head *head = message->head;
	shard->counts.handled++;
	shard->counts.colour[head->flags & MESSAGE_COLOUR]--;
	if ((head->flags & MESSAGE_COUNTED) != 0)
		effects_owed(shard, head, -1);
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
		.type = message->type,
		.time_ms = shard->epoch_time_ms,
		.payload = message->payload,
	};
	if (message->head->caller_type != 0) {
		letter.from = bytes_text(view->bindings[message->head->caller_type].name);
		letter.from_id = message->caller_id;
	}
	effects_dead(shard, &letter, route_of(message), ERROR_FUNCTION_FAILED);
}

enum outcome {
	OUTCOME_DONE,
	OUTCOME_AGAIN,   /* it failed, and is tried again */
	OUTCOME_BLOCKED, /* its state cannot be migrated: the address waits, and that is no attempt */
	OUTCOME_STORE,
};

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

/* What comes of a call: its effects happen, or it is to be tried again, or a dead letter stands for it. */
static enum outcome conclude(struct shard *shard, const struct target *target, const struct message *message,
	uint32_t attempts, bool last, int result) {
	struct invocation *invocation = shard->invocation;
	shard_touch(shard); /* the epoch may have been cut while the function ran */
	if (invocation->store_error.code != ERROR_NONE) {
		shard_store_error(shard, &invocation->store_error);
		invocation->store_error.code = ERROR_NONE;
		return OUTCOME_STORE;
	}
	if (result == 0 && invocation->refused == NULL) {
		struct cause cause = {.route = route_of(message), .colour = message->head->flags & MESSAGE_COLOUR};
		uint64_t changed = invocation->changed;
		effects_apply(shard, &cause);
		if ((target->version->expires || invocation->instance->life != NULL) && !invocation->expiring)
			expiry_touch(shard, target->version, invocation->instance, changed);
		return OUTCOME_DONE;
	}
	failure_text(invocation, result);
	shard->epoch_messages++;
	struct function_tally *tally = &shard->functions[target->binding->number];
	tally_add(&tally->failed, 1);
	if (!last && attempts + 1 < shard->flow->config->retry_attempts) {
		tally_add(&tally->retried, 1);
		return OUTCOME_AGAIN;
	}
	letter_write(shard, target, message, attempts + 1, invocation->expiring ? "expire_failed" : "function_failed");
	return OUTCOME_DONE;
}

/* ---- expiry ---- */

static int invoke_expire(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call) {
	const struct version *version = target->version;
	*call = (sofun_message){
		.size = sizeof *call,
		.attempt = attempts + 1,
		.self = {.type = {(const uint8_t *)target->binding->name, target->binding->name_size},
			.id = {message->id.data, message->id.size}},
		.payload = {message->payload.data, message->payload.size},
	};
	const sofun_expiry expiry = {
		.size = sizeof expiry,
		.attempt = call->attempt,
		.self = call->self,
		.last_touch_ms = instance->life->last_touch_ms,
	};
	invocation_begin(shard->invocation, shard->view, target->binding, version, instance, shard->epoch_time_ms);
	shard->invocation->expiring = true;
	hold_give(shard);
	note_enter(shard->note, NOTE_FUNCTION, version->image->note, call);
	int result = version->function->on_expire(&shard->invocation->context, version->plugin_data, &expiry);
	note_left(shard->note, NOTE_FUNCTION);
	hold_take(shard);
	return result;
}

/* One attempt: the state goes to the version's schema, invoke or (for a sweep) on_expire is called, and what it asked for
 * happens. The instance may have moved: it is the invocation's then. */
static enum outcome run(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	struct invocation *invocation = shard->invocation;
	sofun_message call;
	bool migrates = instance->schema != target->version->schema;
	enum outcome outcome = OUTCOME_DONE;
	if (__builtin_expect(migrates, 0))
		outcome = attempt_migrated(shard, target, &instance, message->payload);
	if (outcome == OUTCOME_DONE) {
		int result = (message->head->flags & MESSAGE_SWEEP) != 0
			? invoke_expire(shard, target, instance, message, attempts, &call)
			: invoke(shard, target, instance, message, attempts, &call);
		invocation->carried = 0;
		if (__builtin_expect(migrates, 0) && result == 0 && invocation->refused == NULL &&
			invocation->store_error.code == ERROR_NONE)
			migrate_keep(shard, instance, target->version->schema);
		outcome = conclude(shard, target, message, attempts, last, result);
	}
	note_end(shard->note);
	return outcome;
}

/* The end of an instance that was idle for too long: what on_expire causes, and the end of its state, are one. message is
 * a sweep. */
static enum outcome expire(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	expiry_values_drop(shard, target->version, instance);
	if (target->version->function->on_expire != NULL) {
		enum outcome outcome = run(shard, target, instance, message, attempts, last);
		if (outcome != OUTCOME_DONE)
			return outcome;
		instance = shard->invocation->instance;
	}
	expiry_end(shard, instance);
	return OUTCOME_DONE;
}

/* A message finds its instance expired: that comes first. REQUIRES that it is no sweep. */
static bool found_idle(const struct shard *shard, const struct target *target, const struct instance *instance) {
	return target->version->idle_ttl_ms > 0 && expiry_idle(instance, target->version, shard->epoch_time_ms);
}

/* AGAIN, BLOCKED: a sweep waits at the head of the address from here on, if it is not the last attempt. */
static enum outcome expire_found(
	struct shard *shard, const struct target *target, struct instance *instance, bool last) {
	struct message message;
	message_read(expiry_message(shard, instance), &message);
	shard->invocation->instance = instance;
	enum outcome outcome = expire(shard, target, instance, &message, 0, last);
	if (last || outcome == OUTCOME_DONE || outcome == OUTCOME_STORE)
		return outcome;
	expiry_message_born(shard);
	if (outcome == OUTCOME_AGAIN)
		retry_begin(shard, shard->invocation->instance, &message);
	else
		retry_block(shard, shard->invocation->instance, &message);
	return outcome;
}

/* ---- messages ---- */

/* Calls the function once and lets its effects happen, or makes a dead letter of a message that is out of attempts. */
static enum outcome attempt(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last) {
	enum outcome outcome = OUTCOME_DONE;
	shard->invocation->instance = instance;
	if ((message->head->flags & MESSAGE_SWEEP) == 0) {
		if (target->version->values_expire)
			expiry_values_drop(shard, target->version, instance);
		outcome = run(shard, target, instance, message, attempts, last);
	} else if (expiry_sweep(shard, target->version, instance, message)) {
		outcome = expire(shard, target, instance, message, attempts, last);
	}
	if (outcome == OUTCOME_DONE)
		handled(shard, message);
	return outcome;
}

struct instance *dispatch_fit(struct shard *shard, struct instance *instance, uint32_t value_count) {
	if (instance->value_count >= value_count)
		return instance;
	struct instance *wide = cache_widen(&shard->cache, instance, value_count);
	if (wide->wait != NULL)
		wide->wait->instance = wide;
	for (size_t i = 0; (wide->flags & INSTANCE_DIRTY) != 0 && i < shard->dirty_count; i++) {
		if (shard->dirty[i] == instance)
			shard->dirty[i] = wide;
	}
	return wide;
}

static struct instance *instance_of(struct shard *shard, const struct version *version, const struct message *message) {
	struct error error;
	struct flow *flow = shard->flow;
	struct instance *instance = cache_get(&shard->cache, flow->store, message->head->hash, message->head->type,
		message->id, version->value_count, version->schema, store_applied(flow->store), &error);
	if (instance == NULL) {
		shard_store_error(shard, &error);
		return NULL;
	}
	instance->flags |= INSTANCE_USED;
	return dispatch_fit(shard, instance, version->value_count);
}

/* Without suspects, which is the rule, nobody is asked. */
static inline enum trial_answer trial_of(
	struct shard *shard, const struct target *target, const struct message *message) {
	if (__builtin_expect(shard->trial.count == 0, 1))
		return TRIAL_FREE;
	return trial_of_message(shard, target->version->image, message);
}

/* It is convicted: it is not run any more. */
static void crashed(
	struct shard *shard, const struct target *target, const struct message *message, uint32_t attempts) {
	shard_touch(shard);
	trial_reason(shard, &shard->invocation->failure);
	letter_write(shard, target, message, attempts, "crashed");
	handled(shard, message);
	trial_sentenced(shard);
}

static bool message_live(
	struct shard *shard, const struct target *target, const uint8_t *at, const struct message *message) {
	struct instance *instance = instance_of(shard, target->version, message);
	if (instance == NULL)
		return false;
	if (instance->wait != NULL) {
		retry_behind(shard, instance, at);
		return true;
	}
	switch (trial_of(shard, target, message)) {
	case TRIAL_FREE:
		break;
	case TRIAL_HOLD:
		retry_hold(shard, instance, message);
		return true;
	case TRIAL_DEAD:
		crashed(shard, target, message, 0);
		return true;
	}
	if ((message->head->flags & MESSAGE_SWEEP) == 0 && found_idle(shard, target, instance)) {
		enum outcome outcome = expire_found(shard, target, instance, false);
		instance = shard->invocation->instance;
		if (outcome == OUTCOME_AGAIN || outcome == OUTCOME_BLOCKED)
			retry_behind(shard, instance, at);
		if (outcome != OUTCOME_DONE)
			return outcome != OUTCOME_STORE;
	}
	switch (attempt(shard, target, instance, message, 0, false)) {
	case OUTCOME_STORE:
		return false;
	case OUTCOME_AGAIN:
		retry_begin(shard, shard->invocation->instance, message);
		break;
	case OUTCOME_BLOCKED:
		retry_block(shard, shard->invocation->instance, message);
		break;
	case OUTCOME_DONE:
		break;
	}
	return true;
}

static struct target target_of(const struct shard *shard, const struct message *message) {
	const struct binding *binding = &shard->view->bindings[message->head->type];
	return (struct target){binding, binding_version(binding, message->head->birth_epoch, message->id)};
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
	const struct target target = target_of(shard, &message);
	if (__builtin_expect(target.binding->settled == NULL, 0) && held(shard, target.binding, message.head))
		return false;
	if (target.version == NULL || park_waits(shard, message.head->type)) {
		park_message(shard, at);
		return true;
	}
	return message_live(shard, &target, at, &message);
}

bool dispatch_parked(struct shard *shard, struct queue *park) {
	struct error error;
	bool failed = false;
	const uint8_t *at = queue_peek(park, shard->flow->store, &failed, &error);
	if (failed) {
		shard_store_error(shard, &error);
		return false;
	}
	struct message message;
	message_read(at, &message);
	shard_touch(shard);
	const struct target target = target_of(shard, &message);
	check(target.version != NULL); /* parks_step looks at live types only */
	return message_live(shard, &target, at, &message);
}

bool dispatch_waiting(struct shard *shard, struct wait *wait) {
	struct error error;
	bool failed = false;
	const uint8_t *at = queue_peek(&wait->queue, shard->flow->store, &failed, &error);
	if (failed) {
		shard_store_error(shard, &error);
		return false;
	}
	struct message message;
	message_read(at, &message);
	shard_touch(shard);
	const struct target target = target_of(shard, &message);
	if (target.version == NULL) {
		retry_stall(shard, wait, bytes_of(NULL, 0));
		return true;
	}
	const struct config *config = shard->flow->config;
	bool last = wait->attempts > 0 && shard->epoch_time_ms - wait->first_failed_ms >= config->retry_block_ms_max;
	switch (trial_of(shard, &target, &message)) {
	case TRIAL_FREE:
		break;
	case TRIAL_HOLD:
		retry_stall(shard, wait, bytes_of(NULL, 0));
		return true;
	case TRIAL_DEAD:
		crashed(shard, &target, &message, wait->attempts);
		retry_done(shard, wait);
		return true;
	}
	struct instance *instance = dispatch_fit(shard, wait->instance, target.version->value_count);
	/* it expired while the message waited: on_expire has this one attempt */
	if ((message.head->flags & MESSAGE_SWEEP) == 0 && found_idle(shard, &target, instance) &&
		expire_found(shard, &target, instance, true) == OUTCOME_STORE)
		return false;
	instance = wait->instance;
	enum outcome outcome = attempt(shard, &target, instance, &message, wait->attempts, last);
	switch (outcome) {
	case OUTCOME_STORE:
		return false;
	case OUTCOME_AGAIN:
		retry_again(shard, wait);
		break;
	case OUTCOME_BLOCKED:
		retry_stall(shard, wait, bytes_buf(&shard->invocation->failure));
		break;
	case OUTCOME_DONE:
		retry_done(shard, wait);
		break;
	}
	return true;
}
