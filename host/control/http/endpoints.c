#include "control/http/endpoints.h"

#include "control/dead/filter.h"
#include "control/handlers.h"
#include "control/http/exchange.h"

static void handle_endpoints(struct exchange *exchange);

static const struct endpoint endpoints[] = {
	{"GET", "/healthz", "", handle_health, "200 while the host is well, else 503 with the reason", true},
	{"GET", "/metrics", "", handle_metrics, "figures as Prometheus text", true},
	{"GET", "/openapi.json", "", handle_openapi, "this list as an OpenAPI description", true},
	{"GET", "/v1", "", handle_endpoints, "this list", true},
	{"GET", "/v1/status", "", handle_status, "the host, its counts, its plugins, what was refused", true},
	{"POST", "/v1/barrier", "", handle_barrier,
		"{timeout_ms}: waits until all that was accepted is handled and durable, results of operations included",
		false},
	{"POST", "/v1/clock", "", handle_clock, "{to_ms} or {advance_ms}: moves the time of a host with --test-clock",
		false},
	{"GET", "/v1/events", "from", handle_events,
		"what happens to plugins, as server-sent events; goes on behind Last-Event-ID; from=earliest: all that is kept",
		false},
	{"GET", "/v1/config", "", handle_config_show, "every setting: its value, where that comes from, default and reason",
		true},
	{"POST", "/v1/config", "", handle_config_set,
		"{key: value}: changes settings until sofund is started again (a crash of the worker is no start); null takes a "
		"change back",
		false},
	{"POST", "/v1/config/reload", "", handle_config_reload, "reads sofun.yaml again, as SIGHUP does", false},
	{"POST", "/v1/functions/{ns}/{name}/{id}", "mode,timeout_ms", handle_function,
		"calls a function with the body as payload; mode=send: answers when the message is durable", false},
	{"GET", "/v1/state/{ns}/{name}", "limit,after", handle_state_list, "ids of the instances with state", false},
	{"GET", "/v1/state/{ns}/{name}/{id}", "table,limit,after", handle_state_show,
		"the values of one instance, or a page of one of its tables or lists", false},
	{"GET", "/v1/ttl/{ns}/{name}", "", handle_ttl_show,
		"when state of a function ends by itself: as the plugin, the settings and the command have it, and since when",
		false},
	{"POST", "/v1/ttl/{ns}/{name}", "", handle_ttl_set,
		"{idle_ttl_ms, values: {name: {expire_after_write_ms, expire_after_invoke_ms}}, clear}: sets it above plugin and "
		"settings, durably; 0: never, null: no more; answers when it holds",
		false},
	{"GET", "/v1/dead", "limit,after," DEAD_FILTER_KEYS, handle_dead_list,
		"dead letters that have all of what is asked for, oldest first; a page may be short, next is null at the end",
		false},
	{"POST", "/v1/dead/retry", "", handle_dead_retry_all,
		"sends the dead letters that a filter means again, oldest first, each behind what its address has already",
		false},
	{"POST", "/v1/dead/drop", "", handle_dead_drop_all, "drops the dead letters that a filter means", false},
	{"GET", "/v1/dead/{number}", "", handle_dead_show, "one dead letter", false},
	{"DELETE", "/v1/dead/{number}", "", handle_dead_drop, "drops a dead letter", false},
	{"POST", "/v1/dead/{number}/retry", "", handle_dead_retry,
		"sends a dead letter again, behind what its address has already: order is not kept", false},
	{"GET", "/v1/egresses", "", handle_egress_list,
		"every egress that was used: its first and next offset, how many read it, and its sink", false},
	{"GET", "/v1/egresses/{egress}", "from,limit", handle_egress,
		"records of an egress; from: an offset, earliest or latest; with Accept: text/event-stream as they come",
		false},
	{"GET", "/v1/plugins", "", handle_plugins_list, "the plugins that are in", false},
	{"POST", "/v1/plugins", "", handle_plugins_load, "{path}: loads a plugin file; answers when it is live, or why not",
		false},
	{"DELETE", "/v1/plugins/{name}", "", handle_plugins_unload, "drains and unloads a plugin; answers when it is gone",
		false},
	{"GET", "/v1/plugins/{name}/versions", "", handle_versions,
		"the versions of a plugin: live, ready, or kept, and what each loaded one has counted; of one that drains what is left on each shard, and whom it waits for; how long one is on probation, and why one went back by itself",
		false},
	{"POST", "/v1/plugins/{name}/swap", "", handle_swap,
		"{version, drain, deadline_ms, canary, no_way_back}: makes a version live; answers when its fence is durable",
		false},
	{"POST", "/v1/plugins/{name}/promote", "", handle_promote,
		"{drain, deadline_ms}: gives the canary all ids; of a version that has them and is on probation it ends that: what failed for good becomes dead letters",
		false},
	{"POST", "/v1/plugins/{name}/migrate", "", handle_migrate,
		"migrates the instances that no message has met, in the background; /v1/status shows how far it is", false},
	{"POST", "/v1/plugins/{name}/rollback", "", handle_rollback,
		"{drain, deadline_ms}: ends the canary, or goes back to the version before, which runs anew what failed for good in the probation",
		false},
};

const struct endpoint *endpoints_all(size_t *ret_count) {
	*ret_count = sizeof endpoints / sizeof endpoints[0];
	return endpoints;
}

static void handle_endpoints(struct exchange *exchange) {
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s}", "method", endpoints[i].method, "path", endpoints[i].path, "query",
				endpoints[i].query, "help", endpoints[i].help));
	exchange_json(exchange, 200, json_pack("{s:o}", "endpoints", list));
}
