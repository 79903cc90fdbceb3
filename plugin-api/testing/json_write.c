/* MessagePack to JSON text that is the same for values that mean the same: keys sorted, floats with all their digits. */
#include <stdlib.h>

#include "inside.h"

__attribute__((format(printf, 2, 3))) static void text_format(struct piece *text, const char *format, ...) {
	char room[64];
	va_list arguments;
	va_start(arguments, format);
	const sofun_bytes bytes = sofun_format(room, sizeof room, format, arguments);
	va_end(arguments);
	piece_append(text, bytes.data, bytes.size);
}

static void tagged_write(const char *tag, sofun_bytes bytes, struct piece *text) {
	text_format(text, "{\"%s\":\"", tag);
	base64_write(bytes, text);
	text_format(text, "\"}");
}

static void string_write(sofun_bytes bytes, struct piece *text) {
	if (!sofun_is_utf8(bytes)) {
		tagged_write("bad_utf8", bytes, text);
		return;
	}
	piece_append(text, "\"", 1);
	for (size_t i = 0; i < bytes.size; i++) {
		if (bytes.data[i] < 0x20)
			text_format(text, "\\u%04x", bytes.data[i]);
		else if (bytes.data[i] == '"' || bytes.data[i] == '\\')
			text_format(text, "\\%c", bytes.data[i]);
		else
			piece_append(text, &bytes.data[i], 1);
	}
	piece_append(text, "\"", 1);
}

static void integer_write(sofun_reader *reader, struct piece *text) {
	int64_t number;
	uint64_t large;
	if (sofun_read_int(reader, &number))
		text_format(text, "%lld", (long long)number);
	else if (sofun_read_uint(reader, &large))
		text_format(text, "%llu", (unsigned long long)large);
}

/* 1.0 must not look like 1. */
static void float_write(sofun_reader *reader, struct piece *text) {
	double number = 0;
	char room[40];
	(void)sofun_read_float(reader, &number);
	(void)snprintf(room, sizeof room, "%.17g", number);
	text_format(text, "%s%s", room, strpbrk(room, ".en") == NULL ? ".0" : "");
}

static void array_write(sofun_reader *reader, struct piece *text) {
	uint32_t count = 0;
	(void)sofun_read_array(reader, &count);
	piece_append(text, "[", 1);
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			piece_append(text, ",", 1);
		json_write(reader, text);
	}
	piece_append(text, "]", 1);
}

static int pair_compare(const void *left, const void *right) {
	const struct piece *a = left, *b = right;
	const int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
	return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Keys that are no strings: {"map":[[key,value],...]}. */
static bool keys_are_strings(sofun_reader reader, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		if (sofun_read_kind(&reader) != SOFUN_IS_STR || !sofun_skip(&reader) || !sofun_skip(&reader))
			return false;
	}
	return true;
}

static void map_write(sofun_reader *reader, struct piece *text) {
	uint32_t count = 0;
	(void)sofun_read_map(reader, &count);
	const bool object = keys_are_strings(*reader, count);
	struct piece *pairs = memory_take(count * sizeof *pairs);
	for (uint32_t i = 0; i < count; i++) {
		if (!object)
			piece_append(&pairs[i], "[", 1);
		json_write(reader, &pairs[i]);
		piece_append(&pairs[i], object ? ":" : ",", 1);
		json_write(reader, &pairs[i]);
		if (!object)
			piece_append(&pairs[i], "]", 1);
	}
	qsort(pairs, count, sizeof *pairs, pair_compare);
	text_format(text, object ? "{" : "{\"map\":[");
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			piece_append(text, ",", 1);
		piece_append(text, pairs[i].data, pairs[i].size);
		piece_finish(&pairs[i]);
	}
	text_format(text, object ? "}" : "]}");
	free(pairs);
}

void json_write(sofun_reader *reader, struct piece *text) {
	sofun_bytes bytes = {0};
	bool flag = false;
	int type = 0;
	switch (sofun_read_kind(reader)) {
	case SOFUN_IS_NIL:
		(void)sofun_read_nil(reader);
		text_format(text, "null");
		break;
	case SOFUN_IS_BOOL:
		(void)sofun_read_bool(reader, &flag);
		text_format(text, flag ? "true" : "false");
		break;
	case SOFUN_IS_INT:
		integer_write(reader, text);
		break;
	case SOFUN_IS_FLOAT:
		float_write(reader, text);
		break;
	case SOFUN_IS_STR:
		(void)sofun_read_str(reader, &bytes);
		string_write(bytes, text);
		break;
	case SOFUN_IS_BIN:
		(void)sofun_read_bin(reader, &bytes);
		tagged_write("base64", bytes, text);
		break;
	case SOFUN_IS_ARRAY:
		array_write(reader, text);
		break;
	case SOFUN_IS_MAP:
		map_write(reader, text);
		break;
	case SOFUN_IS_EXT:
		(void)sofun_read_ext(reader, &type, &bytes);
		text_format(text, "{\"ext\":[%d,", type);
		tagged_write("base64", bytes, text);
		text_format(text, "]}");
		break;
	case SOFUN_IS_NOTHING:
		text_format(text, "(no MessagePack)");
		break;
	}
}
