/* Files that are given by path: `sofun load`, POST /v1/plugins. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "flow/request/answer_error.h"
#include "registry/inside.h"

static bool directory_same(const char *path, const char *directory) {
	struct stat one;
	struct stat other;
	char *copy = check_strdup(path);
	bool same = stat(dirname(copy), &one) == 0 && stat(directory, &other) == 0 && one.st_dev == other.st_dev &&
		one.st_ino == other.st_ino;
	free(copy);
	return same;
}

/* The name that a loaded file gets in the plugins directory: its own, such that the inbox counts it. */
static char *load_name(const char *path) {
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	struct buf file = {0};
	while (*name == '.')
		name++;
	size_t size = strlen(name);
	bool counts = size > 3 && strcmp(name + size - 3, ".so") == 0;
	buf_printf(&file, "%s%s", size == 0 ? "plugin" : name, counts ? "" : ".so");
	return (char *)file.data;
}

void registry_load(struct registry *registry, const char *path, registry_done *done, void *arg) {
	struct error error;
	if (registry->stopped) {
		answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, &error);
		late_error(registry, done, arg, &error);
		return;
	}
	struct candidate *candidate = candidate_add(registry, check_strdup(path), load_name(path));
	const char *slash = strrchr(path, '/');
	bool counts = strcmp(slash == NULL ? path : slash + 1, candidate->file) == 0;
	candidate->place = !counts || !directory_same(path, registry->options.config->plugins);
	candidate->force = true;
	candidate->done = done;
	candidate->done_arg = arg;
	candidates_next(registry);
}
