/* What each endpoint takes and answers, for whoever reads /openapi.json: the half of the description that endpoints.c does
 * not say. tests/http/test_openapi.py holds it to the running host: every operation, parameter and error. Pure data. */
#ifndef HOST_CONTROL_HTTP_OPENAPI_TABLE_H
#define HOST_CONTROL_HTTP_OPENAPI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A parameter of path or query, or a member of a body or an answer. */
struct openapi_field {
	const char *name; /* NULL: the list ends */
	const char *type; /* of JSON Schema; "any": whatever; "Plugin": a component, "[Plugin]": a list of them */
	const char *about;
	const char *words;  /* the only ones, with commas; NULL: any */
	const char *preset; /* when it is left out; NULL: it has none, or about says it */
	long long least;    /* with most: bounds of a number; both 0: none */
	long long most;
	bool required;
};

/* Why it answers with that code. */
struct openapi_error {
	enum error_code code;
	const char *when; /* NULL: the list ends */
};

struct openapi_operation {
	const char *method;
	const char *path;
	const struct openapi_field *query; /* NULL: none */
	const struct openapi_field *body;  /* NULL: none; openapi_payload: any JSON or MessagePack */
	const char *answer;                /* name of a component, or NULL: an object, which the summary describes */
	int status;                        /* of the good answer */
	const struct openapi_error *errors;
};

struct openapi_component {
	const char *name;
	const struct openapi_field *fields;
};

extern const struct openapi_field openapi_payload[];
extern const struct openapi_operation openapi_operations[];
extern const size_t openapi_operation_count;
extern const struct openapi_component openapi_components[];
extern const size_t openapi_component_count;

/* What a part of a path in braces means. */
const char *openapi_path_about(const char *path, const char *name);

#endif
