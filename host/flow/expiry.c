#include "flow/expiry.h"

#include "base/check.h"
#include "sofun/function.h"
#include "wire/cursor.h"
#include "wire/pack.h"

static uint64_t later_ms(uint64_t time_ms, uint64_t by_ms) {
	return time_ms > UINT64_MAX - by_ms ? UINT64_MAX : time_ms + by_ms;
}

uint64_t expiry_value_due_ms(const struct sofun_value *value, uint64_t written_ms, uint64_t last_touch_ms) {
	uint64_t due_ms = UINT64_MAX;
	if (value->expire_after_write_ms > 0 && written_ms > 0)
		due_ms = later_ms(written_ms, value->expire_after_write_ms);
	if (value->expire_after_invoke_ms > 0 && last_touch_ms > 0) {
		uint64_t invoke_ms = later_ms(last_touch_ms, value->expire_after_invoke_ms);
		due_ms = invoke_ms < due_ms ? invoke_ms : due_ms;
	}
	return due_ms;
}

static uint64_t idle_due_ms(const struct instance *instance, const struct version *version) {
	const struct instance_life *life = instance->life;
	if (version->idle_ttl_ms == 0 || life == NULL || life->generation == 0)
		return UINT64_MAX;
	return later_ms(life->last_touch_ms, version->idle_ttl_ms);
}

bool expiry_idle(const struct instance *instance, const struct version *version, uint64_t now_ms) {
	return idle_due_ms(instance, version) <= now_ms;
}

static uint64_t value_due_ms(const struct instance *instance, const struct version *version, uint32_t number) {
	const struct instance_life *life = instance->life;
	if (life == NULL || instance->schema != version->schema || number >= version->value_count ||
		instance->slots[number].size == 0)
		return UINT64_MAX; /* numbers of another schema mean nothing here */
	return expiry_value_due_ms(&version->function->values[number], life->written_ms[number], life->last_touch_ms);
}

/* When the next thing of it ends. */
static uint64_t next_due_ms(const struct instance *instance, const struct version *version) {
	uint64_t due_ms = idle_due_ms(instance, version);
	for (uint32_t number = 0; version->values_expire && number < instance->value_count; number++) {
		uint64_t value_ms = value_due_ms(instance, version, number);
		due_ms = value_ms < due_ms ? value_ms : due_ms;
	}
	return due_ms;
}

static void value_unset(struct shard *shard, struct instance *instance, uint32_t number) {
	size_t before = slot_memory(&instance->slots[number]);
	instance_set(instance, number, bytes_of(NULL, 0));
	cache_account(&shard->cache, before, slot_memory(&instance->slots[number]));
	if (instance->life != NULL)
		instance->life->written_ms[number] = 0;
}

void expiry_values_drop(struct shard *shard, const struct version *version, struct instance *instance) {
	for (uint32_t number = 0; instance->life != NULL && number < instance->value_count; number++) {
		if (value_due_ms(instance, version, number) > shard->epoch_time_ms)
			continue;
		value_unset(shard, instance, number);
		effects_dirty(shard, instance);
		shard->counts.values_expired++;
	}
}

static bool instance_has_state(const struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (instance->slots[number].size > 0)
			return true;
	}
	return false;
}

/* ---- sweeps ---- */

/* The message that looks after the instance: from it to itself, with the generation that it is for. */
static const struct message_head *sweep_write(struct shard *shard, const struct instance *instance) {
	struct buf payload = {0};
	pack_uint(&payload, instance->life->generation);
	struct message_parts parts = {
		.head = {.hash = instance->hash, .type = instance->type, .caller_type = instance->type, .flags = MESSAGE_SWEEP},
		.id = instance_id_bytes(instance),
		.caller_id = instance_id_bytes(instance),
		.payload = bytes_buf(&payload),
	};
	uint32_t size = message_measure(&parts);
	buf_reset(&shard->sweep);
	message_put(buf_reserve(&shard->sweep, size), &parts);
	shard->sweep.size = size;
	buf_finish(&payload);
	return (const struct message_head *)(const void *)shard->sweep.data;
}

const uint8_t *expiry_message(struct shard *shard, const struct instance *instance) {
	return (const uint8_t *)sweep_write(shard, instance);
}

const uint8_t *expiry_message_born(struct shard *shard) {
	struct message_head *head = (struct message_head *)(void *)shard->sweep.data;
	effects_born(shard, head, shard->colour);
	head->flags |= MESSAGE_SWEEP;
	return shard->sweep.data;
}

/* One entry an instance: at the time when the next thing of it ends, as far as it is known now. */
static void instance_file(struct shard *shard, struct instance *instance, uint64_t due_ms) {
	instance->life->generation = atomic_fetch_add(&shard->flow->timer_next, 1);
	timers_set(shard, due_ms, bytes_of(NULL, 0), sweep_write(shard, instance));
	shard->counts.timers_set--; /* nobody asked for it */
}

void expiry_touch(struct shard *shard, const struct version *version, struct instance *instance, uint64_t changed) {
	bool fresh = instance->life == NULL;
	size_t before = fresh ? instance_memory(instance) : 0;
	struct instance_life *life = instance_live(instance);
	if (fresh)
		cache_account(&shard->cache, before, instance_memory(instance));
	uint64_t time_ms = shard->invocation->time_ms; /* as the function saw it: the epoch may have been cut since */
	life->last_touch_ms = time_ms;
	for (; changed != 0; changed &= changed - 1) {
		uint32_t number = (uint32_t)__builtin_ctzll(changed);
		bool kept = number < version->value_count && version->function->values[number].expire_after_write_ms > 0 &&
			instance->slots[number].size > 0;
		life->written_ms[number] = kept ? time_ms : 0;
	}
	if (!instance_has_state(instance)) {
		life->generation = 0; /* no row, and no one to sweep */
		return;
	}
	effects_dirty(shard, instance);
	if (life->generation == 0 && version->expires) {
		life->generation = 1; /* any: it counts as filed while the due time is looked for */
		uint64_t due_ms = next_due_ms(instance, version);
		life->generation = 0;
		if (due_ms != UINT64_MAX)
			instance_file(shard, instance, due_ms);
	}
}

void expiry_end(struct shard *shard, struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++)
		value_unset(shard, instance, number);
	if (instance->life != NULL) {
		instance->life->generation = 0;
		instance->life->last_touch_ms = 0;
	}
	effects_dirty(shard, instance);
	shard->counts.expired++;
}

static bool sweep_is_for(const struct instance *instance, const struct message *message) {
	uint64_t generation;
	struct cursor cursor = cursor_of(message->payload);
	check(cursor_read_uint(&cursor, &generation));
	return instance->life != NULL && instance->life->generation == generation;
}

bool expiry_sweep(
	struct shard *shard, const struct version *version, struct instance *instance, const struct message *message) {
	if (!sweep_is_for(instance, message))
		return false; /* it ended before, and may have begun anew since */
	if (expiry_idle(instance, version, shard->epoch_time_ms))
		return true;
	expiry_values_drop(shard, version, instance);
	effects_dirty(shard, instance);
	uint64_t due_ms = next_due_ms(instance, version);
	if (due_ms != UINT64_MAX && instance_has_state(instance))
		instance_file(shard, instance, due_ms);
	else
		instance->life->generation = 0;
	return false;
}
