/* What an invocation asked for, made to happen: all of it, in the open epoch, at a message boundary. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mutant.h"
#include "flow/counts/owed.h"
#include "flow/dead/letter.h"
#include "flow/operation/effects.h"
#include "flow/shard.h"
#include "flow/timer/effects.h"
#include "state/key.h"

enum { VALUE_ROW_BYTES = 48 }; /* what a touched instance adds to an epoch besides its values, roughly */

void effects_dirty(struct shard *shard, struct instance *instance) {
	if ((instance->flags & INSTANCE_DIRTY) != 0)
		return;
	instance->flags |= INSTANCE_DIRTY;
	if (shard->dirty_count == shard->dirty_capacity) {
		shard->dirty_capacity = shard->dirty_capacity == 0 ? 256 : shard->dirty_capacity * 2;
		shard->dirty = realloc(shard->dirty, shard->dirty_capacity * sizeof *shard->dirty);
		check_memory(shard->dirty);
	}
	shard->dirty[shard->dirty_count++] = instance;
	shard->epoch_bytes += VALUE_ROW_BYTES + instance->id_size;
}

static void values_apply(struct shard *shard, struct invocation *invocation) {
	struct instance *instance = invocation->instance;
	while (invocation->changed != 0) {
		uint32_t number = (uint32_t)__builtin_ctzll(invocation->changed);
		invocation->changed &= invocation->changed - 1;
		size_t before = slot_memory(&instance->slots[number]);
		instance_set(instance, number, bytes_buf(&invocation->values[number]));
		cache_account(&shard->cache, before, slot_memory(&instance->slots[number]));
		shard->epoch_bytes += invocation->values[number].size;
	}
	effects_dirty(shard, instance);
}

/* A draining version owes what was born before its fence: that has the other side than what comes now. */
static uint8_t side_now(const struct shard *shard, uint16_t type) {
	return type < shard->view->binding_count ? shard->view->bindings[type].side : 0;
}

void effects_counted(struct shard *shard, struct message_head *head, uint8_t colour) {
	head->flags = (uint8_t)((head->flags & (MESSAGE_ROUTE | MESSAGE_KEYED)) | colour | MESSAGE_COUNTED);
	owed_add(&shard->owed, shard->flow, head, 1);
	shard->counts.born++;
	shard->counts.colour[colour]++;
}

void effects_born(struct shard *shard, struct message_head *head, uint8_t colour) {
	head->birth_epoch = shard->epoch;
	head->side = side_now(shard, head->type);
	effects_counted(shard, head, colour);
}

/* With a route to pass on, the message grows by it. */
static void send_with_route(
	struct queue *channel, const uint8_t *at, const struct message_route *route, struct shard *shard, uint8_t colour) {
	struct message message;
	message_read(at, &message);
	struct message_parts parts = {
		.head = *message.head,
		.route = route,
		.id = message.id,
		.caller_id = message.caller_id,
		.type = message.type,
		.payload = message.payload,
	};
	uint32_t size = message_measure(&parts);
	effects_born(shard, &parts.head, colour);
	message_put(queue_reserve(channel, size), &parts);
	queue_commit(channel, size);
}

/* A router's messages are no function's. */
static void sent_count(struct shard *shard) {
	const struct invocation *invocation = shard->invocation;
	if (invocation->binding != NULL)
		tally_add(&shard_tally_of(shard, invocation->binding, invocation->version)->out, invocation->send_count);
}

static void sends_apply(struct shard *shard, const struct cause *cause, const struct message_route *route) {
	struct flow *flow = shard->flow;
	const struct buf *sends = &shard->invocation->sends;
	uint64_t sent = 0;
	for (size_t at = 0; at < sends->size;) {
		struct message_head *head = (struct message_head *)(void *)(sends->data + at);
		uint32_t to = message_shard(head->hash, flow->shards_count);
		struct queue *channel = shard_channel(flow, shard->index, to);
		size_t size = head->size;
		if (mutant_is(MUTANT_DROP_MESSAGE) && to != shard->index && head->hash % 64 == 0) {
			at += size;
			continue;
		}
		if (route != NULL) {
			send_with_route(channel, sends->data + at, route, shard, cause->colour);
		} else {
			uint8_t *place = queue_reserve(channel, head->size);
			memcpy(place, head, size);
			effects_born(shard, (struct message_head *)(void *)place, cause->colour);
			queue_commit(channel, (uint32_t)size);
		}
		shard->touched |= UINT64_C(1) << to;
		shard->epoch_bytes += size;
		at += size;
		sent++;
	}
	shard->counts.channels_in += sent;
	if ((shard->touched & UINT64_C(1) << shard->index) != 0) {
		queue_publish(shard_channel(flow, shard->index, shard->index));
		shard->touched &= ~(UINT64_C(1) << shard->index);
	}
}

static void strays_apply(struct shard *shard, const struct message_route *route) {
	const struct invocation *invocation = shard->invocation;
	const uint8_t *at = invocation->strays.data;
	for (uint32_t i = 0; i < invocation->stray_count; i++) {
		struct stray stray;
		memcpy(&stray, at, sizeof stray);
		at += sizeof stray;
		struct dead_letter letter = {.code = bytes_text("unknown_type"), .time_ms = invocation->time_ms};
		letter.to = bytes_of(at, stray.to_size);
		letter.id = bytes_of(letter.to.data + stray.to_size, stray.id_size);
		letter.type = bytes_of(letter.id.data + stray.id_size, stray.type_size);
		letter.payload = bytes_of(letter.type.data + stray.type_size, stray.payload_size);
		letter.reason = bytes_text("no plugin ever declared this type");
		if (invocation->binding != NULL) {
			letter.from = bytes_text(invocation->binding->name);
			letter.from_id = instance_id_bytes(invocation->instance);
		}
		effects_dead(shard, &letter, route, ERROR_UNKNOWN_TYPE);
		at = letter.payload.data + stray.payload_size;
	}
}

static void emits_apply(struct shard *shard) {
	const struct buf *emits = &shard->invocation->emits;
	for (size_t at = 0; at < emits->size;) {
		uint32_t head[2];
		memcpy(head, emits->data + at, sizeof head);
		at += sizeof head;
		const struct egress *egress = &shard->flow->egresses[head[0]];
		struct egress_place place = {.egress = head[0]};
		place.place =
			redo_egress(&shard->redo, bytes_of(egress->name, egress->name_size), bytes_of(emits->data + at, head[1]));
		buf_append(&shard->places, &place, sizeof place);
		shard->epoch_bytes += head[1];
		at += head[1];
		tally_add(&shard_tally_of(shard, shard->invocation->binding, shard->invocation->version)->egress, 1);
	}
}

static void reply_apply(struct shard *shard, const struct message_route *route) {
	const struct invocation *invocation = shard->invocation;
	struct engine_answer answer = {
		.token = route->token,
		.payload = bytes_buf(&invocation->reply),
		.type = bytes_buf(&invocation->reply_type),
	};
	if (route->has_key) {
		keyed_reply(shard, route, &answer);
		return;
	}
	if (route->incarnation != shard->flow->incarnation) {
		shard->counts.replies_stale++;
		return;
	}
	output_put(&shard->outputs, &answer);
	shard->epoch_bytes += sizeof(struct output) + answer.payload.size; /* held until the epoch is durable */
}

/* What most invocations do not ask for. */
static void rarer_apply(struct shard *shard, const struct cause *cause, const struct message_route *route) {
	struct invocation *invocation = shard->invocation;
	if (invocation->entries.count > 0)
		entries_apply(shard);
	if (invocation->timers.size > 0)
		timer_effects_apply(shard);
	if (invocation->operations.size > 0)
		operation_effects_apply(shard, cause, route);
	if (invocation->stray_count > 0)
		strays_apply(shard, route);
}

void effects_apply(struct shard *shard, const struct cause *cause) {
	struct invocation *invocation = shard->invocation;
	/* A call that was not answered here may be answered by whom it was passed on to. */
	const struct message_route *pass_on = invocation->replied ? NULL : cause->route;
	if (invocation->changed != 0) {
		if ((invocation->instance->flags & INSTANCE_ENTRIES) != 0)
			entries_leave(shard, invocation);
		values_apply(shard, invocation);
	}
	if (invocation->sends.size > 0) {
		sends_apply(shard, cause, pass_on);
		sent_count(shard);
	}
	if (invocation->emits.size > 0)
		emits_apply(shard);
	const size_t rarer = invocation->entries.count | invocation->timers.size | invocation->operations.size;
	if ((rarer | invocation->stray_count) != 0)
		rarer_apply(shard, cause, pass_on);
	if (invocation->replied && cause->route != NULL)
		reply_apply(shard, cause->route);
}

void effects_dead(
	struct shard *shard, const struct dead_letter *letter, const struct message_route *route, enum error_code code) {
	struct flow *flow = shard->flow;
	struct key key = key_dead(atomic_fetch_add(&flow->dead_next, 1));
	buf_reset(&shard->scratch);
	dead_letter_write(&shard->scratch, letter);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&shard->scratch));
	shard->epoch_bytes += shard->scratch.size;
	shard->counts.dead++;
	if (route == NULL)
		return;
	struct engine_answer answer = {.token = route->token, .code = code, .payload = letter->reason};
	if (code == ERROR_UNKNOWN_TYPE)
		answer.type = letter->to; /* what was found */
	if (route->has_key) {
		keyed_reply(shard, route, &answer);
		return;
	}
	if (route->incarnation != flow->incarnation) {
		shard->counts.replies_stale++;
		return;
	}
	output_put(&shard->outputs, &answer);
}
