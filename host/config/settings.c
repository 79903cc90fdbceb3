/* From a key and its text to the field: what a setting may be, and what is said when it is not. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/near.h"
#include "config/inside.h"
#include "limits.h"

#define DAY_MS ((uint64_t)86400000)

static const char ingress_prefix[] = "ingresses.";
static const char ingress_suffix[] = ".format";

bool config_refuse(const struct config_place *place, struct error *error, const char *format, ...) {
	char text[ERROR_MESSAGE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (place->line == 0)
		return error_set(error, ERROR_BAD_REQUEST, "%.200s: %s", place->source, text);
	return error_set(error, ERROR_BAD_REQUEST, "%.200s:%lu:%lu: %s", place->source, place->line, place->column, text);
}

const struct setting *config_setting_find(const char *key) {
	for (size_t i = 0; i < config_setting_count; i++)
		if (strcmp(config_settings[i].key, key) == 0)
			return &config_settings[i];
	return NULL;
}

/* The name in ingresses.<name>.format; it may hold dots. */
static bool ingress_name(const char *key, struct bytes *ret_name) {
	size_t size = strlen(key), prefix = sizeof ingress_prefix - 1, suffix = sizeof ingress_suffix - 1;
	if (size <= prefix + suffix || strncmp(key, ingress_prefix, prefix) != 0 ||
		strcmp(key + size - suffix, ingress_suffix) != 0)
		return false;
	*ret_name = bytes_of(key + prefix, size - prefix - suffix);
	return true;
}

enum config_kind config_key_kind(const char *key) {
	struct bytes name;
	size_t size = strlen(key);
	if (config_setting_find(key) != NULL || ingress_name(key, &name))
		return CONFIG_SETTING;
	if (size == 0 || strcmp(key, "ingresses") == 0 || strncmp(key, ingress_prefix, sizeof ingress_prefix - 1) == 0)
		return CONFIG_SECTION;
	if (config_sink_kind(key) != CONFIG_UNKNOWN)
		return config_sink_kind(key);
	if (config_ttl_kind(key) != CONFIG_UNKNOWN)
		return config_ttl_kind(key);
	for (size_t i = 0; i < config_setting_count; i++)
		if (strncmp(config_settings[i].key, key, size) == 0 && config_settings[i].key[size] == '.')
			return CONFIG_SECTION;
	return CONFIG_UNKNOWN;
}

/* A key that lacks its section ("memory_bytes"), or the nearest spelling. */
static void key_nearest(struct near *near) {
	for (size_t i = 0; i < config_setting_count; i++) {
		const char *dot = strchr(config_settings[i].key, '.');
		near_offer(near, config_settings[i].key);
		if (dot != NULL && strcmp(dot + 1, near->wanted) == 0) {
			near->distance = 0;
			(void)snprintf(near->best, sizeof near->best, "%s", config_settings[i].key);
			return;
		}
	}
}

bool config_key_refuse(const char *key, const struct config_place *place, struct error *error) {
	config_refuse(place, error, "unknown setting %.300s", key);
	error_found(error, "%.200s", key);
	error_expected(error, "a setting that sofund --help lists");
	struct near near = near_begin(bytes_text(key));
	key_nearest(&near);
	if (strncmp(key, ingress_prefix, sizeof ingress_prefix - 1) == 0)
		error_hint(error, "did you mean %s<name>%s?", ingress_prefix, ingress_suffix);
	else if (strncmp(key, "egresses.", 9) == 0)
		error_hint(error, "did you mean egresses.<name>.sink.file?");
	else if (strncmp(key, "functions.", 10) == 0)
		error_hint(error, "did you mean functions.<ns/name>.idle_ttl_ms?");
	else if (near.best[0] != '\0')
		error_hint(error, "did you mean %s?", near.best);
	else
		error_hint(error, "sofund --help lists the settings");
	return false;
}

struct refusal {
	const char *key;
	const struct config_place *place;
	struct error *error;
};

static bool value_refuse(const struct refusal *refusal, const char *found, const char *expected) {
	config_refuse(refusal->place, refusal->error, "wrong value for %.200s", refusal->key);
	error_found(refusal->error, "%.200s", found);
	error_expected(refusal->error, "%s", expected);
	error_hint(refusal->error, "sofund --help says what it may be");
	return false;
}

static bool number_refuse(const struct refusal *refusal, const struct setting *setting, const char *found) {
	char expected[ERROR_DETAIL_BYTES];
	snprintf(expected, sizeof expected, "%s from %llu to %llu",
		setting->kind == SETTING_BYTES ? "a size (a number, or like 64KiB, 512MiB, 1GiB)" : "a whole number",
		(unsigned long long)setting->min, (unsigned long long)setting->max);
	return value_refuse(refusal, found, expected);
}

/* Decimal digits; what follows them is left to the caller. */
static bool digits_read(const char **text, uint64_t *ret_number) {
	char *end;
	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	unsigned long long number = strtoull(*text, &end, 10);
	*text = end;
	*ret_number = number;
	return errno == 0;
}

static bool unit_read(const char *unit, uint64_t *number) {
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i]) == 0) {
			if (*number > UINT64_MAX >> (10 * i))
				return false;
			*number <<= 10 * i;
			return true;
		}
	return false;
}

bool config_number_read(const char *text, uint64_t *ret_number) {
	return digits_read(&text, ret_number) && *text == '\0';
}

bool config_size_read(const char *text, uint64_t *ret_number) {
	return digits_read(&text, ret_number) && unit_read(text, ret_number);
}

static bool number_set(
	struct config *config, const struct setting *setting, const char *text, const struct refusal *refusal) {
	const char *rest = text;
	uint64_t number;
	bool good =
		digits_read(&rest, &number) && (setting->kind == SETTING_BYTES ? unit_read(rest, &number) : *rest == '\0');
	if (!good || number < setting->min || number > setting->max)
		return number_refuse(refusal, setting, text);
	if (setting->kind == SETTING_U32)
		*(_Atomic uint32_t *)(void *)((char *)config + setting->offset) = (uint32_t)number;
	else
		*(_Atomic uint64_t *)(void *)((char *)config + setting->offset) = number;
	return true;
}

static bool durability_set(struct config *config, const char *text, const struct refusal *refusal) {
	static const char prefix[] = "interval=";
	uint64_t number = 0;
	const char *rest = text + sizeof prefix - 1;
	if (strcmp(text, "sync") == 0)
		config->durability = DURABILITY_SYNC;
	else if (strcmp(text, "none") == 0)
		config->durability = DURABILITY_NONE;
	else if (strncmp(text, prefix, sizeof prefix - 1) == 0 && digits_read(&rest, &number) && *rest == '\0' &&
		number >= 1 && number <= DAY_MS)
		config->durability = DURABILITY_INTERVAL;
	else
		return value_refuse(refusal, text, "sync, none, or interval=MS (1 to 86400000)");
	config->durability_interval_ms = number;
	return true;
}

static bool policy_set(struct config *config, const char *text, const struct refusal *refusal) {
	if (strcmp(text, "auto") != 0 && strcmp(text, "manual") != 0)
		return value_refuse(refusal, text, "auto or manual");
	config->plugins_manual = text[0] == 'm';
	return true;
}

static bool listen_is_good(const char *text) {
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (strncmp(text, "tcp:", 4) != 0 || colon <= text + 4)
		return false;
	colon++;
	return digits_read(&colon, &port) && *colon == '\0' && port <= UINT16_MAX;
}

void config_list_finish(struct config_list *list) {
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){0};
}

static bool listen_set(struct config_list *list, const struct config_value *value, const struct refusal *refusal) {
	if (!value->list)
		return value_refuse(refusal, value->items[0], "a list like [\"tcp:127.0.0.1:8080\"]");
	for (size_t i = 0; i < value->count; i++) {
		const struct refusal item = {refusal->key, &value->places[i], refusal->error};
		if (!listen_is_good(value->items[i]))
			return value_refuse(&item, value->items[i], "tcp:HOST:PORT");
	}
	config_list_finish(list);
	list->items = check_alloc(value->count, sizeof *list->items);
	list->count = value->count;
	for (size_t i = 0; i < value->count; i++)
		list->items[i] = check_strdup(value->items[i]);
	return true;
}

static struct ingress_config *ingress_find(struct config *config, struct bytes name) {
	for (size_t i = 0; i < config->ingress_count; i++)
		if (bytes_equal(bytes_text(config->ingresses[i].name), name))
			return &config->ingresses[i];
	config->ingresses = realloc(config->ingresses, (config->ingress_count + 1) * sizeof *config->ingresses);
	check_memory(config->ingresses);
	struct ingress_config *ingress = &config->ingresses[config->ingress_count++];
	ingress->name = check_alloc(1, name.size + 1);
	memcpy(ingress->name, name.data, name.size);
	return ingress;
}

static bool ingress_set(struct config *config, struct bytes name, const char *text, const struct refusal *refusal) {
	static const char *const names[] = {[FORMAT_LINE] = "line", [FORMAT_JSON] = "json", [FORMAT_MSGPACK] = "msgpack"};
	if (name.size > UINT8_MAX || !bytes_utf8(name))
		return value_refuse(refusal, refusal->key, "an ingress name of 1 to 255 bytes of UTF-8");
	for (size_t i = FORMAT_LINE; i <= FORMAT_MSGPACK; i++)
		if (strcmp(text, names[i]) == 0) {
			ingress_find(config, name)->format = (enum record_format)i;
			return true;
		}
	return value_refuse(refusal, text, "line, json or msgpack");
}

const char *const *config_choices(enum setting_kind kind) {
	static const char *const levels[] = {"debug", "info", "warn", "error", NULL}; /* as in base/log.h */
	static const char *const formats[] = {"text", "json", NULL};
	return kind == SETTING_LEVEL ? levels : kind == SETTING_FORMAT ? formats : NULL;
}

static bool choice_set(
	_Atomic uint32_t *field, const struct setting *setting, const char *text, const struct refusal *refusal) {
	const char *const *choices = config_choices(setting->kind);
	for (uint32_t i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0) {
			*field = i;
			return true;
		}
	return value_refuse(refusal, text, setting->meaning);
}

static bool text_set(char **field, const char *text) {
	free(*field);
	*field = check_strdup(text);
	return true;
}

static bool setting_set(struct config *config, const struct setting *setting, const struct config_value *value,
	const struct refusal *refusal) {
	if (setting->kind == SETTING_LISTEN)
		return listen_set((struct config_list *)(void *)((char *)config + setting->offset), value, refusal);
	if (value->list)
		return value_refuse(refusal, "a list", "one value");
	switch (setting->kind) {
	case SETTING_DURABILITY:
		return durability_set(config, value->items[0], refusal);
	case SETTING_TEXT:
		return text_set((char **)(void *)((char *)config + setting->offset), value->items[0]);
	case SETTING_LEVEL:
	case SETTING_FORMAT:
		return choice_set(
			(_Atomic uint32_t *)(void *)((char *)config + setting->offset), setting, value->items[0], refusal);
	case SETTING_POLICY:
		return policy_set(config, value->items[0], refusal);
	default:
		return number_set(config, setting, value->items[0], refusal);
	}
}

bool config_value_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error) {
	struct refusal refusal = {key, place, error};
	const struct setting *setting = config_setting_find(key);
	struct bytes name;
	if (setting != NULL) {
		config->sources[setting - config_settings] = (uint8_t)place->from;
		return setting_set(config, setting, value, &refusal);
	}
	if (config_sink_kind(key) == CONFIG_SETTING)
		return config_sink_set(config, key, value, place, error);
	if (config_ttl_kind(key) == CONFIG_SETTING)
		return config_ttl_set(config, key, value, place, error);
	bool ingress = ingress_name(key, &name);
	check(ingress);
	if (value->list)
		return value_refuse(&refusal, "a list", "one value");
	return ingress_set(config, name, value->items[0], &refusal);
}
