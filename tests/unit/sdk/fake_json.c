#include "fake_json.h"

#include <jansson.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

enum { PACKS_ALIVE = 8 };

static void value_pack(msgpack_packer *packer, json_t *value);

static void object_pack(msgpack_packer *packer, json_t *object) {
	const char *key;
	json_t *value;
	msgpack_pack_map(packer, json_object_size(object));
	json_object_foreach(object, key, value) {
		msgpack_pack_str_with_body(packer, key, strlen(key));
		value_pack(packer, value);
	}
}

static void array_pack(msgpack_packer *packer, json_t *array) {
	size_t index;
	json_t *value;
	msgpack_pack_array(packer, json_array_size(array));
	json_array_foreach(array, index, value) {
		value_pack(packer, value);
	}
}

static void value_pack(msgpack_packer *packer, json_t *value) {
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		object_pack(packer, value);
		break;
	case JSON_ARRAY:
		array_pack(packer, value);
		break;
	case JSON_STRING:
		msgpack_pack_str_with_body(packer, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		msgpack_pack_int64(packer, json_integer_value(value));
		break;
	case JSON_REAL:
		msgpack_pack_double(packer, json_real_value(value));
		break;
	case JSON_TRUE:
		msgpack_pack_true(packer);
		break;
	case JSON_FALSE:
		msgpack_pack_false(packer);
		break;
	case JSON_NULL:
		msgpack_pack_nil(packer);
		break;
	}
}

static int buf_write(void *data, const char *bytes, size_t size) {
	buf_append(data, bytes, size);
	return 0;
}

struct bytes json_msgpack(const char *format, ...) {
	static struct buf alive[PACKS_ALIVE];
	static size_t next;
	va_list arguments;
	va_start(arguments, format);
	char room[8192];
	const int size = vsnprintf(room, sizeof room, format, arguments);
	va_end(arguments);
	check(size >= 0 && (size_t)size < sizeof room);
	json_t *value = json_loadb(room, (size_t)size, JSON_DECODE_ANY, NULL);
	check(value != NULL);
	struct buf *out = &alive[next++ % PACKS_ALIVE];
	buf_reset(out);
	msgpack_packer packer;
	msgpack_packer_init(&packer, out, buf_write);
	value_pack(&packer, value);
	json_decref(value);
	return bytes_buf(out);
}
