/* GET /openapi.json: the same table of endpoints, as OpenAPI 3.0 has it, with what each may answer and why. */
#include <stdlib.h>

#include "base/check.h"
#include "control/endpoints.h"
#include "control/handlers.h"
#include "control/http_error.h"
#include "door/access.h"

/* What an endpoint takes and answers besides its good answer; tests/http/test_openapi.py meets each of them. */
struct answer {
	const char *method;
	const char *path;
	const char *body;  /* "name:type" with commas; "any": a payload; NULL: none */
	const char *codes; /* of errors, with commas */
};

static const struct answer answers[] = {
	{"POST", "/v1/barrier", "timeout_ms:integer", "bad_request,bad_utf8,timeout"},
	{"POST", "/v1/clock", "to_ms:integer,advance_ms:integer", "bad_request,forbidden"},
	{"GET", "/v1/events", NULL, "bad_request"},
	{"POST", "/v1/config", "any", "bad_request,conflict"},
	{"POST", "/v1/config/reload", NULL, "bad_request"},
	{"POST", "/v1/functions/{ns}/{name}/{id}", "any",
		"bad_request,bad_id,bad_utf8,too_deep,too_large,unknown_type,function_failed,timeout"},
	{"GET", "/v1/state/{ns}/{name}", NULL, "bad_request,unknown_type"},
	{"GET", "/v1/state/{ns}/{name}/{id}", NULL, "bad_request,unknown_type,not_found,bad_id"},
	{"GET", "/v1/ttl/{ns}/{name}", NULL, "unknown_type"},
	{"POST", "/v1/ttl/{ns}/{name}", "idle_ttl_ms:integer,values:object,clear:boolean",
		"bad_request,bad_utf8,unknown_type,not_found"},
	{"GET", "/v1/dead", NULL, "bad_request"},
	{"GET", "/v1/dead/{number}", NULL, "bad_request,not_found"},
	{"GET", "/v1/egresses", NULL, ""},
	{"GET", "/v1/egresses/{egress}", NULL, "bad_request,unknown_egress"},
	{"POST", "/v1/plugins", "path:string", "bad_request,not_found,refused"},
	{"DELETE", "/v1/plugins/{name}", NULL, "not_found"},
};

static const struct answer *answer_of(const struct endpoint *endpoint) {
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		if (strcmp(answers[i].method, endpoint->method) == 0 && strcmp(answers[i].path, endpoint->path) == 0)
			return &answers[i];
	return NULL;
}

/* The next of the words of "a,b"; NULL at the end. The caller's to free. */
static char *word_next(const char **at) {
	size_t size = strcspn(*at, ",");
	if (size == 0)
		return NULL;
	char *word = check_alloc(1, size + 1);
	memcpy(word, *at, size);
	*at += size + ((*at)[size] == ',');
	return word;
}

/* ---- parameters ---- */

static void parameter_add(json_t *list, const char *name, const char *in) {
	bool number = strcmp(name, "limit") == 0 || strcmp(name, "timeout_ms") == 0 || strcmp(name, "number") == 0;
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", in, "required", strcmp(in, "path") == 0, "schema",
			"type", number ? "integer" : "string"));
}

static json_t *parameters(const struct endpoint *endpoint) {
	json_t *list = json_array();
	char *word;
	for (const char *at = strchr(endpoint->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
		size_t size = strcspn(at + 1, "}");
		word = check_alloc(1, size + 1);
		memcpy(word, at + 1, size);
		parameter_add(list, word, "path");
		free(word);
	}
	for (const char *at = endpoint->query; (word = word_next(&at)) != NULL; free(word))
		parameter_add(list, word, "query");
	return list;
}

/* ---- bodies ---- */

static json_t *object_schema(const char *fields) {
	json_t *properties = json_object();
	char *word;
	for (const char *at = fields; (word = word_next(&at)) != NULL; free(word)) {
		char *colon = strchr(word, ':');
		check(colon != NULL);
		*colon = '\0';
		json_object_set_new(properties, word, json_pack("{s:s}", "type", colon + 1));
	}
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", false);
}

static json_t *request_body(const char *body) {
	bool any = strcmp(body, "any") == 0;
	json_t *content = json_pack("{s:{s:o}}", "application/json", "schema", any ? json_object() : object_schema(body));
	if (any)
		json_object_set_new(content, "application/msgpack",
			json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "format", "binary"));
	return json_pack("{s:o}", "content", content);
}

/* ---- answers ---- */

static json_t *error_response(const char *description) {
	return json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", description, "content", "application/json", "schema",
		"$ref", "#/components/schemas/Error");
}

static enum error_code code_of(const char *name) {
	for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++)
		if (strcmp(error_code_name((enum error_code)code), name) == 0)
			return (enum error_code)code;
	check_failed(__FILE__, __LINE__, "a code that there is");
}

/* Codes that share a status stand together in its description. */
static void code_add(json_t *responses, const char *name) {
	char status[8];
	snprintf(status, sizeof status, "%d", http_status(code_of(name)));
	json_t *known = json_object_get(json_object_get(responses, status), "description");
	struct buf text = {0};
	if (known != NULL)
		buf_printf(&text, "%s, ", json_string_value(known));
	buf_printf(&text, "%s", name);
	json_object_set_new(responses, status, error_response((const char *)text.data));
	buf_finish(&text);
}

static json_t *responses(const struct endpoint *endpoint, const struct answer *answer) {
	json_t *object = json_pack("{s:{s:s}}", "200", "description", endpoint->help);
	char *word;
	for (const char *at = answer == NULL ? "" : answer->codes; (word = word_next(&at)) != NULL; free(word))
		code_add(object, word);
	json_object_set_new(
		object, "default", error_response("any other error; 503 while the host starts, stops or has failed"));
	return object;
}

/* ---- the document ---- */

static json_t *operation(const struct endpoint *endpoint) {
	const struct answer *answer = answer_of(endpoint);
	json_t *object = json_pack("{s:s, s:o, s:o}", "summary", endpoint->help, "parameters", parameters(endpoint),
		"responses", responses(endpoint, answer));
	if (answer != NULL && answer->body != NULL)
		json_object_set_new(object, "requestBody", request_body(answer->body));
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
		json_object_set_new(path, method, operation(&endpoints[i]));
	}
	return object;
}

static json_t *error_schema(void) {
	json_t *codes = json_array();
	for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++)
		json_array_append_new(codes, json_string(error_code_name((enum error_code)code)));
	json_t *fields = object_schema("message:string,found:string,expected:string,hint:string");
	json_object_set_new(
		json_object_get(fields, "properties"), "code", json_pack("{s:s, s:o}", "type", "string", "enum", codes));
	json_object_set_new(fields, "required", json_pack("[s, s]", "code", "message"));
	return json_pack("{s:s, s:[s], s:{s:o}}", "type", "object", "required", "error", "properties", "error", fields);
}

void handle_openapi(struct exchange *exchange) {
	json_t *document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:o}, s:{s:{s:s, s:s}}}}", "openapi", "3.0.3",
		"info", "title", "sofun", "version", SOFUN_VERSION, "description",
		"The control socket of a host, <data>/control.sock. A listener of listen.http serves functions and metrics only.",
		"paths", paths(), "components", "schemas", "Error", error_schema(), "securitySchemes", "token", "type", "http",
		"scheme", "bearer");
	exchange_json(exchange, 200, document);
}
