/* The host table inside migrate: state_get is of the old values, state_set of the new; nothing else has an effect. A table
 * of its own, so that the calls inside invoke are not slowed by a question. */
#include "flow/host_api_inside.h"
#include "flow/migration/migrate.h"

static int migration_get(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	struct invocation *invocation = invocation_of(context);
	if (value >= invocation->migrator->in_count)
		return SOFUN_BAD_ARGUMENT;
	*ret_msgpack = (sofun_bytes){NULL, 0};
	if (value >= invocation->instance->value_count)
		return SOFUN_OK;
	const struct slot *slot = &invocation->instance->slots[value];
	if (slot_cold(slot))
		return large_read(invocation, value, ret_msgpack);
	struct bytes bytes = slot_bytes(slot);
	*ret_msgpack = (sofun_bytes){.data = bytes.size == 0 ? NULL : bytes.data, .size = bytes.size};
	return SOFUN_OK;
}

static int migration_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	struct invocation *invocation = invocation_of(context);
	const struct migrator *migrator = invocation->migrator;
	if (value >= migrator->out_count || msgpack.size == 0 || !kind_fits(migrator->out[value].kind, msgpack.data[0]))
		return SOFUN_BAD_ARGUMENT;
	return value_set(invocation, value, bytes_of(msgpack.data, msgpack.size));
}

static int migration_clear(sofun_context *context, uint32_t value) {
	struct invocation *invocation = invocation_of(context);
	if (value >= invocation->migrator->out_count)
		return SOFUN_BAD_ARGUMENT;
	return value_change(invocation, value, bytes_of(NULL, 0));
}

static int migration_send(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload) {
	(void)context;
	(void)to;
	(void)type;
	(void)payload;
	return SOFUN_NOT_ALLOWED;
}

static int migration_emit(sofun_context *context, sofun_bytes egress_or_type, sofun_bytes payload) {
	(void)context;
	(void)egress_or_type;
	(void)payload;
	return SOFUN_NOT_ALLOWED;
}

void host_api_migration_fill(sofun_host *table) {
	host_api_fill(table);
	table->state_get = migration_get;
	table->state_set = migration_set;
	table->state_clear = migration_clear;
	table->send = migration_send;
	table->reply = migration_emit;
	table->emit = migration_emit;
}
