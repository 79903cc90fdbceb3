#include "flow/counts/owed.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "flow/shard.h"

static void table_widen(struct owed_table *table, size_t types, uint32_t shards) {
	if (types <= table->types)
		return;
	table->rows = realloc(table->rows, types * shards * sizeof *table->rows);
	check_memory(table->rows);
	memset(table->rows + table->types * shards, 0, (types - table->types) * shards * sizeof *table->rows);
	table->types = types;
}

void owed_widen(struct owed_table *table, const struct flow *flow, size_t type) {
	check(type < TYPES_MAX);
	table_widen(table, type + 16, flow->shards_count);
}

void owed_finish(struct owed_table *table) {
	free(table->rows);
}

void owed_seal(struct owed_table *table, struct owed_table *seal, uint32_t shards) {
	table_widen(seal, table->types, shards);
	for (size_t word = 0; word < TYPES_MAX / 64; word++) {
		seal->touched[word] |= table->touched[word];
		for (uint64_t left = table->touched[word]; left != 0; left &= left - 1) {
			size_t at = (word * 64 + (size_t)__builtin_ctzll(left)) * shards;
			memcpy(&seal->rows[at], &table->rows[at], shards * sizeof *seal->rows);
		}
		table->touched[word] = 0;
	}
}

static _Atomic int64_t *published(const struct flow *flow, size_t type, uint32_t shard, size_t side) {
	return &flow->owed[((size_t)shard * TYPES_MAX + type) * MESSAGE_SIDES + side];
}

static void type_publish(struct flow *flow, size_t type) {
	for (uint32_t to = 0; to < flow->shards_count; to++) {
		struct owed sum = {{0}};
		for (uint32_t i = 0; i < flow->shards_count; i++) {
			const struct owed_table *table = &flow->shards[i]->seal.owed;
			for (size_t side = 0; type < table->types && side < MESSAGE_SIDES; side++)
				sum.side[side] += table->rows[type * flow->shards_count + to].side[side];
		}
		for (size_t side = 0; side < MESSAGE_SIDES; side++)
			atomic_store_explicit(published(flow, type, to, side), sum.side[side], memory_order_relaxed);
	}
}

void owed_publish(struct flow *flow) {
	for (size_t word = 0; word < TYPES_MAX / 64; word++) {
		uint64_t touched = 0;
		for (uint32_t i = 0; i < flow->shards_count; i++) {
			touched |= flow->shards[i]->seal.owed.touched[word];
			flow->shards[i]->seal.owed.touched[word] = 0;
		}
		for (; touched != 0; touched &= touched - 1)
			type_publish(flow, word * 64 + (size_t)__builtin_ctzll(touched));
	}
}

uint64_t owed_of(const struct flow *flow, uint16_t type, uint32_t shard, uint8_t side) {
	check(type < TYPES_MAX && shard < flow->shards_count && side < MESSAGE_SIDES);
	int64_t owed = atomic_load_explicit(published(flow, type, shard, side), memory_order_relaxed);
	return owed > 0 ? (uint64_t)owed : 0;
}
