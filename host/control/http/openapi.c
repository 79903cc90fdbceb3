/* GET /openapi.json: the table of endpoints as OpenAPI 3.0 has it, with what each takes and may answer
 * (openapi_table.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/http/endpoints.h"
#include "control/http/http_error.h"
#include "control/http/openapi_table.h"
#include "door/access.h"

static const struct openapi_operation *operation_of(const struct endpoint *endpoint) {
	for (size_t i = 0; i < openapi_operation_count; i++)
		if (strcmp(openapi_operations[i].method, endpoint->method) == 0 &&
			strcmp(openapi_operations[i].path, endpoint->path) == 0)
			return &openapi_operations[i];
	check_failed(__FILE__, __LINE__, "every endpoint is described in openapi_table.c");
}

/* ---- schemas ---- */

static json_t *reference(const char *name, size_t size) {
	char text[64];
	snprintf(text, sizeof text, "#/components/schemas/%.*s", (int)size, name);
	return json_pack("{s:s}", "$ref", text);
}

static json_t *type_schema(const char *type) {
	if (strcmp(type, "any") == 0)
		return json_object();
	if (type[0] == '[')
		return json_pack("{s:s, s:o}", "type", "array", "items", reference(type + 1, strlen(type) - 2));
	if (strcmp(type, "array") == 0)
		return json_pack("{s:s, s:{}}", "type", "array", "items");
	return json_pack("{s:s}", "type", type);
}

static json_t *words_json(const char *words) {
	json_t *list = json_array();
	for (const char *at = words; *at != '\0'; at += *at == ',') {
		size_t size = strcspn(at, ",");
		json_array_append_new(list, json_stringn(at, size));
		at += size;
	}
	return list;
}

static json_t *preset_json(const struct openapi_field *field) {
	if (strcmp(field->type, "integer") == 0)
		return json_integer(atoll(field->preset));
	if (strcmp(field->type, "boolean") == 0)
		return json_boolean(strcmp(field->preset, "true") == 0);
	return json_string(field->preset);
}

static json_t *field_schema(const struct openapi_field *field) {
	json_t *schema = type_schema(field->type);
	if (field->words != NULL)
		json_object_set_new(schema, "enum", words_json(field->words));
	if (field->most > 0) {
		json_object_set_new(schema, "minimum", json_integer(field->least));
		json_object_set_new(schema, "maximum", json_integer(field->most));
	}
	if (field->preset != NULL)
		json_object_set_new(schema, "default", preset_json(field));
	return schema;
}

static json_t *object_schema(const struct openapi_field *fields, bool closed) {
	json_t *properties = json_object(), *required = json_array();
	for (; fields->name != NULL; fields++) {
		json_t *schema = field_schema(fields);
		json_object_set_new(schema, "description", json_string(fields->about));
		json_object_set_new(properties, fields->name, schema);
		if (fields->required)
			json_array_append_new(required, json_string(fields->name));
	}
	json_t *object =
		json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", !closed);
	if (json_array_size(required) > 0)
		json_object_set(object, "required", required);
	json_decref(required);
	return object;
}

/* ---- parameters ---- */

static json_t *parameters(const struct endpoint *endpoint, const struct openapi_operation *operation) {
	json_t *list = json_array();
	for (const char *at = strchr(endpoint->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
		char name[32];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", name, "in", "path", "required", true, "description",
				openapi_path_about(endpoint->path, name), "schema", "type",
				strcmp(name, "number") == 0 ? "integer" : "string"));
	}
	for (const struct openapi_field *field = operation->query; field != NULL && field->name != NULL; field++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", field->name, "in", "query", "required", false, "description",
				field->about, "schema", field_schema(field)));
	return list;
}

/* ---- bodies ---- */

static json_t *request_body(const struct openapi_field *body) {
	bool any = body == openapi_payload;
	json_t *schema = any ? json_object() : object_schema(body, true);
	bool required = json_object_get(schema, "required") != NULL;
	json_t *content = json_pack("{s:{s:o}}", "application/json", "schema", schema);
	if (any)
		json_object_set_new(content, "application/msgpack",
			json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "format", "binary"));
	return json_pack("{s:b, s:o}", "required", required, "content", content);
}

/* ---- answers ---- */

static json_t *error_response(const char *description) {
	return json_pack("{s:s, s:{s:{s:o}}}", "description", description, "content", "application/json", "schema",
		reference("Error", strlen("Error")));
}

/* Codes that share a status stand together: each with its reason in x-codes, and all in the description. */
static void error_add(json_t *responses, const struct openapi_error *error) {
	char status[8];
	struct buf text = {0};
	const char *name = error_code_name(error->code);
	snprintf(status, sizeof status, "%d", http_status(error->code));
	json_t *response = json_object_get(responses, status);
	if (response == NULL) {
		response = error_response("");
		json_object_set_new(response, "x-codes", json_object());
		json_object_set_new(responses, status, response);
	}
	const char *before = json_string_value(json_object_get(response, "description"));
	buf_printf(&text, "%s%s%s: %s", before, before[0] == '\0' ? "" : "; ", name, error->when);
	json_object_set_new(response, "description", json_stringn((const char *)text.data, text.size));
	json_object_set_new(json_object_get(response, "x-codes"), name, json_string(error->when));
	buf_finish(&text);
}

static json_t *responses(const struct endpoint *endpoint, const struct openapi_operation *operation) {
	char status[8];
	snprintf(status, sizeof status, "%d", operation->status);
	json_t *good = json_pack("{s:s}", "description", endpoint->help);
	if (operation->answer != NULL)
		json_object_set_new(good, "content",
			json_pack(
				"{s:{s:o}}", "application/json", "schema", reference(operation->answer, strlen(operation->answer))));
	json_t *object = json_pack("{s:o}", status, good);
	for (const struct openapi_error *error = operation->errors; error != NULL && error->when != NULL; error++)
		error_add(object, error);
	json_object_set_new(
		object, "default", error_response("any other error; 503 while the host starts, stops or has failed"));
	return object;
}

/* ---- the document ---- */

static json_t *operation_json(const struct endpoint *endpoint) {
	const struct openapi_operation *operation = operation_of(endpoint);
	json_t *object = json_pack("{s:s, s:o, s:o}", "summary", endpoint->help, "parameters",
		parameters(endpoint, operation), "responses", responses(endpoint, operation));
	if (operation->body != NULL)
		json_object_set_new(object, "requestBody", request_body(operation->body));
	if ((endpoint_right(endpoint) & RIGHTS_NETWORK) != 0)
		json_object_set_new(object, "security", json_pack("[{s:[]}, {}]", "token"));
	return object;
}

static json_t *paths(void) {
	json_t *object = json_object();
	size_t count;
	const struct endpoint *endpoints = endpoints_all(&count);
	for (size_t i = 0; i < count; i++) {
		json_t *path = json_object_get(object, endpoints[i].path);
		char method[8] = {0};
		for (size_t k = 0; k + 1 < sizeof method && endpoints[i].method[k] != '\0'; k++)
			method[k] = (char)(endpoints[i].method[k] | 0x20);
		if (path == NULL)
			json_object_set_new(object, endpoints[i].path, path = json_object());
		json_object_set_new(path, method, operation_json(&endpoints[i]));
	}
	return object;
}

static json_t *error_schema(void) {
	static const struct openapi_field fields[] = {
		{.name = "code", .type = "string", .about = "what a program decides by", .required = true},
		{.name = "message", .type = "string", .about = "what a person reads", .required = true},
		{.name = "found", .type = "string", .about = "what was found"},
		{.name = "expected", .type = "string", .about = "what is expected instead"},
		{.name = "hint", .type = "string", .about = "what to do"},
		{.name = NULL},
	};
	json_t *codes = json_array();
	for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++)
		if (code != ERROR_KEY_REUSED) /* another `conflict` */
			json_array_append_new(codes, json_string(error_code_name((enum error_code)code)));
	json_t *schema = object_schema(fields, true);
	json_object_set_new(json_object_get(json_object_get(schema, "properties"), "code"), "enum", codes);
	return json_pack("{s:s, s:[s], s:{s:o}}", "type", "object", "required", "error", "properties", "error", schema);
}

static json_t *schemas(void) {
	json_t *object = json_pack("{s:o}", "Error", error_schema());
	for (size_t i = 0; i < openapi_component_count; i++)
		json_object_set_new(object, openapi_components[i].name, object_schema(openapi_components[i].fields, false));
	return object;
}

void handle_openapi(struct exchange *exchange) {
	json_t *document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:o, s:{s:{s:s, s:s}}}}", "openapi", "3.0.3", "info",
		"title", "sofun", "version", SOFUN_VERSION, "description",
		"The control socket of a host, <data>/control.sock. A listener of listen.http serves functions and metrics only.",
		"paths", paths(), "components", "schemas", schemas(), "securitySchemes", "token", "type", "http", "scheme",
		"bearer");
	exchange_json(exchange, 200, document);
}
