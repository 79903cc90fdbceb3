/* Two plugins that change at the same moment fence one behind the other. At every step between, whoever has a plugin's messages by the
 * view of a shard has them by what is durable in front of that shard's epoch, too: so no death between two of these steps gives an
 * address back. One shard, the registry and the engine stepped by hand; the images are empty. */
#include <check.h>
#include <event2/event.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/engine/inside.h"
#include "registry/inside.h"
#include "state/disk.h"
#include "state/key.h"

enum { PLUGINS = 2, VERSIONS = 2, STEPS_MAX = 1000 };

static char dir[] = "/tmp/sofun-test-XXXXXX";
static char plugins_dir[sizeof dir + 8];
static struct config config;
static struct event_base *base;
static struct store *store;
static struct engine *engine;
static struct requests *requests;
static struct registry *registry;

static const char *const names[PLUGINS] = {"one", "two"};
static const char *const type_names[PLUGINS] = {"test/one", "test/two"};
static struct lineage *lineages[PLUGINS];
static struct verdict *verdicts[PLUGINS][VERSIONS];
static sofun_function functions[PLUGINS];
static sofun_router routers[PLUGINS];
static int answered; /* changes that came about */

/* ---- what there is ---- */

static struct image *image_empty(int plugin, int version) {
	struct manifest manifest = {.function_count = 1, .router_count = 1};
	manifest.functions = calloc(1, sizeof *manifest.functions);
	manifest.routers = calloc(1, sizeof *manifest.routers);
	strcpy(manifest.name, names[plugin]);
	snprintf(manifest.version, sizeof manifest.version, "%d.0.0", version + 1);
	strcpy(manifest.functions->type, type_names[plugin]);
	manifest.functions->schema = 1;
	strcpy(manifest.routers->ingress, names[plugin]);
	struct image *image = image_create(&manifest, verdicts[plugin][version]->hash, 1, "");
	image->facts.functions = &functions[plugin];
	image->facts.routers = &routers[plugin];
	return image;
}

static void version_make(int plugin, int version, enum plugin_state state) {
	uint8_t hash[HASH_BYTES] = {(uint8_t)(1 + plugin), (uint8_t)(1 + version)};
	struct verdict *verdict = verdicts[plugin][version] = verdict_add(registry, hash);
	strcpy(verdict->name, names[plugin]);
	snprintf(verdict->version, sizeof verdict->version, "%d.0.0", version + 1);
	verdict->state = state == PLUGIN_LIVE ? VERDICT_LIVE : VERDICT_READY;
	plugin_add(registry, verdict, image_empty(plugin, version), state);
}

/* Version 1 of each is live, version 2 is open and about to be. */
static void plugin_make(int plugin) {
	functions[plugin] = (sofun_function){.size = sizeof functions[plugin], .schema = 1, .type = type_names[plugin]};
	routers[plugin] = (sofun_router){.size = sizeof routers[plugin], .ingress = names[plugin], .format = "msgpack"};
	struct function_type *type = type_add(registry, engine_next_type(engine), type_names[plugin]);
	type->plugin = strdup(names[plugin]);
	type->schema = 1;
	type_schema_put(type, type_schema_create(1, 0));
	store_type_name(store, type->number, type->name);
	version_make(plugin, 0, PLUGIN_LIVE);
	version_make(plugin, 1, PLUGIN_LIVE);
	lineages[plugin] = lineage_add(registry, names[plugin]);
	lineages[plugin]->now.base = verdicts[plugin][0];
}

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static void store_start(struct store_recovered *recovered) {
	struct error error;
	const struct store_options options = {.disk = disk_machine(),
		.factory = kv_leveldb(1 << 20, 8 << 20),
		.dir = dir,
		.checkpoint_bytes = 16 << 20,
		.segment_bytes = 1 << 20,
		.journal_bytes_max = 32 << 20};
	store = store_open(&options, recovered, &error);
	ck_assert_msg(store != NULL, "%s", error.message);
}

static void setup(void) {
	struct store_recovered recovered;
	struct error error;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(plugins_dir, sizeof plugins_dir, "%s/plugins", dir);
	config_init(&config);
	config.shards = 1;
	config.durability = DURABILITY_SYNC;
	config.test_clock = true;
	config.test_clock_ms = 1000;
	free(config.data);
	config.data = check_strdup(dir);
	config.plugins = check_strdup(plugins_dir);
	store_start(&recovered);
	engine = engine_create(&config, store, &recovered, &error);
	ck_assert_msg(engine != NULL, "%s", error.message);
	engine->threadless = true;
	base = event_base_new();
	requests = requests_create();
	const struct registry_options options = {.config = &config,
		.engine = engine,
		.requests = requests,
		.store = store,
		.disk = disk_machine(),
		.base = base,
		.host = engine_host(engine)};
	registry = registry_create(&options, &error);
	ck_assert_msg(registry != NULL, "%s", error.message);
	for (int plugin = PLUGINS - 1; plugin >= 0; plugin--) /* of those that wait the last one made comes first */
		plugin_make(plugin);
	answered = 0;
	engine_start(engine, registry_view(registry));
	shard_step(engine->flow.shards[0]); /* adopts it */
}

static void teardown(void) {
	struct error error;
	registry_stop(registry);
	engine->started = false;
	registry_destroy(registry);
	engine_destroy(engine);
	requests_destroy(requests);
	ck_assert(store_close(store, false, &error));
	event_base_free(base);
	config_finish(&config);
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- who serves ---- */

static const struct verdict *holder_of(const struct image *image) {
	return verdict_find(registry, image->hash);
}

/* Who has a message that is born in the shard's epoch, by the view that it has adopted; and a record. */
static const struct verdict *serving(int plugin) {
	const struct shard *shard = engine->flow.shards[0];
	const uint16_t type = view_type(shard->view, bytes_text(type_names[plugin]));
	const struct version *version = binding_version(&shard->view->bindings[type], shard->epoch, bytes_text("an id"));
	const struct verdict *routes = NULL;
	for (size_t i = 0; i < shard->view->route_count; i++)
		if (strcmp(shard->view->routes[i].ingress, names[plugin]) == 0)
			routes = holder_of(shard->view->routes[i].image);
	ck_assert_ptr_nonnull(version);
	ck_assert_ptr_eq(routes, holder_of(version->image));
	return routes;
}

/* Who has it by the rows that are written in front of the shard's epoch: after a death they are all that counts. */
static const struct verdict *written(int plugin) {
	struct error error;
	struct key key = lineage_key(lineages[plugin]);
	struct buf row = {0};
	struct registry reader = {.verdicts = registry->verdicts, .verdict_count = registry->verdict_count};
	const struct verdict *base_verdict = verdicts[plugin][0];
	int found = store_get(store, REDO_RUNTIME, key_bytes(&key), &row, &error);
	ck_assert_int_ge(found, 0);
	if (found == 1) {
		ck_assert(lineage_read(&reader, key_bytes(&key), bytes_buf(&row), &error));
		base_verdict = reader.lineages->now.base;
		lineages_destroy(&reader);
	}
	buf_finish(&row);
	return base_verdict;
}

static void both_agree(void) {
	for (int plugin = 0; plugin < PLUGINS; plugin++)
		ck_assert_msg(serving(plugin) == written(plugin), "%s %s serves, and %s is written", names[plugin],
			serving(plugin)->version, written(plugin)->version);
}

/* ---- steps ---- */

static void change_answered(void *arg, bool good) {
	(void)arg;
	ck_assert(good);
	answered++;
}

static void change(int plugin, bool running) {
	const struct change order = {
		.next.base = verdicts[plugin][1], .running = running, .deadline_ms = 1000, .then = change_answered};
	lineage_change(lineages[plugin], &order);
}

static void committed(void) {
	while (committer_step(&engine->committer))
		;
	while (store_applier_step(store))
		;
}

static void shard_turn(void) {
	shard_step(engine->flow.shards[0]);
	atomic_store(&engine->flow.shards[0]->hold, HOLD_IDLE);
	both_agree();
}

/* The shard meets what is published before and behind each commit. */
static void step(void) {
	shard_turn();
	committed();
	shard_turn();
}

static void both_come_about(void) {
	for (int i = 0; i < STEPS_MAX && answered < PLUGINS; i++) {
		engine_take_answers(engine, request_answer, requests);
		step();
	}
	ck_assert_int_eq(answered, PLUGINS);
	ck_assert_str_eq(serving(0)->version, "2.0.0");
	ck_assert_str_eq(serving(1)->version, "2.0.0");
}

/* The first fence is durable, the second one is not asked for. */
static void first_comes_about(void) {
	for (int i = 0; i < STEPS_MAX && strcmp(serving(0)->version, "1.0.0") == 0; i++) {
		if (registry->commits != NULL && !registry->fencing)
			engine_take_answers(engine, request_answer, requests);
		step();
	}
	ck_assert_int_eq(answered, 0);
	ck_assert_int_eq(lineages[1]->state, LINEAGE_ASKED);
	ck_assert_str_eq(serving(0)->version, "2.0.0");
	ck_assert_str_eq(serving(1)->version, "1.0.0");
}

START_TEST(the_second_change_waits_for_its_own_fence) {
	change(0, _i == 1);
	change(1, _i == 1);
	first_comes_about();
	both_come_about();
}
END_TEST

/* A row of before is on its way, so both wait: the first one's view is made when the second one has been asked for. */
START_TEST(nor_does_the_view_of_the_first_fence_show_it) {
	verdict_commit(registry, verdicts[0][0], NULL, 0, NULL, NULL);
	change(0, _i == 1);
	change(1, _i == 1);
	ck_assert_int_eq(lineages[0]->state, LINEAGE_ASKED);
	first_comes_about();
	both_come_about();
}
END_TEST

/* It waits for the first fence, and comes before the second one is asked for. */
START_TEST(nor_does_a_view_between_them) {
	change(0, _i == 1);
	change(1, _i == 1);
	registry_publish(registry);
	first_comes_about();
	both_come_about();
}
END_TEST

/* What is born between is of before, and told apart from the new. */
START_TEST(the_side_changes_with_the_fence) {
	const uint16_t type = view_type(engine->view, bytes_text(type_names[1]));
	change(0, false);
	change(1, false);
	registry_publish(registry);
	first_comes_about();
	engine_take_answers(engine, request_answer, requests); /* it is published, and the second fence asked for */
	shard_turn();
	const struct binding *between = &engine->flow.shards[0]->view->bindings[type];
	const uint8_t side = between->side;
	ck_assert_uint_eq(between->fence, 0);
	both_come_about();
	const struct binding *behind = &engine->flow.shards[0]->view->bindings[type];
	ck_assert_uint_ne(behind->side, side);
	ck_assert_uint_ne(behind->fence, 0);
	ck_assert_uint_le(behind->fence, engine->flow.shards[0]->epoch);
	ck_assert_str_eq(binding_version(behind, behind->fence - 1, bytes_text("an id"))->image->version, "1.0.0");
}
END_TEST

int main(void) {
	TCase *tests = tcase_create("fences");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, the_second_change_waits_for_its_own_fence, 0, 2);
	tcase_add_loop_test(tests, nor_does_the_view_of_the_first_fence_show_it, 0, 2);
	tcase_add_loop_test(tests, nor_does_a_view_between_them, 0, 2);
	tcase_add_test(tests, the_side_changes_with_the_fence);
	Suite *suite = suite_create("fences");
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
