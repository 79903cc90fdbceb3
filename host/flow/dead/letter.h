/* A dead letter: what could not be handled, with the reason. Row 'D' number in `runtime`: one MessagePack array
 *
 *   [to:str, id:bin, from:str|nil, from_id:bin, code:str, reason:str, attempts:uint, plugin:str, version:str,
 *    type:str, time_ms:uint, payload:any]
 *
 * For a record whose router failed, `to` is "ingress/NAME", id is the producer and payload is the record. */
#ifndef HOST_FLOW_DEAD_LETTER_H
#define HOST_FLOW_DEAD_LETTER_H

/* The type of its payload where a result could not be handled: sent again it goes to on_result, not to invoke. */
#define DEAD_RESULT_TYPE "sofun.result"

#include <stdbool.h>

#include "base/bytes.h"

struct dead_letter {
	struct bytes to;
	struct bytes id;
	struct bytes from; /* empty: from outside */
	struct bytes from_id;
	struct bytes code; /* "unknown_type", "function_failed", "result_failed", "router_failed" */
	struct bytes reason;
	uint64_t attempts;
	struct bytes plugin;
	struct bytes version;
	struct bytes type; /* of the payload */
	uint64_t time_ms;
	struct bytes payload; /* one MessagePack object */
};

void dead_letter_write(struct buf *row, const struct dead_letter *letter);

/* Views into row; false if it is malformed. */
bool dead_letter_read(struct bytes row, struct dead_letter *ret_letter);

/* Row 'D' without a number: [number:uint], the greatest of a letter that went. */
void dead_removed_write(struct buf *row, uint64_t number);
bool dead_removed_read(struct bytes row, uint64_t *ret_number);

#endif
