/* new: a plugin to start from, rendered from plugins/template. Needs no host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "commands.h"
#include "embedded.h"
#include "fail.h"
#include "show/output.h"

/* The words of the template that stand for the new plugin's name. */
#define TEMPLATE_NAME "my-plugin"
#define TEMPLATE_WORD "my_plugin"

enum { NAME_BYTES_MAX = 63 }; /* as the manifest allows (plugin-api/ABI.md) */

static bool name_good(const char *name) {
	const size_t size = strlen(name);
	return *name >= 'a' && *name <= 'z' && size <= NAME_BYTES_MAX &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}

/* What the name is within C. */
static void word_make(const char *name, char ret_word[NAME_BYTES_MAX + 1]) {
	size_t i = 0;
	for (; name[i] != '\0'; i++)
		ret_word[i] = name[i] == '-' ? '_' : name[i];
	ret_word[i] = '\0';
}

/* The text with both words replaced, behind *ret_text. */
static void text_render(const char *text, const char *name, const char *word, struct buf *ret_text) {
	const size_t size = strlen(TEMPLATE_NAME);
	_Static_assert(sizeof TEMPLATE_NAME == sizeof TEMPLATE_WORD, "both words are as long");
	while (*text != '\0') {
		if (strncmp(text, TEMPLATE_NAME, size) == 0) {
			buf_append_bytes(ret_text, bytes_text(name));
			text += size;
		} else if (strncmp(text, TEMPLATE_WORD, size) == 0) {
			buf_append_bytes(ret_text, bytes_text(word));
			text += size;
		} else {
			buf_append_u8(ret_text, (uint8_t)*text++);
		}
	}
}

/* Never over a file that is there. */
static bool file_write(const char *path, struct bytes bytes) {
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	FILE *file = fdopen(fd, "w");
	if (file == NULL) {
		close(fd);
		return false;
	}
	const bool written = fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
	return fclose(file) == 0 && written;
}

static int files_write(const struct invocation *run, const char *directory, json_t *ret_files) {
	const char *name = argument(run, 0);
	char word[NAME_BYTES_MAX + 1];
	int result = EXIT_OK;
	word_make(name, word);
	for (const struct embedded_file *file = template_files; result == EXIT_OK && file->name != NULL; file++) {
		struct buf path = {0}, text = {0};
		buf_printf(&path, "%s/", directory);
		text_render(file->name, name, word, &path);
		buf_append_u8(&path, '\0');
		text_render((const char *)file->data, name, word, &text);
		const char *place = (const char *)path.data;
		if (file_write(place, bytes_buf(&text)))
			json_array_append_new(ret_files, json_string(place + strlen(directory) + 1));
		else
			result = fail_here(run, "cannot write %s: %s", place, strerror(errno));
		buf_finish(&path);
		buf_finish(&text);
	}
	return result;
}

static void steps_print(const char *name, const char *directory) {
	char word[NAME_BYTES_MAX + 1];
	word_make(name, word);
	printf("%s is in %s. Now:\n\n"
		   "  cd %s\n"
		   "  cmake -S . -B build && cmake --build build && ctest --test-dir build\n"
		   "  sofun load build/%s.so                     with --data DIR of a running sofund\n\n"
		   "The steps are numbered in %s.c; README.md tells the rest.\n",
		name, directory, directory, name, word);
}

/* False with errno set, also for what is no directory. */
static bool directory_empty(const char *path) {
	DIR *directory = opendir(path);
	if (directory == NULL)
		return false;
	size_t entries = 0;
	while (readdir(directory) != NULL)
		entries++;
	closedir(directory);
	errno = ENOTEMPTY;
	return entries == 2; /* itself and its parent */
}

static int new_run(const struct invocation *run) {
	const char *name = argument(run, 0), *directory = argument(run, 1) == NULL ? name : argument(run, 1);
	if (!name_good(name))
		return fail_usage(run,
			"'%s' is no name of a plugin: a to z first, then a to z, 0 to 9, - and _, at most %d bytes", name,
			NAME_BYTES_MAX);
	if (mkdir(directory, 0755) < 0 && !directory_empty(directory))
		return fail_here(run, "cannot make %s: %s", directory, strerror(errno));
	json_t *files = json_array();
	const int result = files_write(run, directory, files);
	if (result == EXIT_OK && run->json) {
		json_t *answer = json_pack("{s:s, s:s, s:O}", "name", name, "directory", directory, "files", files);
		output_json(answer);
		json_decref(answer);
	} else if (result == EXIT_OK) {
		steps_print(name, directory);
	}
	json_decref(files);
	return result;
}

const struct command new_command = {
	.name = "new",
	.usage = "NAME [DIR]",
	.summary = "a plugin to start from, with its test",
	.help =
		"Writes a plugin that builds, is tested and runs as it stands, with numbered steps that say what to change, into DIR\n"
		"(default: NAME), which must be new or empty. Needs no running host.\n\n"
		"  sofun new greeter",
	.completes = "- file",
	.arguments_min = 1,
	.arguments_max = 2,
	.run = new_run,
};
