#include "flow/operation/rows.h"

#include "base/check.h"
#include "sofun/operation.h"
#include "wire/cursor.h"
#include "wire/pack.h"

void operation_outcome_write(struct buf *payload, const struct operation_outcome *outcome) {
	pack_array(payload, 4);
	pack_uint(payload, outcome->id);
	pack_uint(payload, outcome->status);
	if (outcome->status == SOFUN_RESULT_SUCCESS)
		pack_raw(payload, outcome->result);
	else if (outcome->status == SOFUN_RESULT_FAILURE)
		pack_str(payload, outcome->result);
	else
		pack_nil(payload);
	pack_raw(payload, outcome->metadata);
}

enum { NESTING_MOST = 1024 }; /* of what was checked when it came in: the largest limits.nesting */

bool operation_outcome_read(struct bytes payload, struct operation_outcome *ret_outcome) {
	struct cursor cursor = cursor_of(payload);
	uint32_t count;
	uint64_t status;
	*ret_outcome = (struct operation_outcome){0};
	if (!cursor_read_array(&cursor, &count) || count != 4 || !cursor_read_uint(&cursor, &ret_outcome->id) ||
		!cursor_read_uint(&cursor, &status) || status > SOFUN_RESULT_UNKNOWN)
		return false;
	ret_outcome->status = (uint32_t)status;
	if (status == SOFUN_RESULT_FAILURE && !cursor_read_text_or_bin(&cursor, &ret_outcome->result))
		return false;
	if (status != SOFUN_RESULT_FAILURE && cursor_take(&cursor, NESTING_MOST, &ret_outcome->result) != CURSOR_GOOD)
		return false;
	if (status == SOFUN_RESULT_UNKNOWN)
		ret_outcome->result = bytes_of(NULL, 0);
	return cursor_take(&cursor, NESTING_MOST, &ret_outcome->metadata) == CURSOR_GOOD && cursor_at_end(&cursor);
}

const struct message_head *operation_result_write(
	struct buf *message, const uint8_t *asked, const struct operation_outcome *outcome) {
	struct message parts;
	struct buf payload = {0};
	message_read(asked, &parts);
	operation_outcome_write(&payload, outcome);
	struct message_parts result = {
		.head = *parts.head,
		.route = (parts.head->flags & MESSAGE_ROUTE) != 0 ? &parts.route : NULL,
		.id = parts.id,
		.caller_id = parts.caller_id,
		.payload = bytes_buf(&payload),
	};
	uint32_t size = message_measure(&result);
	result.head.side = parts.head->side;
	result.head.operation = parts.head->operation;
	buf_reset(message);
	message_put(buf_reserve(message, size), &result);
	message->size = size;
	buf_finish(&payload);
	return (const struct message_head *)(const void *)message->data;
}

bool operation_row_valid(struct bytes value) {
	uint64_t count;
	struct message_head head;
	if (!message_run_valid(value, &count) || count != 1)
		return false;
	memcpy(&head, value.data, sizeof head);
	return head.operation == MESSAGE_GOES_ON || head.operation == MESSAGE_WAITS;
}
