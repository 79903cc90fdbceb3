/* What the host says of itself: health, metrics, status. */
#include <event2/http.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "control/crash_json.h"
#include "control/handlers.h"
#include "control/metrics/metrics.h"
#include "control/operations_json.h"
#include "control/plugin_json.h"
#include "control/surveyed.h"
#include "wire/json.h"

uint64_t monotonic_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* ---- health ---- */

/* NULL: well. Otherwise the status word; *ret_reason is valid as long as engine is. */
static const char *health_of(
	const struct control *control, const struct engine_status *engine, const char **ret_reason) {
	if (engine->failed) {
		*ret_reason = engine->error.message;
		return "failed";
	}
	if (control->phase == CONTROL_STOPPING) {
		*ret_reason = "the host was asked to stop";
		return "stopping";
	}
	if (engine->waiting_for_space) {
		*ret_reason =
			"no space left on the disk of the data directory; nothing is lost, it goes on when there is space";
		return "failed";
	}
	if (control->phase == CONTROL_STARTING) {
		*ret_reason = "the plugins are being staged";
		return "starting";
	}
	return NULL;
}

void handle_health(struct exchange *exchange) {
	struct engine_status engine;
	const char *reason = NULL;
	engine_status(exchange->control->engine, &engine);
	const char *word = health_of(exchange->control, &engine, &reason);
	if (word == NULL)
		exchange_json(exchange, 200, json_pack("{s:s}", "status", "ok"));
	else
		exchange_json(
			exchange, 503, json_pack("{s:s, s:o}", "status", word, "reason", json_from_words(bytes_text(reason))));
}

/* ---- metrics ---- */

void handle_metrics(struct exchange *exchange) {
	struct metrics metrics;
	struct buf text = {0};
	metrics_gather(exchange->control, &metrics);
	metrics_text(&metrics, &text);
	metrics_finish(&metrics);
	exchange_bytes(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", bytes_buf(&text));
	buf_finish(&text);
}

/* ---- status ---- */

static json_t *durability_json(const struct config *config) {
	char text[40];
	if (config->durability == DURABILITY_SYNC)
		return json_string("sync");
	if (config->durability == DURABILITY_NONE)
		return json_string("none");
	snprintf(text, sizeof text, "interval=%" PRIu64, config->durability_interval_ms);
	return json_string(text);
}

const char *recovered_word(const struct store_recovered *recovered) {
	if (recovered->created)
		return "none";
	return recovered->clean ? "clean" : "crash";
}

static void number_set(json_t *object, const char *key, uint64_t value) {
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void counts_set(json_t *status, const struct engine_status *engine) {
	number_set(status, "epoch", engine->epoch);
	number_set(status, "accepted", engine->accepted);
	number_set(status, "handled", engine->handled);
	number_set(status, "in_flight", engine->in_flight);
	number_set(status, "retried", engine->retried);
	number_set(status, "retrying", engine->retrying);
	number_set(status, "dead", engine->dead);
	number_set(status, "memory_bytes", engine->memory_bytes);
	number_set(status, "shards", engine->shards);
}

static json_t *images_json(const struct registry *registry) {
	struct registry_images images;
	registry_images(registry, &images);
	return json_pack("{s:I, s:I, s:I}", "loaded", (json_int_t)images.loaded, "unloaded", (json_int_t)images.unloaded,
		"stuck", (json_int_t)images.stuck);
}

static void parked_add(void *arg, const char *type, uint64_t messages) {
	json_array_append_new(arg,
		json_pack("{s:s, s:I, s:s}", "type", type, "messages", (json_int_t)messages, "reason",
			"no live version of this type: load its plugin"));
}

/* What waits for something that a person must bring. */
static json_t *waiting_json(struct engine *engine) {
	json_t *waiting = json_array();
	check_memory(waiting);
	engine_parked_each(engine, parked_add, waiting);
	return waiting;
}

static void schema_add(void *arg, const struct engine_schema *schema) {
	json_array_append_new(arg,
		json_pack("{s:s, s:I, s:I}", "type", schema->type, "schema", (json_int_t)schema->schema, "instances",
			(json_int_t)schema->instances));
}

static json_t *schemas_json(struct engine *engine) {
	json_t *schemas = json_array();
	check_memory(schemas);
	engine_schemas_each(engine, schema_add, schemas);
	return schemas;
}

static void blocked_add_json(void *arg, const struct engine_blocked *blocked) {
	json_array_append_new(arg,
		json_pack("{s:s, s:o, s:I, s:o}", "type", blocked->type, "id", json_from_bytes(blocked->id), "since_ms",
			(json_int_t)blocked->since_ms, "reason", json_from_words(bytes_text(blocked->reason))));
}

/* Addresses whose state cannot be migrated: how many, and some of them by name. */
static json_t *blocked_json(struct engine *engine) {
	json_t *addresses = json_array();
	check_memory(addresses);
	uint64_t count = engine_blocked_each(engine, blocked_add_json, addresses);
	return json_pack("{s:I, s:o}", "count", (json_int_t)count, "addresses", addresses);
}

/* Addresses that wait for the verdict on a version on probation, likewise. */
static json_t *undecided_json(struct engine *engine) {
	json_t *addresses = json_array();
	check_memory(addresses);
	uint64_t count = engine_undecided_each(engine, blocked_add_json, addresses);
	return json_pack("{s:I, s:o}", "count", (json_int_t)count, "addresses", addresses);
}

static void undeclared_add(void *arg, const struct ttl_rule *rule, enum ttl_missing missing) {
	struct buf key = {0};
	ttl_rule_key(rule, &key);
	json_array_append_new(
		arg, json_pack("{s:o, s:s}", "key", json_from_words(bytes_buf(&key)), "why", ttl_missing_text(missing)));
	buf_finish(&key);
}

/* Settings without an effect. */
static json_t *undeclared_json(const struct registry *registry) {
	json_t *settings = json_array();
	check_memory(settings);
	registry_ttl_undeclared_each(registry, undeclared_add, settings);
	return settings;
}

static json_t *timers_json(struct engine *engine) {
	struct engine_timers timers;
	engine_timers(engine, &timers);
	const bool known = timers.next_ms > 0 && timers.next_ms < UINT64_MAX;
	return json_pack("{s:I, s:b, s:o}", "pending", (json_int_t)timers.pending, "more", timers.more, "next_ms",
		known ? json_integer(timers.next_ms < INT64_MAX ? (json_int_t)timers.next_ms : INT64_MAX) : json_null());
}

static void status_show(struct exchange *exchange) {
	struct control *control = exchange->control;
	struct engine_status engine;
	engine_status(control->engine, &engine);
	json_t *status = json_pack("{s:s, s:I, s:I}", "version", SOFUN_VERSION, "pid", (json_int_t)control->supervisor,
		"worker_pid", (json_int_t)getpid());
	check_memory(status);
	number_set(status, "uptime_ms", monotonic_ms() - control->started_ms);
	json_object_set_new(status, "durability", durability_json(control->config));
	json_object_set_new(status, "recovered", json_string(recovered_word(&control->recovered)));
	number_set(status, "time_ms", engine_time_ms(control->engine)); /* as of now: that of the last epoch may be old */
	counts_set(status, &engine);
	json_object_set_new(status, "images", images_json(control->registry));
	json_object_set_new(status, "schemas", schemas_json(control->engine));
	json_object_set_new(status, "migrations", migrations_json(control->registry));
	json_object_set_new(status, "blocked", blocked_json(control->engine));
	json_object_set_new(status, "undecided", undecided_json(control->engine));
	json_object_set_new(status, "operations", operations_json(control->engine, &engine));
	json_object_set_new(status, "timers", timers_json(control->engine));
	json_object_set_new(status, "waiting", waiting_json(control->engine));
	json_object_set_new(status, "plugins", plugins_json(control->registry));
	json_object_set_new(status, "settings_without_effect", undeclared_json(control->registry));
	json_object_set_new(status, "refused", refused_json(control->registry));
	json_object_set_new(status, "crashes", crashes_json(false));
	json_object_set_new(status, "suspects", crashes_json(true));
	exchange_json(exchange, 200, status);
}

void handle_status(struct exchange *exchange) {
	exchange_surveyed(exchange, status_show);
}
