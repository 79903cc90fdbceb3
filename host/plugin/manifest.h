/* The manifest: a plugin's facts as text in its ELF section `.sofun.manifest`, readable without running a byte of it.
 * The grammar is plugin-api/ABI.md, section 1. Any thread. */
#ifndef HOST_PLUGIN_MANIFEST_H
#define HOST_PLUGIN_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
	MANIFEST_BYTES_MAX = 65536,   /* of the section (ABI.md): some 800 function types */
	MANIFEST_FUNCTIONS_MAX = 256, /* of one plugin; a host knows 4,096 types in all */
	MANIFEST_ROUTERS_MAX = 64,    /* each record passes every router of its ingress */
	MANIFEST_EGRESSES_MAX = 64,
	MANIFEST_VALUES_MAX = 64,  /* of one function (ABI.md) */
	MANIFEST_SCHEMAS_MAX = 16, /* earlier ones of one function: who comes from further back goes by a version between */
	MANIFEST_NAME_BYTES_MAX = 63,
	MANIFEST_TYPE_BYTES_MAX = 127,
	MANIFEST_VERSION_BYTES_MAX = 32, /* three times ten digits and two dots */
};

struct manifest_value {
	char name[MANIFEST_NAME_BYTES_MAX + 1]; /* "" while its number was not met */
	uint32_t kind;                          /* SOFUN_RAW ... */
};

/* An earlier schema that the function's migrate knows. */
struct manifest_schema {
	uint32_t schema;
	uint32_t ways; /* SOFUN_SCHEMA_UP, SOFUN_SCHEMA_DOWN */
	uint32_t value_count;
	struct manifest_value *values; /* by number */
};

struct manifest_function {
	char type[MANIFEST_TYPE_BYTES_MAX + 1];
	uint32_t schema;
	uint32_t value_count;
	struct manifest_value *values; /* by number */
	uint32_t schema_count;
	struct manifest_schema *schemas;
};

struct manifest_router {
	char ingress[MANIFEST_NAME_BYTES_MAX + 1];
	char format[8]; /* "line", "json", "msgpack" */
};

struct manifest_egress {
	char name[MANIFEST_NAME_BYTES_MAX + 1];
};

struct manifest {
	uint16_t abi_major;
	uint16_t abi_minor;
	char name[MANIFEST_NAME_BYTES_MAX + 1];
	char version[MANIFEST_VERSION_BYTES_MAX + 1];
	size_t function_count;
	struct manifest_function *functions;
	size_t router_count;
	struct manifest_router *routers;
	size_t egress_count;
	struct manifest_egress *egresses;
};

/* True: owned by the caller until manifest_finish. False: ERROR_REFUSED; nothing is owned. */
bool manifest_parse(struct bytes section, struct manifest *ret_manifest, struct error *error);
void manifest_finish(struct manifest *manifest);

/* NULL if there is none of that type. */
const struct manifest_function *manifest_function_find(const struct manifest *manifest, const char *type);

/* What the function's migrate knows of that earlier schema; NULL: nothing. */
const struct manifest_schema *manifest_schema_find(const struct manifest_function *function, uint32_t schema);

/* "up", "down", "both". */
const char *manifest_ways_name(uint32_t ways);

/* "int" and so on; "unknown" for a number that is none. */
const char *manifest_kind_name(uint32_t kind);

/* Negative, 0, positive: a is older than, the same as, newer than b. REQUIRES versions of the grammar. */
int manifest_version_compare(const char *a, const char *b);

#endif
