/* The table of settings: key, kind, bounds, where it goes. A new setting is one line here, one field in config.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config_inside.h"
#include "limits.h"

enum setting_kind { SETTING_U32, SETTING_U64, SETTING_BYTES, SETTING_LISTEN, SETTING_DURABILITY, SETTING_POLICY };

struct setting {
	const char *key;
	enum setting_kind kind;
	size_t offset;
	uint64_t min;
	uint64_t max;
	const char *meaning; /* for --help */
};

#define FIELD(name) offsetof(struct config, name)
#define DAY_S ((uint64_t)86400)
#define YEAR_S (366 * DAY_S)
#define TIB(n) ((uint64_t)(n) << 40)

static const struct setting settings[] = {
	{"listen.data", SETTING_LISTEN, FIELD(listen_data), 0, 0, "RPC listeners besides <data>/data.sock"},
	{"listen.http", SETTING_LISTEN, FIELD(listen_http), 0, 0, "HTTP listeners for functions and metrics"},
	{"shards", SETTING_U32, FIELD(shards), 1, SHARDS_MAX, "threads that own instances; default: the CPUs"},
	{"durability", SETTING_DURABILITY, FIELD(durability), 0, 0, "sync, interval=MS or none"},
	{"retry.attempts", SETTING_U32, FIELD(retry_attempts), 1, 1000, "the first included"},
	{"retry.backoff_ms", SETTING_U64, FIELD(retry_backoff_ms), 0, DAY_S * 1000, "before the second attempt"},
	{"retry.factor", SETTING_U64, FIELD(retry_factor), 1, 100, "of the backoff, from attempt to attempt"},
	{"retry.backoff_ms_max", SETTING_U64, FIELD(retry_backoff_ms_max), 0, DAY_S * 1000, "the longest backoff"},
	{"retry.block_ms_max", SETTING_U64, FIELD(retry_block_ms_max), 0, DAY_S * 1000,
		"retries block an address no longer"},
	{"stage.patience_ms", SETTING_U64, FIELD(stage_patience_ms), 0, DAY_S * 1000, "for a plugin file that still grows"},
	{"plugins.policy", SETTING_POLICY, FIELD(plugins_manual), 0, 0,
		"auto or manual: does a newer version go live by itself"},
	{"limits.message_bytes", SETTING_BYTES, FIELD(message_bytes), 64, INVOCATION_BYTES_MAX, "of one message"},
	{"limits.value_bytes", SETTING_BYTES, FIELD(value_bytes), 64, INVOCATION_BYTES_MAX, "of one state value"},
	{"limits.frame_bytes", SETTING_BYTES, FIELD(frame_bytes), KIB(1), MIB(256), "of one RPC frame"},
	{"limits.nesting", SETTING_U32, FIELD(nesting), 1, 1024, "maps and arrays within one payload"},
	{"limits.memory_bytes", SETTING_BYTES, FIELD(memory_bytes), MIB(16), TIB(1), "of mailboxes, caches and tables"},
	{"limits.invocation_warn_ms", SETTING_U64, FIELD(invocation_warn_ms), 1, DAY_S * 1000, "a longer call is logged"},
	{"egress.retention_bytes", SETTING_BYTES, FIELD(egress_retention_bytes), MIB(1), TIB(1024), "of one egress"},
	{"egress.retention_s", SETTING_U64, FIELD(egress_retention_s), 1, 100 * YEAR_S, "of an egress record"},
	{"producer.expiry_s", SETTING_U64, FIELD(producer_expiry_s), 1, 100 * YEAR_S, "of an idle producer's position"},
	{"idempotency.expiry_s", SETTING_U64, FIELD(idempotency_expiry_s), 1, 100 * YEAR_S, "of a stored answer"},
	{"call.timeout_ms", SETTING_U64, FIELD(call_timeout_ms), 1, DAY_S * 1000, "when a call names none"},
};

enum { SETTING_COUNT = sizeof settings / sizeof settings[0] };

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

static const struct setting *setting_find(const char *key) {
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
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
	if (setting_find(key) != NULL || ingress_name(key, &name))
		return CONFIG_SETTING;
	if (size == 0 || strcmp(key, "ingresses") == 0 || strncmp(key, ingress_prefix, sizeof ingress_prefix - 1) == 0)
		return CONFIG_SECTION;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (strncmp(settings[i].key, key, size) == 0 && settings[i].key[size] == '.')
			return CONFIG_SECTION;
	return CONFIG_UNKNOWN;
}

static size_t smallest(size_t a, size_t b, size_t c) {
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* How many letters must be changed, put in or taken out. */
static size_t name_distance(const char *a, const char *b) {
	size_t row[CONFIG_KEY_BYTES_MAX];
	size_t columns = strlen(b);
	check(columns < CONFIG_KEY_BYTES_MAX);
	for (size_t i = 0; i <= columns; i++)
		row[i] = i;
	for (size_t line = 1; a[line - 1] != '\0'; line++) {
		size_t diagonal = row[0];
		row[0] = line;
		for (size_t i = 1; i <= columns; i++) {
			size_t above = row[i];
			row[i] = smallest(above + 1, row[i - 1] + 1, diagonal + (a[line - 1] != b[i - 1]));
			diagonal = above;
		}
	}
	return row[columns];
}

const char *config_name_nearest(const char *name, const char *const *names, size_t count) {
	const char *nearest = NULL;
	size_t best = 2 + strlen(name) / 4; /* farther is no misspelling but another word */
	for (size_t i = 0; i < count; i++) {
		size_t distance = name_distance(name, names[i]);
		if (distance <= best) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

/* A key that lacks its section ("memory_bytes"), or the nearest spelling. */
static const char *key_nearest(const char *key) {
	const char *names[SETTING_COUNT];
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const char *dot = strchr(settings[i].key, '.');
		if (dot != NULL && strcmp(dot + 1, key) == 0)
			return settings[i].key;
		names[i] = settings[i].key;
	}
	return config_name_nearest(key, names, SETTING_COUNT);
}

bool config_key_refuse(const char *key, const struct config_place *place, struct error *error) {
	config_refuse(place, error, "unknown setting %.300s", key);
	error_found(error, "%.200s", key);
	error_expected(error, "a setting that sofund --help lists");
	const char *nearest = strlen(key) < CONFIG_KEY_BYTES_MAX ? key_nearest(key) : NULL;
	if (strncmp(key, ingress_prefix, sizeof ingress_prefix - 1) == 0)
		error_hint(error, "did you mean %s<name>%s?", ingress_prefix, ingress_suffix);
	else if (nearest != NULL)
		error_hint(error, "did you mean %s?", nearest);
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
	error_hint(refusal->error, "correct it and start again");
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

static bool number_set(
	struct config *config, const struct setting *setting, const char *text, const struct refusal *refusal) {
	const char *rest = text;
	uint64_t number;
	bool good =
		digits_read(&rest, &number) && (setting->kind == SETTING_BYTES ? unit_read(rest, &number) : *rest == '\0');
	if (!good || number < setting->min || number > setting->max)
		return number_refuse(refusal, setting, text);
	if (setting->kind == SETTING_U32)
		*(uint32_t *)((char *)config + setting->offset) = (uint32_t)number;
	else
		*(uint64_t *)((char *)config + setting->offset) = number;
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
		number >= 1 && number <= DAY_S * 1000)
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
	return digits_read(&colon, &port) && *colon == '\0' && port >= 1 && port <= UINT16_MAX;
}

static void listen_free(char **list, size_t count) {
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

static bool listen_set(char ***list, size_t *count, const struct config_value *value, const struct refusal *refusal) {
	if (!value->list)
		return value_refuse(refusal, value->items[0], "a list like [\"tcp:127.0.0.1:8080\"]");
	for (size_t i = 0; i < value->count; i++)
		if (!listen_is_good(value->items[i]))
			return value_refuse(refusal, value->items[i], "tcp:HOST:PORT");
	listen_free(*list, *count);
	*list = check_alloc(value->count, sizeof **list);
	*count = value->count;
	for (size_t i = 0; i < value->count; i++)
		(*list)[i] = check_strdup(value->items[i]);
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

bool config_value_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error) {
	struct refusal refusal = {key, place, error};
	const struct setting *setting = setting_find(key);
	struct bytes name;
	if (setting != NULL && setting->kind == SETTING_LISTEN) {
		bool data = setting->offset == FIELD(listen_data);
		return listen_set(data ? &config->listen_data : &config->listen_http,
			data ? &config->listen_data_count : &config->listen_http_count, value, &refusal);
	}
	if (value->list)
		return value_refuse(&refusal, "a list", "one value");
	if (setting == NULL) {
		bool ingress = ingress_name(key, &name);
		check(ingress);
		return ingress_set(config, name, value->items[0], &refusal);
	}
	if (setting->kind == SETTING_DURABILITY)
		return durability_set(config, value->items[0], &refusal);
	if (setting->kind == SETTING_POLICY)
		return policy_set(config, value->items[0], &refusal);
	return number_set(config, setting, value->items[0], &refusal);
}

void config_settings_print(struct buf *text) {
	for (size_t i = 0; i < SETTING_COUNT; i++)
		buf_printf(text, "  %-26s %s\n", settings[i].key, settings[i].meaning);
	buf_printf(
		text, "  %-26s %s\n", "ingresses.<name>.format", "line, json or msgpack; default: what the router declares");
}
