#include "flow/migration/migrate.h"

#include "base/varint.h"
#include "flow/expiry/expiry.h"
#include "flow/invocation/enter.h"
#include "flow/shard.h"
#include "plugin/image.h"

/* ---- who can ---- */

static const sofun_schema *schema_find(const struct sofun_function *function, uint32_t schema, uint32_t way) {
	for (const sofun_schema *const *at = function->schemas; at != NULL && *at != NULL; at++) {
		if ((*at)->schema == schema && ((*at)->ways & way) != 0)
			return *at;
	}
	return NULL;
}

struct migrator migrator_find(const struct binding *binding, uint32_t from, uint32_t to) {
	struct migrator migrator = {.from = from, .to = to};
	for (int i = 0; i < VERSIONS_MAX && migrator.version == NULL; i++) {
		const struct version *version = &binding->versions[i];
		const struct sofun_function *function = version->function;
		if (function == NULL)
			continue;
		const sofun_schema *up = version->schema == to ? schema_find(function, from, SOFUN_SCHEMA_UP) : NULL;
		const sofun_schema *down = version->schema == from ? schema_find(function, to, SOFUN_SCHEMA_DOWN) : NULL;
		const sofun_schema *other = up != NULL ? up : down;
		if (other == NULL)
			continue;
		migrator.version = version;
		migrator.in = up != NULL ? up->values : function->values;
		migrator.in_count = up != NULL ? up->value_count : function->value_count;
		migrator.out = up != NULL ? function->values : down->values;
		migrator.out_count = up != NULL ? function->value_count : down->value_count;
	}
	return migrator;
}

/* ---- one instance ---- */

static bool instance_empty(const struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (instance->slots[number].size > 0)
			return false;
	}
	return true;
}

static void values_forget(struct invocation *invocation) {
	invocation->changed = 0;
	invocation->carried = 0;
}

static enum migrated refuse(struct invocation *invocation, const struct migrator *migrator, const char *why) {
	values_forget(invocation);
	if (invocation->failure.size == 0)
		buf_printf(&invocation->failure, "schema %u to %u: %s", migrator->from, migrator->to, why);
	return MIGRATE_REFUSED;
}

/* What migrate did not set is unset. */
static void values_complete(struct invocation *invocation, uint32_t value_count) {
	for (uint32_t number = 0; number < value_count; number++) {
		if ((invocation->changed & UINT64_C(1) << number) == 0)
			invocation->values[number].size = 0;
	}
	invocation->changed = value_count == VALUES_MAX ? UINT64_MAX : (UINT64_C(1) << value_count) - 1;
	invocation->carried = invocation->changed;
}

enum migrated migrate_begin(
	struct shard *shard, const struct binding *binding, uint32_t to, struct bytes payload, struct instance **instance) {
	struct invocation *invocation = shard->invocation;
	if (instance_empty(*instance)) {
		invocation_begin(invocation, shard->view, binding, NULL, *instance, shard->epoch_time_ms);
		return MIGRATED;
	}
	struct migrator migrator = migrator_find(binding, (*instance)->schema, to);
	invocation_begin(invocation, shard->view, binding, migrator.version, *instance, shard->epoch_time_ms);
	if (migrator.version == NULL)
		return refuse(invocation, &migrator, "no version that is loaded can migrate it");
	*instance = dispatch_fit(shard, *instance, migrator.out_count);
	invocation->instance = *instance;
	int result = enter_migrate(shard, &migrator, payload);
	if (invocation->store_error.code != ERROR_NONE) {
		values_forget(invocation);
		return MIGRATE_STORE;
	}
	if (result != 0)
		return refuse(invocation, &migrator, "migrate failed and gave no reason");
	if (invocation->send_count > 0 || invocation->stray_count > 0 || invocation->emits.size > 0 || invocation->replied)
		/* by the table of init, which knows nothing of migrations */
		return refuse(invocation, &migrator, "migrate may only read and write state");
	values_complete(invocation, (*instance)->value_count);
	return MIGRATED;
}

/* Its row, if it has one, is counted by the schema that it had. */
void migrate_keep(struct shard *shard, const struct binding *binding, struct instance *instance, uint32_t to) {
	if ((binding->ttl != NULL || instance_life(instance) != NULL) && !instance_empty(instance)) {
		struct migrator migrator = migrator_find(binding, instance->schema, to);
		expiry_migrated(shard, &migrator, instance);
	}
	if ((instance->flags & INSTANCE_ROW) != 0) {
		schema_changes_add(&shard->schemas, instance->type, instance->schema, -1);
		schema_changes_add(&shard->schemas, instance->type, to, 1);
		effects_dirty(shard, instance);
	}
	instance->schema = to;
	shard->counts.migrated++;
	shard->invocation->carried = 0;
}

/* ---- many, in the background ---- */

/* An address with messages of before, or behind one that failed, goes its way by itself. */
static enum migrated migrate_one(
	struct shard *shard, const struct binding *binding, struct bytes id, struct error *error) {
	struct flow *flow = shard->flow;
	const struct version *version = binding->settled;
	const struct ttl *ttl = binding_ttl(binding, id);
	uint32_t hash = flow_hash(flow, binding->number, id);
	struct instance *instance = cache_get(&shard->cache, flow->store, hash, binding->number, id, version->value_count,
		version->schema, expiry_room(ttl), store_applied(flow->store), error);
	if (instance == NULL)
		return MIGRATE_STORE;
	if (instance->schema == version->schema || instance_wait(instance) != NULL)
		return MIGRATED;
	if (trial_suspects(shard, version->image, binding->number, id)) {
		buf_reset(&shard->invocation->failure);
		buf_printf(&shard->invocation->failure, "migrate ended the host here: its next message is tried alone");
		return MIGRATE_REFUSED;
	}
	instance = dispatch_fit(shard, instance, version->value_count);
	if (ttl != NULL)
		expiry_values_drop(shard, ttl, instance, shard->epoch_time_ms);
	enum migrated migrated = migrate_begin(shard, binding, version->schema, bytes_of(NULL, 0), &instance);
	shard_touch(shard); /* the epoch may have been cut while migrate ran */
	if (migrated == MIGRATE_STORE)
		*error = shard->invocation->store_error;
	shard->invocation->store_error.code = ERROR_NONE;
	if (migrated == MIGRATED) {
		struct cause cause = {0};
		migrate_keep(shard, binding, instance, version->schema);
		effects_apply(shard, &cause);
		if (ttl != NULL)
			expiry_file(shard, ttl, instance, EXPIRY_UNFILED);
	}
	note_end(shard->note);
	shard->epoch_messages++;
	return migrated;
}

/* The body: sized ids. Ends early where the type has no single version any more: a migration is its own next pass. */
bool migrate_batch(struct shard *shard, const struct input *input, int *budget) {
	const struct binding *binding = &shard->view->bindings[input->first];
	struct bytes rest = bytes_of(input + 1, (size_t)input->body_size);
	struct bytes id;
	rest = bytes_of(rest.data + shard->record_offset, rest.size - shard->record_offset);
	shard_touch(shard);
	while (binding->settled != NULL && sized_take(&rest, &id)) {
		struct error error;
		if (*budget <= 0 || !shard_epoch_open(shard))
			return false;
		switch (migrate_one(shard, binding, id, &error)) {
		case MIGRATE_STORE:
			shard_store_error(shard, &error);
			return false;
		case MIGRATE_REFUSED:
			shard->batch_refused++;
			buf_reset(&shard->batch_reason);
			buf_append_bytes(&shard->batch_reason, bytes_buf(&shard->invocation->failure));
			break;
		case MIGRATED:
			break;
		}
		shard->record_offset = (size_t)input->body_size - rest.size;
		(*budget)--;
	}
	struct engine_answer answer = {
		.token = input->token, .number = shard->batch_refused, .payload = bytes_buf(&shard->batch_reason)};
	output_put(&shard->outputs, &answer);
	shard->record_offset = 0;
	shard->batch_refused = 0;
	buf_reset(&shard->batch_reason);
	return true;
}
