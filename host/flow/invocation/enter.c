#include "flow/invocation/enter.h"

#include <sched.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/entries/read.h"
#include "flow/expiry/expiry.h"
#include "flow/migration/migrate.h"
#include "flow/shard.h"
#include "plugin/image.h"
#include "sofun/effects.h"

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

int enter_router(struct shard *shard, const struct route *route, const sofun_record *record) {
	struct invocation *invocation = shard->invocation;
	invocation->image = route->image;
	hold_give(shard);
	note_enter(shard->note, NOTE_ROUTER, route->image->note, record);
	int result = route->router->route(&invocation->context, route->plugin_data, record);
	note_left(shard->note, NOTE_ROUTER);
	hold_take(shard);
	return result;
}

int enter_migrate(struct shard *shard, const struct migrator *migrator, struct bytes payload) {
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
	invocation->context.host = &invocation->migration_host.table;
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

/* call: filled in, and alive until note_end. */
int enter_function(struct shard *shard, const struct target *target, struct instance *instance,
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
	struct function_tally *tally = shard_tally_of(shard, binding, version);
	bool sampled = tally_get(&tally->in) % TALLY_SAMPLE == 0;
	tally_add(&tally->in, 1);
	if (__builtin_expect(attempts > 0, 0))
		tally_add(&tally->again, 1);
	uint64_t start_us = sampled || shard->measured_turns > 0 ? monotonic_us() : 0;
	hold_give(shard);
	note_enter(shard->note, NOTE_FUNCTION, version->image->note, call);
	int result = version->function->invoke(&invocation->context, version->plugin_data, call);
	note_left(shard->note, NOTE_FUNCTION);
	hold_take(shard);
	if (__builtin_expect(invocation->cursor_count > 0, 0))
		entries_cursors_close(invocation);
	if (start_us > 0) {
		uint64_t took_us = monotonic_us() - start_us;
		if (sampled)
			histogram_add(&tally->seconds, took_us);
		enter_slow(shard, took_us);
	}
	return result;
}

void enter_slow(struct shard *shard, uint64_t took_us) {
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

int enter_expire(struct shard *shard, const struct target *target, struct instance *instance,
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
		.last_touch_ms = expiry_last_touch_ms(instance, target->ttl),
	};
	invocation_begin(shard->invocation, shard->view, target->binding, version, instance, shard->epoch_time_ms);
	shard->invocation->expiring = true;
	hold_give(shard);
	note_enter(shard->note, NOTE_FUNCTION, version->image->note, call);
	int result = version->function->on_expire(&shard->invocation->context, version->plugin_data, &expiry);
	note_left(shard->note, NOTE_FUNCTION);
	hold_take(shard);
	entries_cursors_close(shard->invocation);
	return result;
}

/* Without on_result, as in a version that came past a drain's deadline, it fails like any other. */
static int result_call(
	struct invocation *invocation, const struct version *version, const sofun_result *result, bool readable) {
	if (readable && version->function->on_result != NULL)
		return version->function->on_result(&invocation->context, version->plugin_data, result);
	buf_reset(&invocation->failure);
	buf_printf(&invocation->failure, "%s",
		readable ? "the result of an operation came to a version without on_result" : "no result of an operation");
	return SOFUN_FAILED;
}

int enter_result(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call) {
	const struct version *version = target->version;
	struct invocation *invocation = shard->invocation;
	struct operation_outcome outcome;
	bool readable = operation_outcome_read(message->payload, &outcome);
	bool success = outcome.status == SOFUN_RESULT_SUCCESS;
	*call = (sofun_message){
		.size = sizeof *call,
		.attempt = attempts + 1,
		.self = {.type = {(const uint8_t *)target->binding->name, target->binding->name_size},
			.id = {message->id.data, message->id.size}},
		.payload = {message->payload.data, message->payload.size},
	};
	const sofun_bytes result = {outcome.result.data, outcome.result.size};
	const sofun_result told = {
		.size = sizeof told,
		.attempt = call->attempt,
		.self = call->self,
		.id = outcome.id,
		.status = outcome.status,
		.metadata = {outcome.metadata.data, outcome.metadata.size},
		.result = success ? result : (sofun_bytes){NULL, 0},
		.text = success ? (sofun_bytes){NULL, 0} : result,
	};
	invocation_begin(invocation, shard->view, target->binding, version, instance, shard->epoch_time_ms);
	hold_give(shard);
	note_enter(shard->note, NOTE_FUNCTION, version->image->note, call);
	int returned = result_call(invocation, version, &told, readable);
	note_left(shard->note, NOTE_FUNCTION);
	hold_take(shard);
	entries_cursors_close(invocation);
	return returned;
}
