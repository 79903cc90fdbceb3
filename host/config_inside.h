/* What the parts of the configuration share. No other code should include this file. */
#ifndef HOST_CONFIG_INSIDE_H
#define HOST_CONFIG_INSIDE_H

#include "base/bytes.h"
#include "config.h"

enum {
	CONFIG_FILE_BYTES_MAX = 1 << 20, /* a configuration is written by a person */
	CONFIG_DEPTH_MAX = 8,            /* deeper than any setting; an alias may point at what contains it */
	CONFIG_KEY_BYTES_MAX = 400,      /* ingresses.<255 bytes>.format, and room to quote a wrong one */
};

/* Where a value stands, for the one line of a refusal: "sofun.yaml:3:9" or "--set". */
struct config_place {
	const char *source;
	unsigned long line;   /* from 1; 0: the source has no lines (--set) */
	unsigned long column; /* from 1 */
};

/* A value as YAML gives it: one text, or a list of texts. */
struct config_value {
	bool list;
	const char *const *items;
	size_t count;
};

enum config_kind { CONFIG_UNKNOWN, CONFIG_SECTION, CONFIG_SETTING };

/* config_settings.c. What a dotted key names; a section is what has settings below it. */
enum config_kind config_key_kind(const char *key);

/* config_settings.c. Sets a CONFIG_SETTING from its value. */
bool config_value_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error);

/* config_settings.c. ERROR_BAD_REQUEST with the nearest key as hint. */
bool config_key_refuse(const char *key, const struct config_place *place, struct error *error);

/* config_settings.c. The nearest of count names, or NULL if none is near. */
const char *config_name_nearest(const char *name, const char *const *names, size_t count);

/* config_settings.c. One line a setting, for --help. */
void config_settings_print(struct buf *text);

/* config_yaml.c. Applies a whole file; prefix is "" */
bool config_yaml_file(struct config *config, const char *source, struct bytes text, struct error *error);

/* config_yaml.c. Applies `key=value`, the value in YAML's flow style. */
bool config_yaml_set(struct config *config, const char *assignment, struct error *error);

/* "source:line:column: " or "source: " in front of a formatted text. */
bool config_refuse(const struct config_place *place, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
