/* The head row of a wait as bytes: the address, its retry, and who it is undecided for (FORMAT.md, "Queues"). Private to
 * host/flow. */
#ifndef HOST_FLOW_QUEUE_WAIT_ROW_H
#define HOST_FLOW_QUEUE_WAIT_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct wait_row {
	bool ahead;
	uint64_t head;
	uint64_t type;
	struct bytes id;
	uint64_t attempts;
	uint64_t first_failed_ms;
	uint64_t due_ms;
	uint64_t undecided; /* version_mark; 0: it is not so, and there is no failure */
	struct bytes failure;
};

void wait_row_write(struct buf *value, const struct wait_row *row);

/* Of a head row of any queue. True without *ret_waits: it is that of a channel or a park, and only head is set. False: it is
 * malformed. id and failure are views of the value. */
bool wait_row_read(struct bytes value, struct wait_row *ret_row, bool *ret_waits);

#endif
