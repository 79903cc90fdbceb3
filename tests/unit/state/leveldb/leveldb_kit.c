#include "leveldb_kit.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

void leveldb_kit_open(struct leveldb_kit *kit) {
	kit->factory = kv_leveldb(LEVELDB_KIT_CACHE_BYTES, LEVELDB_KIT_BUDGET_BYTES);
	kit->kv = kit->factory->open(kit->factory, kit->path, true, &kit->error);
	ck_assert_msg(kit->kv != NULL, "%s", kit->error.message);
}

void leveldb_kit_close(struct leveldb_kit *kit) {
	if (kit->kv != NULL)
		kit->kv->ops->close(kit->kv);
	if (kit->factory != NULL)
		kit->factory->close(kit->factory);
	kit->kv = NULL;
	kit->factory = NULL;
}

void leveldb_kit_start(struct leveldb_kit *kit) {
	strcpy(kit->dir, "/tmp/sofun-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(kit->dir));
	snprintf(kit->path, sizeof kit->path, "%s/db", kit->dir);
	log_level_set(LOG_ERROR);
	leveldb_kit_open(kit);
}

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

void leveldb_kit_stop(struct leveldb_kit *kit) {
	leveldb_kit_close(kit);
	nftw(kit->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

struct bytes leveldb_kit_key(unsigned number, char *key) {
	int size = snprintf(key, 16, "I%06u", number);
	return bytes_of(key, (size_t)size);
}

bool leveldb_kit_put(struct kv *kv, unsigned from, unsigned to, size_t size, bool sync, struct error *error) {
	struct kv_op *ops = check_alloc(to - from, sizeof *ops);
	char(*keys)[16] = check_alloc(to - from, sizeof *keys);
	uint8_t *value = check_alloc(size, 1);
	for (size_t i = 0; i < size; i++)
		value[i] = (uint8_t)(i * 131 + i / 7);
	for (unsigned i = from; i < to; i++)
		ops[i - from] = (struct kv_op){.key = leveldb_kit_key(i, keys[i - from]), .value = bytes_of(value, size)};
	bool good = kv->ops->write(kv, ops, to - from, sync, error);
	free(value);
	free(keys);
	free(ops);
	return good;
}

void leveldb_kit_fill(struct leveldb_kit *kit, unsigned from, unsigned to, size_t size) {
	ck_assert_msg(leveldb_kit_put(kit->kv, from, to, size, false, &kit->error), "%s", kit->error.message);
}

int leveldb_kit_get(struct kv *kv, unsigned number, size_t *ret_size, struct error *error) {
	struct buf value = {0};
	char key[16];
	int found = kv->ops->get(kv, leveldb_kit_key(number, key), &value, error);
	*ret_size = value.size;
	buf_finish(&value);
	return found;
}

unsigned leveldb_kit_count(struct leveldb_kit *kit) {
	struct kv_cursor *cursor = kit->kv->ops->cursor(kit->kv);
	unsigned count = 0;
	for (cursor->ops->seek(cursor, bytes_of(NULL, 0)); cursor->ops->valid(cursor); cursor->ops->next(cursor))
		count++;
	ck_assert_msg(cursor->ops->status(cursor, &kit->error), "%s", kit->error.message);
	cursor->ops->close(cursor);
	return count;
}

unsigned leveldb_kit_files(const struct leveldb_kit *kit, const char *end, void (*each)(const char *name)) {
	DIR *folder = opendir(kit->path);
	struct dirent *entry;
	unsigned count = 0;
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder)) != NULL) {
		char name[400];
		if (strlen(entry->d_name) < strlen(end) ||
			strcmp(entry->d_name + strlen(entry->d_name) - strlen(end), end) != 0)
			continue;
		snprintf(name, sizeof name, "%s/%.256s", kit->path, entry->d_name);
		if (each != NULL)
			each(name);
		count++;
	}
	closedir(folder);
	return count;
}
