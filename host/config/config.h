/* Every setting of sofund: flag > --set > file > default, and above them what POST /v1/config changed until the next start (a worker that
 * comes after a crash keeps it).
 * No environment variables. */
#ifndef HOST_CONFIG_CONFIG_H
#define HOST_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum durability { DURABILITY_SYNC, DURABILITY_INTERVAL, DURABILITY_NONE };
enum record_format { FORMAT_PLUGIN, FORMAT_LINE, FORMAT_JSON, FORMAT_MSGPACK }; /* PLUGIN: what the router declares */

struct ingress_config {
	char *name;
	enum record_format format;
};

/* Where an egress is written; one of file and command. */
struct sink_config {
	char *egress;
	char *file;
	char *command;
	uint64_t rotate_bytes; /* 0: never */
	uint64_t keep;         /* rotated files; 0: all */
};

/* Kinds of expiry of a function type's state: of whole instances, and of single values. */
enum ttl_kind { TTL_IDLE, TTL_AFTER_WRITE, TTL_AFTER_INVOKE, TTL_KINDS };
#define TTL_MS_MAX UINT64_C(3155760000000) /* a hundred years */
#define TTL_UNSET UINT64_MAX               /* left to whoever comes next */

/* Where a value of a setting comes from. */
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_FLAG, CONFIG_REQUEST };

/* When state ends by itself, where that is not left to the plugin. */
struct ttl_rule {
	char *type;
	char *value; /* "": whole instances */
	enum ttl_kind kind;
	uint64_t ms; /* 0: never */
	enum config_source source;
};
struct ttl_rules {
	struct ttl_rule *items; /* in no order */
	size_t count;
};

/* "idle_ttl_ms", "expire_after_write_ms", "expire_after_invoke_ms". */
const char *ttl_kind_name(enum ttl_kind kind);

/* NULL: it is left to whoever comes next. */
struct ttl_rule *ttl_rules_find(
	const struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind);
void ttl_rules_put(struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind, uint64_t ms,
	enum config_source source);
void ttl_rule_key(const struct ttl_rule *rule, struct buf *key); /* of the setting; appended */
void ttl_rules_remove(struct ttl_rules *rules, struct bytes type, struct bytes value, enum ttl_kind kind);
void ttl_rules_copy(struct ttl_rules *to, const struct ttl_rules *from);          /* instead of what is in it */
void ttl_rules_copy_requests(struct ttl_rules *to, const struct ttl_rules *from); /* those from requests, besides */
void ttl_rules_finish(struct ttl_rules *rules);

/* What the name of a type, or of a value, may be. */
bool ttl_type_valid(struct bytes type);
bool ttl_value_valid(struct bytes value);

struct config_list {
	char **items;
	size_t count;
};

enum { CONFIG_SETTINGS_MAX = 64 };

/* Numbers are atomic: shards and committer read them while the loop thread changes what may change (live.h). Texts
 * and lists never change, but for `ttl`; that and the policy are read by the loop thread only. */
struct config {
	char *data;    /* --data */
	char *plugins; /* --plugins; default <data>/plugins */
	bool test_clock;
	uint64_t test_clock_ms;
	bool keep_images;
	bool core_dumps;   /* --core-dumps: a crash may leave one */
	bool accept_clock; /* a store whose time is far ahead of the system's is taken all the same */

	struct config_list listen_data; /* tcp:HOST:PORT */
	struct config_list listen_http;
	char *tls_certificate; /* NULL or "": none; so below */
	char *tls_key;
	char *auth_tokens;
	_Atomic uint32_t shards;
	enum durability durability;
	uint64_t durability_interval_ms;
	struct ingress_config *ingresses;
	size_t ingress_count;
	struct sink_config *sinks;
	size_t sink_count;
	struct ttl_rules ttl;

	_Atomic uint32_t retry_attempts;
	_Atomic uint64_t retry_backoff_ms;
	_Atomic uint64_t retry_factor;
	_Atomic uint64_t retry_backoff_ms_max;
	_Atomic uint64_t retry_block_ms_max; /* an address is blocked by retries this long at most (rule 28) */
	_Atomic uint64_t stage_patience_ms;
	bool plugins_manual; /* plugins.policy=manual */

	_Atomic uint64_t message_bytes;
	_Atomic uint64_t value_bytes;
	_Atomic uint64_t frame_bytes;
	_Atomic uint32_t nesting;
	_Atomic uint64_t memory_bytes;
	_Atomic uint64_t invocation_warn_ms;
	_Atomic uint64_t invocation_cpu_ms;
	_Atomic uint32_t operations_threads;
	_Atomic uint64_t operations_pending_max;
	_Atomic uint64_t operations_limit_ms; /* wall time of a call of work; 0: none */
	_Atomic uint64_t crash_probation_ms; /* two messages that crash a version within it convict the version (rule 34) */
	_Atomic uint32_t rollback_error_percent; /* so much worse than the version before goes back; 0: none does */
	_Atomic uint32_t rollback_messages_min;  /* of both, before they are compared */

	_Atomic uint64_t egress_retention_bytes;
	_Atomic uint64_t egress_retention_s;
	_Atomic uint64_t producer_expiry_s;
	_Atomic uint64_t idempotency_expiry_s;
	_Atomic uint64_t idempotency_keys_max;
	_Atomic uint64_t call_timeout_ms;

	_Atomic uint32_t log_level;  /* enum log_level */
	_Atomic uint32_t log_format; /* enum log_format */
	_Atomic uint32_t log_lines_per_second;

	char *file;                           /* the one that was read; NULL: there was none */
	uint8_t sources[CONFIG_SETTINGS_MAX]; /* enum config_source, by place in the table */
};

/* Fills in the defaults. */
void config_init(struct config *config);

/* Reads the command line, then the file, with precedence. ERROR_BAD_REQUEST names file, line and column. Knows --data,
 * --plugins, --config, --set, --test-clock, --keep-images and --accept-clock (`--flag VALUE` or `--flag=VALUE`) and refuses everything
 * else: main.c takes its own flags (--help, --version, --verify, --probe) out of argv first. */
bool config_parse(struct config *config, int argc, char *const argv[], struct error *error);

/* Appends what --help prints of flags and settings. */
void config_usage(struct buf *text);

/* Appends the settings for another reader: "yaml", a sofun.yaml with every default, explained; "man", the page
 * sofun.yaml(5); "json". False: no such form. */
bool config_document(const char *form, struct buf *text);

/* A setting as the outside is shown it; what it points to is valid as long as the configuration is not changed. */
struct config_shown {
	const char *key;
	const char *unit;
	const char *meaning;
	const char *reason;
	const char *source;  /* "default", "file", "flag" or "request" */
	struct bytes value;  /* as it would stand in sofun.yaml: valid during the call */
	struct bytes preset; /* the default, likewise */
	bool live;           /* it may change while the host runs */
	bool number;         /* value is a whole number, in `numeric` */
	uint64_t numeric;
	const struct config_list *list; /* NULL: one value */
	const char *text;               /* NULL: no text of the user's; else value without YAML's quotes */
};
void config_each(const struct config *config, void (*each)(void *arg, const struct config_shown *shown), void *arg);

/* Hands the log its settings: at the start, and when they change. */
void config_log_apply(const struct config *config);

void config_finish(struct config *config);

#endif
