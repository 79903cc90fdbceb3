/* A canary's ids: its share on every shard, whatever the shard's own hash does, and that raising it only adds. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "flow/message.h"
#include "flow/view.h"

enum { SHARDS = 4, IDS_PER_SHARD = 100000, SEEDS = 3 };

static const uint32_t percents[] = {1, 2, 5, 10, 20, 33, 50, 67, 80, 95, 99};
enum { PERCENTS = sizeof percents / sizeof *percents };

static int invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)context, (void)plugin_data, (void)message;
	return 0;
}

static const sofun_function function = {.size = sizeof function, .type = "test/canary", .invoke = invoke};

static struct binding canary_binding(uint64_t seed, uint32_t percent) {
	struct binding binding = {.number = 1, .name = "test/canary", .seed = seed, .before = {.base = VERSION_NONE}};
	binding.versions[0] = (struct version){.function = &function};
	binding.versions[1] = (struct version){.function = &function};
	binding.now = (struct split){.base = 0, .canary = 1, .limit = SPLIT_WHOLE * percent / 100};
	return binding;
}

/* Three kinds of ids that people use: numbered names, numbers as bytes, and addresses. */
static struct bytes id_make(uint64_t number, char room[32]) {
	if (number % 3 == 0)
		return bytes_of(room, (size_t)snprintf(room, 32, "user-%llu", (unsigned long long)number));
	if (number % 3 == 1)
		return bytes_of(room,
			(size_t)snprintf(room, 32, "10.%llu.%llu.%llu", (unsigned long long)(number >> 16 & 255),
				(unsigned long long)(number >> 8 & 255), (unsigned long long)(number & 255)));
	memcpy(room, &number, sizeof number);
	return bytes_of(room, sizeof number);
}

struct counted {
	uint64_t ids[SHARDS];
	uint64_t canary[SHARDS][PERCENTS];
};

/* Every id against every share, from small to large: once it is the canary's it stays so. */
static void id_count(const struct binding *bindings, uint64_t store_seed, struct bytes id, struct counted *counted) {
	uint32_t shard = message_shard((uint32_t)hash_bytes(store_seed ^ HASH_K0, id.data, id.size), SHARDS);
	bool had = false;
	counted->ids[shard]++;
	for (size_t i = 0; i < PERCENTS; i++) {
		bool has = binding_version(&bindings[i], 7, id) == &bindings[i].versions[1];
		if (had && !has) /* an assertion of Check writes to a pipe: not millions of times */
			ck_abort_msg("raising the share took an id away");
		counted->canary[shard][i] += has;
		had = has;
	}
}

static bool counted_enough(const struct counted *counted) {
	for (int shard = 0; shard < SHARDS; shard++)
		if (counted->ids[shard] < IDS_PER_SHARD)
			return false;
	return true;
}

START_TEST(a_canary_has_its_share_on_every_shard) {
	uint64_t seed = hash_mix((uint64_t)_i + 1, 0x5f3759df);
	struct binding bindings[PERCENTS];
	struct counted counted = {{0}, {{0}}};
	char room[32];
	for (size_t i = 0; i < PERCENTS; i++)
		bindings[i] = canary_binding(seed, percents[i]);
	/* the worst case for independence: the store's seed is the canary's */
	uint64_t store_seed = _i == 0 ? seed : hash_mix(seed, 3);
	for (uint64_t number = 0; !counted_enough(&counted); number++)
		id_count(bindings, store_seed, id_make(number, room), &counted);
	for (int shard = 0; shard < SHARDS; shard++)
		for (size_t i = 0; i < PERCENTS; i++) {
			double share = 100.0 * (double)counted.canary[shard][i] / (double)counted.ids[shard];
			ck_assert_msg(share > percents[i] - 1.0 && share < percents[i] + 1.0,
				"seed %d, shard %d: %.2f %% of the ids, not %u", _i, shard, share, percents[i]);
		}
}
END_TEST

START_TEST(what_was_born_before_the_fence_goes_by_the_shares_of_before) {
	struct binding binding = canary_binding(11, 100);
	char room[32];
	binding.before = (struct split){.base = 0, .canary = 1, .limit = SPLIT_WHOLE * 50 / 100};
	binding.fence = 9;
	int before = 0;
	for (uint64_t number = 0; number < 1000; number++) {
		struct bytes id = id_make(number, room);
		before += binding_version(&binding, 8, id) == &binding.versions[1];
		ck_assert_ptr_eq(binding_version(&binding, 9, id), &binding.versions[1]);
	}
	ck_assert_int_gt(before, 400);
	ck_assert_int_lt(before, 600);
}
END_TEST

START_TEST(a_type_that_one_version_does_not_have_is_the_others) {
	struct binding binding = canary_binding(11, 50);
	binding.versions[1].function = NULL;
	ck_assert_ptr_eq(binding_version(&binding, 1, bytes_text("a")), &binding.versions[0]);
	binding = canary_binding(11, 50);
	binding.versions[0].function = NULL;
	ck_assert_ptr_eq(binding_version(&binding, 1, bytes_text("a")), &binding.versions[1]);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("view");
	TCase *tests = tcase_create("canary");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_canary_has_its_share_on_every_shard, 0, SEEDS);
	tcase_add_test(tests, what_was_born_before_the_fence_goes_by_the_shares_of_before);
	tcase_add_test(tests, a_type_that_one_version_does_not_have_is_the_others);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
