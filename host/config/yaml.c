/* Reads settings from YAML by libyaml's nodes, whose marks say where a mistake stands. Nested and dotted keys are the
 * same: `limits: {nesting: 9}` and `limits.nesting: 9`. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"
#include "config/inside.h"

struct reading {
	struct config *config;
	yaml_document_t *document;
	const char *source;
	enum config_source from;
	bool has_lines;
	char **seen; /* keys set so far: a key that stands twice in a file is a mistake */
	size_t seen_count;
	struct error *error;
};

static struct config_place place_of(const struct reading *reading, const yaml_node_t *node) {
	return (struct config_place){
		.source = reading->source,
		.from = reading->from,
		.line = reading->has_lines ? node->start_mark.line + 1 : 0,
		.column = node->start_mark.column + 1,
	};
}

static const char *node_kind(const yaml_node_t *node) {
	return node->type == YAML_MAPPING_NODE ? "a mapping" : node->type == YAML_SEQUENCE_NODE ? "a list" : "one value";
}

/* A scalar without NUL inside, so that it is a C string as well. */
static const char *node_text(const yaml_node_t *node) {
	if (node->type != YAML_SCALAR_NODE || strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

static bool shape_refuse(
	const struct reading *reading, const yaml_node_t *node, const char *key, const char *expected) {
	struct config_place place = place_of(reading, node);
	config_refuse(&place, reading->error, "wrong value for %.200s", key[0] != '\0' ? key : "the file");
	error_found(reading->error, "%s", node_kind(node));
	error_expected(reading->error, "%s", expected);
	error_hint(reading->error, "sofund --help says what it may be");
	return false;
}

static bool key_is_new(struct reading *reading, const yaml_node_t *node, const char *key) {
	for (size_t i = 0; i < reading->seen_count; i++)
		if (strcmp(reading->seen[i], key) == 0) {
			struct config_place place = place_of(reading, node);
			config_refuse(&place, reading->error, "%.200s stands twice", key);
			error_found(reading->error, "a second %.200s", key);
			return error_advise(reading->error, "each setting once", "keep one of them");
		}
	reading->seen = realloc(reading->seen, (reading->seen_count + 1) * sizeof *reading->seen);
	check_memory(reading->seen);
	reading->seen[reading->seen_count++] = check_strdup(key);
	return true;
}

static bool list_apply(struct reading *reading, const yaml_node_t *node, const char *key) {
	size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	const char **items = check_alloc(count, sizeof *items);
	struct config_place *places = check_alloc(count, sizeof *places);
	struct config_place place = place_of(reading, node);
	bool good = true;
	for (size_t i = 0; good && i < count; i++) {
		const yaml_node_t *item = yaml_document_get_node(reading->document, node->data.sequence.items.start[i]);
		items[i] = node_text(item);
		places[i] = place_of(reading, item);
		if (items[i] == NULL)
			good = shape_refuse(reading, item, key, "a list of texts");
	}
	struct config_value value = {.list = true, .items = items, .places = places, .count = count};
	good = good && config_value_set(reading->config, key, &value, &place, reading->error);
	free(items);
	free(places);
	return good;
}

static bool setting_apply(struct reading *reading, const yaml_node_t *node, const char *key) {
	if (!key_is_new(reading, node, key))
		return false;
	if (node->type == YAML_SEQUENCE_NODE)
		return list_apply(reading, node, key);
	const char *text = node_text(node);
	if (text == NULL)
		return shape_refuse(reading, node, key, node->type == YAML_SCALAR_NODE ? "a text without NUL" : "one value");
	struct config_place place = place_of(reading, node);
	struct config_value value = {.items = &text, .count = 1};
	return config_value_set(reading->config, key, &value, &place, reading->error);
}

/* "" and "limits" give "limits"; "limits" and "nesting" give "limits.nesting". False: too long to be a setting. */
static bool key_join(char *joined, const char *prefix, const char *key) {
	size_t prefix_size = strlen(prefix), size = strlen(key);
	if (prefix_size + 1 + size >= CONFIG_KEY_BYTES_MAX)
		return false;
	memcpy(joined, prefix, prefix_size);
	if (prefix_size > 0)
		joined[prefix_size++] = '.';
	memcpy(joined + prefix_size, key, size + 1);
	return true;
}

static bool node_apply(
	struct reading *reading, const yaml_node_t *key_node, const yaml_node_t *node, const char *key, int depth);

static bool pair_apply(struct reading *reading, const yaml_node_pair_t *pair, const char *prefix, int depth) {
	const yaml_node_t *key_node = yaml_document_get_node(reading->document, pair->key);
	const char *key = node_text(key_node);
	char joined[CONFIG_KEY_BYTES_MAX];
	if (key == NULL || key[0] == '\0')
		return shape_refuse(reading, key_node, prefix, "a setting's name as key");
	if (!key_join(joined, prefix, key)) {
		struct config_place place = place_of(reading, key_node);
		return config_key_refuse(key, &place, reading->error);
	}
	return node_apply(reading, key_node, yaml_document_get_node(reading->document, pair->value), joined, depth + 1);
}

static bool node_apply(
	struct reading *reading, const yaml_node_t *key_node, const yaml_node_t *node, const char *key, int depth) {
	struct config_place place = place_of(reading, key_node);
	enum config_kind kind = config_key_kind(key);
	if (kind == CONFIG_UNKNOWN || depth > CONFIG_DEPTH_MAX)
		return config_key_refuse(key, &place, reading->error);
	if (kind == CONFIG_SETTING)
		return setting_apply(reading, node, key);
	if (node->type != YAML_MAPPING_NODE &&
		(strncmp(key, "ingresses.", 10) == 0 || strncmp(key, "egresses.", 9) == 0 ||
			strncmp(key, "functions.", 10) == 0))
		return config_key_refuse(key, &place, reading->error);
	if (node->type != YAML_MAPPING_NODE)
		return shape_refuse(reading, node, key, "a mapping of settings");
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	for (; pair < node->data.mapping.pairs.top; pair++)
		if (!pair_apply(reading, pair, key, depth))
			return false;
	return true;
}

static bool parser_refuse(const yaml_parser_t *parser, const struct reading *reading) {
	struct config_place place = {
		.source = reading->source,
		.from = reading->from,
		.line = reading->has_lines ? parser->problem_mark.line + 1 : 0,
		.column = parser->problem_mark.column + 1,
	};
	config_refuse(&place, reading->error, "not YAML: %s", parser->problem != NULL ? parser->problem : "unreadable");
	error_found(reading->error, "%s", parser->context != NULL ? parser->context : "what YAML does not have");
	error_expected(reading->error, "YAML: `key: value`, spaces for indenting");
	error_hint(reading->error, "sofund --help says what it may be");
	return false;
}

/* An empty file sets nothing, with or without "---". */
static bool root_apply(struct reading *reading, const char *key) {
	const yaml_node_t *root = yaml_document_get_root_node(reading->document);
	bool empty = root == NULL || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0);
	if (empty && key[0] == '\0')
		return true;
	if (root != NULL)
		return node_apply(reading, root, root, key, 0);
	struct config_place place = {.source = reading->source};
	config_refuse(&place, reading->error, "no value for %.200s", key);
	error_found(reading->error, "nothing behind =");
	return error_advise(reading->error, "--set key=value", "sofund --help lists the settings");
}

static bool second_document_refuse(yaml_parser_t *parser, const struct reading *reading) {
	yaml_document_t second;
	if (!yaml_parser_load(parser, &second))
		return parser_refuse(parser, reading);
	const yaml_node_t *root = yaml_document_get_root_node(&second);
	bool more = root != NULL;
	if (more)
		shape_refuse(reading, root, "", "one YAML document");
	yaml_document_delete(&second);
	return !more;
}

static bool text_apply(struct reading *reading, struct bytes text, const char *key) {
	yaml_parser_t parser;
	yaml_document_t document;
	int ready = yaml_parser_initialize(&parser);
	check_memory(ready ? &parser : NULL);
	yaml_parser_set_input_string(&parser, text.data != NULL ? text.data : (const uint8_t *)"", text.size);
	bool good = yaml_parser_load(&parser, &document);
	if (good) {
		reading->document = &document;
		good = root_apply(reading, key) &&
			(yaml_document_get_root_node(&document) == NULL || second_document_refuse(&parser, reading));
		yaml_document_delete(&document);
	} else {
		parser_refuse(&parser, reading);
	}
	yaml_parser_delete(&parser);
	for (size_t i = 0; i < reading->seen_count; i++)
		free(reading->seen[i]);
	free(reading->seen);
	return good;
}

bool config_yaml_file(struct config *config, const char *source, struct bytes text, struct error *error) {
	struct reading reading = {
		.config = config, .source = source, .from = CONFIG_FILE, .has_lines = true, .error = error};
	struct config_place place = {.source = source};
	if (text.size > CONFIG_FILE_BYTES_MAX) {
		config_refuse(&place, error, "too large for a configuration");
		error_found(error, "%zu bytes", text.size);
		error_expected(error, "at most %d", CONFIG_FILE_BYTES_MAX);
		error_hint(error, "sofund --settings yaml prints a file with every setting");
		return false;
	}
	return text_apply(&reading, text, "");
}

bool config_yaml_set(struct config *config, const char *assignment, struct error *error) {
	struct reading reading = {.config = config, .source = "--set", .from = CONFIG_FLAG, .error = error};
	struct config_place place = {.source = "--set"};
	const char *equals = strchr(assignment, '=');
	size_t size = equals != NULL ? (size_t)(equals - assignment) : 0;
	if (size == 0) {
		config_refuse(&place, error, "%.200s is no assignment", assignment);
		error_found(error, "%.200s", assignment);
		return error_advise(error, "--set key=value", "sofund --help lists the settings");
	}
	char key[CONFIG_KEY_BYTES_MAX];
	if (size >= sizeof key)
		return config_key_refuse(assignment, &place, error);
	memcpy(key, assignment, size);
	key[size] = '\0';
	return text_apply(&reading, bytes_text(equals + 1), key);
}

bool config_yaml_request(struct config *config, struct bytes text, struct error *error) {
	struct reading reading = {.config = config, .source = "body", .from = CONFIG_REQUEST, .error = error};
	return text_apply(&reading, text, "");
}
