#include "fixture_kit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "plugin/elf_file.h"

const char *fixture_path(const char *name) {
	static char path[1024];
	snprintf(path, sizeof path, "%s/tests/fixtures/%s.so", TEST_BUILD_DIR, name);
	return path;
}

void fixture_read(const char *name, struct buf *content) {
	struct file_identity identity;
	struct error error;
	ck_assert_int_eq(file_read(fixture_path(name), content, &identity, &error), FILE_READ);
}

char *folder_make(void) {
	char template[] = "/tmp/sofun-unit-XXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(template));
	return strdup(template);
}

static void entry_remove(void *folder, const char *name) {
	char *path = path_join(folder, name);
	unlink(path);
	free(path);
}

void folder_remove(char *folder) {
	struct disk *disk = disk_machine();
	disk->list(disk, folder, entry_remove, folder);
	rmdir(folder);
	free(folder);
}

void file_put(const char *path, struct bytes content) {
	FILE *file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(content.data, 1, content.size, file), content.size);
	ck_assert_int_eq(fclose(file), 0);
}

struct image *fixture_image(const char *name, const char *folder, uint64_t generation) {
	struct buf content = {0};
	struct elf_facts facts;
	struct manifest manifest;
	struct error error;
	uint8_t hash[HASH_BYTES];
	fixture_read(name, &content);
	ck_assert_int_eq(elf_examine(bytes_buf(&content), NULL, &facts, &error), ELF_SOUND);
	ck_assert(manifest_parse(facts.manifest, &manifest, &error));
	image_hash(bytes_buf(&content), hash);
	char *file_name = image_file_name(manifest.name, manifest.version, generation, hash);
	ck_assert(image_file_write(disk_machine(), folder, file_name, COPY_MODE, bytes_buf(&content), &error));
	char *path = path_join(folder, file_name);
	struct image *image = image_create(&manifest, hash, generation, path);
	free(path);
	free(file_name);
	buf_finish(&content);
	return image;
}

bool maps_name(const char *text) {
	char line[1024];
	bool found = false;
	FILE *maps = fopen("/proc/self/maps", "r");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof line, maps) != NULL)
		found = found || strstr(line, text) != NULL;
	fclose(maps);
	return found;
}
