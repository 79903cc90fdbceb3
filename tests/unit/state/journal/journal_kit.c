#include "journal_kit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/little.h"
#include "state/journal/format.h"

enum { BODY_BYTES_MIN = 16, BODY_BYTES_SPREAD = 9000 };

void kit_start(struct kit *kit, uint64_t seed) {
	memset(kit, 0, sizeof *kit);
	kit->faults = fault_disk_create(seed);
	kit->segment_bytes = KIT_SEGMENT_BYTES;
	memcpy(kit->store_id, "store-0123456789", STORE_ID_BYTES);
	struct disk *disk = fault_disk_seam(kit->faults);
	ck_assert_int_eq(disk->mkdir(disk, "data"), 0);
	ck_assert_int_eq(disk->sync_dir(disk, "."), 0);
}

void kit_close(struct kit *kit) {
	journal_close(kit->journal);
	kit->journal = NULL;
}

void kit_stop(struct kit *kit) {
	kit_close(kit);
	fault_disk_destroy(kit->faults);
}

static size_t body_size(const struct kit *kit, uint64_t epoch) {
	if (kit->body_bytes != 0)
		return (size_t)kit->body_bytes;
	return BODY_BYTES_MIN + (size_t)(hash_mix(epoch, 7) % BODY_BYTES_SPREAD);
}

static void body_make(uint64_t epoch, uint64_t salt, size_t size, struct buf *ret_body) {
	buf_reset(ret_body);
	uint8_t *at = buf_reserve(ret_body, size);
	little_u64_put(at, epoch);
	little_u64_put(at + 8, salt);
	for (size_t i = BODY_BYTES_MIN; i < size; i++)
		at[i] = (uint8_t)hash_mix(epoch * 31 + i / 8, salt);
	ret_body->size = size;
}

void kit_body(const struct kit *kit, uint64_t epoch, uint64_t salt, struct buf *ret_body) {
	body_make(epoch, salt, body_size(kit, epoch), ret_body);
}

uint64_t kit_record_bytes(const struct kit *kit, uint64_t epoch) {
	return record_bytes(body_size(kit, epoch));
}

static bool record_given(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error) {
	struct kit *kit = arg;
	struct buf expected = {0};
	(void)error;
	ck_assert_uint_lt(epoch, KIT_EPOCHS_MAX);
	ck_assert_uint_ge(body.size, BODY_BYTES_MIN);
	ck_assert_uint_eq(time_ms, epoch * 10);
	uint64_t salt = little_u64(body.data + 8);
	body_make(epoch, salt, body.size, &expected);
	ck_assert(bytes_equal(body, bytes_buf(&expected)));
	buf_finish(&expected);
	ck_assert_uint_eq(kit->found[epoch], 0);
	kit->found[epoch] = salt;
	return true;
}

bool kit_recover(struct kit *kit, uint64_t checkpoint_epoch, bool readonly) {
	struct journal_options options = {
		.disk = fault_disk_seam(kit->faults), .dir = KIT_DIR, .segment_bytes = kit->segment_bytes};
	memcpy(options.store_id, kit->store_id, STORE_ID_BYTES);
	memset(kit->found, 0, sizeof kit->found);
	memset(&kit->end, 0, sizeof kit->end);
	memset(&kit->error, 0, sizeof kit->error);
	kit_close(kit);
	kit->journal = journal_open(&options, &kit->error);
	if (kit->journal == NULL ||
		!journal_recover(kit->journal, checkpoint_epoch, readonly, record_given, kit, &kit->end, &kit->error))
		return false;
	kit->next = kit->end.epoch + 1;
	return true;
}

void kit_open(struct kit *kit, uint64_t checkpoint_epoch) {
	bool good = kit_recover(kit, checkpoint_epoch, false);
	ck_assert_msg(good, "%s (found %s, expected %s)", kit->error.message, kit->error.found, kit->error.expected);
}

void kit_reopen(struct kit *kit, uint64_t checkpoint_epoch) {
	kit_close(kit);
	fault_disk_kill(kit->faults);
	kit_open(kit, checkpoint_epoch);
}

bool kit_append(struct kit *kit) {
	struct buf body = {0};
	uint64_t salt = kit->salt[kit->next] + 1;
	kit_body(kit, kit->next, salt, &body);
	struct bytes parts[3] = {
		bytes_of(body.data, BODY_BYTES_MIN / 2),
		bytes_of(NULL, 0),
		bytes_of(body.data + BODY_BYTES_MIN / 2, body.size - BODY_BYTES_MIN / 2),
	};
	bool good = journal_append(kit->journal, kit->next, kit->next * 10, parts, 3, &kit->error);
	kit->salt[kit->next] = salt; /* even a failed one may have reached the disk */
	kit->next += good;
	buf_finish(&body);
	return good;
}

bool kit_sync(struct kit *kit) {
	return journal_sync(kit->journal, &kit->error);
}

void kit_fill(struct kit *kit, unsigned records) {
	for (unsigned i = 0; i < records; i++)
		ck_assert_msg(kit_append(kit) && kit_sync(kit), "%s", kit->error.message);
}
