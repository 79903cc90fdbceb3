/* What is remembered of the times that ids had, against a judge who remembers all of them. */
#include <check.h>
#include <stdlib.h>

#include "base/hash.h"
#include "flow/expiry/ttl_parts.h"
#include "flow/view.h"

enum { REIGNS = 200, SINCE_MS = 1 };

struct reign {
	uint64_t from_ms;
	uint64_t percent; /* of the canary */
	uint64_t canary_ms;
	uint64_t base_ms;
};

static struct ttl_parts parts;
static struct reign reigns[REIGNS];
static size_t count;

static void setup(void) {
	parts = (struct ttl_parts){0};
	count = 0;
}

static void teardown(void) {
	ttl_parts_finish(&parts);
}

static bool change(uint64_t now_ms, uint64_t percent, uint64_t canary_ms, uint64_t base_ms) {
	const struct ttl_part wishes[] = {{.until = SPLIT_WHOLE * percent / 100, .declared_ms = canary_ms, .ms = canary_ms},
		{.until = SPLIT_WHOLE, .declared_ms = base_ms, .ms = base_ms}};
	reigns[count++] = (struct reign){now_ms, percent, canary_ms, base_ms};
	bool whole = percent == 0;
	bool changed = ttl_parts_change(&parts, wishes + whole, whole ? 1 : 2, now_ms);
	ttl_parts_rest(&parts, SINCE_MS, now_ms);
	return changed;
}

/* By whoever has the whole history. */
static uint64_t ended_ms(uint64_t hash, uint64_t touched_ms, uint64_t now_ms) {
	for (size_t i = 0; i < count; i++) {
		bool canary = hash < SPLIT_WHOLE * reigns[i].percent / 100;
		uint64_t ms = canary ? reigns[i].canary_ms : reigns[i].base_ms;
		uint64_t until_ms = i + 1 < count ? reigns[i + 1].from_ms : now_ms;
		if (ms != 0 && touched_ms + ms <= until_ms)
			return touched_ms + ms > reigns[i].from_ms ? touched_ms + ms : reigns[i].from_ms;
	}
	return UINT64_MAX;
}

static uint64_t vague_ms;

static uint64_t due_ms(uint64_t hash, uint64_t touched_ms) {
	struct ttl *ttl = ttl_create(1, 0);
	ttl->idle = ttl_parts_term(&parts, SINCE_MS, hash);
	uint64_t due = ttl_idle_due_ms(ttl, touched_ms);
	vague_ms = ttl_vague_ms(ttl);
	ttl_destroy(ttl);
	return due;
}

/* Below the canary's 20 %, and above. */
enum { ITS = 1 };
static const uint64_t others = SPLIT_WHOLE - 1;

START_TEST(what_the_base_ended_is_not_woken_by_a_promoted_canary) {
	change(1000, 0, 0, 10);
	change(1100, 20, 60, 10);
	change(1200, 0, 0, 60);
	ck_assert_uint_eq(due_ms(others, 1190), 1200);
	ck_assert_uint_eq(due_ms(others, 1180), 1190);
	ck_assert_uint_eq(due_ms(others, 1191), 1251);
	ck_assert_uint_eq(due_ms(ITS, 1090), 1150); /* long ago: no more is known than that it was before now */
	ck_assert_uint_eq(due_ms(ITS, 1150), 1210); /* never the base's while it was so */
	ck_assert_uint_eq(due_ms(ITS, 1091), 1151);
}
END_TEST

START_TEST(what_the_canary_ended_is_not_woken_by_its_end) {
	change(1000, 0, 0, 60);
	change(1100, 20, 10, 60);
	change(1200, 0, 0, 60);
	ck_assert_uint_eq(due_ms(ITS, 1180), 1190);
	ck_assert_uint_eq(due_ms(ITS, 1050), 1100); /* not before the canary had it */
	ck_assert_uint_eq(due_ms(ITS, 1195), 1255);
	ck_assert_uint_eq(due_ms(others, 1180), 1240);
}
END_TEST

START_TEST(never_and_back) {
	change(1000, 0, 0, 10);
	change(1100, 20, 0, 10);
	ck_assert_uint_eq(due_ms(ITS, 1090), 1100);
	ck_assert_uint_eq(due_ms(ITS, 1095), UINT64_MAX);
	change(1200, 0, 0, 10);
	ck_assert_uint_eq(due_ms(ITS, 1095), 1200);
	ck_assert_uint_eq(due_ms(others, 1095), 1200); /* all have one time again: the same */
}
END_TEST

START_TEST(parts_become_one_when_they_end_the_same) {
	change(1000, 0, 0, 10);
	change(1100, 20, 60, 10);
	ck_assert_uint_eq(parts.count, 2);
	ck_assert(change(1101, 0, 0, 60));
	ck_assert_uint_eq(parts.count, 2); /* what ended by 1100 or 1101 */
	ck_assert(!ttl_parts_rest(&parts, SINCE_MS, 1149));
	ck_assert(ttl_parts_rest(&parts, SINCE_MS, 1150));
	ck_assert_uint_eq(parts.count, 2);
	ck_assert(ttl_parts_rest(&parts, SINCE_MS, 1151));
	ck_assert_uint_eq(parts.count, 1);
	ck_assert_uint_eq(parts.items[0].past.ms, 0);
	ck_assert(!change(1160, 20, 60, 60));
}
END_TEST

/* With a time of never nothing is forgotten. */
START_TEST(as_many_parts_as_shares) {
	change(1000, 0, 0, 10);
	for (uint64_t percent = 1; percent < 100; percent++)
		change(1000 + 10 * percent, percent, 0, 10);
	ck_assert_uint_eq(parts.count, TTL_PARTS_MAX);
	change(3000, 0, 0, 0);
	ck_assert_uint_eq(parts.count, TTL_PARTS_MAX);
	for (uint64_t percent = 0; percent < 100; percent++)
		for (uint64_t touched = 990; touched < 3001; touched += 7) {
			uint64_t hash = SPLIT_WHOLE * percent / 100 + 1;
			ck_assert_uint_eq(due_ms(hash, touched), ended_ms(hash, touched, 3000));
		}
}
END_TEST

static void history_compare(uint64_t seed, uint64_t now_ms) {
	for (uint64_t i = 0; i < 40; i++) {
		uint64_t hash = hash_mix(seed, i) % SPLIT_WHOLE;
		uint64_t touched = reigns[0].from_ms + hash_mix(seed, i + 1000) % (now_ms - reigns[0].from_ms + 1);
		uint64_t expected = ended_ms(hash, touched, now_ms);
		uint64_t due = due_ms(hash, touched);
		ck_assert_msg((due <= now_ms) == (expected != UINT64_MAX), "seed %llu: touched at %llu, now %llu, ends at %llu",
			(unsigned long long)seed, (unsigned long long)touched, (unsigned long long)now_ms, (unsigned long long)due);
		if (expected == UINT64_MAX)
			continue;
		ck_assert(due == expected || (due > expected && due <= vague_ms));
	}
}

START_TEST(any_history) {
	static const uint64_t times[] = {0, 10, 25, 60, 240};
	uint64_t now_ms = 1000;
	uint64_t random = (uint64_t)_i + 1;
	change(now_ms, 0, 0, 10);
	while (count < REIGNS) {
		random = hash_mix(random, 7);
		const struct reign last = reigns[count - 1];
		now_ms += random % 4 == 0 ? 0 : random / 4 % 80;
		switch (random / 1024 % 4) {
		case 0: /* settings, or another base */
			change(now_ms, last.percent, last.canary_ms, times[random / 4096 % 5]);
			break;
		case 1: /* promoted, or ended */
			change(now_ms, 0, 0, random % 2 == 0 && last.percent > 0 ? last.canary_ms : last.base_ms);
			break;
		case 2: /* begun */
			change(now_ms, 1 + random / 4096 % 99, times[random / 524288 % 5], last.base_ms);
			break;
		case 3: /* more, or less */
			change(now_ms, last.percent == 0 ? 0 : 1 + random / 4096 % 99, last.canary_ms, last.base_ms);
			break;
		}
		history_compare(random, now_ms);
		history_compare(random + 1, now_ms + random / 64 % 100);
	}
}
END_TEST

int main(void) {
	Suite *suite = suite_create("ttl_parts");
	TCase *tests = tcase_create("ttl_parts");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_the_base_ended_is_not_woken_by_a_promoted_canary);
	tcase_add_test(tests, what_the_canary_ended_is_not_woken_by_its_end);
	tcase_add_test(tests, never_and_back);
	tcase_add_test(tests, parts_become_one_when_they_end_the_same);
	tcase_add_test(tests, as_many_parts_as_shares);
	tcase_add_loop_test(tests, any_history, 0, 50);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
