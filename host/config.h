/* Every setting of sofund: flag > --set > file > default. No environment variables. */
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

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

struct config {
	char *data;    /* --data */
	char *plugins; /* --plugins; default <data>/plugins */
	bool test_clock;
	uint64_t test_clock_ms;
	bool keep_images;
	bool accept_clock; /* a store whose time is far ahead of the system's is taken all the same */

	char **listen_data; /* tcp:HOST:PORT; parsed, refused with "later" if used before TCP listeners exist */
	size_t listen_data_count;
	char **listen_http;
	size_t listen_http_count;
	uint32_t shards;
	enum durability durability;
	uint64_t durability_interval_ms;
	struct ingress_config *ingresses;
	size_t ingress_count;

	uint32_t retry_attempts;
	uint64_t retry_backoff_ms;
	uint64_t retry_factor;
	uint64_t retry_backoff_ms_max;
	uint64_t retry_block_ms_max; /* an address is blocked by retries this long at most (rule 28) */
	uint64_t stage_patience_ms;
	bool plugins_manual; /* plugins.policy=manual */

	uint64_t message_bytes;
	uint64_t value_bytes;
	uint64_t frame_bytes;
	uint32_t nesting;
	uint64_t memory_bytes;
	uint64_t invocation_warn_ms;

	uint64_t egress_retention_bytes;
	uint64_t egress_retention_s;
	uint64_t producer_expiry_s;
	uint64_t idempotency_expiry_s;
	uint64_t call_timeout_ms;
};

/* Fills in the defaults. */
void config_init(struct config *config);

/* Reads the command line, then the file, with precedence. ERROR_BAD_REQUEST names file, line and column. Knows --data,
 * --plugins, --config, --set, --test-clock, --keep-images and --accept-clock (`--flag VALUE` or `--flag=VALUE`) and refuses everything
 * else: main.c takes its own flags (--help, --version, --verify, --probe) out of argv first. */
bool config_parse(struct config *config, int argc, char *const argv[], struct error *error);

/* Appends what --help prints of flags and settings. */
void config_usage(struct buf *text);

void config_finish(struct config *config);

#endif
