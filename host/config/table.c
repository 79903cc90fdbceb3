/* The one table of settings: --help, sofun.yaml(5), GET /v1/config and the checks are made from it. A new setting is one
 * line here and one field in config.h. Used in this folder only. */
#include <stddef.h>

#include "config/inside.h"
#include "limits.h"

#define FIELD(name) offsetof(struct config, name)
#define DAY_S ((uint64_t)86400)
#define DAY_MS (DAY_S * 1000)
#define YEAR_S (366 * DAY_S)
#define TIB(n) ((uint64_t)(n) << 40)

enum { AT_START = false, LIVE = true }; /* whether a change needs a restart */

/* key, kind, field, least, most, meaning, unit, when, why the default is what it is (or when to change it) */
const struct setting config_settings[] = {
	{"listen.data", SETTING_LISTEN, FIELD(listen_data), 0, 0, "RPC listeners besides <data>/data.sock", "", AT_START,
		"none: whoever may open the Unix socket needs no network"},
	{"listen.http", SETTING_LISTEN, FIELD(listen_http), 0, 0, "HTTP listeners for functions and metrics", "", AT_START,
		"none: control stays on <data>/control.sock, whatever is put here"},
	{"tls.certificate", SETTING_TEXT, FIELD(tls_certificate), 0, 0,
		"PEM file of the TCP listeners' certificate and its chain", "", AT_START,
		"none; needed where others than this machine connect; SIGHUP reads a renewed one"},
	{"tls.key", SETTING_TEXT, FIELD(tls_key), 0, 0, "PEM file of the certificate's key", "", AT_START,
		"none; goes with tls.certificate"},
	{"auth.tokens", SETTING_TEXT, FIELD(auth_tokens), 0, 0,
		"file of bearer tokens and their rights, for the TCP listeners", "", AT_START,
		"none; needed where others than this machine connect; SIGHUP reads it again"},
	{"shards", SETTING_U32, FIELD(shards), 1, SHARDS_MAX, "threads that own instances", "threads", AT_START,
		"one a CPU: a shard never waits for another; it may differ at every start"},
	{"durability", SETTING_DURABILITY, FIELD(durability), 0, 0, "sync, interval=MS or none", "", AT_START,
		"sync: what was answered survives a power cut; the others survive a kill, and a cut to an earlier moment"},
	{"retry.attempts", SETTING_U32, FIELD(retry_attempts), 1, 1000, "the first included", "attempts", LIVE,
		"with the backoffs some 0.9 s: longer than a hiccup, shorter than a caller's patience"},
	{"retry.backoff_ms", SETTING_U64, FIELD(retry_backoff_ms), 0, DAY_MS, "before the second attempt", "ms", LIVE,
		"short: most failures that go away do so at once"},
	{"retry.factor", SETTING_U64, FIELD(retry_factor), 1, 100, "of the backoff, from attempt to attempt", "times", LIVE,
		"10, 40, 160, 640 ms: four waits that span what usually goes away by itself"},
	{"retry.backoff_ms_max", SETTING_U64, FIELD(retry_backoff_ms_max), 0, DAY_MS, "the longest backoff", "ms", LIVE,
		"the address waits meanwhile; raise it together with retry.attempts"},
	{"retry.block_ms_max", SETTING_U64, FIELD(retry_block_ms_max), 0, DAY_MS, "retries block an address no longer",
		"ms", LIVE, "a minute: whoever sends to the same address must not wait for a hopeless message"},
	{"stage.patience_ms", SETTING_U64, FIELD(stage_patience_ms), 0, DAY_MS, "for a plugin file that still grows", "ms",
		AT_START, "a copy over a slow link pauses; after two silent seconds the file is judged as it is"},
	{"plugins.policy", SETTING_POLICY, FIELD(plugins_manual), 0, 0,
		"auto or manual: does a newer version go live by itself", "", LIVE,
		"auto: dropping a file is deploying it; manual waits for a swap by a person or a pipeline"},
	{"limits.message_bytes", SETTING_BYTES, FIELD(message_bytes), 64, INVOCATION_BYTES_MAX, "of one message", "bytes",
		LIVE, "a message stands in memory and in the journal; larger things belong into a store of blobs"},
	{"limits.value_bytes", SETTING_BYTES, FIELD(value_bytes), 64, INVOCATION_BYTES_MAX, "of one state value", "bytes",
		LIVE, "a value is written whole whenever it changes"},
	{"limits.frame_bytes", SETTING_BYTES, FIELD(frame_bytes), KIB(1), MIB(256), "of one RPC frame or HTTP body",
		"bytes", AT_START, "a batch of a producer is one frame; what is half received stands in memory"},
	{"limits.nesting", SETTING_U32, FIELD(nesting), 1, 1024, "maps and arrays within one payload", "levels", LIVE,
		"deeper than any message that a person wrote, shallow enough for every reader's stack"},
	{"limits.memory_bytes", SETTING_BYTES, FIELD(memory_bytes), MIB(16), TIB(1), "of mailboxes, caches and tables",
		"bytes", AT_START, "half of it keeps hot instances; more of it means fewer reads from the databases"},
	{"limits.invocation_warn_ms", SETTING_U64, FIELD(invocation_warn_ms), 1, DAY_MS, "a longer call is logged", "ms",
		LIVE, "everything else on the shard waits for a call that takes long"},
	{"limits.invocation_cpu_ms", SETTING_U64, FIELD(invocation_cpu_ms), 50, DAY_MS,
		"CPU time of one call (ten times that of wall time); a longer one is a crash", "ms", LIVE,
		"an endless loop would hold its shard for good; no honest call computes for ten seconds"},
	{"operations.threads", SETTING_U32, FIELD(operations_threads), 1, OPERATION_THREADS_MAX,
		"that work for asynchronous operations", "threads", AT_START,
		"work mostly waits for others; more where many slow ones are asked at once"},
	{"operations.pending_max", SETTING_U64, FIELD(operations_pending_max), 1, UINT32_MAX,
		"operations under way at a time; then start answers SOFUN_BUSY", "operations", LIVE,
		"who has one stands in memory, some 150 bytes; what they are about is on disk"},
	{"operations.limit_ms", SETTING_U64, FIELD(operations_limit_ms), 0, DAY_MS,
		"wall time of one call of work; a longer one is a crash; 0: no limit", "ms", LIVE,
		"ten minutes: work that hangs would hold its address and its thread for good"},
	{"crash.probation_ms", SETTING_U64, FIELD(crash_probation_ms), 0, DAY_MS,
		"of a version after it went live or got a share: two messages that crash it convict it, and what fails for good waits for the verdict",
		"ms", LIVE, "a minute: a bad version shows soon; later crashes and failures are the messages' own"},
	{"rollback.error_percent", SETTING_U32, FIELD(rollback_error_percent), 0, 100,
		"points by which the share of messages that fail at first may exceed the version before, in the probation; 0: no limit",
		"percent", LIVE,
		"10: versions differ by a point or two; beyond chance and ten points it is the version, and it goes back by itself"},
	{"rollback.messages_min", SETTING_U32, FIELD(rollback_messages_min), 1, 1000000,
		"of a version, before its failures are compared", "messages", LIVE,
		"20: fewer say little; with few the difference must be the larger, as chance would have it"},
	{"egress.retention_bytes", SETTING_BYTES, FIELD(egress_retention_bytes), MIB(1), TIB(1024), "of one egress",
		"bytes", LIVE,
		"older records are dropped by whole files; a subscriber that is further behind is told what it missed"},
	{"egress.retention_s", SETTING_U64, FIELD(egress_retention_s), 1, 100 * YEAR_S, "of an egress record", "s", LIVE,
		"a week: a subscriber may be away over a long weekend"},
	{"producer.expiry_s", SETTING_U64, FIELD(producer_expiry_s), 1, 100 * YEAR_S, "of an idle producer's position", "s",
		LIVE, "a week: a producer that returns later must not repeat what it sent before"},
	{"idempotency.expiry_s", SETTING_U64, FIELD(idempotency_expiry_s), 1, 100 * YEAR_S, "of a stored answer", "s", LIVE,
		"a day: longer than clients repeat a request"},
	{"idempotency.keys_max", SETTING_U64, FIELD(idempotency_keys_max), 1, UINT32_MAX, "keys that are kept at a time",
		"keys", LIVE, "on disk, some 200 bytes each and the answer; beyond it a new key is refused, none is forgotten"},
	{"call.timeout_ms", SETTING_U64, FIELD(call_timeout_ms), 1, DAY_MS, "when a call names none", "ms", LIVE,
		"what proxies and browsers usually wait"},
	{"log.level", SETTING_LEVEL, FIELD(log_level), 0, 0, "debug, info, warn or error", "", LIVE,
		"info: what an operator wants to know afterwards; debug adds what single requests met"},
	{"log.format", SETTING_FORMAT, FIELD(log_format), 0, 0, "text or json, a line an event", "", LIVE,
		"text: for people and for the journal; json for what collects logs"},
	{"log.lines_per_second", SETTING_U32, FIELD(log_lines_per_second), 0, 1000000,
		"of one event and plugin; 0: no limit", "lines", LIVE,
		"a plugin that logs each message must not fill the disk; what was dropped is counted in the log"},
};

const size_t config_setting_count = sizeof config_settings / sizeof config_settings[0];
_Static_assert(sizeof config_settings / sizeof config_settings[0] <= CONFIG_SETTINGS_MAX, "config.h has the room");
