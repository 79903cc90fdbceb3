/* Reads the one map of a request by a table of its fields: unknown and repeated keys, wrong kinds and what is missing are
 * refused by name. Private to host/ingress. Any thread. */
#ifndef HOST_INGRESS_PARAMS_H
#define HOST_INGRESS_PARAMS_H

#include "wire/cursor.h"

#define PARAM_STR (1u << CURSOR_STR)
#define PARAM_BIN (1u << CURSOR_BIN)
#define PARAM_UINT (1u << CURSOR_UINT)
#define PARAM_ARRAY (1u << CURSOR_ARRAY)
#define PARAM_ANY 0xffffffffu
#define PARAM_SCALAR (PARAM_ANY & ~(1u << CURSOR_ARRAY | 1u << CURSOR_MAP))

struct param_field {
	const char *name;
	size_t size;     /* of name */
	uint32_t kinds;  /* that are taken */
	uint32_t levels; /* of nesting that are its own and not a payload's: 1 for the array of records */
	bool optional;
	const char *expected; /* for people: "a str" */
};
#define PARAM_NAMED(text) .name = (text), .size = sizeof(text) - 1

struct param {
	bool given;
	struct cursor_item item;
	struct bytes object; /* the whole of it, checked down to nesting + levels */
};

enum { PARAMS_MAX = 8 };

/* params[i] is what came for fields[i]; count <= PARAMS_MAX. map: as rpc_frame has it, empty if params are not [map].
 * False: bad_request, or too_deep. */
bool params_read(struct bytes map, uint32_t nesting, const struct param_field *fields, size_t count,
	struct param *params, struct error *error);

/* A str that is UTF-8 and of min to max bytes, else bad_utf8 or bad_request. */
bool param_name_check(
	const struct param_field *field, const struct param *param, size_t min, size_t max, struct error *error);

#endif
