/* The journal under seeded programs of appends, syncs, trims, kills, power cuts and failures, on the fault disk: what was
 * synced is never lost, what is recovered is a prefix, and every crash point of the journal's code is hit by name.
 * SOFUN_SEEDS=N runs N seeds, SOFUN_SEED=S runs that one. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_kit.h"

enum { SEEDS = 500, STEPS = 120, LIVES = 5 };

/* Every place in the journal's code after which the world is different. */
static const char *const crash_points[] = {
	"mkdir journal",
	"sync_dir data",
	"sync_dir journal",
	"create segment",
	"write segment zeros",
	"write segment header",
	"sync segment",
	"write segment record",
	"unlink segment",
};

enum { CRASH_POINTS = sizeof crash_points / sizeof crash_points[0] };

static unsigned crashes[CRASH_POINTS];

struct world {
	struct kit kit;
	uint64_t random;
	uint64_t synced; /* greatest epoch that was told to be durable */
	uint64_t durable_salt[KIT_EPOCHS_MAX];
	uint64_t checkpoint; /* of the databases, which keep what they hold */
	bool every_sync;     /* durability sync: each append is synced before the next */
	uint64_t fault_at;   /* event number; 0: none */
	enum fault_action fault;
};

static uint64_t chance(struct world *world, uint64_t below) {
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return (world->random >> 33) % below;
}

static enum fault_action fault_decide(void *arg, const struct fault_event *event) {
	struct world *world = arg;
	char name[64];
	if (event->number != world->fault_at)
		return FAULT_NONE;
	fault_event_name(event, name, sizeof name);
	for (size_t i = 0; i < CRASH_POINTS; i++)
		if (world->fault == FAULT_CRASH && strcmp(name, crash_points[i]) == 0)
			crashes[i]++;
	return world->fault;
}

/* Somewhere ahead, something goes wrong; rarely nothing. */
static void fault_choose(struct world *world) {
	static const enum fault_action actions[] = {FAULT_CRASH, FAULT_CRASH, FAULT_EIO, FAULT_ENOSPC, FAULT_NONE};
	world->fault = actions[chance(world, 5)];
	world->fault_at = fault_disk_events(world->kit.faults) + 1 + chance(world, chance(world, 2) == 0 ? 12 : 200);
	fault_disk_decide(world->kit.faults, fault_decide, world);
}

/* True: go on; false: the process ends here, as it must after anything but ENOSPC. */
static bool step_done(const struct world *world, bool good) {
	return good || world->kit.error.system == ENOSPC;
}

static bool step_sync(struct world *world) {
	struct kit *kit = &world->kit;
	if (!kit_sync(kit))
		return false;
	for (uint64_t epoch = world->synced + 1; epoch < kit->next; epoch++)
		world->durable_salt[epoch] = kit->salt[epoch];
	world->synced = kit->next - 1;
	ck_assert_uint_eq(journal_synced(kit->journal), world->synced);
	return true;
}

static bool step_append(struct world *world) {
	struct kit *kit = &world->kit;
	kit->body_bytes = 16 + chance(world, chance(world, 4) == 0 ? 60000 : 6000);
	if (!kit_append(kit))
		return step_done(world, false);
	return !world->every_sync || step_sync(world);
}

static bool step_trim(struct world *world) {
	struct kit *kit = &world->kit;
	if (world->checkpoint < world->synced)
		world->checkpoint += 1 + chance(world, world->synced - world->checkpoint);
	return journal_trim(kit->journal, world->checkpoint, &kit->error);
}

static bool step(struct world *world) {
	switch (chance(world, 10)) {
	case 0:
		return step_trim(world);
	case 1:
		return journal_prepare(world->kit.journal, &world->kit.error);
	case 2:
		return step_sync(world);
	default:
		return world->kit.next >= KIT_EPOCHS_MAX || step_append(world);
	}
}

/* What was found must be what was promised, and nothing between may be missing. What is found counts from now on:
 * recovery has made it durable before it let it be seen. */
static void recovered_check(struct world *world, uint64_t seed) {
	struct kit *kit = &world->kit;
	ck_assert_msg(kit->end.epoch >= world->synced, "seed %llu: epoch %llu was synced, %llu found",
		(unsigned long long)seed, (unsigned long long)world->synced, (unsigned long long)kit->end.epoch);
	for (uint64_t epoch = world->checkpoint + 1; epoch <= kit->end.epoch; epoch++) {
		ck_assert_msg(kit->found[epoch] != 0, "seed %llu: epoch %llu is missing", (unsigned long long)seed,
			(unsigned long long)epoch);
		if (epoch <= world->synced)
			ck_assert_msg(kit->found[epoch] == world->durable_salt[epoch], "seed %llu: epoch %llu is another one",
				(unsigned long long)seed, (unsigned long long)epoch);
		world->durable_salt[epoch] = kit->found[epoch];
	}
	world->synced = kit->end.epoch;
}

/* Recovery itself may be hit; then it is tried again by the next process. */
static void life_begin(struct world *world, uint64_t seed) {
	struct kit *kit = &world->kit;
	while (!kit_recover(kit, world->checkpoint, false)) {
		ck_assert_msg(kit->error.system == EIO || kit->error.system == ENOSPC, "seed %llu: %s (%s)",
			(unsigned long long)seed, kit->error.message, kit->error.found);
		world->fault_at = 0;
		kit_close(kit);
		if (chance(world, 2) == 0)
			fault_disk_kill(kit->faults);
		else
			fault_disk_cut(kit->faults);
	}
	recovered_check(world, seed);
}

static void life_end(struct world *world) {
	struct kit *kit = &world->kit;
	kit_close(kit);
	if (chance(world, 3) == 0)
		fault_disk_kill(kit->faults);
	else
		fault_disk_cut(kit->faults);
}

static void seed_run(uint64_t seed) {
	struct world *world = calloc(1, sizeof *world);
	ck_assert_ptr_nonnull(world);
	world->random = seed * 0x9e3779b97f4a7c15u;
	world->every_sync = chance(world, 2) == 0;
	kit_start(&world->kit, seed);
	for (unsigned life = 0; life < LIVES; life++) {
		fault_choose(world);
		life_begin(world, seed);
		for (unsigned i = 0; i < STEPS && step(world); i++)
			continue;
		life_end(world);
	}
	fault_disk_decide(world->kit.faults, NULL, NULL);
	life_begin(world, seed);
	kit_stop(&world->kit);
	free(world);
}

static uint64_t environment_number(const char *name, uint64_t otherwise) {
	const char *text = getenv(name);
	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(what_was_synced_is_never_lost) {
	uint64_t only = environment_number("SOFUN_SEED", 0), seeds = environment_number("SOFUN_SEEDS", SEEDS);
	if (only != 0) {
		seed_run(only);
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		seed_run(seed);
	printf("journal simulation: %llu seeds; crashes:", (unsigned long long)seeds);
	for (size_t i = 0; i < CRASH_POINTS; i++)
		printf(" %s %u%s", crash_points[i], crashes[i], i + 1 < CRASH_POINTS ? "," : "\n");
	for (size_t i = 0; seeds >= SEEDS && i < CRASH_POINTS; i++)
		ck_assert_msg(crashes[i] > 0, "never crashed at %s", crash_points[i]);
}
END_TEST

/* The same with a disk that says it synced and did not must fail; else the simulation proves nothing. */
START_TEST(a_lying_disk_is_caught) {
	unsigned caught = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct kit kit;
		kit_start(&kit, seed);
		kit_open(&kit, 0);
		kit_fill(&kit, 5);
		fault_disk_lie(kit.faults);
		kit_fill(&kit, 30);
		kit_close(&kit);
		fault_disk_cut(kit.faults);
		caught += !kit_recover(&kit, 0, false) || kit.end.epoch < 35;
		kit_stop(&kit);
	}
	ck_assert_uint_eq(caught, 20);
}
END_TEST

int main(void) {
	TCase *all = tcase_create("simulation");
	tcase_set_timeout(all, 3600);
	tcase_add_test(all, what_was_synced_is_never_lost);
	tcase_add_test(all, a_lying_disk_is_caught);
	Suite *suite = suite_create("journal simulation");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
