/* Uses LevelDB as rule 1 says one must not, and as it says one must; ends by SIGKILL, as a power cut would end it.
 *
 *   naive write DIR N naive        N unsynced puts (and on, until LevelDB starts a new log), then a synced one; then it
 *                                  believes that all are durable
 *   naive write DIR N checkpoint   the same puts, then rule 1's checkpoint: flush by an empty range, synced put
 *   naive count DIR N              prints how many of the N keys are there and right; exit 1 if the database does not open
 *
 * Before the kill it prints "durable N". */
#include <dirent.h>
#include <leveldb/c.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = 17, VALUE_BYTES = 100, LOOK_EVERY = 64 };

static void fail_on(const char *what, char *error) {
	if (error == NULL)
		return;
	fprintf(stderr, "%s: %s\n", what, error);
	exit(1);
}

static leveldb_t *database_open(const char *dir, int create) {
	char *error = NULL;
	leveldb_options_t *options = leveldb_options_create();
	leveldb_options_set_create_if_missing(options, (unsigned char)create);
	leveldb_options_set_paranoid_checks(options, 1);
	leveldb_t *database = leveldb_open(options, dir, &error);
	fail_on("open", error);
	leveldb_options_destroy(options);
	return database;
}

/* Keys in no order, as real ones come. */
static void key_of(unsigned long number, char key[KEY_BYTES]) {
	snprintf(key, KEY_BYTES, "%016lx", number * 0x9e3779b97f4a7c15u);
}

static void value_of(unsigned long number, char value[VALUE_BYTES]) {
	memset(value, 'v', VALUE_BYTES);
	snprintf(value, VALUE_BYTES, "%lu", number);
}

static void put(leveldb_t *database, const char *key, const char *value, size_t size, int sync) {
	char *error = NULL;
	leveldb_writeoptions_t *options = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(options, (unsigned char)sync);
	leveldb_put(database, options, key, strlen(key), value, size, &error);
	fail_on("put", error);
	leveldb_writeoptions_destroy(options);
}

/* The number of the newest log: it grows when a full one is left behind, unsynced. */
static unsigned long log_newest(const char *dir) {
	unsigned long newest = 0;
	DIR *entries = opendir(dir);
	for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);
		if (strcmp(end, ".log") == 0 && number > newest)
			newest = number;
	}
	closedir(entries);
	return newest;
}

static void all_write(const char *dir, unsigned long count, const char *how) {
	char key[KEY_BYTES], value[VALUE_BYTES];
	leveldb_t *database = database_open(dir, 1);
	unsigned long written = 0, newest = 0;
	while (written < count || written % LOOK_EVERY != 0 || log_newest(dir) == newest) {
		if (written % LOOK_EVERY == 0)
			newest = log_newest(dir);
		key_of(written, key);
		value_of(written++, value);
		put(database, key, value, sizeof value, 0);
	}
	if (strcmp(how, "checkpoint") == 0)
		leveldb_compact_range(database, "\xff", 1, "\xff\xff", 2);
	put(database, "z-last", "synced", 6, 1);
	printf("durable %lu\n", written);
	fflush(stdout);
	raise(SIGKILL);
}

static void all_count(const char *dir, unsigned long count) {
	unsigned long found = 0;
	char key[KEY_BYTES], value[VALUE_BYTES];
	leveldb_t *database = database_open(dir, 0);
	leveldb_readoptions_t *options = leveldb_readoptions_create();
	leveldb_readoptions_set_verify_checksums(options, 1);
	for (unsigned long i = 0; i < count; i++) {
		char *error = NULL;
		size_t size;
		key_of(i, key);
		value_of(i, value);
		char *got = leveldb_get(database, options, key, strlen(key), &size, &error);
		fail_on("get", error);
		found += got != NULL && size == sizeof value && memcmp(got, value, size) == 0;
		leveldb_free(got);
	}
	printf("found %lu\n", found);
	leveldb_readoptions_destroy(options);
	leveldb_close(database);
}

int main(int argc, char **argv) {
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		all_write(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
	else if (argc == 4 && strcmp(argv[1], "count") == 0)
		all_count(argv[2], strtoul(argv[3], NULL, 10));
	else
		fprintf(stderr, "usage: naive write DIR N naive|checkpoint, naive count DIR N\n");
	return argc == 4 ? 0 : 2;
}
