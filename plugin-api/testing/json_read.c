/* JSON text to MessagePack, in the shortest encoding. */
#include <errno.h>
#include <stdlib.h>

#include "inside.h"

struct parse {
	const char *at;
	sofun_writer out; /* has room for any output of this text */
	unsigned depth;
	const char *why;
};

static bool value_read(struct parse *parse);

static bool parse_fail(struct parse *parse, const char *why) {
	parse->why = why;
	return false;
}

static void space_skip(struct parse *parse) {
	parse->at += strspn(parse->at, " \t\r\n");
}

static bool mark_take(struct parse *parse, char mark) {
	space_skip(parse);
	if (*parse->at != mark)
		return false;
	parse->at++;
	return true;
}

/* ---- strings ---- */

static bool hex_read(struct parse *parse, uint32_t *ret_unit) {
	*ret_unit = 0;
	for (int i = 0; i < 4; i++) {
		static const char hex[] = "0123456789abcdef0123456789ABCDEF";
		const char *digit = *parse->at == '\0' ? NULL : strchr(hex, *parse->at);
		if (digit == NULL)
			return parse_fail(parse, "\\u takes four hexadecimal digits");
		*ret_unit = *ret_unit << 4 | ((uint32_t)(digit - hex) & 15);
		parse->at++;
	}
	return true;
}

static void utf8_append(struct piece *text, uint32_t point) {
	uint8_t bytes[4];
	size_t size = 0;
	if (point < 0x80) {
		bytes[size++] = (uint8_t)point;
	} else if (point < 0x800) {
		bytes[size++] = (uint8_t)(0xc0 | point >> 6);
	} else if (point < 0x10000) {
		bytes[size++] = (uint8_t)(0xe0 | point >> 12);
		bytes[size++] = (uint8_t)(0x80 | (point >> 6 & 63));
	} else {
		bytes[size++] = (uint8_t)(0xf0 | point >> 18);
		bytes[size++] = (uint8_t)(0x80 | (point >> 12 & 63));
		bytes[size++] = (uint8_t)(0x80 | (point >> 6 & 63));
	}
	if (point >= 0x80)
		bytes[size++] = (uint8_t)(0x80 | (point & 63));
	piece_append(text, bytes, size);
}

/* Behind "\u". */
static bool unicode_read(struct parse *parse, struct piece *text) {
	uint32_t point, low;
	if (!hex_read(parse, &point))
		return false;
	if (point >= 0xd800 && point < 0xdc00) {
		if (strncmp(parse->at, "\\u", 2) != 0)
			return parse_fail(parse, "half a surrogate pair");
		parse->at += 2;
		if (!hex_read(parse, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return parse_fail(parse, "half a surrogate pair");
		point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
	} else if (point >= 0xdc00 && point < 0xe000) {
		return parse_fail(parse, "half a surrogate pair");
	}
	utf8_append(text, point);
	return true;
}

/* Behind the opening quote. */
static bool string_read(struct parse *parse, struct piece *text) {
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	while (*parse->at != '"') {
		if ((unsigned char)*parse->at < 0x20)
			return parse_fail(parse, "a string without its end, or with a control character in it");
		if (*parse->at != '\\') {
			piece_append(text, parse->at++, 1);
			continue;
		}
		const char escape = *++parse->at;
		const char *name = escape == '\0' ? NULL : strchr(names, escape);
		parse->at += escape != '\0';
		if (name != NULL)
			piece_append(text, &meant[name - names], 1);
		else if (escape != 'u')
			return parse_fail(parse, "an unknown escape in a string");
		else if (!unicode_read(parse, text))
			return false;
	}
	parse->at++;
	return true;
}

static bool string_write(struct parse *parse) {
	struct piece text = {0};
	const bool good = string_read(parse, &text);
	if (good)
		sofun_write_str(&parse->out, piece_bytes(&text));
	piece_finish(&text);
	return good;
}

/* ---- numbers and words ---- */

static bool number_write(struct parse *parse) {
	char *end;
	const size_t size = strspn(parse->at, "+-0123456789.eE");
	errno = 0;
	if (memchr(parse->at, '.', size) != NULL || memchr(parse->at, 'e', size) != NULL ||
		memchr(parse->at, 'E', size) != NULL)
		sofun_write_float(&parse->out, strtod(parse->at, &end));
	else if (*parse->at == '-')
		sofun_write_int(&parse->out, strtoll(parse->at, &end, 10));
	else
		sofun_write_uint(&parse->out, strtoull(parse->at, &end, 10));
	if (size == 0 || *parse->at == '+' || end != parse->at + size || errno != 0)
		return parse_fail(parse, "no value, or a number beyond 64 bits");
	parse->at = end;
	return true;
}

static bool word_take(struct parse *parse, const char *word) {
	if (strncmp(parse->at, word, strlen(word)) != 0)
		return false;
	parse->at += strlen(word);
	return true;
}

/* ---- arrays and objects ---- */

/* Before the elements the widest head was left free; the head that count needs takes its place. */
static void head_close(struct parse *parse, size_t begin, uint32_t count, bool map) {
	uint8_t room[8];
	sofun_writer head = sofun_writer_into(room, sizeof room);
	map ? sofun_write_map(&head, count) : sofun_write_array(&head, count);
	sofun_writer *out = &parse->out;
	memmove(out->data + begin + head.size, out->data + begin + 5, out->size - begin - 5);
	memcpy(out->data + begin, room, head.size);
	out->size -= 5 - head.size;
}

static bool array_write(struct parse *parse) {
	const size_t begin = parse->out.size;
	uint32_t count = 0;
	parse->out.size += 5;
	if (!mark_take(parse, ']')) {
		do {
			if (!value_read(parse))
				return false;
			count++;
		} while (mark_take(parse, ','));
		if (!mark_take(parse, ']'))
			return parse_fail(parse, "an array without its end");
	}
	head_close(parse, begin, count, false);
	return true;
}

/* {"base64":"..."} alone is binary: what was written of it is replaced. */
static bool binary_replace(struct parse *parse, size_t begin) {
	sofun_bytes key, text;
	struct piece bytes = {0};
	sofun_reader reader = sofun_reader_of(sofun_bytes_of(parse->out.data + begin, parse->out.size - begin));
	uint32_t pairs;
	if (!sofun_read_map(&reader, &pairs) || pairs != 1 || !sofun_read_str(&reader, &key) ||
		!sofun_bytes_are(key, "base64") || !sofun_read_str(&reader, &text))
		return true;
	const bool good = base64_read(text, &bytes);
	parse->out.size = begin;
	sofun_write_bin(&parse->out, piece_bytes(&bytes));
	piece_finish(&bytes);
	return good || parse_fail(parse, "no base64");
}

static bool object_write(struct parse *parse) {
	const size_t begin = parse->out.size;
	uint32_t count = 0;
	parse->out.size += 5;
	if (!mark_take(parse, '}')) {
		do {
			if (!mark_take(parse, '"'))
				return parse_fail(parse, "a key must be a string");
			if (!string_write(parse))
				return false;
			if (!mark_take(parse, ':'))
				return parse_fail(parse, "a key without a colon");
			if (!value_read(parse))
				return false;
			count++;
		} while (mark_take(parse, ','));
		if (!mark_take(parse, '}'))
			return parse_fail(parse, "an object without its end");
	}
	head_close(parse, begin, count, true);
	return binary_replace(parse, begin);
}

static bool container_write(struct parse *parse, bool (*write)(struct parse *parse)) {
	if (++parse->depth > 1000)
		return parse_fail(parse, "nested deeper than 1000");
	const bool good = write(parse);
	parse->depth--;
	return good;
}

static bool value_read(struct parse *parse) {
	if (mark_take(parse, '{'))
		return container_write(parse, object_write);
	if (mark_take(parse, '['))
		return container_write(parse, array_write);
	if (mark_take(parse, '"'))
		return string_write(parse);
	if (word_take(parse, "null"))
		return sofun_write_nil(&parse->out), true;
	if (word_take(parse, "true"))
		return sofun_write_bool(&parse->out, true), true;
	if (word_take(parse, "false"))
		return sofun_write_bool(&parse->out, false), true;
	return number_write(parse);
}

bool json_read(const char *json, struct piece *ret_msgpack, const char **ret_why) {
	/* No value takes more than nine times its text: "1." is nine bytes, "[]" five until its head is known. */
	const size_t room = strlen(json) * 9 + 16;
	uint8_t *data = memory_take(room);
	struct parse parse = {.at = json, .out = sofun_writer_into(data, room)};
	bool good = value_read(&parse);
	space_skip(&parse);
	if (good && *parse.at != '\0')
		good = parse_fail(&parse, "something behind the value");
	if (good)
		piece_append(ret_msgpack, data, parse.out.size);
	*ret_why = parse.why;
	free(data);
	return good && parse.out.status == SOFUN_OK;
}
