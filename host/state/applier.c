/* The applier's way in: handed epochs become part of the active table. See store.h; what comes after:
 * applier_checkpoint.c. */
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

static uint64_t epoch_bytes(const struct store_epoch *epoch) {
	uint64_t bytes = 0;
	for (size_t i = 0; i < epoch->part_count; i++)
		bytes += epoch->parts[i].size;
	return bytes;
}

/* What its record takes of the journal, about: one header, whole blocks. */
static uint64_t epoch_journal_bytes(const struct store_epoch *epoch) {
	return epoch_bytes(epoch) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES + JOURNAL_BLOCK_BYTES;
}

/* [with handed_mutex] */
static void handed_grow(struct store *store) {
	size_t capacity = store->handed_capacity == 0 ? 64 : store->handed_capacity * 2;
	struct store_epoch **handed = check_alloc(capacity, sizeof *handed);
	for (size_t i = 0; i < store->handed_count; i++)
		handed[i] = store->handed[(store->handed_first + i) & (store->handed_capacity - 1)];
	free(store->handed);
	store->handed = handed;
	store->handed_first = 0;
	store->handed_capacity = capacity;
}

void store_hand(struct store *store, struct store_epoch *epoch) {
	CHECK_OBJECT(store, STORE_MAGIC);
	bool emits = epoch->emits && atomic_load(&store->egress_hurry); /* behind the handing it is the applier's */
	atomic_fetch_add(&store->handed_bytes, epoch_bytes(epoch));
	pthread_mutex_lock(&store->handed_mutex);
	if (store->handed_count == store->handed_capacity)
		handed_grow(store);
	store->handed[(store->handed_first + store->handed_count++) & (store->handed_capacity - 1)] = epoch;
	pthread_mutex_unlock(&store->handed_mutex);
	if (atomic_load(&store->sleeps_long) || emits)
		park_wake(&store->park);
}

void store_applier_wake(struct store *store) {
	CHECK_OBJECT(store, STORE_MAGIC);
	park_wake(&store->park);
}

static size_t handed_count(struct store *store) {
	pthread_mutex_lock(&store->handed_mutex);
	size_t count = store->handed_count;
	pthread_mutex_unlock(&store->handed_mutex);
	return count;
}

/* The oldest handed epoch, if it may be applied: rule 2. */
static struct store_epoch *handed_take(struct store *store) {
	struct store_epoch *epoch = NULL;
	pthread_mutex_lock(&store->handed_mutex);
	if (store->handed_count > 0 && store->handed[store->handed_first]->epoch <= journal_synced(store->journal)) {
		epoch = store->handed[store->handed_first];
		store->handed_first = (store->handed_first + 1) & (store->handed_capacity - 1);
		store->handed_count--;
	}
	pthread_mutex_unlock(&store->handed_mutex);
	return epoch;
}

bool applier_take(struct store *store, struct store_epoch *epoch) {
	uint64_t number = epoch->epoch;
	if (store->active_bytes == 0)
		store->active_since_ms = epoch->time_ms;
	store->taking_ms = epoch->time_ms;
	store->active_bytes += epoch_journal_bytes(epoch);
	pthread_mutex_lock(&store->taking);
	bool good = table_take(store->active, epoch, egress_take, store);
	pthread_mutex_unlock(&store->taking);
	if (good)
		atomic_store(&store->applied, number);
	return good;
}

/* True: something was taken. */
static bool handed_apply(struct store *store) {
	uint64_t bytes = 0;
	struct store_epoch *epoch;
	while (bytes < TAKE_BYTES_MAX && (epoch = handed_take(store)) != NULL) {
		uint64_t size = epoch_bytes(epoch);
		bool good = applier_take(store, epoch);
		check(good); /* what this process has made itself is well-formed */
		atomic_fetch_sub(&store->handed_bytes, size);
		bytes += size + 1;
	}
	return bytes > 0;
}

/* Under `interval` and `none` nobody else may sync for long. True: it did. */
static bool handed_sync(struct store *store) {
	bool due = store->draining || store->unsynced_waits >= UNSYNCED_WAITS_MAX ||
		atomic_load(&store->handed_bytes) > store->checkpoint_bytes / UNSYNCED_CHECKPOINT_PART;
	if (!due || handed_count(store) == 0)
		return false;
	store->unsynced_waits = 0;
	struct error error;
	return store_sync(store, &error);
}

static void journal_ready(struct store *store) {
	struct error error;
	if (!journal_prepare(store->journal, &error))
		store_fail(store, &error);
}

bool store_applier_step(struct store *store) {
	CHECK_OBJECT(store, STORE_MAGIC);
	if (atomic_load(&store->failed))
		return false;
	bool taken = handed_apply(store);
	if (taken) {
		store->unsynced_waits = 0;
		egress_growth_tell(store);
		journal_ready(store);
	}
	bool worked = checkpoint_step(store) || taken || handed_sync(store);
	if (worked)
		store->idle_polls = 0;
	return worked;
}

void store_retain(struct store *store, uint64_t time_ms) {
	CHECK_OBJECT(store, STORE_MAGIC);
	atomic_store(&store->retain_ms, time_ms);
	store_applier_wake(store);
}

bool store_retention_waits(const struct store *store) {
	CHECK_OBJECT(store, STORE_MAGIC);
	return atomic_load(&store->retention_waits);
}

static uint64_t shorter(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

void store_applier_wait(struct store *store, uint64_t timeout_us) {
	CHECK_OBJECT(store, STORE_MAGIC);
	if (atomic_load(&store->database_full)) {
		park_sleep(&store->park, shorter(timeout_us, APPLIER_SPACE_POLL_US));
		return;
	}
	if (handed_count(store) > 0) {
		store->unsynced_waits++;
		park_sleep(&store->park, shorter(timeout_us, APPLIER_POLL_US));
		return;
	}
	if (store->idle_polls < IDLE_POLLS_MAX) {
		store->idle_polls++;
		park_sleep(&store->park, shorter(timeout_us, APPLIER_POLL_US));
		return;
	}
	atomic_store(&store->sleeps_long, true);
	if (handed_count(store) == 0)
		park_sleep(&store->park, timeout_us);
	atomic_store(&store->sleeps_long, false);
}
