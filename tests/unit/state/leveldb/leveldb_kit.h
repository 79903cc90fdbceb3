/* What the tests of LevelDB behind kv.h share: one database in a directory of its own on a real disk, rows whose keys are
 * numbers, and a look at its files. */
#ifndef TESTS_LEVELDB_KIT_H
#define TESTS_LEVELDB_KIT_H

#include "state/kv.h"

enum { LEVELDB_KIT_CACHE_BYTES = 8 << 20, LEVELDB_KIT_BUDGET_BYTES = 64 << 20 };

struct leveldb_kit {
	char dir[32];
	char path[100]; /* of the database, in it */
	struct kv_factory *factory;
	struct kv *kv;
	struct error error;
};

/* The directory, and the database open in it; all of it goes with the stop. */
void leveldb_kit_start(struct leveldb_kit *kit);
void leveldb_kit_stop(struct leveldb_kit *kit);

void leveldb_kit_open(struct leveldb_kit *kit); /* must succeed */
void leveldb_kit_close(struct leveldb_kit *kit);

/* The key of a number, into `key` (at most 16 bytes). */
struct bytes leveldb_kit_key(unsigned number, char *key);

/* Values of that size for the keys [from, to), in one batch. */
bool leveldb_kit_put(struct kv *kv, unsigned from, unsigned to, size_t size, bool sync, struct error *error);
void leveldb_kit_fill(struct leveldb_kit *kit, unsigned from, unsigned to, size_t size); /* must succeed */
int leveldb_kit_get(struct kv *kv, unsigned number, size_t *ret_size, struct error *error);
unsigned leveldb_kit_count(struct leveldb_kit *kit); /* rows, by a cursor */

/* Calls each(path), if there is one, for the database's files that end so; gives how many. */
unsigned leveldb_kit_files(const struct leveldb_kit *kit, const char *end, void (*each)(const char *name));

#endif
