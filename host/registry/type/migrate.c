/* Walks over the instances of a type in the background. State migration: the instances that no message has met yet. One type at a time, chunk by chunk: the reader
 * thread finds rows of another schema, the shards migrate them like a first message would, and the next chunk begins when
 * this one is durable. So it can be killed at any instant and goes on with what the counts say is left.
 *
 * It runs upwards when it was asked for (the row 'T' remembers that), and downwards by itself after a rollback: the newer
 * version stays loaded for its way down, and is to go some time. Only while one version has all of the type: with two, both
 * schemas have their reason.
 *
 * Entries of expiry go the same way, once times became shorter than the entries tell (ttl/ttl.c): instances whose
 * generation is below that change are given new ones, and the row 't' remembers until all have them. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/varint.h"
#include "flow/instance/record.h"
#include "limits.h"
#include "registry/inside.h"
#include "state/key.h"

enum {
	/* Rows looked at, and instances found, before the loop hears of it. */
	SCAN_ROWS_MAX = 16384,
	CHUNK_IDS_MAX = 2048,
	/* Of one input of a shard: some hundred microseconds that others wait. */
	BATCH_IDS_MAX = 64,
	/* A cursor keeps the tables of its moment in memory: then another one goes on. */
	CURSOR_ROWS_MAX = 65536,
	/* While messages are handled, a chunk is followed by so many times its own length of nothing: a fifth of the time. */
	PAUSE_TIMES = 4,
	/* What could not be migrated is tried again; a new view tries it at once. */
	AGAIN_MS = 2000,
	/* Until every shard goes by new times. */
	FILES_LOOK_MS = 100,
};

/* One walk over the instances of a type. */
struct pass {
	struct registry *registry; /* NULL: the host stops; whoever has it last frees it */
	struct function_type *type;
	bool files;      /* entries of expiry; else it migrates */
	uint64_t below;  /* files: generations */
	uint32_t schema; /* migrates: of the type's only version */
	bool reading;    /* with the reader thread */

	/* the walk; the reader thread's while `reading` */
	struct store_cursor *cursor;
	uint64_t cursor_rows;
	uint8_t after[ID_BYTES_MAX];
	size_t after_size;
	bool at_end;
	struct buf ids; /* found: sized, back to back */
	struct error error;

	/* the chunk that is with the shards */
	uint64_t *tokens;
	size_t token_count;
	size_t answered;
	uint64_t chunk_ms;
	uint64_t handled; /* by all, when it began */

	uint64_t refused; /* in this pass */
	char reason[160];
};

/* ---- what there is to do ---- */

struct remainder {
	uint16_t number;
	bool settled;    /* one version has all of the type */
	uint32_t schema; /* of it; else of the one that went live last */
	uint64_t others; /* instances of other schemas */
	bool above;      /* of a higher one */
};

static void remainder_add(void *arg, const struct engine_schema *counted) {
	struct remainder *remainder = arg;
	if (counted->number != remainder->number || counted->schema == remainder->schema)
		return;
	remainder->others += counted->instances;
	remainder->above |= counted->schema > remainder->schema;
}

static struct remainder remainder_of(const struct registry *registry, const struct function_type *type) {
	struct remainder remainder = {.number = type->number};
	remainder.schema = engine_type_schema(registry->options.engine, type->number);
	remainder.settled = remainder.schema != 0;
	if (!remainder.settled)
		remainder.schema = type->schema;
	engine_schemas_each(registry->options.engine, remainder_add, &remainder);
	return remainder;
}

static void migrate_again(struct registry *registry, uint64_t delay_ms) {
	struct timeval delay = {.tv_sec = (time_t)(delay_ms / 1000), .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
	if (!registry->stopped)
		event_add(registry->migrate_timer, &delay);
}

/* ---- the walk [reader thread] ---- */

static bool cursor_ensure(struct pass *pass, struct store *store) {
	if (pass->cursor != NULL && pass->cursor_rows >= CURSOR_ROWS_MAX) {
		store_cursor_close(pass->cursor);
		pass->cursor = NULL;
	}
	if (pass->cursor != NULL)
		return true;
	struct key from = key_instance(bytes_of(pass->after, pass->after_size));
	pass->cursor = store_cursor_open(store, pass->type->number, key_bytes(&from), &pass->error);
	pass->cursor_rows = 0;
	return pass->cursor != NULL;
}

/* An instance of another schema is found; a row that is no header is left to the shard, which says so. */
static bool row_wanted(const struct pass *pass, struct bytes id, struct bytes value) {
	struct instance_header header;
	if (id.size == pass->after_size && memcmp(id.data, pass->after, id.size) == 0)
		return false;
	if (!instance_header_take(&value, &header))
		return true;
	return pass->files ? header.generation < pass->below : header.schema != pass->schema;
}

static void pass_run(void *arg, struct store *store) {
	struct pass *pass = arg;
	struct bytes key, value;
	size_t found = 0;
	if (!cursor_ensure(pass, store))
		return;
	for (int rows = 0; rows < SCAN_ROWS_MAX && found < CHUNK_IDS_MAX; rows++) {
		if (!store_cursor_next(pass->cursor, &key, &value)) {
			pass->at_end = true;
			break;
		}
		struct bytes id = bytes_of(key.data + 1, key.size - 1);
		if (row_wanted(pass, id, value)) {
			buf_append_sized(&pass->ids, id);
			found++;
		}
		memcpy(pass->after, id.data, id.size);
		pass->after_size = id.size;
		pass->cursor_rows++;
	}
	(void)store_cursor_status(pass->cursor, &pass->error);
}

/* ---- life of a pass ---- */

static void pass_destroy(struct pass *pass) {
	store_cursor_close(pass->cursor);
	buf_finish(&pass->ids);
	free(pass->tokens);
	free(pass);
}

static void pass_done(void *arg);

static void pass_read(struct pass *pass) {
	pass->reading = true;
	buf_reset(&pass->ids);
	engine_read(pass->registry->options.engine, pass_run, pass_done, pass);
}

static void pass_begin(struct registry *registry, const struct pass *order) {
	struct pass *pass = check_alloc(1, sizeof(*pass));
	*pass = *order;
	pass->registry = registry;
	registry->pass = pass;
	pass_read(pass);
}

/* Every instance was looked at, and all but those without a live version have their entry. */
static void files_end(const struct pass *pass) {
	struct function_type *type = pass->type;
	if (pass->refused > 0 || type->ttl.files_below != pass->below)
		return;
	type->ttl.files = false;
	type_ttl_commit(pass->registry, type);
	log_event(LOG_INFO, "expiry_filed", "type=%s", type->name);
}

/* Everything that was found has been tried; the counts say what is left. */
static void pass_end(struct pass *pass) {
	struct registry *registry = pass->registry;
	struct function_type *type = pass->type;
	bool refused = pass->refused > 0;
	if (pass->files) {
		files_end(pass);
	} else {
		type->refused = pass->refused;
		memcpy(type->refused_reason, pass->reason, sizeof(type->refused_reason));
	}
	registry->pass = NULL;
	pass_destroy(pass);
	migrate_again(registry, refused ? AGAIN_MS : 1);
}

/* Others' messages come first: while some are handled, most of the time is theirs. */
static uint64_t pass_pause_ms(const struct pass *pass, uint64_t migrated) {
	struct engine_status status;
	engine_status(pass->registry->options.engine, &status);
	uint64_t took_ms = registry_now_ms() - pass->chunk_ms;
	bool busy = status.handled > pass->handled || status.in_flight > migrated;
	return busy ? took_ms * PAUSE_TIMES + 1 : 0;
}

static void chunk_answered(void *arg, const struct engine_answer *answer) {
	struct pass *pass = arg;
	pass->answered++;
	pass->refused += answer->code == ERROR_NONE ? answer->number : 0;
	if (answer->code == ERROR_NONE && answer->number > 0)
		snprintf(
			pass->reason, sizeof(pass->reason), "%.*s", (int)answer->payload.size, (const char *)answer->payload.data);
	if (pass->answered < pass->token_count)
		return;
	struct registry *registry = pass->registry;
	pass->token_count = pass->answered = 0;
	if (answer->code != ERROR_NONE)
		return; /* the host stops, or its store has failed */
	uint64_t pause_ms = pass_pause_ms(pass, 0);
	if (pause_ms > 0)
		migrate_again(registry, pause_ms);
	else
		registry_migrate_look(-1, 0, registry);
}

static void batch_submit(struct pass *pass, uint32_t shard, struct buf *ids) {
	struct registry *registry = pass->registry;
	if (ids->size == 0)
		return;
	uint64_t token = request_open(registry->options.requests, chunk_answered, pass);
	pass->tokens[pass->token_count++] = token;
	if (pass->files)
		engine_file(registry->options.engine, token, shard, pass->type->number, pass->below, bytes_buf(ids));
	else
		engine_migrate(registry->options.engine, token, shard, pass->type->number, bytes_buf(ids));
	buf_reset(ids);
}

/* The ids that were found, in batches to the shards that own them. */
static void chunk_submit(struct pass *pass) {
	struct engine *engine = pass->registry->options.engine;
	struct engine_status status;
	struct buf ids[SHARDS_MAX] = {{0}};
	size_t counts[SHARDS_MAX] = {0};
	struct bytes rest = bytes_buf(&pass->ids);
	struct bytes id;
	engine_status(engine, &status);
	free(pass->tokens);
	pass->tokens = check_alloc(CHUNK_IDS_MAX / BATCH_IDS_MAX + SHARDS_MAX, sizeof(*pass->tokens));
	pass->chunk_ms = registry_now_ms();
	pass->handled = status.handled;
	while (sized_take(&rest, &id)) {
		uint32_t shard = engine_shard(engine, pass->type->number, id);
		buf_append_sized(&ids[shard], id);
		if (++counts[shard] % BATCH_IDS_MAX == 0)
			batch_submit(pass, shard, &ids[shard]);
	}
	for (uint32_t shard = 0; shard < SHARDS_MAX; shard++) {
		batch_submit(pass, shard, &ids[shard]);
		buf_finish(&ids[shard]);
	}
}

static void pass_done(void *arg) {
	struct pass *pass = arg;
	pass->reading = false;
	if (pass->registry == NULL || pass->registry->stopped) {
		pass_destroy(pass);
		return;
	}
	if (pass->error.code != ERROR_NONE) {
		log_event(LOG_WARN, "migration_read", "type=%s reason=\"%s\"", pass->type->name, pass->error.message);
		pass->refused++;
		snprintf(pass->reason, sizeof(pass->reason), "%.159s", pass->error.message);
		pass_end(pass);
		return;
	}
	if (pass->ids.size > 0)
		chunk_submit(pass);
	else if (pass->at_end)
		pass_end(pass);
	else
		pass_read(pass);
}

/* ---- which type ---- */

static void type_done(struct registry *registry, struct function_type *type) {
	if (type->migrate_total == 0 && !type->eager)
		return;
	log_event(LOG_INFO, "migrated", "type=%s instances=%llu", type->name, (unsigned long long)type->migrate_total);
	type->migrate_total = 0;
	type->refused = 0;
	if (!type->eager)
		return;
	type->eager = false;
	types_commit(registry, &type, 1);
}

/* True if there is something to do; what has nothing left any more is put away. */
static bool type_wants(struct registry *registry, struct function_type *type, uint32_t *ret_schema) {
	struct remainder remainder = remainder_of(registry, type);
	if (!remainder.settled)
		return false;
	if (remainder.others == 0) {
		type_done(registry, type);
		return false;
	}
	*ret_schema = remainder.schema;
	if (!type->eager && !remainder.above)
		return false;
	if (remainder.others > type->migrate_total)
		type->migrate_total = remainder.others;
	return true;
}

static bool type_has_version(const struct registry *registry, const struct function_type *type) {
	const struct lineage *lineage = lineage_find(registry, type->plugin);
	const struct plugin *plugin = lineage == NULL ? NULL : plugin_of_verdict(registry, lineage->now.base);
	return plugin != NULL && image_function(plugin->image, type->name) != NULL;
}

/* Entries that are made from here on, by every shard, go by the times of now. */
static bool files_known(struct registry *registry, struct function_type *type) {
	const struct lineage *lineage = lineage_find(registry, type->plugin);
	if (type->ttl.files_below != 0)
		return true;
	if (registry->fencing || engine_adopted(registry->options.engine) < registry->view || lineage == NULL ||
		lineage->state != LINEAGE_SETTLED)
		return false;
	type->ttl.files_below = engine_generation(registry->options.engine);
	type_ttl_commit(registry, type);
	return true;
}

/* True if entries are to be made; *order says of which instances. */
static bool type_files(struct registry *registry, struct function_type *type, struct pass *order) {
	if (!type->ttl.files || !type_has_version(registry, type))
		return false;
	if (!files_known(registry, type)) {
		migrate_again(registry, FILES_LOOK_MS);
		return false;
	}
	*order = (struct pass){.type = type, .files = true, .below = type->ttl.files_below};
	return true;
}

/* What the walk that is under way was for has changed. */
static bool pass_vain(const struct pass *pass) {
	if (pass->files)
		return pass->type->ttl.files_below != pass->below;
	return engine_type_schema(pass->registry->options.engine, pass->type->number) != pass->schema;
}

void registry_migrate_look(evutil_socket_t fd, short what, void *arg) {
	struct registry *registry = arg;
	struct pass *pass = registry->pass;
	struct pass order = {0};
	(void)fd;
	(void)what;
	if (registry->stopped)
		return;
	if (pass != NULL) {
		if (pass->reading || pass->token_count > 0)
			return;
		if (pass->at_end || pass_vain(pass))
			pass_end(pass);
		else
			pass_read(pass);
		return;
	}
	if (plugins_keep_look(registry))
		drain_later(registry);
	for (size_t i = 1; i <= registry->type_count; i++) {
		size_t at = (registry->migrate_next + i) % registry->type_count;
		struct function_type *type = at == 0 ? NULL : registry->types[at];
		if (type == NULL)
			continue;
		if (!type_wants(registry, type, &order.schema) && !type_files(registry, type, &order))
			continue;
		order.type = type;
		registry->migrate_next = at;
		pass_begin(registry, &order);
		return;
	}
}

void registry_migrate_wake(struct registry *registry) {
	migrate_again(registry, 1);
}

void registry_migrate_stop(struct registry *registry) {
	struct pass *pass = registry->pass;
	registry->pass = NULL;
	event_del(registry->migrate_timer);
	if (pass == NULL)
		return;
	for (size_t i = 0; i < pass->token_count; i++)
		request_cancel(registry->options.requests, pass->tokens[i]);
	pass->registry = NULL;
	if (!pass->reading)
		pass_destroy(pass);
}

/* ---- asked for and shown ---- */

bool registry_migrate(struct registry *registry, const char *name, struct error *error) {
	struct function_type **types = check_alloc(registry->type_count + 1, sizeof(*types));
	size_t count = 0;
	bool known = false;
	for (size_t i = 1; i < registry->type_count; i++) {
		struct function_type *type = registry->types[i];
		if (type == NULL || strcmp(type->plugin, name) != 0)
			continue;
		known = true;
		struct remainder remainder = remainder_of(registry, type);
		type->refused = 0;
		if (type->eager || (remainder.settled && remainder.others == 0))
			continue; /* while versions change it is not known yet */
		type->eager = true;
		types[count++] = type;
	}
	if (count > 0)
		types_commit(registry, types, count);
	free(types);
	registry_migrate_wake(registry);
	if (known)
		return true;
	error_set(error, ERROR_NOT_FOUND, "there is no plugin of that name with a function");
	error_found(error, "%s", name);
	return error_advise(error, "the name of a plugin that has functions", "`sofun status` lists them");
}

void registry_migrations_each(
	struct registry *registry, void (*each)(void *arg, const struct registry_migration *migration), void *arg) {
	for (size_t i = 1; i < registry->type_count; i++) {
		const struct function_type *type = registry->types[i];
		if (type == NULL || (type->migrate_total == 0 && !type->eager))
			continue;
		struct remainder remainder = remainder_of(registry, type);
		const struct registry_migration migration = {
			.type = type->name,
			.plugin = type->plugin,
			.schema = remainder.schema,
			.total = remainder.others > type->migrate_total ? remainder.others : type->migrate_total,
			.left = remainder.others,
			.refused = type->refused,
			.reason = type->refused > 0 ? type->refused_reason : "",
		};
		each(arg, &migration);
	}
}
