#include "flow/operation/restore.h"

#include "flow/flow.h"
#include "flow/operation/rows.h"
#include "sofun/operation.h"

static bool row_malformed(struct error *error) {
	return error_set(
		error, ERROR_STORE_FAILED, "the row of an operation in the runtime database is malformed: run sofund --verify");
}

bool operations_unknown_each(struct flow *flow, struct buf *redo, bool (*each)(void *arg, const uint8_t *result),
	void *arg, struct error *error) {
	struct key from = key_of(KEY_OPERATION);
	struct store_cursor *cursor = store_cursor_open(flow->store, REDO_RUNTIME, key_bytes(&from), error);
	struct buf asked = {0};
	struct buf result = {0};
	struct bytes key, value;
	bool good = cursor != NULL;
	while (good && store_cursor_next(cursor, &key, &value)) {
		good = key.size == OPERATION_KEY_BYTES && operation_row_valid(value);
		if (!good) {
			row_malformed(error);
			break;
		}
		struct message message;
		buf_reset(&asked);
		buf_append_bytes(&asked, value); /* aligned */
		message_read(asked.data, &message);
		const struct operation_outcome outcome = {
			.id = key_u64_at(key.data + 1), .status = SOFUN_RESULT_UNKNOWN, .metadata = message.payload};
		operation_result_write(&result, asked.data, &outcome);
		redo_remove(redo, REDO_RUNTIME, key);
		good = each(arg, result.data);
	}
	good = good && store_cursor_status(cursor, error);
	if (cursor != NULL)
		store_cursor_close(cursor);
	buf_finish(&asked);
	buf_finish(&result);
	return good;
}
