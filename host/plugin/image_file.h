/* Plugin files: the user's, read whole and never opened by the loader, and our copies of them in the directory of
 * images, named `<name>-<version>-<generation>-<hash>.so`, mode 0444 (ABI-NOTES, traps 1 to 4, 17, 18). Any thread. */
#ifndef HOST_PLUGIN_IMAGE_FILE_H
#define HOST_PLUGIN_IMAGE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "state/disk.h"

enum {
	HASH_BYTES = 32,      /* SHA-256 */
	HASH_TEXT_BYTES = 65, /* in hex, with its NUL */
};

/* The largest plugin file: it is read into memory to be judged. Debug information and all, plugins are far below. */
#define IMAGE_BYTES_MAX ((uint64_t)256 << 20)

/* What tells one state of a file from another without reading it. */
struct file_identity {
	uint64_t device;
	uint64_t inode;
	uint64_t size;
	uint64_t mtime_ns;
	uint64_t ctime_ns; /* nobody can set it: a file that was put back with its old times is told apart by it */
};

struct stat;
struct file_identity file_identity_of(const struct stat *status);

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

enum file_read {
	FILE_READ,
	FILE_CHANGED, /* between its beginning and its end */
	FILE_ABSENT,
	FILE_UNREADABLE,
};

/* Appends the content. The error is set unless it is read. */
enum file_read file_read(
	const char *path, struct buf *ret_content, struct file_identity *ret_identity, struct error *error);

void image_hash(struct bytes content, uint8_t ret_hash[HASH_BYTES]);
void image_hash_text(const uint8_t hash[HASH_BYTES], char ret_text[HASH_TEXT_BYTES]);

/* The copy's name within the directory of images; malloc'ed. */
char *image_file_name(const char *name, const char *version, uint64_t generation, const uint8_t hash[HASH_BYTES]);

/* The generation in such a name; false if it is not one. */
bool image_file_generation(const char *file_name, uint64_t *ret_generation);

/* A copy is for reading only: nobody writes to what is mapped (trap 4). */
enum { COPY_MODE = 0444 };

/* Writes a file that must not exist, and syncs it and its directory. */
bool image_file_write(struct disk *disk, const char *directory, const char *file_name, unsigned mode,
	struct bytes content, struct error *error);

/* Unlinks every file but those for which spare() is true; gives the greatest generation seen, spared or not. */
bool image_files_clean(struct disk *disk, const char *directory, bool (*spare)(void *arg, const char *file_name),
	void *arg, uint64_t *ret_generation, struct error *error);

/* The directory exists, may be written to, and files in it may be executed. */
bool image_directory_prepare(struct disk *disk, const char *directory, struct error *error);

/* "directory/name"; malloc'ed. */
char *path_join(const char *directory, const char *name);

#endif
