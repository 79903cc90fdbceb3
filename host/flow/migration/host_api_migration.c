/* The host table inside migrate: state_get is of the old values, state_set of the new; nothing else has an effect. A table
 * of its own, so that the calls inside invoke are not slowed by a question. */
#include "flow/entries/header.h"
#include "flow/invocation/host_api_inside.h"
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

/* The header comes from this instance: what state_get gave of an old value. */
static bool header_own(const struct instance *instance, struct bytes header) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		const struct slot *slot = &instance->slots[number];
		if (!slot_cold(slot) && bytes_equal(slot_bytes(slot), header))
			return true;
	}
	return false;
}

/* A table or list goes to a value of its kind, to one only. */
static int entries_carry(struct invocation *invocation, uint32_t value, struct bytes bytes) {
	const struct migrator *migrator = invocation->migrator;
	struct entries_header header;
	if (value >= migrator->out_count || !entries_header_read(bytes, &header) ||
		migrator->out[value].kind != header.kind || !header_own(invocation->instance, bytes))
		return SOFUN_BAD_ARGUMENT;
	for (uint32_t other = 0; other < migrator->out_count; other++) {
		bool set = (invocation->changed & UINT64_C(1) << other) != 0;
		if (set && other != value && bytes_equal(bytes_buf(&invocation->values[other]), bytes))
			return SOFUN_BAD_ARGUMENT;
	}
	return value_change(invocation, value, bytes);
}

static int migration_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	struct invocation *invocation = invocation_of(context);
	const struct migrator *migrator = invocation->migrator;
	if (entries_header_is(bytes_of(msgpack.data, msgpack.size)))
		return entries_carry(invocation, value, bytes_of(msgpack.data, msgpack.size));
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
