/* All threads of the host at one store: a committer, the applier, shards that look up, readers. Each epoch writes one
 * number under every key: a lookup never sees it go back, a cursor sees the same number everywhere, an egress has one
 * record an epoch. Worth most under ThreadSanitizer. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "store_kit.h"

enum { KEYS = 48, EPOCHS = 5000, GETTERS = 2 };

static struct store_kit *kit;
static _Atomic bool committed; /* the committer is done */
static _Atomic bool stop;      /* so are the readers */

static struct bytes key_of_number(unsigned number, char *key) {
	int size = snprintf(key, 32, "Iwith-the-same-start-%02u", number);
	return bytes_of(key, (size_t)size);
}

static struct store_epoch *epoch_make(uint64_t number) {
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = number;
	epoch->time_ms = number;
	for (unsigned i = 0; i < KEYS; i++) {
		char key[32];
		redo_put(&epoch->parts[0], 1, key_of_number(i, key), bytes_of(&number, sizeof number));
	}
	size_t place = redo_egress(&epoch->parts[0], bytes_text("log"), bytes_of(&number, sizeof number));
	redo_egress_offset_set(&epoch->parts[0], place, number - 1);
	return epoch;
}

static void *commit(void *arg) {
	struct error error;
	(void)arg;
	for (uint64_t number = 1; number <= EPOCHS; number++) {
		while (store_pressed(kit->store))
			sched_yield();
		struct store_epoch *epoch = epoch_make(number);
		check(store_append(kit->store, epoch, &error) && store_sync(kit->store, &error));
		store_hand(kit->store, epoch);
	}
	atomic_store(&committed, true);
	return NULL;
}

static void *apply(void *arg) {
	(void)arg;
	while (!atomic_load(&stop))
		if (!store_applier_step(kit->store))
			store_applier_wait(kit->store, 100000);
	return NULL;
}

static void *lookup(void *arg) {
	uint64_t seen[KEYS] = {0};
	struct buf value = {0};
	struct error error;
	(void)arg;
	for (unsigned i = 0; !atomic_load(&committed); i = (i + 1) % KEYS) {
		char key[32];
		uint64_t number = 0;
		buf_reset(&value);
		int found = store_get(kit->store, 1, key_of_number(i, key), &value, &error);
		check(found == 1 || (found == 0 && seen[i] == 0));
		if (found == 1)
			memcpy(&number, value.data, sizeof number);
		check(number >= seen[i]);
		seen[i] = number;
	}
	buf_finish(&value);
	return NULL;
}

static uint64_t scan_once(void) {
	struct error error;
	struct bytes key;
	struct bytes value;
	uint64_t first = 0;
	unsigned count = 0;
	struct store_cursor *cursor = store_cursor_open(kit->store, 1, bytes_text("I"), &error);
	check(cursor != NULL);
	while (store_cursor_next(cursor, &key, &value)) {
		uint64_t number;
		memcpy(&number, value.data, sizeof number);
		first = count++ == 0 ? number : first;
		check(number == first);
	}
	check(store_cursor_status(cursor, &error) && (count == 0 || count == KEYS));
	store_cursor_close(cursor);
	return first;
}

static void *scan(void *arg) {
	uint64_t last = 0;
	(void)arg;
	while (!atomic_load(&committed)) {
		uint64_t now = scan_once();
		check(now >= last);
		last = now;
	}
	return NULL;
}

static bool record_follows(void *arg, uint64_t offset, struct bytes record) {
	uint64_t *next = arg;
	uint64_t number;
	memcpy(&number, record.data, sizeof number);
	check(offset == *next && number == offset + 1);
	++*next;
	return true;
}

static void *follow(void *arg) {
	uint64_t last = 0;
	struct store_figures figures;
	struct error error;
	(void)arg;
	while (!atomic_load(&committed)) {
		uint64_t from = last / 2;
		uint64_t seen = from;
		uint64_t next;
		check(store_egress_read(kit->store, bytes_text("log"), from, record_follows, &seen, &next, &error));
		check(next == seen && next >= last && store_egress_end(kit->store, bytes_text("log")) >= next);
		last = next;
		store_figures(kit->store, &figures);
		(void)store_pressed(kit->store);
	}
	return NULL;
}

START_TEST(readers_see_whole_epochs_in_order_whatever_the_applier_does) {
	pthread_t threads[4 + GETTERS];
	size_t count = 0;
	kit = check_alloc(1, sizeof *kit);
	store_kit_start(kit, 9);
	kit->checkpoint_bytes = 64 << 10;
	fault_disk_decide(kit->faults, NULL, NULL);
	sim_kv_decide(kit->sim, NULL, NULL);
	ck_assert(store_kit_open(kit));
	pthread_create(&threads[count++], NULL, apply, NULL);
	for (int i = 0; i < GETTERS; i++)
		pthread_create(&threads[count++], NULL, lookup, NULL);
	pthread_create(&threads[count++], NULL, scan, NULL);
	pthread_create(&threads[count++], NULL, follow, NULL);
	pthread_create(&threads[count++], NULL, commit, NULL);
	while (count > 1)
		pthread_join(threads[--count], NULL);
	atomic_store(&stop, true);
	store_applier_wake(kit->store);
	pthread_join(threads[0], NULL);
	struct store_figures figures;
	store_figures(kit->store, &figures);
	ck_assert_uint_gt(figures.checkpoints, 10);
	store_kit_apply(kit);
	ck_assert_uint_eq(scan_once(), EPOCHS);
	ck_assert(store_kit_close(kit) && store_kit_open(kit));
	ck_assert_uint_eq(scan_once(), EPOCHS);
	store_kit_stop(kit);
	free(kit);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_threads");
	TCase *cases = tcase_create("threads");
	tcase_set_timeout(cases, 250);
	tcase_add_test(cases, readers_see_whole_epochs_in_order_whatever_the_applier_does);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
