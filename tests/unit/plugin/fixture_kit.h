/* Where the fixture plugins are, and a folder of a test's own. */
#ifndef TESTS_FIXTURE_KIT_H
#define TESTS_FIXTURE_KIT_H

#include "base/bytes.h"
#include "plugin/image.h"

/* The path of a fixture, e.g. "plain" or "helper_beside/helper_beside"; static until the next call. */
const char *fixture_path(const char *name);

/* Appends its bytes. */
void fixture_read(const char *name, struct buf *content);

/* A new folder, removed by folder_remove. */
char *folder_make(void);
void folder_remove(char *folder);

void file_put(const char *path, struct bytes content);

/* A copy of the fixture in the folder, as examine() makes them. */
struct image *fixture_image(const char *name, const char *folder, uint64_t generation);

/* True if some mapping of this process bears that text. */
bool maps_name(const char *text);

#endif
