/* The extensions "sofun.table/1" and "sofun.list/1". Private to host/flow. */
#ifndef HOST_FLOW_ENTRIES_HOST_API_ENTRIES_H
#define HOST_FLOW_ENTRIES_HOST_API_ENTRIES_H

struct invocation;

const void *tables_api_table(void);
const void *lists_api_table(void);

/* What an invocation wrote, and its cursors, are forgotten. */
void entries_forget(struct invocation *invocation);

#endif
