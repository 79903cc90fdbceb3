#include "store_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum { VALUE_BYTES_MAX = 400 };

static enum fault_action decide(void *arg, const struct fault_event *event) {
	struct store_kit *kit = arg;
	kit->crashed = kit->crashed || ++kit->events == kit->crash_at;
	if (kit->crashed)
		return FAULT_CRASH;
	return event->operation[0] == 'k' ? kit->space : FAULT_NONE;
}

void store_kit_start(struct store_kit *kit, uint64_t seed) {
	memset(kit, 0, sizeof *kit);
	kit->faults = fault_disk_create(seed);
	kit->sim = sim_kv_create(seed);
	kit->random = seed;
	kit->checkpoint_bytes = STORE_KIT_CHECKPOINT_BYTES;
	fault_disk_decide(kit->faults, decide, kit);
	sim_kv_decide(kit->sim, decide, kit);
}

void store_kit_stop(struct store_kit *kit) {
	if (kit->store != NULL)
		store_kit_drop(kit);
	sim_kv_destroy(kit->sim);
	fault_disk_destroy(kit->faults);
}

struct store_options store_kit_options(struct store_kit *kit) {
	return (struct store_options){
		.disk = fault_disk_seam(kit->faults),
		.factory = sim_kv_factory(kit->sim),
		.dir = "data",
		.checkpoint_bytes = kit->checkpoint_bytes,
		.segment_bytes = STORE_KIT_SEGMENT_BYTES,
		.journal_bytes_max = 4 * STORE_KIT_CHECKPOINT_BYTES,
		.retention_bytes = kit->retention_bytes == 0 ? NULL : &kit->retention_bytes,
	};
}

bool store_kit_open(struct store_kit *kit) {
	struct store_options options = store_kit_options(kit);
	kit->store = store_open(&options, &kit->recovered, &kit->error);
	if (kit->store == NULL)
		return false;
	kit->epoch = kit->synced = kit->recovered.epoch;
	store_type_name(kit->store, 1, "test/one");
	store_type_name(kit->store, 2, "test/two");
	store_type_name(kit->store, 3, "other/..");
	return true;
}

void store_kit_drop(struct store_kit *kit) {
	struct error error;
	check(store_close(kit->store, false, &error));
	kit->store = NULL;
}

bool store_kit_close(struct store_kit *kit) {
	bool good = store_close(kit->store, true, &kit->error);
	kit->store = NULL;
	return good;
}

void store_kit_power(struct store_kit *kit, bool cut) {
	if (cut) {
		fault_disk_cut(kit->faults);
		sim_kv_cut(kit->sim);
	} else {
		fault_disk_kill(kit->faults);
		sim_kv_kill(kit->sim);
	}
	kit->crashed = false;
	kit->crash_at = 0;
}

uint64_t store_kit_random(struct store_kit *kit, uint64_t limit) {
	kit->random = kit->random * 6364136223846793005u + 1442695040888963407u;
	return (kit->random >> 33) % limit;
}

/* Keys in a database's grammar; some are prefixes of others, and many share their first twelve bytes. */
struct bytes store_kit_key(uint32_t database, uint32_t number, char *key) {
	int size = snprintf(key, 16, "%c%.*s%u", database == 0 ? 'N' : 'I', (int)(number % 3) * 5, "aaaaaaaaaaaa", number);
	return bytes_of(key, (size_t)size);
}

struct bytes store_kit_egress(uint32_t number) {
	static const char *const names[STORE_KIT_EGRESSES] = {"bans", "päck/chen"};
	return bytes_text(names[number]);
}

static struct bytes value_of(uint32_t number, uint8_t *value) {
	size_t size = 4 + number * 7 % (VALUE_BYTES_MAX - 4);
	memset(value, (int)number, size);
	memcpy(value, &number, 4);
	return bytes_of(value, size);
}

static void op_add(struct store_kit *kit, struct buf *redo, struct store_model *model) {
	char key[16];
	uint8_t value[VALUE_BYTES_MAX];
	uint32_t database = (uint32_t)store_kit_random(kit, STORE_KIT_DATABASES);
	uint32_t number = (uint32_t)store_kit_random(kit, STORE_KIT_KEYS);
	uint32_t put = store_kit_random(kit, 4) == 0 ? 0 : ++kit->puts;
	model->values[database][number] = put;
	if (put == 0)
		redo_remove(redo, database, store_kit_key(database, number, key));
	else
		redo_put(redo, database, store_kit_key(database, number, key), value_of(put, value));
}

static void record_add(struct store_kit *kit, struct buf *redo, struct store_model *model) {
	uint8_t value[VALUE_BYTES_MAX];
	uint32_t egress = (uint32_t)store_kit_random(kit, STORE_KIT_EGRESSES);
	uint32_t offset = model->ends[egress]++;
	size_t place = redo_egress(redo, store_kit_egress(egress), value_of(offset * 2 + egress, value));
	redo_egress_offset_set(redo, place, offset);
}

static struct store_epoch *epoch_make(struct store_kit *kit) {
	struct store_epoch *epoch = store_epoch_create(1 + store_kit_random(kit, 3));
	epoch->epoch = kit->epoch + 1;
	epoch->time_ms = epoch->epoch * 10;
	check(epoch->epoch <= STORE_KIT_EPOCHS);
	struct store_model *model = &kit->models[epoch->epoch];
	*model = kit->models[kit->epoch];
	for (size_t i = 0; i < epoch->part_count; i++) {
		for (uint64_t ops = store_kit_random(kit, 12); ops > 0; ops--)
			op_add(kit, &epoch->parts[i], model);
		for (uint64_t records = store_kit_random(kit, 3); records > 0; records--)
			record_add(kit, &epoch->parts[i], model);
	}
	return epoch;
}

bool store_kit_epoch(struct store_kit *kit, bool sync) {
	struct store_epoch *epoch = epoch_make(kit);
	if (!store_append(kit->store, epoch, &kit->error)) {
		store_epoch_destroy(epoch);
		/* It may be in the journal all the same. */
		kit->epoch++;
		return false;
	}
	kit->epoch++;
	bool good = !sync || store_sync(kit->store, &kit->error);
	if (good && sync)
		kit->synced = kit->epoch;
	store_hand(kit->store, epoch);
	return good;
}

void store_kit_apply(struct store_kit *kit) {
	while (store_applier_step(kit->store))
		;
}

/* ---- comparing ---- */

static bool wrong(uint64_t epoch, const char *what, uint32_t where, uint32_t number) {
	fprintf(
		stderr, "epoch %llu: %s, database or egress %u, number %u\n", (unsigned long long)epoch, what, where, number);
	return false;
}

static bool gets_hold(struct store_kit *kit, uint64_t epoch) {
	struct buf found = {0};
	bool good = true;
	for (uint32_t database = 0; database < STORE_KIT_DATABASES; database++)
		for (uint32_t number = 0; number < STORE_KIT_KEYS && good; number++) {
			char key[16];
			uint8_t value[VALUE_BYTES_MAX];
			uint32_t put = kit->models[epoch].values[database][number];
			struct bytes expected = put == 0 ? bytes_of(NULL, 0) : value_of(put, value);
			buf_reset(&found);
			int result = store_get(kit->store, database, store_kit_key(database, number, key), &found, &kit->error);
			if (result != (put == 0 ? 0 : 1) || !bytes_equal(bytes_buf(&found), expected))
				good = wrong(epoch, "get", database, number);
		}
	buf_finish(&found);
	return good;
}

/* The least key of the model that is not before `from`; empty: none. */
static struct bytes key_from(struct store_kit *kit, uint64_t epoch, uint32_t database, struct bytes from, char *least) {
	struct bytes found = bytes_of(NULL, 0);
	for (uint32_t number = 0; number < STORE_KIT_KEYS; number++) {
		char name[16];
		struct bytes key = store_kit_key(database, number, name);
		if (kit->models[epoch].values[database][number] == 0 || bytes_compare(key, from) < 0 ||
			(found.size > 0 && bytes_compare(key, found) > 0))
			continue;
		memcpy(least, name, sizeof name);
		found = bytes_of(least, key.size);
	}
	return found;
}

/* To and fro. */
static bool seeks_hold(struct store_kit *kit, uint64_t epoch, uint32_t database, struct store_cursor *cursor) {
	for (uint32_t i = 0; i < STORE_KIT_KEYS; i += 7) {
		char wanted[16], least[16];
		const uint32_t number = i * 31 % STORE_KIT_KEYS;
		struct bytes from = store_kit_key(database, number, wanted);
		struct bytes expected = key_from(kit, epoch, database, from, least);
		struct bytes key = bytes_of(NULL, 0), value;
		store_cursor_seek(cursor, from);
		if (store_cursor_next(cursor, &key, &value) != (expected.size > 0) || !bytes_equal(key, expected))
			return wrong(epoch, "seek", database, number);
	}
	return true;
}

/* In order, each as in the model, and as many as the model has. */
static bool cursor_holds(struct store_kit *kit, uint64_t epoch, uint32_t database) {
	struct store_cursor *cursor =
		store_cursor_open(kit->store, database, bytes_text(database == 0 ? "N" : "I"), &kit->error);
	if (cursor == NULL)
		return wrong(epoch, "cursor", database, 0);
	struct bytes key;
	struct bytes value;
	struct buf last = {0};
	uint32_t count = 0;
	bool good = true;
	while (good && store_cursor_next(cursor, &key, &value)) {
		uint32_t put;
		memcpy(&put, value.data, 4);
		bool known = false;
		for (uint32_t number = 0; number < STORE_KIT_KEYS && !known; number++) {
			char name[16];
			known = put == kit->models[epoch].values[database][number] &&
				bytes_equal(key, store_kit_key(database, number, name));
		}
		good = known && (last.size == 0 || bytes_compare(bytes_buf(&last), key) < 0);
		buf_reset(&last);
		buf_append_bytes(&last, key);
		count++;
	}
	good = good && seeks_hold(kit, epoch, database, cursor) && store_cursor_status(cursor, &kit->error);
	store_cursor_close(cursor);
	buf_finish(&last);
	for (uint32_t number = 0; number < STORE_KIT_KEYS; number++)
		count -= kit->models[epoch].values[database][number] != 0 ? 1 : 0;
	return good && count == 0 ? true : wrong(epoch, "cursor", database, count);
}

struct egress_count {
	uint32_t egress;
	uint64_t next;
	bool good;
};

static bool egress_record(void *arg, uint64_t offset, struct bytes record) {
	struct egress_count *count = arg;
	uint8_t value[VALUE_BYTES_MAX];
	count->good = count->good && offset == count->next &&
		bytes_equal(record, value_of((uint32_t)offset * 2 + count->egress, value));
	count->next++;
	return count->good;
}

static bool egress_holds(struct store_kit *kit, uint64_t epoch, uint32_t egress) {
	uint64_t end = kit->models[epoch].ends[egress];
	uint64_t from = end == 0 ? 0 : store_kit_random(kit, end);
	uint64_t start = store_egress_start(kit->store, store_kit_egress(egress));
	if (start > end || (start > 0 && kit->retention_bytes == 0))
		return wrong(epoch, "start of egress", egress, (uint32_t)start);
	from = from < start ? start : from;
	struct egress_count count = {.egress = egress, .next = from, .good = true};
	uint64_t next;
	bool good =
		store_egress_read(kit->store, store_kit_egress(egress), from, egress_record, &count, &next, &kit->error);
	if (!good || !count.good || next != end || count.next != end ||
		store_egress_end(kit->store, store_kit_egress(egress)) != end)
		return wrong(epoch, "egress", egress, (uint32_t)count.next);
	return true;
}

bool store_kit_holds(struct store_kit *kit, uint64_t epoch) {
	bool good = gets_hold(kit, epoch);
	for (uint32_t database = 0; database < STORE_KIT_DATABASES; database++)
		good = good && cursor_holds(kit, epoch, database);
	for (uint32_t egress = 0; egress < STORE_KIT_EGRESSES; egress++)
		good = good && egress_holds(kit, epoch, egress);
	return good;
}
