#include "flow/expiry/expiry.h"

#include "base/check.h"
#include "base/varint.h"
#include "flow/migration/migrate.h"
#include "sofun/function.h"
#include "wire/cursor.h"
#include "wire/pack.h"

static uint64_t last_touch_ms(const struct instance *instance) {
	const struct instance_life *life = instance_life(instance);
	return life == NULL ? 0 : life->last_touch_ms;
}

static uint64_t generation_of(const struct instance *instance) {
	const struct instance_life *life = instance_life(instance);
	return life == NULL ? 0 : life->generation;
}

enum instance_room expiry_room(const struct ttl *ttl) {
	if (ttl == NULL)
		return ROOM_NONE;
	for (; ttl != NULL; ttl = ttl->next) {
		if (ttl->values_expire)
			return ROOM_VALUES;
	}
	return ROOM_LIFE;
}

bool expiry_has_state(const struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (instance->slots[number].size > 0)
			return true;
	}
	return false;
}

bool expiry_idle(const struct instance *instance, const struct ttl *ttl, uint64_t now_ms) {
	return ttl_idle_due_ms(ttl, last_touch_ms(instance)) <= now_ms && expiry_has_state(instance);
}

uint64_t expiry_last_touch_ms(const struct instance *instance, const struct ttl *ttl) {
	uint64_t touch_ms = last_touch_ms(instance);
	return touch_ms > 0 || ttl == NULL ? touch_ms : ttl->idle.since_ms;
}

uint64_t expiry_seen_ms(const struct instance *instance, const struct ttl *ttl, uint64_t now_ms) {
	uint64_t end_ms = ttl_idle_due_ms(ttl, last_touch_ms(instance));
	return end_ms > ttl_vague_ms(ttl_of_schema(ttl, instance->schema)) ? end_ms : now_ms;
}

/* ttl: of its schema, and not NULL. */
static uint64_t value_due_ms(const struct instance *instance, const struct ttl *ttl, uint32_t number) {
	if (instance->slots[number].size == 0)
		return UINT64_MAX;
	return ttl_value_due_ms(ttl, number, instance_written_ms(instance, number), last_touch_ms(instance));
}

/* The numbers of its values are those of the schema that wrote it. NULL: none of them expires. */
static const struct ttl *ttl_of_values(const struct instance *instance, const struct ttl *ttl) {
	const struct ttl *own = ttl_of_schema(ttl, instance->schema);
	return own != NULL && own->values_expire ? own : NULL;
}

/* When the next thing of it ends. */
static uint64_t next_due_ms(const struct instance *instance, const struct ttl *ttl) {
	uint64_t due_ms = ttl_idle_due_ms(ttl, last_touch_ms(instance));
	const struct ttl *own = ttl_of_values(instance, ttl);
	for (uint32_t number = 0; own != NULL && number < instance->value_count; number++) {
		uint64_t value_ms = value_due_ms(instance, own, number);
		due_ms = value_ms < due_ms ? value_ms : due_ms;
	}
	return due_ms;
}

static void value_unset(struct shard *shard, struct instance *instance, uint32_t number) {
	size_t before = slot_memory(&instance->slots[number]);
	if ((instance->flags & INSTANCE_ENTRIES) != 0)
		entries_lose(shard, instance, number);
	instance_set(instance, number, bytes_of(NULL, 0));
	cache_account(&shard->cache, before, slot_memory(&instance->slots[number]));
	instance_written_set(instance, number, 0);
}

void expiry_values_drop(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t until_ms) {
	const struct ttl *own = ttl_of_values(instance, ttl);
	for (uint32_t number = 0; own != NULL && number < instance->value_count; number++) {
		if (value_due_ms(instance, own, number) > until_ms)
			continue;
		value_unset(shard, instance, number);
		effects_dirty(shard, instance);
		shard->counts.values_expired++;
		tally_add(&shard_type_tally(shard, instance->type)->values_expired, 1);
	}
}

/* ---- sweeps ---- */

/* The message that looks after the instance: from it to itself, with the generation that it is for. */
static const struct message_head *sweep_write(struct shard *shard, const struct instance *instance) {
	struct buf payload = {0};
	pack_uint(&payload, generation_of(instance));
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

static struct instance_life *life_of(struct shard *shard, struct instance *instance) {
	struct instance_life *life = instance_life(instance);
	if (life != NULL)
		return life;
	size_t before = instance_memory(instance);
	life = instance_live(instance);
	cache_account(&shard->cache, before, instance_memory(instance));
	return life;
}

/* One entry an instance: at the time when the next thing of it ends, as far as it is known now. */
static void instance_file(struct shard *shard, struct instance *instance, uint64_t due_ms, uint64_t below) {
	life_of(shard, instance)->generation =
		sweep_age_generation(shard->ages, &shard->flow->timer_next, shard->epoch_time_ms, due_ms, below);
	timers_file(shard, due_ms, sweep_write(shard, instance));
}

bool expiry_file(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t below) {
	if (generation_of(instance) >= below || !expiry_has_state(instance))
		return false;
	uint64_t due_ms = next_due_ms(instance, ttl);
	if (due_ms == UINT64_MAX)
		return false;
	instance_file(shard, instance, due_ms, below);
	effects_dirty(shard, instance);
	return true;
}

static void value_written(struct shard *shard, struct instance *instance, uint32_t number, uint64_t time_ms) {
	uint64_t *written = instance_written(instance);
	if (written != NULL)
		written[number] = time_ms;
	if (written != NULL || time_ms == 0)
		return;
	size_t before = instance_memory(instance);
	instance_written_set(instance, number, time_ms);
	cache_account(&shard->cache, before, instance_memory(instance));
}

/* Notes when those of its values were set; 0: of one that needs no time. ttl: as of ttl_of_values. */
static void values_written(
	struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t written, uint64_t time_ms) {
	for (; written != 0; written &= written - 1) {
		uint32_t number = (uint32_t)__builtin_ctzll(written);
		bool keeps = ttl != NULL && number < ttl->value_count && ttl->values[number].after_write.since_ms > 0 &&
			instance->slots[number].size > 0;
		value_written(shard, instance, number, keeps ? time_ms : 0);
	}
}

void expiry_touch(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t written) {
	struct instance_life *life = life_of(shard, instance);
	uint64_t time_ms = shard->invocation->time_ms; /* as the function saw it: the epoch may have been cut since */
	life->last_touch_ms = time_ms;
	values_written(shard, ttl_of_values(instance, ttl), instance, written, time_ms);
	if (!expiry_has_state(instance)) {
		life->generation = 0; /* no row, and no one to sweep */
		return;
	}
	effects_dirty(shard, instance);
	if (ttl != NULL && life->generation < EXPIRY_UNFILED)
		expiry_file(shard, ttl, instance, EXPIRY_UNFILED);
}

static uint32_t value_find(const struct sofun_value *values, uint32_t count, const char *name) {
	uint32_t number = 0;
	while (number < count && strcmp(values[number].name, name) != 0)
		number++;
	return number;
}

void expiry_migrated(struct shard *shard, const struct migrator *migrator, struct instance *instance) {
	uint64_t before[VALUES_MAX] = {0};
	life_of(shard, instance);
	for (uint32_t number = 0; number < instance->value_count; number++) {
		before[number] = instance_written_ms(instance, number);
		value_written(shard, instance, number, 0);
	}
	for (uint32_t number = 0; number < migrator->out_count; number++) {
		uint32_t from = value_find(migrator->in, migrator->in_count, migrator->out[number].name);
		value_written(shard, instance, number, from < migrator->in_count ? before[from] : shard->invocation->time_ms);
	}
}

void expiry_end(struct shard *shard, struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++)
		value_unset(shard, instance, number);
	struct instance_life *life = instance_life(instance);
	if (life != NULL)
		*life = (struct instance_life){0};
	effects_dirty(shard, instance);
	shard->counts.expired++;
	tally_add(&shard_type_tally(shard, instance->type)->expired, 1);
}

static bool sweep_is_for(const struct instance *instance, const struct message *message) {
	uint64_t generation;
	struct cursor cursor = cursor_of(message->payload);
	check(cursor_read_uint(&cursor, &generation));
	return generation_of(instance) == generation;
}

bool expiry_sweep(
	struct shard *shard, const struct ttl *ttl, struct instance *instance, const struct message *message) {
	if (!sweep_is_for(instance, message))
		return false; /* it ended before, and may have begun anew since */
	if (expiry_idle(instance, ttl, shard->epoch_time_ms))
		return true;
	expiry_values_drop(shard, ttl, instance, shard->epoch_time_ms);
	struct instance_life *life = instance_life(instance);
	if (life == NULL)
		return false;
	effects_dirty(shard, instance);
	life->generation = 0;
	expiry_file(shard, ttl, instance, EXPIRY_UNFILED);
	return false;
}

/* ---- many, in the background ---- */

/* 1: it is looked after; 0: its version is not live; -1: the store could not be read. */
static int file_one(
	struct shard *shard, const struct binding *binding, struct bytes id, uint64_t below, struct error *error) {
	struct flow *flow = shard->flow;
	const struct version *version = binding_version(binding, shard->epoch, id);
	if (version == NULL)
		return 0;
	const struct ttl *ttl = binding_ttl(binding, id);
	uint32_t hash = flow_hash(flow, binding->number, id);
	struct instance *instance = cache_get(&shard->cache, flow->store, hash, binding->number, id, version->value_count,
		version->schema, expiry_room(ttl), store_applied(flow->store), error);
	if (instance == NULL)
		return -1;
	if (ttl != NULL && expiry_file(shard, ttl, instance, below))
		shard->epoch_messages++;
	return 1;
}

bool expiry_batch(struct shard *shard, const struct input *input, int *budget) {
	const struct binding *binding = &shard->view->bindings[input->first];
	struct bytes rest = bytes_of(input + 1, (size_t)input->body_size);
	struct bytes id;
	rest = bytes_of(rest.data + shard->record_offset, rest.size - shard->record_offset);
	shard_touch(shard);
	while (sized_take(&rest, &id)) {
		struct error error;
		if (*budget <= 0 || !shard_epoch_open(shard))
			return false;
		int filed = file_one(shard, binding, id, input->session, &error);
		if (filed < 0) {
			shard_store_error(shard, &error);
			return false;
		}
		shard->batch_refused += filed == 0;
		shard->record_offset = (size_t)input->body_size - rest.size;
		(*budget)--;
	}
	struct engine_answer answer = {.token = input->token, .number = shard->batch_refused};
	output_put(&shard->outputs, &answer);
	shard->record_offset = 0;
	shard->batch_refused = 0;
	return true;
}
