/* The extension "sofun.operation/1", and its effects once the invocation has succeeded. */
#include "flow/operation/effects.h"

#include "base/check.h"
#include "flow/invocation/invocation.h"
#include "flow/operation/pool.h"
#include "flow/shard.h"
#include "sofun/operation.h"

static bool start_allowed(const struct invocation *invocation, uint32_t flags) {
	if (invocation->binding == NULL || invocation->migrator != NULL || invocation->expiring)
		return false;
	const sofun_function *function = invocation->version->function;
	return function->on_result != NULL && (function->work != NULL || (flags & SOFUN_OPERATION_OUTSIDE) != 0);
}

static int api_start(sofun_context *context, uint32_t flags, sofun_bytes metadata, uint64_t *ret_id) {
	struct invocation *invocation = (struct invocation *)(void *)context;
	struct flow *flow = invocation->flow;
	if ((flags & ~(uint32_t)(SOFUN_OPERATION_WAIT | SOFUN_OPERATION_OUTSIDE)) != 0)
		return SOFUN_BAD_ARGUMENT;
	if (!start_allowed(invocation, flags))
		return SOFUN_NOT_ALLOWED;
	int status = operation_payload_check(flow, bytes_of(metadata.data, metadata.size));
	if (status == SOFUN_OK &&
		(invocation->operation_count >= INVOCATION_OPERATIONS_MAX ||
			!invocation_account(invocation, sizeof(struct message_head) + metadata.size)))
		status = SOFUN_TOO_LARGE;
	if (status != SOFUN_OK)
		return status;
	if (atomic_load_explicit(&flow->operations_open, memory_order_relaxed) + invocation->operation_count >=
		flow->config->operations_pending_max)
		return SOFUN_BUSY;
	struct operation_op op = {.metadata_size = (uint32_t)metadata.size, .flags = flags};
	op.id = operations_id(invocation->shard);
	op.size = (uint32_t)(sizeof op + ((metadata.size + 7) & ~(size_t)7));
	uint8_t *at = buf_reserve(&invocation->operations, op.size);
	memcpy(at, &op, sizeof op);
	memcpy(at + sizeof op, metadata.data, metadata.size);
	invocation->operations.size += op.size;
	invocation->operation_count++;
	*ret_id = op.id;
	return SOFUN_OK;
}

static int api_complete(const sofun_host *host, uint64_t id, uint32_t status, sofun_bytes result) {
	struct flow *flow = flow_of_host(host);
	struct buf kept = {0};
	if (status == SOFUN_RESULT_SUCCESS) {
		int checked = operation_payload_check(flow, bytes_of(result.data, result.size));
		if (checked != SOFUN_OK)
			return checked;
		buf_append(&kept, result.data, result.size);
	} else if (status == SOFUN_RESULT_FAILURE) {
		operation_failure_write(&kept, bytes_of(result.data, result.size));
	} else {
		return SOFUN_BAD_ARGUMENT;
	}
	operations_complete(flow, id, status, &kept, NULL);
	return SOFUN_OK;
}

const void *operation_api_table(void) {
	static const sofun_operation table = {.size = sizeof table, .start = api_start, .complete = api_complete};
	return &table;
}

/* From the address to itself. It has the birth of the message that starts it, so that its result goes to the same version, and
 * counts as in flight until that was handled. */
static void op_apply(struct shard *shard, const struct operation_op *op, struct bytes metadata,
	const struct cause *cause, const struct message_route *route) {
	const struct instance *instance = shard->invocation->instance;
	struct buf message = {0};
	struct message_parts parts = {
		.head = {.hash = instance->hash, .type = instance->type, .caller_type = instance->type},
		.route = route,
		.id = instance_id_bytes(instance),
		.caller_id = instance_id_bytes(instance),
		.payload = metadata,
	};
	uint32_t size = message_measure(&parts);
	parts.head.birth_epoch = cause->head->birth_epoch;
	parts.head.side = cause->head->side;
	effects_counted(shard, &parts.head, cause->colour);
	parts.head.operation = (op->flags & SOFUN_OPERATION_WAIT) != 0 ? MESSAGE_WAITS : MESSAGE_GOES_ON;
	message_put(buf_reserve(&message, size), &parts);
	message.size = size;
	operations_start(shard, op->id, (const struct message_head *)(const void *)message.data,
		(op->flags & SOFUN_OPERATION_OUTSIDE) != 0);
	buf_finish(&message);
}

void operation_effects_apply(struct shard *shard, const struct cause *cause, const struct message_route *route) {
	const struct buf *operations = &shard->invocation->operations;
	for (size_t at = 0; at < operations->size;) {
		struct operation_op op;
		memcpy(&op, operations->data + at, sizeof op);
		op_apply(shard, &op, bytes_of(operations->data + at + sizeof op, op.metadata_size), cause, route);
		at += op.size;
	}
}
