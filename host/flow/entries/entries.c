#include "flow/entries/entries.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/entries/header.h"
#include "flow/shard.h"
#include "state/key.h"
#include "state/reclaim.h"

enum {
	CHANGES_FIRST = 64,
	PRUNE_MAX = 4096, /* a turn: some hundred microseconds */
	/* What an entry adds to an epoch and to memory besides its bytes, roughly. */
	ENTRY_ROW_BYTES = 64,
	GENERATION_BYTES = 8,
};

/* ---- entries ---- */

struct entry *entry_create(uint8_t number, struct bytes msgpack) {
	struct entry *entry = check_alloc(1, sizeof *entry + msgpack.size);
	check(msgpack.size > 0 && msgpack.size <= UINT32_MAX);
	entry->number = number;
	entry->size = (uint32_t)msgpack.size;
	memcpy(entry->data, msgpack.data, msgpack.size);
	return entry;
}

struct entry *entry_create_removed(uint8_t number) {
	struct entry *entry = check_alloc(1, sizeof *entry);
	entry->number = number;
	entry->removed = true;
	return entry;
}

void entries_finish(struct entries *entries) {
	ordered_finish(&entries->map, free);
	free(entries->changes);
	*entries = (struct entries){0};
}

struct key entries_place(uint16_t type, struct bytes key) {
	struct key place = {.size = 0};
	key_u8(&place, (uint8_t)(type >> 8));
	key_u8(&place, (uint8_t)type);
	key_append(&place, key);
	return place;
}

/* ---- what the applier has not taken yet ---- */

static void changes_grow(struct entries *entries) {
	size_t capacity = entries->change_capacity == 0 ? CHANGES_FIRST : entries->change_capacity * 2;
	struct entry_change *changes = check_alloc(capacity, sizeof *changes);
	for (size_t i = 0; i < entries->change_count; i++)
		changes[i] = entries->changes[(entries->change_first + i) & (entries->change_capacity - 1)];
	free(entries->changes);
	entries->changes = changes;
	entries->change_capacity = capacity;
	entries->change_first = 0;
}

void entries_put(struct shard *shard, uint16_t type, struct bytes key, struct entry *entry) {
	struct entries *entries = &shard->entries;
	struct key place = entries_place(type, key);
	void *before;
	entry->epoch = shard->epoch;
	shard->epoch_bytes += key.size + entry->size + ENTRY_ROW_BYTES;
	struct ordered_node *node = ordered_put(&entries->map, key_bytes(&place), entry, &before);
	bool waits = before != NULL && ((struct entry *)before)->epoch == shard->epoch;
	free(before);
	if (waits)
		return; /* its change is among the unsealed ones already */
	if (entries->change_count == entries->change_capacity)
		changes_grow(entries);
	entries->changes[(entries->change_first + entries->change_count++) & (entries->change_capacity - 1)] =
		(struct entry_change){.node = node, .epoch = shard->epoch};
	entries->unsealed++;
}

static void change_redo(struct shard *shard, struct redo_series *series, const struct ordered_node *node) {
	const struct entry *entry = ordered_what(node);
	struct bytes place = ordered_key(node);
	uint16_t type = (uint16_t)(place.data[0] << 8 | place.data[1]);
	struct bytes key = bytes_of(place.data + sizeof type, place.size - sizeof type);
	if (!entry->removed) {
		redo_put_next(&shard->redo, series, type, key, entry_bytes(entry));
		return;
	}
	redo_remove(&shard->redo, type, key);
	series->begun = false;
}

void entries_redo(struct shard *shard) {
	struct entries *entries = &shard->entries;
	struct redo_series series = {.begun = false};
	for (; entries->unsealed > 0; entries->unsealed--) {
		size_t at = entries->change_first + entries->change_count - entries->unsealed;
		const struct entry_change *change = &entries->changes[at & (entries->change_capacity - 1)];
		check(change->epoch == shard->epoch);
		change_redo(shard, &series, change->node);
	}
}

void entries_prune(struct entries *entries, uint64_t applied) {
	for (int i = 0; i < PRUNE_MAX && entries->change_count > entries->unsealed; i++) {
		struct entry_change change = entries->changes[entries->change_first];
		if (change.epoch > applied)
			return;
		entries->change_first = (entries->change_first + 1) & (entries->change_capacity - 1);
		entries->change_count--;
		if (((struct entry *)ordered_what(change.node))->epoch == change.epoch) /* else it was written again since */
			free(ordered_remove(&entries->map, ordered_key(change.node)));
	}
}

/* ---- effects ---- */

void entries_drop(struct shard *shard, uint16_t type, struct bytes from, struct bytes to) {
	struct key key = key_dropped(shard->epoch, atomic_fetch_add(&shard->flow->generation_next, 1));
	const struct dropped_row row = {.database = type, .from = from, .to = to};
	buf_reset(&shard->scratch);
	dropped_row_put(&shard->scratch, &row);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&shard->scratch));
	shard->epoch_bytes += key.size + shard->scratch.size;
}

static void generation_drop(struct shard *shard, const struct instance *instance, uint64_t generation) {
	struct key from = key_entries(instance_id_bytes(instance), generation);
	struct key to = key_entries(instance_id_bytes(instance), generation + 1);
	entries_drop(shard, instance->type, key_bytes(&from), key_bytes(&to));
}

/* Items that left a list at its front: few by themselves, many as a range. */
static void items_drop(struct shard *shard, const struct instance *instance, const struct entries_header *before,
	const struct entries_header *now) {
	enum { ONE_BY_ONE_MAX = 16 };
	struct key from = key_entries(instance_id_bytes(instance), before->generation);
	if (now->first - before->first > ONE_BY_ONE_MAX) {
		struct key to = from;
		key_u64(&from, before->first);
		key_u64(&to, now->first);
		entries_drop(shard, instance->type, key_bytes(&from), key_bytes(&to));
		return;
	}
	for (uint64_t index = before->first; index < now->first && index < before->end; index++) {
		struct key key = from;
		key_u64(&key, index);
		entries_put(shard, instance->type, key_bytes(&key), entry_create_removed(0));
	}
}

static struct bytes value_before(const struct instance *instance, uint32_t number) {
	const struct slot *slot = &instance->slots[number];
	return slot_cold(slot) ? bytes_of(NULL, 0) : slot_bytes(slot);
}

void entries_lose(struct shard *shard, const struct instance *instance, uint32_t number) {
	struct entries_header header;
	if (entries_header_read(value_before(instance, number), &header))
		generation_drop(shard, instance, header.generation);
}

static bool changed(const struct invocation *invocation, uint32_t number) {
	return (invocation->changed & UINT64_C(1) << number) != 0;
}

/* The header with which that generation goes on, in whichever value. */
static bool generation_stays(
	const struct invocation *invocation, uint64_t generation, struct entries_header *ret_header) {
	const struct instance *instance = invocation->instance;
	for (uint32_t number = 0; number < instance->value_count; number++) {
		struct bytes value =
			changed(invocation, number) ? bytes_buf(&invocation->values[number]) : value_before(instance, number);
		if (entries_header_read(value, ret_header) && ret_header->generation == generation)
			return true;
	}
	return false;
}

void entries_leave(struct shard *shard, const struct invocation *invocation) {
	const struct instance *instance = invocation->instance;
	struct entries_header before, now;
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (!changed(invocation, number) || !entries_header_read(value_before(instance, number), &before))
			continue;
		if (!generation_stays(invocation, before.generation, &now))
			generation_drop(shard, instance, before.generation);
		else if (now.first > before.first)
			items_drop(shard, instance, &before, &now);
	}
}

/* It may have been cleared behind the write; then the entry never was. */
static bool entry_counts(const struct instance *instance, const struct entry *entry, struct bytes own_key) {
	struct entries_header header;
	if (!entries_header_read(value_before(instance, entry->number), &header) ||
		header.generation != key_u64_at(own_key.data))
		return false;
	if (header.kind != SOFUN_KIND_LIST)
		return true;
	uint64_t index = key_u64_at(own_key.data + GENERATION_BYTES);
	return index >= header.first && index < header.end;
}

void entries_apply(struct shard *shard) {
	struct invocation *invocation = shard->invocation;
	const struct instance *instance = invocation->instance;
	for (struct ordered_node *node = ordered_seek(&invocation->entries, bytes_of(NULL, 0)); node != NULL;
		 node = ordered_next(node)) {
		struct entry *entry = ordered_what(node);
		struct bytes own_key = ordered_key(node);
		if (!entry_counts(instance, entry, own_key)) {
			free(entry);
			continue;
		}
		struct key key = key_entries(instance_id_bytes(instance), key_u64_at(own_key.data));
		key_append(&key, bytes_of(own_key.data + GENERATION_BYTES, own_key.size - GENERATION_BYTES));
		entries_put(shard, instance->type, key_bytes(&key), entry);
	}
	ordered_finish(&invocation->entries, NULL);
}
