/* The extension "sofun.timer/1", and its effects once the invocation has succeeded. */
#include "flow/timer/effects.h"

#include "base/check.h"
#include "flow/invocation/invocation.h"
#include "flow/shard.h"
#include "sofun/timer.h"

static struct invocation *invocation_of(sofun_context *context) {
	return (struct invocation *)(void *)context;
}

static struct bytes borrowed(sofun_bytes bytes) {
	return bytes_of(bytes.data, bytes.size);
}

static struct bytes op_token(const uint8_t *at, const struct timer_op *op) {
	return bytes_of(at + sizeof *op + op->message_size, op->token_size);
}

static void op_add(
	struct invocation *invocation, struct timer_op *op, struct message_parts *parts, struct bytes token) {
	op->message_size = parts == NULL ? 0 : message_measure(parts);
	op->token_size = (uint8_t)token.size;
	op->size = (uint32_t)(sizeof *op + op->message_size + ((token.size + 7) & ~(size_t)7));
	uint8_t *at = buf_reserve(&invocation->timers, op->size);
	memset(at, 0, op->size);
	memcpy(at, op, sizeof *op);
	if (parts != NULL)
		message_put(at + sizeof *op, parts);
	if (token.size > 0)
		memcpy(at + sizeof *op + op->message_size, token.data, token.size);
	invocation->timers.size += op->size;
}

/* What this invocation last did with the token; 0: nothing. */
static int token_touched(const struct invocation *invocation, struct bytes token) {
	int kind = 0;
	for (size_t at = 0; at < invocation->timers.size;) {
		struct timer_op op;
		memcpy(&op, invocation->timers.data + at, sizeof op);
		if (op.token_size == token.size && bytes_equal(op_token(invocation->timers.data + at, &op), token))
			kind = op.kind;
		at += op.size;
	}
	return kind;
}

/* 1: a timer has it, 0: none does, -1: the store could not be read. */
static int token_find(struct invocation *invocation, struct bytes token, struct timer_place *ret_place) {
	int touched = token_touched(invocation, token);
	*ret_place = (struct timer_place){0};
	if (touched != 0)
		return touched == TIMER_SET;
	struct instance *instance = invocation->instance;
	return timers_find(
		invocation->shard, instance->type, instance_id_bytes(instance), token, ret_place, &invocation->store_error);
}

static int token_free(struct invocation *invocation, struct bytes token) {
	struct timer_place place;
	if (token.size == 0)
		return SOFUN_OK;
	switch (token_find(invocation, token, &place)) {
	case 0:
		return SOFUN_OK;
	case 1:
		invocation->refused = "the token of a timer is in use: cancel that timer first, or take another token";
		return SOFUN_TOKEN_IN_USE;
	default:
		return SOFUN_STORE;
	}
}

static int api_send_after(sofun_context *context, uint64_t delay_ms, sofun_bytes token, const sofun_address *to,
	sofun_bytes type, sofun_bytes payload) {
	struct invocation *invocation = invocation_of(context);
	if (invocation->binding == NULL || invocation->migrator != NULL || invocation->expiring)
		return SOFUN_NOT_ALLOWED;
	if (token.size > SOFUN_TOKEN_BYTES_MAX)
		return SOFUN_BAD_ARGUMENT;
	uint16_t number;
	int status = invocation_send_check(invocation, to, type, payload, &number);
	if (status == SOFUN_OK)
		status = token_free(invocation, borrowed(token));
	if (status != SOFUN_OK || number == 0)
		return status;
	struct message_parts parts = {
		.head = {.type = number,
			.caller_type = invocation->binding->number,
			.hash = flow_hash(invocation->flow, number, borrowed(to->id))},
		.id = borrowed(to->id),
		.caller_id = instance_id_bytes(invocation->instance),
		.type = borrowed(type),
		.payload = borrowed(payload),
	};
	uint64_t time_ms = invocation->time_ms;
	struct timer_op op = {
		.kind = TIMER_SET, .due_ms = delay_ms >= UINT64_MAX - 1 - time_ms ? UINT64_MAX - 1 : time_ms + delay_ms};
	op_add(invocation, &op, &parts, borrowed(token));
	return SOFUN_OK;
}

static int api_cancel(sofun_context *context, sofun_bytes token, int *ret_found) {
	struct invocation *invocation = invocation_of(context);
	if (invocation->binding == NULL || invocation->migrator != NULL || invocation->expiring)
		return SOFUN_NOT_ALLOWED;
	if (token.size == 0 || token.size > SOFUN_TOKEN_BYTES_MAX)
		return SOFUN_BAD_ARGUMENT;
	struct timer_op op = {.kind = TIMER_CANCEL};
	int found = token_find(invocation, borrowed(token), &op.place);
	*ret_found = found == 1;
	if (found < 0)
		return SOFUN_STORE;
	if (found == 1)
		op_add(invocation, &op, NULL, borrowed(token));
	return SOFUN_OK;
}

const void *timer_api_table(void) {
	static const sofun_timer table = {.size = sizeof table, .send_after = api_send_after, .cancel = api_cancel};
	return &table;
}

void timer_effects_apply(struct shard *shard) {
	const struct invocation *invocation = shard->invocation;
	const struct instance *instance = invocation->instance;
	const uint8_t *data = invocation->timers.data;
	for (size_t at = 0; at < invocation->timers.size;) {
		struct timer_op op;
		memcpy(&op, data + at, sizeof op);
		struct bytes token = op_token(data + at, &op);
		if (op.kind == TIMER_SET)
			timers_set(shard, op.due_ms, token, (const struct message_head *)(const void *)(data + at + sizeof op));
		else
			timers_cancel(shard, instance->type, instance_id_bytes(instance), token, op.place);
		at += op.size;
	}
}
