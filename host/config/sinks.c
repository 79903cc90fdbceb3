/* egresses.<name>.sink: {file: PATH, rotate_bytes: N, keep: N} or {command: "..."}. Read at the start only. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"

static const char prefix[] = "egresses.";

enum sink_field { SINK_FILE, SINK_ROTATE_BYTES, SINK_KEEP, SINK_COMMAND, SINK_FIELDS };

enum { EGRESS_NAME_BYTES_MAX = 63 };
#define SINK_ROTATE_BYTES_MIN 4096 /* less would be a file a line */
#define SINK_KEEP_MAX 1000000

static const struct {
	const char *suffix;
	const char *value; /* in documents */
	const char *meaning;
	const char *reason;
} fields[SINK_FIELDS] = {
	[SINK_FILE] = {".sink.file", "bans.jsonl", "write the egress to this file as JSON lines, exactly once",
		"none; a path that does not begin with / is below the data directory"},
	[SINK_ROTATE_BYTES] = {".sink.rotate_bytes", "64MiB", "rename the file to FILE.N once it has this size",
		"0, never: whoever watches the file decides how large it may become"},
	[SINK_KEEP] = {".sink.keep", "10", "rotated files to keep", "0, all: nothing is removed that was not asked for"},
	[SINK_COMMAND] = {".sink.command", "\"logger -t bans\"",
		"write it to the standard input of this command instead, at least once",
		"none; run by sh, and started again when it ends"},
};

/* The name and the field in egresses.<name>.sink.<field>; the name may hold dots. */
static bool key_take(const char *key, struct bytes *ret_name, enum sink_field *ret_field) {
	size_t size = strlen(key), front = sizeof prefix - 1;
	if (strncmp(key, prefix, front) != 0)
		return false;
	for (size_t i = 0; i < SINK_FIELDS; i++) {
		size_t suffix = strlen(fields[i].suffix);
		if (size <= front + suffix || strcmp(key + size - suffix, fields[i].suffix) != 0)
			continue;
		*ret_name = bytes_of(key + front, size - front - suffix);
		*ret_field = (enum sink_field)i;
		return true;
	}
	return false;
}

enum config_kind config_sink_kind(const char *key) {
	struct bytes name;
	enum sink_field field;
	if (key_take(key, &name, &field))
		return CONFIG_SETTING;
	return strcmp(key, "egresses") == 0 || strncmp(key, prefix, sizeof prefix - 1) == 0 ? CONFIG_SECTION
																						: CONFIG_UNKNOWN;
}

static struct sink_config *sink_find(struct config *config, struct bytes name) {
	for (size_t i = 0; i < config->sink_count; i++)
		if (bytes_equal(bytes_text(config->sinks[i].egress), name))
			return &config->sinks[i];
	config->sinks = realloc(config->sinks, (config->sink_count + 1) * sizeof *config->sinks);
	check_memory(config->sinks);
	struct sink_config *sink = &config->sinks[config->sink_count++];
	*sink = (struct sink_config){.egress = check_alloc(1, name.size + 1)};
	memcpy(sink->egress, name.data, name.size);
	return sink;
}

static bool value_refuse(
	const char *key, const char *found, const char *expected, const struct config_place *place, struct error *error) {
	config_refuse(place, error, "wrong value for %.200s", key);
	error_found(error, "%.200s", found);
	error_expected(error, "%s", expected);
	error_hint(error, "sofund --help says what it may be");
	return false;
}

static void text_set(char **field, const char *text) {
	free(*field);
	*field = check_strdup(text);
}

bool config_sink_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error) {
	struct bytes name;
	enum sink_field field;
	uint64_t number;
	check(key_take(key, &name, &field));
	if (value->list)
		return value_refuse(key, "a list", "one value", place, error);
	const char *text = value->items[0];
	if (name.size > EGRESS_NAME_BYTES_MAX || !bytes_utf8(name))
		return value_refuse(key, key, "an egress name of 1 to 63 bytes of UTF-8", place, error);
	struct sink_config *sink = sink_find(config, name);
	switch (field) {
	case SINK_FILE:
	case SINK_COMMAND:
		if (text[0] == '\0' || (field == SINK_FILE && text[strlen(text) - 1] == '/'))
			return value_refuse(
				key, text, field == SINK_FILE ? "the path of a file" : "a command for sh", place, error);
		text_set(field == SINK_FILE ? &sink->file : &sink->command, text);
		return true;
	case SINK_ROTATE_BYTES:
		if (!config_size_read(text, &number) || (number != 0 && number < SINK_ROTATE_BYTES_MIN))
			return value_refuse(key, text, "0, or a size of at least 4KiB", place, error);
		sink->rotate_bytes = number;
		return true;
	default:
		if (!config_size_read(text, &number) || number > SINK_KEEP_MAX)
			return value_refuse(key, text, "a whole number from 0 to 1000000", place, error);
		sink->keep = number;
		return true;
	}
}

bool config_sinks_consistent(const struct config *config, struct error *error) {
	for (size_t i = 0; i < config->sink_count; i++) {
		const struct sink_config *sink = &config->sinks[i];
		bool file = sink->file != NULL, command = sink->command != NULL;
		if (file != command && (file || (sink->rotate_bytes == 0 && sink->keep == 0)))
			continue;
		error_set(error, ERROR_BAD_REQUEST, "egresses.%s.sink is not whole", sink->egress);
		error_found(error, "%s",
			file          ? "a file and a command"
				: command ? "a command that rotates"
						  : "no file and no command");
		return error_advise(error, "{file: PATH, rotate_bytes: N, keep: N}, or {command: \"...\"}",
			"man sofun.yaml shows both kinds of sinks");
	}
	return true;
}

void config_sinks_print(const struct config *config, struct buf *text) {
	for (size_t i = 0; i < config->sink_count; i++) {
		const struct sink_config *sink = &config->sinks[i];
		buf_printf(text, "%s%s: {sink: {%s: %s, rotate_bytes: %llu, keep: %llu}}", i > 0 ? ", " : "", sink->egress,
			sink->file != NULL ? "file" : "command", sink->file != NULL ? sink->file : sink->command,
			(unsigned long long)sink->rotate_bytes, (unsigned long long)sink->keep);
	}
}

void config_sinks_document(
	void (*line)(void *arg, const char *key, const char *value, const char *meaning, const char *reason), void *arg) {
	for (size_t i = 0; i < SINK_FIELDS; i++) {
		struct buf key = {0};
		buf_printf(&key, "%s<name>%s", prefix, fields[i].suffix);
		buf_append_u8(&key, '\0');
		line(arg, (const char *)key.data, fields[i].value, fields[i].meaning, fields[i].reason);
		buf_finish(&key);
	}
}

void config_sinks_finish(struct config *config) {
	for (size_t i = 0; i < config->sink_count; i++) {
		free(config->sinks[i].egress);
		free(config->sinks[i].file);
		free(config->sinks[i].command);
	}
	free(config->sinks);
}
