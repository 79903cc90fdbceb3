/* Messages in flight, counted by type, by the shard that owns their address, and by side (message.h): what a version that
 * drains still owes, and where. A shard counts what is born and handled on it, so its own rows may be negative: what it
 * sent is handled elsewhere. Only the sum over all shards at a cut says something. Private to host/flow. */
#ifndef HOST_FLOW_COUNTS_OWED_H
#define HOST_FLOW_COUNTS_OWED_H

#include "base/check.h"
#include "flow/flow.h"
#include "flow/message.h"

/* A type that it has no row for yet. */
void owed_widen(struct owed_table *table, const struct flow *flow, size_t type);

/* [holder of the shard] Twice a message: once when it is born, once when it is handled. */
static inline void owed_add(
	struct owed_table *table, const struct flow *flow, const struct message_head *head, int64_t change) {
	const size_t type = head->type;
	check(head->side < MESSAGE_SIDES);
	if (__builtin_expect(type >= table->types, 0))
		owed_widen(table, flow, type);
	uint32_t to = message_shard(head->hash, flow->shards_count);
	table->rows[type * flow->shards_count + to].side[head->side] += change;
	table->touched[type / 64] |= UINT64_C(1) << type % 64;
}

void owed_finish(struct owed_table *table);

/* What changed since the last cut, into the seal's table. [holder of the shard] */
void owed_seal(struct owed_table *table, struct owed_table *seal, uint32_t shards);

/* The sums over all seals become what owed_of says. [committer], or before any thread */
void owed_publish(struct flow *flow);

/* Messages of that type and side whose address is that shard's, as of the last durable cut. [any thread] */
uint64_t owed_of(const struct flow *flow, uint16_t type, uint32_t shard, uint8_t side);

#endif
