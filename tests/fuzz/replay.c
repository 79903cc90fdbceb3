/* Drives a fuzz target without libFuzzer: every file of the folders named on the command line is run through it once. So
 * the kept corpus is a test of every build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void file_run(const char *folder, const char *name) {
	char path[4096];
	struct buf content = {0};
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	check(file != NULL);
	size_t size;
	do {
		size = fread(buf_reserve(&content, 65536), 1, 65536, file);
		content.size += size;
	} while (size > 0);
	fclose(file);
	/* Exactly as long as the input, so that a sanitizer sees a read beyond its end. */
	uint8_t *exact = malloc(content.size > 0 ? content.size : 1);
	check_memory(exact);
	if (content.size > 0)
		memcpy(exact, content.data, content.size);
	LLVMFuzzerTestOneInput(exact, content.size);
	free(exact);
	buf_finish(&content);
}

int main(int argc, char **argv) {
	size_t count = 0;
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		if (folder == NULL) {
			fprintf(stderr, "cannot open the corpus %s\n", argv[i]);
			return 1;
		}
		for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
			if (entry->d_name[0] == '.')
				continue;
			file_run(argv[i], entry->d_name);
			count++;
		}
		closedir(folder);
	}
	printf("%zu inputs\n", count);
	return count > 0 ? 0 : 1;
}
