/* The settings as text: one value, the list of --help, a sofun.yaml with every default, the page sofun.yaml(5). Pure. */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"

/* ---- one value ---- */

static uint64_t number_of(const struct config *config, const struct setting *setting) {
	const void *field = (const char *)config + setting->offset;
	return setting->kind == SETTING_U32 ? *(const _Atomic uint32_t *)field : *(const _Atomic uint64_t *)field;
}

static void bytes_print(uint64_t number, struct buf *text) {
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	unsigned unit = 0;
	while (number > 0 && number % 1024 == 0 && unit + 1 < sizeof units / sizeof units[0]) {
		number /= 1024;
		unit++;
	}
	buf_printf(text, "%" PRIu64 "%s", number, units[unit]);
}

static void list_print(const struct config_list *list, struct buf *text) {
	buf_printf(text, "[");
	for (size_t i = 0; i < list->count; i++)
		buf_printf(text, "%s\"%s\"", i > 0 ? ", " : "", list->items[i]);
	buf_printf(text, "]");
}

/* As YAML quotes it. */
static void text_print(const char *value, struct buf *text) {
	buf_append_u8(text, '"');
	for (const char *at = value == NULL ? "" : value; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			buf_append_u8(text, '\\');
		buf_append_u8(text, (uint8_t)*at);
	}
	buf_append_u8(text, '"');
}

static void durability_print(const struct config *config, struct buf *text) {
	if (config->durability == DURABILITY_INTERVAL)
		buf_printf(text, "interval=%" PRIu64, (uint64_t)config->durability_interval_ms);
	else
		buf_printf(text, "%s", config->durability == DURABILITY_SYNC ? "sync" : "none");
}

void config_value_print(const struct config *config, const struct setting *setting, struct buf *text) {
	switch (setting->kind) {
	case SETTING_U32:
	case SETTING_U64:
		buf_printf(text, "%" PRIu64, number_of(config, setting));
		break;
	case SETTING_BYTES:
		bytes_print(number_of(config, setting), text);
		break;
	case SETTING_LISTEN:
		list_print((const void *)((const char *)config + setting->offset), text);
		break;
	case SETTING_TEXT:
		text_print(*(char *const *)(const void *)((const char *)config + setting->offset), text);
		break;
	case SETTING_DURABILITY:
		durability_print(config, text);
		break;
	case SETTING_LEVEL:
	case SETTING_FORMAT:
		buf_printf(text, "%s",
			config_choices(
				setting->kind)[*(const _Atomic uint32_t *)(const void *)((const char *)config + setting->offset)]);
		break;
	case SETTING_POLICY:
		buf_printf(text, "%s", config->plugins_manual ? "manual" : "auto");
		break;
	}
}

/* ---- all of them ---- */

static const char *source_name(enum config_source source) {
	static const char *const names[] = {
		[CONFIG_DEFAULT] = "default", [CONFIG_FILE] = "file", [CONFIG_FLAG] = "flag", [CONFIG_REQUEST] = "request"};
	return names[source];
}

static void setting_show(const struct config *config, const struct config *presets, const struct setting *setting,
	void (*each)(void *arg, const struct config_shown *shown), void *arg) {
	struct buf value = {0}, preset = {0};
	config_value_print(config, setting, &value);
	config_value_print(presets, setting, &preset);
	struct config_shown shown = {
		.key = setting->key,
		.unit = setting->unit,
		.meaning = setting->meaning,
		.reason = setting->reason,
		.source = source_name(config->sources[setting - config_settings]),
		.value = bytes_buf(&value),
		.preset = bytes_buf(&preset),
		.live = setting->live,
		.number = setting->kind <= SETTING_BYTES,
		.list = setting->kind == SETTING_LISTEN ? (const void *)((const char *)config + setting->offset) : NULL,
	};
	if (setting->kind == SETTING_TEXT) {
		shown.text = *(char *const *)(const void *)((const char *)config + setting->offset);
		shown.text = shown.text == NULL ? "" : shown.text;
	}
	if (shown.number)
		shown.numeric = number_of(config, setting);
	each(arg, &shown);
	buf_finish(&value);
	buf_finish(&preset);
}

void config_each(const struct config *config, void (*each)(void *arg, const struct config_shown *shown), void *arg) {
	struct config presets;
	config_init(&presets);
	for (size_t i = 0; i < config_setting_count; i++)
		setting_show(config, &presets, &config_settings[i], each, arg);
	config_finish(&presets);
}

/* ---- documents ---- */

static const char ingress_key[] = "ingresses.<name>.format";
static const char ingress_meaning[] = "line, json or msgpack";
static const char ingress_reason[] =
	"what the router declares; set it where producers send another form, and the host translates";

/* A default of this machine is no default of the document: that has it in words, and in sofun.yaml an example. */
static const char *preset_words(const struct config_shown *shown) {
	return strcmp(shown->key, "shards") == 0 ? "the CPUs" : NULL;
}
static const char preset_example[] = "2";

/* With its unit, unless it says that itself or is no number. */
static void preset_append(struct buf *text, const struct config_shown *shown) {
	const char *words = preset_words(shown);
	const bool unit = shown->number && words == NULL && strcmp(shown->unit, "bytes") != 0;
	buf_append_bytes(text, words != NULL ? bytes_text(words) : shown->preset);
	if (unit && shown->unit[0] != '\0')
		buf_printf(text, " %s", shown->unit);
}

static void help_line(void *arg, const struct config_shown *shown) {
	buf_printf(arg, "  %-26s %s%s[", shown->key, shown->meaning, shown->meaning[0] != '\0' ? "  " : "");
	preset_append(arg, shown);
	buf_printf(arg, "]\n");
}

static void help_sink(void *arg, const char *key, const char *value, const char *meaning, const char *reason) {
	(void)value, (void)reason;
	buf_printf(arg, "  %-26s %s\n", key, meaning);
}

/* An egress has one sink: of file and command only the first is an example to be taken. */
static void yaml_sink(void *arg, const char *key, const char *value, const char *meaning, const char *reason) {
	bool command = strstr(key, ".command") != NULL;
	buf_printf(arg, "\n# %s; default: %s.\n#%s%s: %s\n", meaning, reason, command ? " " : "", key, value);
}

/* Such a key names a function type, so it is no example that fits every host. */
static void yaml_ttl(void *arg, const char *key, const char *value, const char *meaning, const char *reason) {
	buf_printf(
		arg, "\n# %s; default: %s.\n# %s: %s\n# (may change while the host runs)\n", meaning, reason, key, value);
}

static void man_ttl(void *arg, const char *key, const char *value, const char *meaning, const char *reason) {
	(void)value;
	buf_printf(arg, ".TP\n.B %s\n%s. Default: %s. May change while the host runs.\n", key, meaning, reason);
}

static void man_sink(void *arg, const char *key, const char *value, const char *meaning, const char *reason) {
	(void)value;
	buf_printf(arg, ".TP\n.B %s\n%s. Default: %s.\n", key, meaning, reason);
}

void config_settings_print(struct buf *text) {
	struct config presets;
	config_init(&presets);
	config_each(&presets, help_line, text);
	config_finish(&presets);
	buf_printf(text, "  %-26s %s  [what the router declares]\n", ingress_key, ingress_meaning);
	config_sinks_document(help_sink, text);
	config_ttl_document(help_sink, text);
}

static void yaml_setting(void *arg, const struct config_shown *shown) {
	const char *words = preset_words(shown);
	struct bytes preset = words != NULL ? bytes_text(preset_example) : shown->preset;
	buf_printf(arg, "\n# %s\n# %s%s%s%s%s.\n#%s: %.*s\n", shown->meaning, shown->reason,
		shown->unit[0] != '\0' ? "; unit: " : "", shown->unit, words != NULL ? "; default: " : "",
		words != NULL ? words : "", shown->key, (int)preset.size, (const char *)preset.data);
	if (shown->live)
		buf_printf(arg, "# (may change while the host runs)\n");
}

static void yaml_document(struct buf *text) {
	struct config presets;
	config_init(&presets);
	buf_printf(text,
		"# sofun.yaml: every setting of sofund %s with its default. Take away the # of what you change, and let\n"
		"# sofund --check-config --config FILE look at it. `limits: {nesting: 9}` and `limits.nesting: 9` are the same.\n",
		SOFUN_VERSION);
	config_each(&presets, yaml_setting, text);
	buf_printf(text, "\n# %s: %s.\n#%s: line\n", ingress_meaning, ingress_reason, ingress_key);
	config_sinks_document(yaml_sink, text);
	config_ttl_document(yaml_ttl, text);
	config_finish(&presets);
}

static void man_setting(void *arg, const struct config_shown *shown) {
	buf_printf(arg, ".TP\n.B %s\n%s. Default: ", shown->key, shown->meaning);
	preset_append(arg, shown);
	buf_printf(arg, ". %s.%s\n", shown->reason, shown->live ? " May change while the host runs." : "");
}

static void man_document(struct buf *text) {
	struct config presets;
	config_init(&presets);
	buf_printf(text,
		".TH SOFUN.YAML 5 \"\" \"sofun %s\" \"sofun\"\n"
		".SH NAME\nsofun.yaml \\- settings of sofund(8)\n"
		".SH DESCRIPTION\n"
		"sofund reads\n.I sofun.yaml\nin its data directory, or the file that\n.B \\-\\-config\nnames. A flag wins over\n"
		".BR \\-\\-set ,\nthat over the file, that over the default. What\n.B POST /v1/config\nchanged holds until the next"
		" start, above them all. SIGHUP reads the file again.\n"
		".PP\nNested and dotted keys are the same. Sizes may be written with KiB, MiB, GiB or TiB. An unknown key or a\n"
		"wrong value is refused with file, line and column;\n.B sofund \\-\\-check\\-config\nlooks without starting.\n"
		".SH SETTINGS\n",
		SOFUN_VERSION);
	config_each(&presets, man_setting, text);
	buf_printf(text, ".TP\n.B %s\n%s. Default: %s.\n", ingress_key, ingress_meaning, ingress_reason);
	config_sinks_document(man_sink, text);
	config_ttl_document(man_ttl, text);
	buf_printf(text, ".SH SEE ALSO\n.BR sofund (8),\n.BR sofun (1)\n");
	config_finish(&presets);
}

bool config_document(const char *form, struct buf *text) {
	if (strcmp(form, "yaml") == 0)
		yaml_document(text);
	else if (strcmp(form, "man") == 0)
		man_document(text);
	else
		return false;
	return true;
}
