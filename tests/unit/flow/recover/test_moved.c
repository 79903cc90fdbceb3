/* A start with another number of shards moves what waits into channels of its own (recover/move.c). Where a producer's records go on
 * another channel from then on, what it sent before is consumed first, however often the host dies between. One function that
 * notes what it is given; shards stepped by hand. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/engine/inside.h"
#include "plugin/image.h"
#include "state/disk.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { TYPE = 1, RECORDS = 5, HANDLED_MAX = 64, STEPS_MAX = 10000, TAKEN_MAX = 1000 };

static char dir[] = "/tmp/sofun-test-XXXXXX";
static struct config config;
static struct store *store;
static struct engine *engine;
static struct image image = {.name = "one", .version = "1.0.0"};
static char id[16];       /* it belongs to the last shard of two */
static char producer[16]; /* and this one to the first */
static uint64_t handled[HANDLED_MAX];
static size_t handled_count;

/* ---- the plugin ---- */

static int handle(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)context;
	(void)plugin_data;
	uint64_t number;
	struct cursor cursor = cursor_of(bytes_of(message->payload.data, message->payload.size));
	ck_assert(cursor_read_uint(&cursor, &number));
	ck_assert_uint_lt(handled_count, HANDLED_MAX);
	handled[handled_count++] = number;
	return 0;
}

static int route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	const struct bytes type = bytes_text("test/one"), name = bytes_text(id);
	const sofun_address to = {.type = {type.data, type.size}, .id = {name.data, name.size}};
	return context->host->send(context, &to, (sofun_bytes){NULL, 0}, record->data);
}

static const sofun_function function = {.size = sizeof function, .schema = 1, .type = "test/one", .invoke = handle};
static const sofun_router router = {.size = sizeof router, .ingress = "one", .format = "msgpack", .route = route};

static struct view *view_of_one(void) {
	struct binding bindings[TYPE + 1] = {{0}};
	bindings[TYPE] = (struct binding){
		.number = TYPE,
		.name = function.type,
		.versions[0] = {.function = &function, .host = engine_host(engine), .image = &image, .schema = 1},
		.now = {.base = 0, .canary = VERSION_NONE},
		.before = {.base = VERSION_NONE, .canary = VERSION_NONE},
	};
	const struct route routes[] = {{.ingress = "one",
		.until = SPLIT_WHOLE,
		.format = FORMAT_MSGPACK,
		.wanted = FORMAT_MSGPACK,
		.router = &router,
		.host = engine_host(engine),
		.image = &image}};
	return view_create(1, bindings, TYPE + 1, routes, 1);
}

/* ---- the host ---- */

static void host_start(uint32_t shards) {
	struct store_recovered recovered;
	struct error error;
	config.shards = shards;
	const struct store_options options = {.disk = disk_machine(),
		.factory = kv_leveldb(1 << 20, 8 << 20),
		.dir = dir,
		.checkpoint_bytes = 16 << 20,
		.segment_bytes = 1 << 20,
		.journal_bytes_max = 32 << 20};
	store = store_open(&options, &recovered, &error);
	ck_assert_msg(store != NULL, "%s", error.message);
	store_type_name(store, TYPE, function.type);
	engine = engine_create(&config, store, &recovered, &error);
	ck_assert_msg(engine != NULL, "%s", error.message);
	engine->threadless = true;
	engine_start(engine, view_of_one());
	ck_assert(!atomic_load(&engine->flow.failed));
}

/* Nothing of what it holds in memory counts. */
static void host_dies(void) {
	struct error error;
	engine->started = false;
	engine_destroy(engine);
	ck_assert(store_close(store, false, &error));
}

static void committed(void) {
	for (uint32_t round = 0; round < 2 * config.shards; round++) /* a cut takes a look at each channel's mark */
		while (committer_step(&engine->committer))
			;
	while (store_applier_step(store))
		;
}

static void turn(uint32_t index) {
	struct shard *shard = engine->flow.shards[index];
	atomic_store(&shard->hold, HOLD_RUN);
	shard_step(shard);
	atomic_store(&shard->hold, HOLD_IDLE);
}

/* The producer's shard first: whatever may overtake does. */
static void handled_until(size_t count) {
	for (int step = 0; step < STEPS_MAX && handled_count < count; step++) {
		turn((uint32_t)step % config.shards);
		committed();
	}
	ck_assert_uint_eq(handled_count, count);
	for (int step = 0; step < 4; step++) {
		turn((uint32_t)step % config.shards);
		committed();
	}
	ck_assert_uint_eq(handled_count, count);
}

static void handled_in_order(uint64_t last) {
	for (size_t i = 0; i < handled_count; i++)
		ck_assert_uint_eq(handled[i], i + 1);
	ck_assert_uint_eq(handled_count, last);
}

static void records_send(uint64_t first, uint64_t last) {
	struct buf records = {0};
	for (uint64_t number = first; number <= last; number++)
		pack_uint(&records, number);
	engine_ingest(engine, 1, config.shards, bytes_text("one"), bytes_text(producer), first,
		(uint32_t)(last + 1 - first), bytes_buf(&records));
	buf_finish(&records);
}

static void name_find(char *name, size_t size, bool is_producer, uint32_t shard) {
	uint32_t found = UINT32_MAX;
	for (int i = 0; i < TAKEN_MAX && found != shard; i++) {
		snprintf(name, size, "n%d", i);
		uint32_t hash = is_producer ? flow_producer_hash(&engine->flow, bytes_text("one"), bytes_text(name))
									: flow_hash(&engine->flow, TYPE, bytes_text(name));
		found = message_shard(hash, 2);
	}
	ck_assert_uint_eq(found, shard);
}

/* They are accepted, durably, and none of their messages is handled. */
static void records_accept(uint64_t first, uint64_t last) {
	const size_t before = handled_count;
	struct shard *shard = engine->flow.shards[0];
	turn(0); /* adopts the view */
	records_send(first, last);
	atomic_store(&shard->hold, HOLD_RUN);
	for (uint64_t number = first; number <= last; number++)
		shard_input_step(shard);
	atomic_store(&shard->hold, HOLD_IDLE);
	const uint64_t epoch = shard->epoch;
	atomic_store(&shard->wants, epoch);
	committed();
	ck_assert_uint_eq(shard->counts.records, last + 1 - first);
	ck_assert_uint_eq(atomic_load(&engine->flow.durable), epoch);
	ck_assert_uint_eq(handled_count, before);
}

static void setup(void) {
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	config_init(&config);
	config.durability = DURABILITY_SYNC;
	config.test_clock = true;
	config.test_clock_ms = 1000;
	handled_count = 0;
	host_start(1);
	name_find(id, sizeof id, false, 1);
	name_find(producer, sizeof producer, true, 0);
	records_accept(1, RECORDS);
	host_dies();
}

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static void teardown(void) {
	host_dies();
	config_finish(&config);
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- tests ---- */

START_TEST(what_is_moved_is_not_overtaken) {
	host_start(2);
	records_send(RECORDS + 1, RECORDS + 1);
	handled_until(RECORDS + 1);
	handled_in_order(RECORDS + 1);
}
END_TEST

START_TEST(what_a_start_that_died_had_moved_is_not_overtaken) {
	host_start(2);
	host_dies();
	host_start(2); /* it has nothing to move */
	records_send(RECORDS + 1, RECORDS + 1);
	handled_until(RECORDS + 1);
	handled_in_order(RECORDS + 1);
}
END_TEST

START_TEST(nor_after_many_starts_that_died) {
	static const uint32_t shards[] = {2, 2, 1, 3, 3, 2, 2, 2};
	for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
		if (i > 0)
			host_dies();
		host_start(shards[i]);
	}
	records_send(RECORDS + 1, RECORDS + 1);
	handled_until(RECORDS + 1);
	handled_in_order(RECORDS + 1);
}
END_TEST

/* Its row does not say from when on messages were sent in this layout. */
START_TEST(nor_after_a_start_of_an_older_host) {
	struct key key = key_of(KEY_LAYOUT);
	struct buf row = {0};
	host_start(2);
	pack_array(&row, 2);
	pack_uint(&row, engine->flow.layout);
	pack_uint(&row, 2);
	const struct engine_row order = {.key = key_bytes(&key), .value = bytes_buf(&row)};
	engine_commit_rows(engine, 1, &order, 1);
	committed();
	buf_finish(&row);
	host_dies();
	host_start(2);
	records_send(RECORDS + 1, RECORDS + 1);
	handled_until(RECORDS + 1);
	handled_in_order(RECORDS + 1);
	ck_assert_uint_eq(engine->flow.layout, 2);
	host_dies();
	host_start(2);
	ck_assert_uint_lt(engine->flow.layout_epoch, engine->flow.incarnation); /* it was written */
}
END_TEST

/* Inputs go on once the last of it is consumed, also of a host that comes back after that. */
START_TEST(inputs_wait_no_longer_than_that) {
	host_start(2);
	ck_assert_uint_eq(atomic_load(&engine->flow.restoring), 2);
	handled_until(RECORDS);
	ck_assert_uint_eq(atomic_load(&engine->flow.restoring), 0);
	host_dies();
	host_start(2);
	ck_assert_uint_eq(atomic_load(&engine->flow.restoring), 0);
	records_accept(RECORDS + 1, RECORDS + 2);
	host_dies();
	host_start(2); /* what it finds was sent in this layout */
	ck_assert_uint_eq(atomic_load(&engine->flow.restoring), 0);
	handled_until(RECORDS + 2);
	handled_in_order(RECORDS + 2);
}
END_TEST

int main(void) {
	TCase *tests = tcase_create("moved");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_is_moved_is_not_overtaken);
	tcase_add_test(tests, what_a_start_that_died_had_moved_is_not_overtaken);
	tcase_add_test(tests, nor_after_many_starts_that_died);
	tcase_add_test(tests, nor_after_a_start_of_an_older_host);
	tcase_add_test(tests, inputs_wait_no_longer_than_that);
	Suite *suite = suite_create("moved");
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
