/* Routers that go while a batch is half through leave the rest of it to its producer: it is not accepted, and it is told. One shard,
 * stepped by hand. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/engine/inside.h"
#include "plugin/image.h"
#include "state/disk.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { TYPE = 1, RECORDS = 5, ROUTED = 2, HANDLED_MAX = 64, STEPS_MAX = 1000 };

static char dir[] = "/tmp/sofun-test-XXXXXX";
static struct config config;
static struct store *store;
static struct engine *engine;
static struct image image = {.name = "one", .version = "1.0.0"};
static struct engine_answer answer; /* the last one */
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
	const struct bytes type = bytes_text("test/one"), name = bytes_text("a");
	const sofun_address to = {.type = {type.data, type.size}, .id = {name.data, name.size}};
	return context->host->send(context, &to, (sofun_bytes){NULL, 0}, record->data);
}

static const sofun_function function = {.size = sizeof function, .schema = 1, .type = "test/one", .invoke = handle};
static const sofun_router router = {.size = sizeof router, .ingress = "one", .format = "msgpack", .route = route};

/* With the router, or without. */
static struct view *view_of(uint64_t generation, size_t routers) {
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
	return view_create(generation, bindings, TYPE + 1, routes, routers);
}

/* ---- the host ---- */

static void host_start(void) {
	struct store_recovered recovered;
	struct error error;
	config.shards = 1;
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
	engine_start(engine, view_of(1, 1));
	ck_assert(!atomic_load(&engine->flow.failed));
}

static void teardown_store(void) {
	struct error error;
	engine->started = false;
	engine_destroy(engine);
	ck_assert(store_close(store, false, &error));
}

static void committed(void) {
	while (committer_step(&engine->committer))
		;
	while (store_applier_step(store))
		;
}

static void turn(void) {
	struct shard *shard = engine->flow.shards[0];
	atomic_store(&shard->hold, HOLD_RUN);
	shard_step(shard);
	atomic_store(&shard->hold, HOLD_IDLE);
	committed();
}

static void answered(void *arg, const struct engine_answer *one) {
	(void)arg;
	answer = *one;
}

static void records_send(uint64_t first) {
	struct buf records = {0};
	for (uint64_t number = first; number <= RECORDS; number++)
		pack_uint(&records, number);
	engine_ingest(engine, first, 1, bytes_text("one"), bytes_text("p"), first, (uint32_t)(RECORDS + 1 - first),
		bytes_buf(&records));
	buf_finish(&records);
}

static void setup(void) {
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	config_init(&config);
	config.durability = DURABILITY_SYNC;
	config.test_clock = true;
	config.test_clock_ms = 1000;
	handled_count = 0;
	host_start();
	turn(); /* adopts the view */
}

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static void teardown(void) {
	teardown_store();
	config_finish(&config);
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

START_TEST(the_rest_of_a_batch_without_routers_is_not_accepted) {
	struct shard *shard = engine->flow.shards[0];
	records_send(1);
	atomic_store(&shard->hold, HOLD_RUN);
	for (int i = 0; i < ROUTED; i++)
		shard_input_step(shard); /* one record each, as where an epoch is cut in the middle of a batch */
	atomic_store(&shard->hold, HOLD_IDLE);
	ck_assert_uint_eq(shard->counts.records, ROUTED);
	engine_publish(engine, view_of(2, 0));
	for (int i = 0; i < STEPS_MAX && answer.token != 1; i++) {
		turn();
		engine_take_answers(engine, answered, NULL);
	}
	ck_assert_uint_eq(answer.code, ERROR_UNKNOWN_INGRESS);
	ck_assert_uint_eq(shard->counts.records, ROUTED);
	engine_publish(engine, view_of(3, 1));
	turn();
	records_send(ROUTED + 1);
	for (int i = 0; i < STEPS_MAX && handled_count < RECORDS; i++)
		turn();
	ck_assert_uint_eq(handled_count, RECORDS);
	for (size_t i = 0; i < RECORDS; i++)
		ck_assert_uint_eq(handled[i], i + 1);
}
END_TEST

int main(void) {
	TCase *tests = tcase_create("route");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_rest_of_a_batch_without_routers_is_not_accepted);
	Suite *suite = suite_create("route");
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
