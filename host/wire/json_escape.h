/* The three objects that stand for what JSON has no word for. Private to json_*.c. */
#ifndef HOST_WIRE_JSON_ESCAPE_H
#define HOST_WIRE_JSON_ESCAPE_H

#include <jansson.h>

#include "base/bytes.h"

enum json_escape { JSON_ESCAPE_NONE, JSON_ESCAPE_BASE64, JSON_ESCAPE_MSGPACK, JSON_ESCAPE_MAP };

/* What an object with this only key is. */
enum json_escape json_escape_named(const char *key, size_t size);

/* NONE unless the object has one key and that names an escape; *ret_content is its value, borrowed. */
enum json_escape json_escape_of(const json_t *object, const json_t **ret_content);

/* {"base64":…} or {"msgpack":…} */
json_t *json_escape_bytes(enum json_escape escape, struct bytes bytes);

#endif
