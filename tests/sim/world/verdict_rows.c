/* The end of a run, row by row. */
#include "base/check.h"
#include "flow/entries/header.h"
#include "flow/instance/record.h"
#include "state/key.h"
#include "state/reclaim.h"
#include "world_inside.h"

uint64_t rows_count(struct world *world, uint32_t database, enum key_kind kind) {
	struct error error;
	struct key key = key_of(kind);
	struct store_cursor *cursor = store_cursor_open(world->store, database, key_bytes(&key), &error);
	struct bytes found, value;
	uint64_t count = 0;
	check(cursor != NULL);
	while (store_cursor_next(cursor, &found, &value) && found.data[0] == (uint8_t)kind)
		count++;
	store_cursor_close(cursor);
	return count;
}

void rows_are(struct world *world, const char *what, enum key_kind kind, uint64_t expected) {
	uint64_t rows = rows_count(world, REDO_RUNTIME, kind);
	if (rows != expected)
		world_wrong(world, what, rows, expected);
}

struct schema_sum {
	uint64_t instances[3]; /* by schema; [0]: another */
};

static void schema_add(void *arg, const struct engine_schema *schema) {
	struct schema_sum *sum = arg;
	if (schema->number == 1)
		sum->instances[schema->schema <= 2 ? schema->schema : 0] += schema->instances;
}

void schemas_compare(struct world *world) {
	struct schema_sum sum = {{0}};
	struct schema_sum rows = {{0}};
	struct instance_header header;
	struct error error;
	struct bytes found, value;
	struct key key = key_of(KEY_INSTANCE);
	struct store_cursor *cursor = store_cursor_open(world->store, 1, key_bytes(&key), &error);
	check(cursor != NULL);
	while (store_cursor_next(cursor, &found, &value) && found.data[0] == KEY_INSTANCE) {
		check(instance_header_take(&value, &header));
		rows.instances[header.schema <= 2 ? header.schema : 0]++;
	}
	store_cursor_close(cursor);
	engine_schemas_each(world->engine, schema_add, &sum);
	for (int schema = 0; schema < 3; schema++)
		if (sum.instances[schema] != rows.instances[schema])
			world_wrong(world, "instances counted by schema", sum.instances[schema], rows.instances[schema]);
}

/* Applier and reclaimer take steps: so many, or until both have had nothing to do for a while. */
static void reclaim_some(struct world *world) {
	enum { STEPS = 1000, STEPS_IDLE = 50, STEP_US = 2000000 };
	int idle = 0;
	for (int i = 0; i < STEPS && idle < STEPS_IDLE; i++) {
		bool applied = store_applier_step(world->store);
		world->now_us += STEP_US;
		bool worked = store_reclaim_step(world->store, world->now_us) == 0;
		idle = applied || worked ? 0 : idle + 1;
	}
}

/* Everything that was dropped is taken back, however much it is: a checkpoint is asked for, if none comes by itself. */
static void reclaim_all(struct world *world) {
	enum { IN_VAIN_MAX = 20 };
	uint64_t left = UINT64_MAX;
	for (int in_vain = 0; in_vain < IN_VAIN_MAX; in_vain++) {
		reclaim_some(world);
		uint64_t now = rows_count(world, REDO_RUNTIME, KEY_DROPPED);
		if (now == 0)
			return;
		if (now < left)
			in_vain = 0;
		left = now;
	}
	world_wrong(world, "ranges that are never taken back", left, 0);
}

/* True if the instance of this row of an entry has a header that tells of it. */
static bool entry_told(struct world *world, uint32_t database, struct bytes key) {
	struct error error;
	struct buf row = {0};
	struct instance_header header;
	struct instance_value value;
	struct entries_header entries;
	bool told = false;
	struct bytes id = bytes_of(key.data + 2, key.data[1]);
	uint64_t generation = key_u64_at(id.data + id.size);
	struct key instance = key_instance(id);
	if (store_get(world->store, database, key_bytes(&instance), &row, &error) == 1) {
		struct bytes rest = bytes_buf(&row);
		check(instance_header_take(&rest, &header));
		while (!told && rest.size > 0 && instance_value_take(&rest, &value))
			told = entries_header_read(value.msgpack, &entries) && entries.generation == generation &&
				(entries.kind == SOFUN_KIND_TABLE || key_u64_at(id.data + id.size + 8) >= entries.first);
	}
	buf_finish(&row);
	return told;
}

static void told_check(struct world *world, uint32_t database) {
	struct error error;
	struct key from = key_of(KEY_ENTRY);
	struct bytes key, value;
	struct store_cursor *cursor = store_cursor_open(world->store, database, key_bytes(&from), &error);
	check(cursor != NULL);
	while (world->result->good && store_cursor_next(cursor, &key, &value) && key.data[0] == KEY_ENTRY)
		if (!entry_told(world, database, key))
			world_wrong(world, "the row of an entry that nobody tells of", database, 0);
	store_cursor_close(cursor);
}

void entries_compare(struct world *world) {
	reclaim_all(world);
	told_check(world, 1);
	told_check(world, 2);
}
