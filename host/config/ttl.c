/* functions.<ns/name>.idle_ttl_ms, and functions.<ns/name>.values.<value>.expire_after_write_ms or expire_after_invoke_ms:
 * when state ends by itself, above what plugins declare. May change while the host runs. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"

static const char prefix[] = "functions.";
static const char values_word[] = ".values.";

enum { TYPE_BYTES_MAX = 127, VALUE_BYTES_MAX = 63 };

static const struct {
	const char *suffix;
	const char *key; /* in documents */
	const char *meaning;
	const char *reason;
} fields[TTL_KINDS] = {
	[TTL_IDLE] = {".idle_ttl_ms", "functions.<ns/name>.idle_ttl_ms",
		"an instance to which no message was handled for so long ends with all its state; 0: never",
		"what the plugin declares; `sofun ttl` sets it above this"},
	[TTL_AFTER_WRITE] = {".expire_after_write_ms", "functions.<ns/name>.values.<value>.expire_after_write_ms",
		"that value is unset so long after it was last set; 0: never", "what the plugin declares"},
	[TTL_AFTER_INVOKE] = {".expire_after_invoke_ms", "functions.<ns/name>.values.<value>.expire_after_invoke_ms",
		"that value is unset so long after a message to the instance was last handled; 0: never",
		"what the plugin declares"},
};

const char *ttl_kind_name(enum ttl_kind kind) {
	return fields[kind].suffix + 1;
}

/* ---- rules ---- */

struct ttl_rule *ttl_rules_find(
	const struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind) {
	for (size_t i = 0; i < rules->count; i++) {
		struct ttl_rule *rule = &rules->items[i];
		if (rule->kind == kind && bytes_equal(bytes_text(rule->type), type) &&
			bytes_equal(bytes_text(rule->value), value))
			return rule;
	}
	return NULL;
}

static char *text_copy(struct bytes text) {
	char *copy = check_alloc(1, text.size + 1);
	bytes_copy((uint8_t *)copy, text.data, text.size);
	return copy;
}

void ttl_rules_put(struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind, uint64_t ms,
	enum config_source source) {
	struct ttl_rule *rule = ttl_rules_find(rules, type, value, kind);
	if (rule == NULL) {
		rules->items = realloc(rules->items, (rules->count + 1) * sizeof *rules->items);
		check_memory(rules->items);
		rule = &rules->items[rules->count++];
		*rule = (struct ttl_rule){.type = text_copy(type), .value = text_copy(value), .kind = kind};
	}
	rule->ms = ms;
	rule->source = source;
}

void ttl_rules_remove(struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind) {
	struct ttl_rule *rule = ttl_rules_find(rules, type, value, kind);
	if (rule == NULL)
		return;
	free(rule->type);
	free(rule->value);
	*rule = rules->items[--rules->count];
}

void ttl_rules_finish(struct ttl_rules *rules) {
	for (size_t i = 0; i < rules->count; i++) {
		free(rules->items[i].type);
		free(rules->items[i].value);
	}
	free(rules->items);
	*rules = (struct ttl_rules){0};
}

void ttl_rules_copy(struct ttl_rules *to, const struct ttl_rules *from) {
	ttl_rules_finish(to);
	for (size_t i = 0; i < from->count; i++) {
		const struct ttl_rule *rule = &from->items[i];
		ttl_rules_put(to, bytes_text(rule->type), bytes_text(rule->value), rule->kind, rule->ms, rule->source);
	}
}

void ttl_rules_copy_requests(struct ttl_rules *to, const struct ttl_rules *from) {
	for (size_t i = 0; i < from->count; i++) {
		const struct ttl_rule *rule = &from->items[i];
		if (rule->source == CONFIG_REQUEST)
			ttl_rules_put(to, bytes_text(rule->type), bytes_text(rule->value), rule->kind, rule->ms, rule->source);
	}
}

/* ---- keys ---- */

static bool letters_are(struct bytes text, const char *others) {
	for (size_t i = 0; i < text.size; i++) {
		char letter = (char)text.data[i];
		bool good = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
			(letter != '\0' && strchr(others, letter) != NULL);
		if (!good)
			return false;
	}
	return text.size > 0;
}

bool ttl_type_valid(struct bytes type) {
	const uint8_t *slash = type.size == 0 ? NULL : memchr(type.data, '/', type.size);
	if (slash == NULL || type.size > TYPE_BYTES_MAX)
		return false;
	size_t front = (size_t)(slash - type.data);
	return letters_are(bytes_of(type.data, front), "_.-") &&
		letters_are(bytes_of(slash + 1, type.size - front - 1), "_.-");
}

bool ttl_value_valid(struct bytes value) {
	return value.size <= VALUE_BYTES_MAX && letters_are(value, "_");
}

static bool ends_with(struct bytes text, const char *suffix, struct bytes *ret_front) {
	size_t size = strlen(suffix);
	if (text.size <= size || memcmp(text.data + text.size - size, suffix, size) != 0)
		return false;
	*ret_front = bytes_of(text.data, text.size - size);
	return true;
}

/* "<type>.values.<value>"; values have no dots, types may. */
static bool value_split(struct bytes middle, struct bytes *ret_type, struct bytes *ret_value) {
	size_t dot = middle.size;
	while (dot > 0 && middle.data[dot - 1] != '.')
		dot--;
	*ret_value = bytes_of(middle.data + dot, middle.size - dot);
	return ends_with(bytes_of(middle.data, dot), values_word, ret_type);
}

bool config_ttl_key(const char *key, struct bytes *ret_type, struct bytes *ret_value, enum ttl_kind *ret_kind) {
	struct bytes rest = bytes_text(key), middle;
	size_t front = sizeof prefix - 1;
	if (strncmp(key, prefix, front) != 0)
		return false;
	rest = bytes_of(rest.data + front, rest.size - front);
	for (int kind = 0; kind < TTL_KINDS; kind++) {
		if (!ends_with(rest, fields[kind].suffix, &middle))
			continue;
		*ret_kind = (enum ttl_kind)kind;
		*ret_value = bytes_of(NULL, 0);
		*ret_type = middle;
		return kind == TTL_IDLE || value_split(middle, ret_type, ret_value);
	}
	return false;
}

enum config_kind config_ttl_kind(const char *key) {
	struct bytes type, value;
	enum ttl_kind kind;
	if (config_ttl_key(key, &type, &value, &kind))
		return CONFIG_SETTING;
	return strcmp(key, "functions") == 0 || strncmp(key, prefix, sizeof prefix - 1) == 0 ? CONFIG_SECTION
																						 : CONFIG_UNKNOWN;
}

static bool refuse(
	const char *key, const char *found, const char *expected, const struct config_place *place, struct error *error) {
	config_refuse(place, error, "wrong value for %.200s", key);
	error_found(error, "%.200s", found);
	error_expected(error, "%s", expected);
	error_hint(error, "sofund --help says what it may be");
	return false;
}

bool config_ttl_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error) {
	struct bytes type, name;
	enum ttl_kind kind;
	uint64_t ms = 0;
	bool known = config_ttl_key(key, &type, &name, &kind);
	check(known);
	if (value->list)
		return refuse(key, "a list", "one value", place, error);
	if (!ttl_type_valid(type))
		return refuse(key, key, "functions.<namespace>/<name>, each of a-z 0-9 _ . -", place, error);
	if (kind != TTL_IDLE && !ttl_value_valid(name))
		return refuse(key, key, "the name of a value: a-z 0-9 _", place, error);
	if (!config_number_read(value->items[0], &ms) || ms > TTL_MS_MAX)
		return refuse(
			key, value->items[0], "milliseconds, a whole number from 0 (never) to 3155760000000", place, error);
	ttl_rules_put(&config->ttl, type, name, kind, ms, place->from);
	return true;
}

/* ---- shown ---- */

static int rule_compare(const void *a, const void *b) {
	const struct ttl_rule *left = a, *right = b;
	int order = strcmp(left->type, right->type);
	if (order == 0)
		order = strcmp(left->value, right->value);
	return order != 0 ? order : (int)left->kind - (int)right->kind;
}

/* The key without "functions.". */
static void rule_name(const struct ttl_rule *rule, struct buf *text) {
	buf_printf(text, "%s%s%s%s", rule->type, rule->value[0] != '\0' ? values_word : "", rule->value,
		fields[rule->kind].suffix);
}

void ttl_rule_key(const struct ttl_rule *rule, struct buf *key) {
	buf_printf(key, "%s", prefix);
	rule_name(rule, key);
}

void config_ttl_print(const struct config *config, struct buf *text) {
	struct ttl_rules sorted = {0};
	ttl_rules_copy(&sorted, &config->ttl);
	if (sorted.count > 0)
		qsort(sorted.items, sorted.count, sizeof *sorted.items, rule_compare);
	for (size_t i = 0; i < sorted.count; i++) {
		const struct ttl_rule *rule = &sorted.items[i];
		buf_printf(text, "%s", i > 0 ? ", " : "");
		rule_name(rule, text);
		buf_printf(text, ": %llu", (unsigned long long)rule->ms);
	}
	ttl_rules_finish(&sorted);
}

void config_ttl_document(
	void (*line)(void *arg, const char *key, const char *value, const char *meaning, const char *reason), void *arg) {
	for (int kind = 0; kind < TTL_KINDS; kind++)
		line(arg, fields[kind].key, "1800000", fields[kind].meaning, fields[kind].reason);
}
