#include "flow/invocation/invocation.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/entries/host_api_entries.h"
#include "flow/entries/read.h"
#include "flow/migration/migrate.h"
#include "wire/pack.h"

struct invocation *invocation_create(struct flow *flow) {
	struct invocation *invocation = check_alloc(1, sizeof *invocation);
	invocation->context.host = &flow->host.table;
	invocation->flow = flow;
	invocation->migration_host.flow = flow;
	host_api_migration_fill(&invocation->migration_host.table);
	return invocation;
}

void invocation_destroy(struct invocation *invocation) {
	if (invocation == NULL)
		return;
	for (int i = 0; i < VALUES_MAX; i++) {
		buf_finish(&invocation->values[i]);
		buf_finish(&invocation->cold[i]);
	}
	for (int i = 0; i < INVOCATION_BUFS_MAX; i++)
		free(invocation->bufs[i].data);
	entries_cursors_close(invocation);
	entries_forget(invocation);
	buf_finish(&invocation->entry_value);
	buf_finish(&invocation->sends);
	buf_finish(&invocation->strays);
	buf_finish(&invocation->emits);
	buf_finish(&invocation->timers);
	buf_finish(&invocation->operations);
	buf_finish(&invocation->reply);
	buf_finish(&invocation->reply_type);
	buf_finish(&invocation->failure);
	free(invocation);
}

void invocation_begin(struct invocation *invocation, const struct view *view, const struct binding *binding,
	const struct version *version, struct instance *instance, uint64_t time_ms) {
	invocation->view = view;
	invocation->binding = binding;
	invocation->version = version;
	invocation->image = version != NULL ? version->image : NULL;
	invocation->instance = instance;
	invocation->time_ms = time_ms;
	invocation->changed = invocation->carried;
	invocation->cold_read = 0;
	invocation->bytes = 0;
	if (__builtin_expect((invocation->entries_written | invocation->entries_stepped) != 0, 0))
		entries_forget(invocation);
	invocation->sends.size = 0;
	invocation->strays.size = 0;
	invocation->emits.size = 0;
	invocation->timers.size = 0;
	invocation->operations.size = 0;
	invocation->failure.size = 0;
	invocation->refused = NULL;
	invocation->send_count = 0;
	invocation->stray_count = 0;
	invocation->operation_count = 0;
	invocation->buf_count = 0;
	invocation->replied = false;
	invocation->expiring = false;
}

void emission_put(struct buf *record, uint64_t time_ms, struct bytes type, struct bytes id, struct bytes payload) {
	pack_array(record, 4);
	pack_uint(record, time_ms);
	pack_str(record, type);
	pack_bin(record, id);
	pack_raw(record, payload);
}
