#include "base/log_line.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* ---- bytes of the line ---- */

static void put(struct log_line *line, const char *text, size_t size) {
	if (line->size + size <= LOG_LINE_BYTES - LOG_ROOM_BYTES) {
		memcpy(line->data + line->size, text, size);
		line->size += size;
	}
}

static void put_text(struct log_line *line, const char *text) {
	put(line, text, strlen(text));
}

/* What ends something that was begun always fits. */
static void put_end(struct log_line *line, const char *text) {
	size_t size = strlen(text);
	memcpy(line->data + line->size, text, size);
	line->size += size;
}

/* Length of the character at the beginning of the text; 0: it is no UTF-8. */
static size_t character(const char *text, size_t size) {
	for (size_t length = 1; length <= 4 && length <= size; length++)
		if (bytes_utf8(bytes_of(text, length)))
			return length;
	return 0;
}

static void put_escape(struct log_line *line, uint8_t byte, bool broken) {
	char escape[8];
	static const char named[] = "\"\"\\\\n\nr\rt\t";
	for (size_t i = 0; i + 1 < sizeof named - 1; i += 2)
		if (byte == (uint8_t)named[i + 1] && !broken) {
			snprintf(escape, sizeof escape, "\\%c", named[i]);
			put_text(line, escape);
			return;
		}
	if (line->format == LOG_TEXT)
		snprintf(escape, sizeof escape, "\\x%02x", byte);
	else if (broken)
		snprintf(escape, sizeof escape, "\\ufffd");
	else
		snprintf(escape, sizeof escape, "\\u%04x", byte);
	put_text(line, escape);
}

static void put_escaped(struct log_line *line, const char *text, size_t size) {
	while (size > 0) {
		size_t length = character(text, size);
		uint8_t byte = (uint8_t)*text;
		if (length == 0 || byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\')
			put_escape(line, byte, length == 0);
		else
			put(line, text, length);
		text += length == 0 ? 1 : length;
		size -= length == 0 ? 1 : length;
	}
}

/* ---- pairs ---- */

static bool is_plain(const char *text, size_t size) {
	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] == '"' || text[i] == '\\' || text[i] == '=' || (uint8_t)text[i] >= 0x7f)
			return false;
	return true;
}

struct text {
	char data[LOG_VALUE_BYTES];
	size_t size;
};

/* quoted: it stands in quotes whatever it is. number: JSON needs none. */
static void pair_put(struct log_line *line, const char *key, const struct text *value, bool quoted, bool number) {
	if (strcmp(key, "plugin") == 0)
		snprintf(line->plugin, sizeof line->plugin, "%.*s", (int)value->size, value->data);
	bool json = line->format == LOG_JSON;
	quoted = json ? !number : quoted || !is_plain(value->data, value->size);
	size_t whole = strlen(key) + 4 + (quoted ? 1 : value->size); /* a text may be cut, half a number is another one */
	if (line->size + whole > LOG_LINE_BYTES - LOG_ROOM_BYTES)
		return;
	put_text(line, json ? ",\"" : " ");
	put_text(line, key);
	put_text(line, json ? "\":" : "=");
	if (quoted)
		put_text(line, "\"");
	put_escaped(line, value->data, value->size);
	if (quoted)
		put_end(line, "\"");
}

/* ---- directives ---- */

/* One directive, "%-5.*llu" for example, as it stands in the format. */
struct directive {
	char spec[24];
	size_t size; /* in the format */
	char length; /* 'l', 'L' for ll, 'z', or 0 */
	char kind;   /* the letter at its end */
	int stars;   /* widths and precisions that come as arguments */
};

static void directive_read(const char *at, struct directive *directive) {
	size_t size = 1;
	*directive = (struct directive){0};
	size += strspn(at + size, "-+ #0123456789.*");
	for (size_t i = 1; i < size; i++)
		directive->stars += at[i] == '*';
	if (at[size] == 'l' && at[size + 1] == 'l') {
		directive->length = 'L';
		size += 2;
	} else if (at[size] == 'l' || at[size] == 'z') {
		directive->length = at[size++];
	}
	directive->kind = at[size++];
	directive->size = size;
	snprintf(directive->spec, sizeof directive->spec, "%.*s", (int)size, at);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
	"-Wformat-nonliteral" /* the spec is one directive of a format that the compiler has checked */

#define PRINT(value) \
	(directive->stars == 0          ? snprintf(place, room, directive->spec, value) \
			: directive->stars == 1 ? snprintf(place, room, directive->spec, stars[0], value) \
									: snprintf(place, room, directive->spec, stars[0], stars[1], value))

static int directive_print(const struct directive *directive, char *place, size_t room, va_list *args) {
	int stars[2] = {0};
	for (int i = 0; i < directive->stars && i < 2; i++)
		stars[i] = va_arg(*args, int);
	if (directive->kind == 's')
		return PRINT(va_arg(*args, const char *));
	if (directive->length == 'L')
		return PRINT(va_arg(*args, unsigned long long));
	if (directive->length == 'l')
		return PRINT(va_arg(*args, unsigned long));
	if (directive->length == 'z')
		return PRINT(va_arg(*args, size_t));
	return PRINT(va_arg(*args, unsigned));
}

#pragma GCC diagnostic pop

static void text_add(struct text *text, char byte) {
	if (text->size + 1 < sizeof text->data)
		text->data[text->size++] = byte;
}

/* Renders the template from *at to `end`; gives whether it was one whole number and nothing else. */
static bool render(const char *at, const char *end, struct text *text, va_list *args) {
	bool number = false;
	const char *start = at;
	text->size = 0;
	while (at < end) {
		struct directive directive;
		if (*at != '%' || at[1] == '%') {
			text_add(text, *at);
			at += *at == '%' ? 2 : 1;
			continue;
		}
		directive_read(at, &directive);
		size_t room = sizeof text->data - text->size;
		int size = directive_print(&directive, text->data + text->size, room, args);
		if (size > 0)
			text->size += (size_t)size < room ? (size_t)size : room - 1;
		number = at == start && at + directive.size == end && strchr("diu", directive.kind) != NULL;
		at += directive.size;
	}
	text->data[text->size] = '\0';
	return number;
}

/* ---- the line ---- */

void log_line_begin(
	struct log_line *line, enum log_format format, const char *time, enum log_level level, const char *event) {
	static const char *const names[] = {"debug", "info", "warn", "error"};
	line->size = 0;
	line->format = format;
	line->plugin[0] = '\0';
	int size = snprintf(line->data, sizeof line->data,
		format == LOG_JSON ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %s %s", time, names[level],
		event);
	line->size = (size_t)size;
}

/* Where the value that begins here ends: behind its closing quote, or at the next blank. */
static const char *value_end(const char *at, bool *ret_quoted) {
	*ret_quoted = *at == '"';
	if (!*ret_quoted)
		return at + strcspn(at, " ");
	const char *end = strchr(at + 1, '"');
	return end == NULL ? at + strlen(at) : end;
}

/* Pairs that were made elsewhere. */
static void pairs_put(struct log_line *line, const char *at) {
	while (*at != '\0') {
		char key[64];
		bool quoted;
		size_t size = strcspn(at, "= ");
		if (at[size] != '=' || size == 0 || size >= sizeof key) {
			struct text rest;
			rest.size = (size_t)snprintf(rest.data, sizeof rest.data, "%s", at);
			pair_put(line, "detail", &rest, true, false);
			return;
		}
		snprintf(key, sizeof key, "%.*s", (int)size, at);
		at += size + 1;
		const char *end = value_end(at, &quoted);
		struct text value;
		value.size = (size_t)(end - at - quoted) < sizeof value.data ? (size_t)(end - at - quoted) : sizeof value.data;
		memcpy(value.data, at + quoted, value.size);
		pair_put(line, key, &value, quoted, false);
		at = quoted && *end == '"' ? end + 1 : end;
		at += strspn(at, " ");
	}
}

void log_line_pairs(struct log_line *line, const char *format, va_list args) {
	va_list rest;
	va_copy(rest, args);
	for (const char *at = format; *at != '\0'; at += strspn(at, " ")) {
		struct text key, value;
		bool quoted;
		size_t size = strcspn(at, "= ");
		render(at, at + size, &key, &rest);
		at += size;
		if (*at != '=') {
			pairs_put(line, key.data);
			continue;
		}
		const char *end = value_end(++at, &quoted);
		bool number = render(at + quoted, end, &value, &rest);
		pair_put(line, key.data, &value, quoted, number && !quoted);
		at = quoted && *end == '"' ? end + 1 : end;
	}
	va_end(rest);
}

void log_line_end(struct log_line *line) {
	put_end(line, line->format == LOG_JSON ? "}\n" : "\n");
}
