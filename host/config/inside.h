/* What the parts of the configuration share. No other code should include this file. */
#ifndef HOST_CONFIG_INSIDE_H
#define HOST_CONFIG_INSIDE_H

#include "base/bytes.h"
#include "config/config.h"

enum {
	CONFIG_FILE_BYTES_MAX = 1 << 20, /* a configuration is written by a person */
	CONFIG_DEPTH_MAX = 8,            /* deeper than any setting; an alias may point at what contains it */
	CONFIG_KEY_BYTES_MAX = 400,      /* ingresses.<255 bytes>.format, and room to quote a wrong one */
};

/* Where a value stands, for the one line of a refusal: "sofun.yaml:3:9" or "--set". */
struct config_place {
	const char *source;
	enum config_source from;
	unsigned long line;   /* from 1; 0: the source has no lines (--set) */
	unsigned long column; /* from 1 */
};

/* A value as YAML gives it: one text, or a list of texts. */
struct config_value {
	bool list;
	const char *const *items;
	const struct config_place *places; /* of the items of a list */
	size_t count;
};

enum setting_kind {
	SETTING_U32,
	SETTING_U64,
	SETTING_BYTES,
	SETTING_LISTEN,
	SETTING_TEXT,
	SETTING_DURABILITY,
	SETTING_LEVEL,
	SETTING_FORMAT,
	SETTING_POLICY
};

/* A line of the table in table.c. */
struct setting {
	const char *key;
	enum setting_kind kind;
	size_t offset; /* in struct config */
	uint64_t min;
	uint64_t max;
	const char *meaning; /* a few words */
	const char *unit;    /* "" where a value has none */
	bool live;           /* may change while the host runs */
	const char *reason;  /* of the default, or when to change it */
};
extern const struct setting config_settings[];
extern const size_t config_setting_count;

enum config_kind { CONFIG_UNKNOWN, CONFIG_SECTION, CONFIG_SETTING };

/* settings.c. NULL: there is none of that key. */
const struct setting *config_setting_find(const char *key);

/* settings.c. What a dotted key names; a section is what has settings below it. */
enum config_kind config_key_kind(const char *key);

/* settings.c. Sets a CONFIG_SETTING from its value. */
bool config_value_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error);

/* settings.c. ERROR_BAD_REQUEST with the nearest key as hint. */
bool config_key_refuse(const char *key, const struct config_place *place, struct error *error);

/* config.c. What the settings say together. */
bool config_consistent(const struct config *config, struct error *error);

/* print.c. One line a setting, for --help. */
void config_settings_print(struct buf *text);

/* settings.c. The words of a choice by their number, NULL behind the last; NULL: it is none. */
const char *const *config_choices(enum setting_kind kind);

/* print.c. Appends the value as it would stand in sofun.yaml. */
void config_value_print(const struct config *config, const struct setting *setting, struct buf *text);

/* settings.c. */
void config_list_finish(struct config_list *list);

/* settings.c. A size as "4096" or "64KiB". */
bool config_size_read(const char *text, uint64_t *ret_number);

/* sinks.c. As config_key_kind and config_value_set, for keys below `egresses`. */
enum config_kind config_sink_kind(const char *key);
bool config_sink_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error);

/* sinks.c. Each has a file or a command. */
bool config_sinks_consistent(const struct config *config, struct error *error);

/* sinks.c. As they would stand in sofun.yaml below `egresses`. */
void config_sinks_print(const struct config *config, struct buf *text);

/* sinks.c. Each key for the documents: a value as an example, what it means, why its default. */
void config_sinks_document(
	void (*line)(void *arg, const char *key, const char *value, const char *meaning, const char *reason), void *arg);

/* ttl.c. Takes a key below `functions` apart; false: it is no setting. */
bool config_ttl_key(const char *key, struct bytes *ret_type, struct bytes *ret_value, enum ttl_kind *ret_kind);

/* ttl.c. As config_key_kind and config_value_set, for keys below `functions`. */
enum config_kind config_ttl_kind(const char *key);
bool config_ttl_set(struct config *config, const char *key, const struct config_value *value,
	const struct config_place *place, struct error *error);

/* ttl.c. Every rule, in an order of its own. */
void config_ttl_print(const struct config *config, struct buf *text);

/* ttl.c. As config_sinks_document. */
void config_ttl_document(
	void (*line)(void *arg, const char *key, const char *value, const char *meaning, const char *reason), void *arg);

/* settings.c. A whole number, and nothing behind it. */
bool config_number_read(const char *text, uint64_t *ret_number);

/* sinks.c */
void config_sinks_finish(struct config *config);

/* yaml.c. Applies a whole file. */
bool config_yaml_file(struct config *config, const char *source, struct bytes text, struct error *error);

/* yaml.c. Applies `key=value`, the value in YAML's flow style. */
bool config_yaml_set(struct config *config, const char *assignment, struct error *error);

/* "source:line:column: " or "source: " in front of a formatted text. */
bool config_refuse(const struct config_place *place, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* yaml.c. Applies a mapping that a request brought; what it refuses has no place in lines. */
bool config_yaml_request(struct config *config, struct bytes text, struct error *error);

#endif
