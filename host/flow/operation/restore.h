/* Operations that a restart has found: nobody knows what came of them. Private to host/flow. */
#ifndef HOST_FLOW_OPERATION_RESTORE_H
#define HOST_FLOW_OPERATION_RESTORE_H

#include "base/bytes.h"
#include "base/error.h"

struct flow;

/* Calls each() with the message that asked, and the result's that comes in its place, for every row 'O'; the row's removal
 * stands in *redo before. False: the store failed, or each() did. */
bool operations_unknown_each(struct flow *flow, struct buf *redo, bool (*each)(void *arg, const uint8_t *result),
	void *arg, struct error *error);

#endif
