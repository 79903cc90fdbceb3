/* A crash at every single call that changes something, by kill and by power cut: what was synced is there, what is
 * there is one whole epoch, and the store goes on. And rule 1, as an order of calls. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "store_kit.h"

/* Every second seed has so little retention that each checkpoint takes something. */
enum { RUN_EPOCHS = 26, SEEDS = 4, RETENTION_BYTES = 2 << 10 };

static struct store_kit *kit;

static void setup(void) {
	kit = check_alloc(1, sizeof *kit);
}

static void teardown(void) {
	free(kit);
}

/* One life: opens, works, stops in order. False where it crashed. */
static bool life(void) {
	if (!store_kit_open(kit))
		return false;
	for (int i = 0; i < RUN_EPOCHS; i++) {
		if (!store_kit_epoch(kit, true))
			return false;
		for (int step = 0; step < 6; step++)
			store_applier_step(kit->store);
		if (store_failed(kit->store, &kit->error))
			return false;
	}
	return store_kit_close(kit);
}

/* The start over; false if something is lost or wrong. */
static bool recovers(uint64_t synced, uint64_t appended) {
	char line[2048];
	if (!store_kit_open(kit)) {
		error_line(&kit->error, line, sizeof line);
		fprintf(stderr, "%s\n", line);
		return false;
	}
	if (kit->epoch < synced || kit->epoch > appended) {
		fprintf(stderr, "epoch %llu of %llu to %llu\n", (unsigned long long)kit->epoch, (unsigned long long)synced,
			(unsigned long long)appended);
		return false;
	}
	bool good = store_kit_holds(kit, kit->epoch);
	/* And it goes on, with what it has recovered. */
	for (int i = 0; i < 4 && good; i++) {
		good = store_kit_epoch(kit, true);
		store_kit_apply(kit);
	}
	good = good && store_kit_holds(kit, kit->epoch) && store_kit_close(kit) && store_kit_open(kit) &&
		kit->recovered.clean && store_kit_holds(kit, kit->epoch);
	if (!good) {
		error_line(&kit->error, line, sizeof line);
		fprintf(stderr, "after it: %s\n", line);
	}
	return good;
}

/* Crashes at event `at`, and once more in the second life at `again`. *ret_crashed: it came so far. */
static bool crash_at(uint64_t seed, uint64_t at, bool cut, bool lies, bool *ret_crashed) {
	store_kit_start(kit, seed);
	kit->checkpoint_bytes = 32 << 10;
	kit->retention_bytes = seed % 2 == 0 ? RETENTION_BYTES : 0;
	if (lies)
		sim_kv_lie(kit->sim);
	kit->crash_at = at;
	bool ended = life();
	*ret_crashed = !ended;
	if (ended && !kit->crashed) {
		store_kit_stop(kit);
		return true;
	}
	if (kit->store != NULL)
		store_kit_drop(kit);
	uint64_t synced = kit->synced;
	uint64_t appended = kit->epoch;
	store_kit_power(kit, cut);
	/* The recovery crashes too, half of the time, before it has finished. */
	if (at % 2 == 0) {
		kit->crash_at = kit->events + 1 + at % 37;
		if (store_kit_open(kit)) {
			store_kit_apply(kit);
			appended = appended > kit->epoch ? appended : kit->epoch;
		}
		if (kit->store != NULL)
			store_kit_drop(kit);
		store_kit_power(kit, cut);
	}
	bool good = recovers(synced, appended);
	store_kit_stop(kit);
	return good;
}

static void crash_everywhere(uint64_t seed, bool cut) {
	bool crashed = true;
	uint64_t at = 0;
	while (crashed)
		ck_assert_msg(crash_at(seed, ++at, cut, false, &crashed), "seed %d, event %d", (int)seed, (int)at);
	ck_assert_uint_gt(at, 150);
}

START_TEST(a_kill_between_any_two_calls_loses_nothing) {
	crash_everywhere((uint64_t)_i + 1, false);
}
END_TEST

START_TEST(a_power_cut_between_any_two_calls_loses_nothing) {
	crash_everywhere((uint64_t)_i + 1, true);
}
END_TEST

/* A campaign that cannot fail proves nothing: without the flush of rule 1 rows are lost. */
START_TEST(a_checkpoint_without_its_flush_is_caught) {
	fprintf(stderr, "What follows up to the next line of Check is the mutant's doing.\n");
	bool caught = false;
	for (uint64_t seed = 1; seed <= 8 && !caught; seed++) {
		bool crashed = true;
		for (uint64_t at = 100; crashed && !caught; at += 3)
			caught = !crash_at(seed, at, true, true, &crashed);
	}
	ck_assert(caught);
}
END_TEST

/* ---- rule 1 ---- */

enum { CALLS_MAX = 4096 };

struct calls {
	char names[CALLS_MAX][64];
	size_t count;
};

static enum fault_action call_note(void *arg, const struct fault_event *event) {
	struct calls *calls = arg;
	ck_assert_uint_lt(calls->count, CALLS_MAX);
	if (event->operation[0] == 'k')
		snprintf(calls->names[calls->count++], sizeof calls->names[0], "%s %s", event->operation, event->path);
	else if (strncmp(event->path, "data/egress/", 12) == 0 && strcmp(event->operation, "sync") == 0)
		snprintf(calls->names[calls->count++], sizeof calls->names[0], "egress_sync");
	return FAULT_NONE;
}

static size_t call_find(const struct calls *calls, const char *name, size_t from) {
	while (from < calls->count && strcmp(calls->names[from], name) != 0)
		from++;
	return from;
}

static void call_is(const struct calls *calls, size_t at, const char *operation, const char *path) {
	char name[64];
	snprintf(name, sizeof name, "%s %s", operation, path);
	ck_assert_uint_lt(at, calls->count);
	ck_assert_str_eq(calls->names[at], name);
}

/* The last three calls of a type's database are row 'C', flush, synced row 'C'. Gives the place of the last. */
static size_t type_sealed(const struct calls *calls, const char *path) {
	char name[64];
	snprintf(name, sizeof name, "kv_sync %s", path);
	size_t sealed = calls->count;
	while (sealed-- > 0 && strcmp(calls->names[sealed], name) != 0)
		;
	call_is(calls, sealed - 2, "kv_write", path);
	call_is(calls, sealed - 1, "kv_flush", path);
	call_is(calls, sealed, "kv_sync", path);
	snprintf(name, sizeof name, "kv_write %s", path);
	ck_assert_uint_eq(call_find(calls, name, sealed), calls->count);
	return sealed;
}

START_TEST(rule_1_each_database_is_flushed_then_synced_and_runtime_comes_last) {
	struct calls *calls = check_alloc(1, sizeof *calls);
	store_kit_start(kit, 7);
	ck_assert(store_kit_open(kit));
	for (int i = 0; i < 8; i++)
		ck_assert(store_kit_epoch(kit, true));
	fault_disk_decide(kit->faults, call_note, calls);
	sim_kv_decide(kit->sim, call_note, calls);
	struct error error;
	ck_assert(store_close(kit->store, true, &error));
	kit->store = NULL;
	calls->count--; /* the mark of the orderly stop */
	call_is(calls, calls->count - 5, "kv_write", "data/runtime");
	call_is(calls, calls->count - 4, "kv_flush", "data/runtime");
	call_is(calls, calls->count - 3, "kv_sync", "data/runtime");
	call_is(calls, calls->count - 2, "kv_flush", "data/runtime");
	call_is(calls, calls->count - 1, "kv_sync", "data/runtime");
	size_t first = call_find(calls, "kv_write data/runtime", 0);
	ck_assert_uint_lt(type_sealed(calls, "data/types/test%2Fone"), first);
	ck_assert_uint_lt(type_sealed(calls, "data/types/test%2Ftwo"), first);
	ck_assert_uint_lt(type_sealed(calls, "data/types/other%2F.."), first);
	size_t egress = call_find(calls, "egress_sync", 0);
	ck_assert_uint_lt(egress, first);
	ck_assert_uint_eq(call_find(calls, "egress_sync", first), calls->count);
	store_kit_stop(kit);
	free(calls);
}
END_TEST

/* ---- a long random life ---- */

START_TEST(many_lives_of_kills_cuts_and_full_disks) {
	store_kit_start(kit, (uint64_t)_i + 100);
	kit->checkpoint_bytes = 24 << 10;
	uint64_t synced = 0;
	while (kit->epoch < STORE_KIT_EPOCHS - 40) {
		uint64_t appended = kit->epoch;
		bool open = store_kit_open(kit);
		ck_assert_msg(open, "%s (%s)", kit->error.message, kit->error.found);
		ck_assert_uint_ge(kit->epoch, synced);
		ck_assert_uint_le(kit->epoch, appended);
		ck_assert(store_kit_holds(kit, kit->epoch));
		kit->crash_at = kit->events + 40 + store_kit_random(kit, 400);
		bool sync = store_kit_random(kit, 3) != 0;
		while (!kit->crashed && kit->epoch < STORE_KIT_EPOCHS - 1) {
			kit->space = store_kit_random(kit, 10) == 0 ? FAULT_ENOSPC : FAULT_NONE;
			if (!store_kit_epoch(kit, sync || store_kit_random(kit, 8) == 0))
				break;
			for (uint64_t steps = store_kit_random(kit, 12); steps > 0; steps--)
				store_applier_step(kit->store);
		}
		kit->space = FAULT_NONE;
		store_kit_drop(kit);
		synced = kit->synced;
		store_kit_power(kit, store_kit_random(kit, 2) == 0);
	}
	store_kit_stop(kit);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_crash");
	TCase *cases = tcase_create("crash");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 280);
	tcase_add_test(cases, rule_1_each_database_is_flushed_then_synced_and_runtime_comes_last);
	tcase_add_loop_test(cases, a_kill_between_any_two_calls_loses_nothing, 0, SEEDS);
	tcase_add_loop_test(cases, a_power_cut_between_any_two_calls_loses_nothing, 0, SEEDS);
	tcase_add_test(cases, a_checkpoint_without_its_flush_is_caught);
	tcase_add_loop_test(cases, many_lives_of_kills_cuts_and_full_disks, 0, 12);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
