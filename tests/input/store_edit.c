/* store_edit DIR KEY [VALUE]: prints the value of a row of the LevelDB in DIR, or sets it. Keys and values are hexadecimal.
 * For tests only: no host may have the store open. Exit: 0, or 1 with a word on stderr. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leveldb/c.h>

struct text {
	char *data;
	size_t size;
};

static int fail(const char *what) {
	fprintf(stderr, "store_edit: %s\n", what);
	return 1;
}

static struct text hex_take(const char *hex) {
	struct text text = {.data = malloc(strlen(hex) / 2 + 1), .size = 0};
	unsigned byte;
	for (; text.data != NULL && sscanf(hex, "%2x", &byte) == 1 && hex[0] != 0 && hex[1] != 0; hex += 2)
		text.data[text.size++] = (char)byte;
	return text;
}

static int row_print(leveldb_t *database, struct text key, char **error) {
	leveldb_readoptions_t *options = leveldb_readoptions_create();
	size_t size;
	char *value = leveldb_get(database, options, key.data, key.size, &size, error);
	leveldb_readoptions_destroy(options);
	if (*error != NULL || value == NULL)
		return fail(*error != NULL ? *error : "no such row");
	for (size_t i = 0; i < size; i++)
		printf("%02x", (unsigned)(uint8_t)value[i]);
	printf("\n");
	leveldb_free(value);
	return 0;
}

static int row_set(leveldb_t *database, struct text key, struct text value, char **error) {
	leveldb_writeoptions_t *options = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(options, 1);
	leveldb_put(database, options, key.data, key.size, value.data, value.size, error);
	leveldb_writeoptions_destroy(options);
	return *error != NULL ? fail(*error) : 0;
}

int main(int argc, char **argv) {
	if (argc != 3 && argc != 4)
		return fail("usage: store_edit DIR KEY [VALUE]");
	char *error = NULL;
	leveldb_options_t *options = leveldb_options_create();
	leveldb_t *database = leveldb_open(options, argv[1], &error);
	leveldb_options_destroy(options);
	if (database == NULL)
		return fail(error);
	struct text key = hex_take(argv[2]);
	struct text value = hex_take(argc == 4 ? argv[3] : "");
	int status = argc == 4 ? row_set(database, key, value, &error) : row_print(database, key, &error);
	leveldb_close(database);
	free(key.data);
	free(value.data);
	return status;
}
