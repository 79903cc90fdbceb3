/* What is durable of an operation (FORMAT.md): while it is under way a row 'O', whose value is the message that asked for it;
 * then the message of its result, in the mailbox of its address. Private to host/flow. */
#ifndef HOST_FLOW_OPERATION_ROWS_H
#define HOST_FLOW_OPERATION_ROWS_H

#include "flow/message.h"
#include "state/key.h"

/* 'O' id:u64be */
static inline struct key key_operation(uint64_t id) {
	struct key key = key_of(KEY_OPERATION);
	key_u64(&key, id);
	return key;
}

enum { OPERATION_KEY_BYTES = 9 };

/* What came of it: the payload of the result's message, [id, status, result, metadata]. */
struct operation_outcome {
	uint64_t id;
	uint32_t status;       /* SOFUN_RESULT_... */
	struct bytes result;   /* success: MessagePack; failure: text; unknown: empty */
	struct bytes metadata; /* MessagePack */
};

void operation_outcome_write(struct buf *payload, const struct operation_outcome *outcome);

/* False: it is none. */
bool operation_outcome_read(struct bytes payload, struct operation_outcome *ret_outcome);

/* The message of a result, in place of the one that asked: the same address, birth, side and route, so it is neither born nor
 * counted anew. Written into `message`, 8-aligned. */
const struct message_head *operation_result_write(
	struct buf *message, const uint8_t *asked, const struct operation_outcome *outcome);

/* The row's value is one message that asks for an operation. For rows read back from the store. */
bool operation_row_valid(struct bytes value);

#endif
