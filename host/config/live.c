#include "config/live.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"
#include "config/kept.h"

struct config_live {
	struct config *running;
	struct config base; /* what file and flags said when they were last read */
	struct config_kept *kept;
	int argc;
	char *const *argv;
	void (*changed)(void *arg);
	void *arg;
};

/* Takes over a value that may change while the host runs, with its source. */
static void value_copy(struct config *to, const struct config *from, const struct setting *setting) {
	void *target = (char *)to + setting->offset;
	const void *source = (const char *)from + setting->offset;
	check(setting->live);
	to->sources[setting - config_settings] = from->sources[setting - config_settings];
	switch (setting->kind) {
	case SETTING_U32:
	case SETTING_LEVEL:
	case SETTING_FORMAT:
		*(_Atomic uint32_t *)target = *(const _Atomic uint32_t *)source;
		break;
	case SETTING_U64:
	case SETTING_BYTES:
		*(_Atomic uint64_t *)target = *(const _Atomic uint64_t *)source;
		break;
	default:
		check(setting->kind == SETTING_POLICY);
		*(bool *)target = *(const bool *)source;
		break;
	}
}

struct config_live *config_live_create(struct config *running, int argc, char *const argv[]) {
	struct config_live *live = check_alloc(1, sizeof *live);
	live->running = running;
	live->argc = argc;
	live->argv = argv;
	live->kept = config_kept_create();
	config_init(&live->base);
	for (size_t i = 0; i < config_setting_count; i++)
		if (config_settings[i].live)
			value_copy(&live->base, running, &config_settings[i]);
	ttl_rules_copy(&live->base.ttl, &running->ttl);
	return live;
}

void config_live_destroy(struct config_live *live) {
	if (live == NULL)
		return;
	config_finish(&live->base);
	config_kept_destroy(live->kept);
	free(live);
}

size_t config_live_resume(struct config_live *live) {
	return config_kept_take(live->kept, live->running);
}

void config_live_watch(struct config_live *live, void (*changed)(void *arg), void *arg) {
	live->changed = changed;
	live->arg = arg;
}

/* ---- what differs ---- */

void config_changes_finish(struct config_changes *changes) {
	for (size_t i = 0; i < changes->count; i++) {
		free(changes->items[i].from);
		free(changes->items[i].to);
	}
	free(changes->items);
	*changes = (struct config_changes){0};
}

static char *value_text(const struct config *config, const struct setting *setting) {
	struct buf text = {0};
	config_value_print(config, setting, &text);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

static void difference_add(struct config_changes *changes, const char *key, char *before, char *after, bool live) {
	if (strcmp(before, after) != 0) {
		changes->items[changes->count++] = (struct config_change){key, before, after, live};
		return;
	}
	free(before);
	free(after);
}

static char *ingresses_text(const struct config *config) {
	static const char *const names[] = {[FORMAT_LINE] = "line", [FORMAT_JSON] = "json", [FORMAT_MSGPACK] = "msgpack"};
	struct buf text = {0};
	for (size_t i = 0; i < config->ingress_count; i++)
		buf_printf(&text, "%s%s: {format: %s}", i > 0 ? ", " : "", config->ingresses[i].name,
			names[config->ingresses[i].format]);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

static char *sinks_text(const struct config *config) {
	struct buf text = {0};
	config_sinks_print(config, &text);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

static char *ttl_text(const struct config *config) {
	struct buf text = {0};
	config_ttl_print(config, &text);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

static struct config_changes differences(const struct config *from, const struct config *to) {
	struct config_changes changes = {.items = check_alloc(config_setting_count + 3, sizeof *changes.items)};
	for (size_t i = 0; i < config_setting_count; i++) {
		const struct setting *setting = &config_settings[i];
		difference_add(&changes, setting->key, value_text(from, setting), value_text(to, setting), setting->live);
	}
	difference_add(&changes, "ingresses", ingresses_text(from), ingresses_text(to), false);
	difference_add(&changes, "egresses", sinks_text(from), sinks_text(to), false);
	difference_add(&changes, "functions", ttl_text(from), ttl_text(to), true);
	return changes;
}

static void live_copy(struct config *to, const struct config *from) {
	for (size_t i = 0; i < config_setting_count; i++)
		if (config_settings[i].live)
			value_copy(to, from, &config_settings[i]);
	ttl_rules_copy(&to->ttl, &from->ttl);
}

/* Takes the changes over that may be made. */
static void changes_make(struct config_live *live, const struct config *wanted) {
	live_copy(live->running, wanted);
	config_kept_put(live->kept, live->running);
	if (live->changed != NULL)
		live->changed(live->arg);
}

/* ---- by a request ---- */

static bool restart_refuse(const struct setting *setting, struct error *error) {
	error_set(error, ERROR_CONFLICT, "%.200s is read at the start only", setting->key);
	error_found(error, "%.200s", setting->key);
	error_expected(error, "settings that GET /v1/config shows as live");
	error_hint(error, "write it into sofun.yaml, or give --set, and start the host again");
	return false;
}

static bool ttl_reset(struct config *wanted, const struct config *base, const char *key) {
	struct bytes type, value;
	enum ttl_kind kind;
	bool known = config_ttl_key(key, &type, &value, &kind);
	check(known);
	const struct ttl_rule *rule = ttl_rules_find(&base->ttl, type, value, kind);
	if (rule != NULL)
		ttl_rules_put(&wanted->ttl, type, value, kind, rule->ms, rule->source);
	else
		ttl_rules_remove(&wanted->ttl, type, value, kind);
	return true;
}

static bool reset(struct config *wanted, const struct config *base, const char *key, struct error *error) {
	const struct setting *setting = config_setting_find(key);
	const struct config_place place = {.source = "body"};
	if (config_ttl_kind(key) == CONFIG_SETTING)
		return ttl_reset(wanted, base, key);
	if (setting == NULL)
		return config_key_refuse(key, &place, error);
	if (!setting->live)
		return restart_refuse(setting, error);
	value_copy(wanted, base, setting);
	return true;
}

/* A request may name what may not change only with the value that it has. */
static bool touched_are_live(const struct config *wanted, struct error *error) {
	for (size_t i = 0; i < config_setting_count; i++)
		if (!config_settings[i].live && wanted->sources[i] == CONFIG_REQUEST)
			return restart_refuse(&config_settings[i], error);
	if (wanted->ingress_count == 0 && wanted->sink_count == 0)
		return true;
	if (wanted->ingress_count > 0)
		error_set(
			error, ERROR_CONFLICT, "ingresses.%.200s.format is read at the start only", wanted->ingresses[0].name);
	else
		error_set(error, ERROR_CONFLICT, "egresses.%s.sink is read at the start only", wanted->sinks[0].egress);
	error_found(error, "%s", wanted->ingress_count > 0 ? "a format" : "a sink");
	return error_advise(error, "settings that GET /v1/config shows as live",
		"write it into sofun.yaml, or give --set, and start the host again");
}

bool config_live_set(struct config_live *live, struct bytes mapping, const char *const *resets, size_t reset_count,
	struct config_changes *ret_changes, struct error *error) {
	struct config wanted;
	config_init(&wanted);
	live_copy(&wanted, live->running);
	wanted.frame_bytes = live->running->frame_bytes;
	bool good = true;
	for (size_t i = 0; good && i < reset_count; i++)
		good = reset(&wanted, &live->base, resets[i], error);
	good = good && config_yaml_request(&wanted, mapping, error) && touched_are_live(&wanted, error) &&
		config_consistent(&wanted, error);
	if (good) {
		struct config before;
		config_init(&before);
		live_copy(&before, live->running);
		before.frame_bytes = live->running->frame_bytes;
		*ret_changes = differences(&before, &wanted);
		config_finish(&before);
		changes_make(live, &wanted);
	}
	config_finish(&wanted);
	return good;
}

/* ---- from the file ---- */

static void requests_keep(struct config *wanted, const struct config *running) {
	for (size_t i = 0; i < config_setting_count; i++)
		if (running->sources[i] == CONFIG_REQUEST)
			value_copy(wanted, running, &config_settings[i]);
	ttl_rules_copy_requests(&wanted->ttl, &running->ttl);
}

bool config_live_reload(struct config_live *live, struct config_changes *ret_changes, struct error *error) {
	struct config read, wanted;
	config_init(&read);
	config_init(&wanted);
	bool good =
		config_parse(&read, live->argc, live->argv, error) && config_parse(&wanted, live->argc, live->argv, error);
	if (good) {
		requests_keep(&wanted, live->running);
		good = config_consistent(&wanted, error);
	}
	if (good) {
		live_copy(&live->base, &read);
		*ret_changes = differences(live->running, &wanted);
		changes_make(live, &wanted);
	}
	config_finish(&wanted);
	config_finish(&read);
	return good;
}
