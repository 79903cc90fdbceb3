/* The cache of instances as its table grows: at every moment each instance is found, once, and the memory is told. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "flow/instance/instance.h"

enum { TYPE = 1, MANY = 100000 };

static char dir[] = "/tmp/sofun-test-XXXXXX";
static struct store *store;
static struct cache cache;

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static void setup(void) {
	struct store_recovered recovered;
	struct error error;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	const struct store_options options = {.disk = disk_machine(),
		.factory = kv_leveldb(1 << 20, 8 << 20),
		.dir = dir,
		.checkpoint_bytes = 1 << 20,
		.segment_bytes = 1 << 20,
		.journal_bytes_max = 4 << 20};
	store = store_open(&options, &recovered, &error);
	ck_assert_msg(store != NULL, "%s", error.message);
	store_type_name(store, TYPE, "test/one");
}

static void teardown(void) {
	struct error error;
	cache_finish(&cache);
	ck_assert(store_close(store, false, &error));
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static uint32_t hash_of(uint32_t number) {
	return (uint32_t)hash_bytes(7, &number, sizeof number); /* a multiple would never collide */
}

static struct bytes id_of(uint32_t number, char *id) {
	int size = snprintf(id, 16, "i%u", number);
	return bytes_of(id, (size_t)size);
}

static struct instance *get(uint32_t number) {
	struct error error;
	char id[16];
	struct instance *instance = cache_get(&cache, store, hash_of(number), TYPE, id_of(number, id), 1, 1,
		(enum instance_room)(number % 3), UINT64_MAX, &error);
	ck_assert_ptr_nonnull(instance);
	return instance;
}

static struct instance *find(uint32_t number) {
	char id[16];
	return cache_find(&cache, hash_of(number), TYPE, id_of(number, id));
}

/* Those whose probes begin among what has moved and end among what has not. */
static void boundary_check(void) {
	for (size_t i = cache.left_next; cache.left != NULL && i < cache.left_count && i < cache.left_next + 32; i++) {
		struct instance *instance = cache.left[i].instance;
		if (instance != NULL)
			ck_assert_ptr_eq(cache_find(&cache, instance->hash, TYPE, instance_id_bytes(instance)), instance);
	}
}

START_TEST(each_is_found_while_the_table_grows) {
	static struct instance *all[MANY];
	unsigned growing = 0;
	cache_init(&cache, SIZE_MAX);
	for (uint32_t number = 0; number < MANY; number++) {
		all[number] = get(number);
		growing += cache.left != NULL ? 1 : 0;
		uint32_t other = hash_of(number) % (number + 1);
		ck_assert_ptr_eq(find(other), all[other]);
		ck_assert_ptr_null(find(number + 1));
		boundary_check();
		if (number % 7 == 0)
			all[other] = cache_widen(&cache, all[other], all[other]->value_count + 1u);
	}
	ck_assert_uint_eq(cache.used, MANY);
	ck_assert_uint_gt(growing, MANY / 20);
	size_t memory = (cache.slot_count + (cache.left != NULL ? cache.left_count : 0)) * sizeof *cache.slots;
	for (uint32_t number = 0; number < MANY; number++) {
		ck_assert_ptr_eq(find(number), all[number]);
		memory += instance_memory(all[number]);
	}
	ck_assert_uint_eq(cache.memory, memory);
}
END_TEST

START_TEST(memory_stays_bounded_while_the_table_grows) {
	const size_t most = 1 << 20;
	size_t worst = 0;
	cache_init(&cache, most);
	for (uint32_t number = 0; number < MANY; number++) {
		get(number);
		worst = cache.memory > worst ? cache.memory : worst;
	}
	ck_assert_uint_lt(worst, most + most / 2);
	ck_assert_uint_lt(cache.used, MANY / 4);
}
END_TEST

/* The most slots in a row that are taken: a probe for one that is not there may look at all of them. */
static size_t longest_run(void) {
	size_t longest = 0, run = 0;
	for (size_t i = 0; i < 2 * cache.slot_count; i++) {
		run = cache.slots[i & (cache.slot_count - 1)].instance != NULL ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

/* As a host with more instances than memory holds does for as long as it runs. */
START_TEST(probes_stay_short_while_some_leave_for_others) {
	for (size_t most = 1 << 20; most <= 2 << 20; most += 1 << 17) {
		cache_init(&cache, most);
		for (uint32_t number = 0; number < MANY; number++) {
			get(number);
			if (number % (MANY / 16) == 0 && number > MANY / 2)
				ck_assert_uint_lt(longest_run(), cache.slot_count / 16);
		}
		ck_assert_uint_gt(cache.evicted, MANY / 2);
		if (most + (1 << 17) <= 2 << 20)
			cache_finish(&cache);
	}
}
END_TEST

int main(void) {
	Suite *suite = suite_create("instance cache");
	TCase *tests = tcase_create("instance cache");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, each_is_found_while_the_table_grows);
	tcase_add_test(tests, memory_stays_bounded_while_the_table_grows);
	tcase_add_test(tests, probes_stay_short_while_some_leave_for_others);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
