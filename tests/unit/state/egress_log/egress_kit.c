#include "egress_kit.h"

#include <check.h>

struct egress_log_options egress_kit_options(const struct egress_kit *kit) {
	struct egress_log_options given = {.disk = fault_disk_seam(kit->faults),
		.dir = "egress/bans",
		.name = bytes_text("bans"),
		.segment_bytes = EGRESS_KIT_SEGMENT_BYTES};
	for (int i = 0; i < STORE_ID_BYTES; i++)
		given.store_id[i] = (uint8_t)(0x10 + i);
	return given;
}

bool egress_kit_open_as(struct egress_kit *kit, struct egress_log_options options) {
	kit->log = egress_log_open(&options, &kit->row, &kit->error);
	return kit->log != NULL;
}

void egress_kit_open(struct egress_kit *kit) {
	ck_assert_msg(egress_kit_open_as(kit, egress_kit_options(kit)), "%s", kit->error.message);
}

void egress_kit_close(struct egress_kit *kit) {
	egress_log_close(kit->log);
	kit->log = NULL;
}

void egress_kit_start(struct egress_kit *kit, uint64_t seed) {
	kit->faults = fault_disk_create(seed);
	struct disk *disk = fault_disk_seam(kit->faults);
	ck_assert_int_eq(disk->mkdir(disk, "egress"), 0);
	ck_assert_int_eq(disk->sync_dir(disk, "."), 0);
	kit->row = (struct egress_row){0};
	egress_kit_open(kit);
}

void egress_kit_stop(struct egress_kit *kit) {
	egress_kit_close(kit);
	fault_disk_destroy(kit->faults);
}

static struct bytes record_of(uint64_t offset, uint8_t *record) {
	size_t size = offset * 37 % 301;
	memset(record, (int)(offset & 0xff), size);
	return bytes_of(record, size);
}

bool egress_kit_append(struct egress_kit *kit, uint64_t from, uint64_t to) {
	uint8_t record[512];
	for (uint64_t offset = from; offset < to; offset++)
		if (!egress_log_append(kit->log, offset, record_of(offset, record), &kit->error))
			return false;
	return true;
}

void egress_kit_append_synced(struct egress_kit *kit, uint64_t from, uint64_t to) {
	ck_assert_msg(egress_kit_append(kit, from, to), "%s", kit->error.message);
	ck_assert_msg(egress_log_sync(kit->log, &kit->row, &kit->error), "%s", kit->error.message);
}

bool egress_kit_check(void *arg, uint64_t offset, struct bytes record) {
	struct egress_kit_expected *expected = arg;
	uint8_t bytes[512];
	ck_assert_uint_eq(offset, expected->next);
	ck_assert(bytes_equal(record, record_of(offset, bytes)));
	expected->next++;
	return expected->next != expected->stop;
}

void egress_kit_holds(struct egress_kit *kit, uint64_t from, uint64_t end) {
	struct egress_kit_expected expected = {.next = from};
	uint64_t next;
	ck_assert_msg(
		egress_log_read(kit->log, from, egress_kit_check, &expected, &next, &kit->error), "%s", kit->error.message);
	ck_assert_uint_eq(expected.next, end);
	ck_assert_uint_eq(next, end);
}

static void name_count(void *arg, const char *name) {
	(void)name;
	++*(unsigned *)arg;
}

unsigned egress_kit_files(struct egress_kit *kit) {
	unsigned count = 0;
	struct disk *disk = fault_disk_seam(kit->faults);
	ck_assert_int_eq(disk->list(disk, "egress/bans", name_count, &count), 0);
	return count;
}
