/* Tables and lists of the simulation's program: what they hold follows from an instance's count, so that each message can look
 * whether they are what they must be, entry by entry, and then changes them. */
#ifndef TESTS_SIM_NODE_ENTRIES_H
#define TESTS_SIM_NODE_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "sofun/list.h"

/* Both at once, by their numbers. */
struct node_entries {
	uint32_t table;
	uint32_t list;
};

/* What is wrong; NULL: nothing, or the store could not be read (*ret_store). Looks at each entry by its key if asked to, and by
 * cursors now and then; calls inside() between two reads. */
const char *node_entries_check(
	sofun_context *context, struct node_entries entries, uint64_t count, bool each, bool *ret_store);

/* What the message with that count does. False: the store could not be read. */
bool node_entries_change(sofun_context *context, struct node_entries entries, uint64_t count);

/* One entry more under the number's key. */
bool node_entries_mark(sofun_context *context, uint32_t table, uint64_t number);

/* How many entries the table has; UINT64_MAX: the store could not be read. */
uint64_t node_entries_count(sofun_context *context, uint32_t table);

#endif
