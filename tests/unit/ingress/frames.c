#include "frames.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "wire/pack.h"

void frame_open(struct buf *frame, uint32_t msgid, const char *method, uint32_t pairs) {
	pack_array(frame, 4);
	pack_uint(frame, 0);
	pack_uint(frame, msgid);
	pack_text(frame, method);
	pack_array(frame, 1);
	pack_map(frame, pairs);
}

static void hex_append(struct buf *frame, const char *digits, size_t size) {
	check(size % 2 == 0);
	for (size_t i = 0; i < size; i += 2) {
		char pair[3] = {digits[i], digits[i + 1], 0};
		buf_append_u8(frame, (uint8_t)strtoul(pair, NULL, 16));
	}
}

static void value_append(struct buf *frame, const char *value, size_t size) {
	if (value[0] == '\'')
		pack_str(frame, bytes_of(value + 1, size - 2));
	else if (value[0] == '#')
		hex_append(frame, value + 1, size - 1);
	else
		pack_int(frame, strtoll(value, NULL, 10));
}

void frame_text(struct buf *frame, uint32_t msgid, const char *method, const char *text) {
	uint32_t pairs = 0;
	for (const char *at = text; *at != '\0'; at++)
		pairs += *at == '=';
	frame_open(frame, msgid, method, pairs);
	while (pairs-- > 0) {
		const char *equals = strchr(text, '=');
		pack_str(frame, bytes_of(text, (size_t)(equals - text)));
		size_t size = strcspn(equals + 1, " ");
		value_append(frame, equals + 1, size);
		text = equals + 1 + size;
		text += strspn(text, " ");
	}
}

void frame_large(struct buf *frame, uint32_t count) {
	static const uint8_t record[1000];
	frame_open(frame, 9, "ingest", 4);
	pack_text(frame, "ingress");
	pack_text(frame, "i");
	pack_text(frame, "producer");
	pack_text(frame, "p");
	pack_text(frame, "first");
	pack_uint(frame, 1);
	pack_text(frame, "records");
	pack_array(frame, count);
	for (uint32_t i = 0; i < count; i++)
		pack_bin(frame, bytes_of(record, sizeof record));
}
