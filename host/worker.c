#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "budget.h"
#include "control/crash_json.h"
#include "control/http/peers.h"
#include "control/http/server.h"
#include "control/http/stream.h"
#include "control/retention.h"
#include "control/settings.h"
#include "door/door.h"
#include "egress/sinks.h"
#include "ingress/data_server.h"
#include "limits.h"
#include "loop.h"
#include "state/kv.h"
#include "supervisor/watchdog.h"

/* At the stop the last answers have this long to be read by those who asked. */
enum { ANSWERS_DRAIN_MS = 1000 };

struct host {
	const struct config *config;
	const struct seat *seat;
	struct control control;
	struct loop *loop;
	struct event *heart;
	struct retention *retention;
	struct doors *doors;
	struct http_server *http;
	struct http_server *network[LISTEN_SOCKETS_MAX]; /* HTTP on TCP */
	size_t network_count;
	struct data_server *data;
	int code; /* of the exit */
};

int complain(const struct error *error, int code) {
	char line[sizeof *error];
	error_line(error, line, sizeof line);
	fprintf(stderr, "sofund: %s\n", line);
	return code;
}

struct store_options store_options_of(const struct config *config, bool readonly) {
	struct budget budget = budget_split(config->memory_bytes);
	return (struct store_options){
		.disk = disk_machine(),
		.factory = readonly ? kv_leveldb_shadow(budget.kv_cache_bytes)
							: kv_leveldb(budget.kv_cache_bytes, budget.write_buffer_bytes),
		.dir = config->data,
		.checkpoint_bytes = budget.checkpoint_bytes,
		.segment_bytes = JOURNAL_SEGMENT_SHARD_BYTES * config->shards,
		.journal_bytes_max = budget.journal_bytes_max,
		.retention_bytes = &config->egress_retention_bytes,
		.retention_s = &config->egress_retention_s,
		.readonly = readonly,
	};
}

/* ---- start, in this order ---- */

/* To a store that serves: whoever connects to the control socket meanwhile waits for its answer. */
static bool store_start(struct host *host, struct error *error) {
	struct control *control = &host->control;
	control->base = event_base_new();
	check_memory(control->base);
	control->requests = requests_create();
	control->peers = peers_create(control->base, host->config);
	host->http = http_server_create(control, host->seat->control_fd, NULL);
	struct store_options options = store_options_of(host->config, false);
	control->store = store_open(&options, &control->recovered, error);
	return control->store != NULL;
}

static bool egress_declared(void *registry, struct bytes egress) {
	return registry_egress_declared(registry, egress);
}

static struct egress_hub *hub_create(struct control *control) {
	const struct egress_hub_options options = {
		.engine = control->engine,
		.requests = control->requests,
		.store = control->store,
		.epoch = control->recovered.epoch,
		.declared = egress_declared,
		.declared_arg = control->registry,
	};
	return egress_hub_create(&options);
}

static void recovered_tell(const struct store_recovered *recovered, uint64_t plugins_ms, uint64_t mailboxes_ms) {
	log_event(LOG_INFO, "recovered",
		"how=%s epoch=%llu journal_bytes=%llu rows=%llu databases_ms=%llu journal_ms=%llu plugins_ms=%llu "
		"mailboxes_ms=%llu",
		recovered_word(recovered), (unsigned long long)recovered->epoch, (unsigned long long)recovered->journal_bytes,
		(unsigned long long)recovered->rows, (unsigned long long)recovered->databases_ms,
		(unsigned long long)recovered->journal_ms, (unsigned long long)plugins_ms, (unsigned long long)mailboxes_ms);
}

static bool flow_start(struct host *host, struct error *error) {
	struct control *control = &host->control;
	uint64_t lap_us = stopwatch_us();
	control->engine = engine_create(host->config, control->store, &control->recovered, error);
	if (control->engine == NULL)
		return false;
	control->events = events_create();
	if (host->seat->restarts > 0)
		crash_tell(control->events);
	const struct registry_options options = {
		.config = host->config,
		.engine = control->engine,
		.requests = control->requests,
		.store = control->store,
		.disk = disk_machine(),
		.base = control->base,
		.events = control->events,
		.host = engine_host(control->engine),
	};
	control->registry = registry_create(&options, error);
	if (control->registry != NULL)
		control->hub = hub_create(control);
	struct view *view = control->registry == NULL ? NULL : registry_recover(control->registry, error);
	if (view == NULL)
		return false;
	const uint64_t plugins_ms = stopwatch_lap_ms(&lap_us);
	engine_start(control->engine, view);
	recovered_tell(&control->recovered, plugins_ms, stopwatch_lap_ms(&lap_us));
	control->sinks = sinks_create(control->base, control->hub, host->config);
	host->retention = retention_start(control->base, control->engine, control->requests, control->store);
	registry_start(control->registry);
	return true;
}

/* From here on the network is served; until now whoever connected has waited. */
static void doors_serve(struct host *host) {
	struct doors *doors = host->doors;
	for (size_t i = 0; i < doors->sockets.count; i++) {
		struct listen_socket *socket = &doors->sockets.items[i];
		if (socket->http)
			host->network[host->network_count++] = http_server_create(&host->control, socket->fd, doors);
		else
			data_server_listen(host->data, socket->fd, doors);
		socket->fd = -1; /* the server's */
		log_event(LOG_INFO, "listening", "door=%s address=%s tls=%s tokens=%s", socket->http ? "http" : "data",
			socket->address, doors->tls != NULL ? "yes" : "no", doors->access != NULL ? "yes" : "no");
	}
}

/* registry_on_settled: everything that stood in the plugins directory has been judged. */
static void host_ready(void *arg) {
	struct host *host = arg;
	struct control *control = &host->control;
	struct supervised *supervised = host->seat->supervised;
	host->data =
		data_server_create(control->base, host->config, control->engine, control->requests, host->seat->data_fd);
	data_server_egresses(host->data, control->hub);
	doors_serve(host);
	control->phase = CONTROL_READY;
	log_event(LOG_INFO, "ready", "version=%s recovered=%s epoch=%llu start_ms=%llu", SOFUN_VERSION,
		recovered_word(&control->recovered), (unsigned long long)control->recovered.epoch,
		(unsigned long long)(monotonic_ms() - control->started_ms));
	atomic_store(&supervised->serving, true);
	if (atomic_exchange(&supervised->ready, true))
		return; /* an earlier worker has said so */
	printf("sofund ready pid=%ld worker=%ld control=%s/control.sock data=%s/data.sock\n", (long)host->seat->supervisor,
		(long)getpid(), host->config->data, host->config->data);
	fflush(stdout);
}

/* ---- stop, in this order ---- */

static bool answers_open(void *arg) {
	const struct host *host = arg;
	bool open = http_server_busy(host->http) || (host->data != NULL && data_server_busy(host->data));
	for (size_t i = 0; i < host->network_count; i++)
		open = open || http_server_busy(host->network[i]);
	return open;
}

/* From serving to silence: nothing new comes in, what was accepted is committed, everyone who asked gets an answer. */
static void flow_stop(struct host *host) {
	struct control *control = &host->control;
	control->phase = CONTROL_STOPPING;
	if (host->data != NULL)
		data_server_stop(host->data);
	streams_end(control);
	retention_stop(host->retention);
	host->retention = NULL;
	sinks_stop(control->sinks);
	egress_hub_stop(control->hub);
	registry_stop(control->registry);
	engine_stop(control->engine);
	loop_answer(host->loop);
	requests_refuse(control->requests, ERROR_STOPPING, "the host is stopping");
	loop_drain(host->loop, answers_open, host, ANSWERS_DRAIN_MS);
}

/* Work of an operation does not return: what it may touch stays until the process has ended around it. Everything that was
 * accepted is committed; its result will be told unknown. */
static void host_finish_around(struct host *host, bool clean) {
	struct error error;
	log_event(LOG_WARN, "work_abandoned", "waited_ms=%d", OPERATIONS_STOP_MS);
	if (!store_close(host->control.store, clean, &error) && error.system != ENOSPC)
		host->code = complain(&error, EXIT_STORE);
	fflush(NULL);
	atomic_store(&host->seat->supervised->ended, true);
	_exit(host->code);
}

/* Also for a host that came only half way. */
static void host_finish(struct host *host, bool clean) {
	struct control *control = &host->control;
	struct error error;
	registry_stop(control->registry); /* it was not, if recovery refused a row */
	data_server_destroy(host->data);
	for (size_t i = 0; i < host->network_count; i++)
		http_server_destroy(host->network[i]);
	http_server_destroy(host->http);
	peers_destroy(control->peers);
	if (host->heart != NULL)
		event_free(host->heart);
	loop_destroy(host->loop);
	if (engine_abandoned(control->engine))
		host_finish_around(host, clean);
	registry_destroy(control->registry);
	events_destroy(control->events);
	engine_destroy(control->engine);
	sinks_destroy(control->sinks);
	egress_hub_destroy(control->hub);
	if (control->store != NULL && !store_close(control->store, clean, &error)) {
		/* A full disk keeps the last checkpoint away, and nothing else: the journal has it all. */
		int code = complain(&error, EXIT_STORE);
		host->code = error.system == ENOSPC ? host->code : code;
	}
	requests_destroy(control->requests);
	if (control->base != NULL)
		event_base_free(control->base);
}

/* ---- the life of the host ---- */

static void settings_changed(void *arg) {
	const struct host *host = arg;
	config_log_apply(host->config);
}

/* SIGHUP: what a person may have changed is read again. */
static void host_hangup(void *arg) {
	struct host *host = arg;
	settings_hangup(&host->control);
	doors_reload(host->doors);
}

static void heart_beat(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct supervised *supervised = arg;
	atomic_fetch_add(&supervised->beats, 1);
}

static void heart_start(struct host *host) {
	const struct timeval every = {.tv_usec = HEARTBEAT_MS * 1000};
	host->heart = event_new(host->control.base, -1, EV_PERSIST, heart_beat, host->seat->supervised);
	check_memory(host->heart);
	check(event_add(host->heart, &every) == 0);
}

static void host_run(struct host *host) {
	struct control *control = &host->control;
	struct engine_status status;
	host->loop = loop_create(control);
	loop_on_hangup(host->loop, host_hangup, host);
	config_live_watch(control->settings, settings_changed, host);
	heart_start(host);
	if (host->seat->restarts > 0)
		host_hangup(host); /* what an earlier worker was told to read */
	/* clients wait for a worker that comes after a crash: what was live is loaded, and no file is news to them */
	if (registry_busy(control->registry) && host->seat->restarts == 0)
		registry_on_settled(control->registry, host_ready, host);
	else
		host_ready(host);
	loop_run(host->loop);
	engine_status(control->engine, &status);
	if (loop_failed(host->loop))
		host->code = complain(&status.error, EXIT_STORE);
	flow_stop(host);
}

int worker_main(
	const struct config *config, struct config_live *settings, struct doors *doors, const struct seat *seat) {
	struct host host = {.config = config, .doors = doors, .seat = seat};
	struct error error;
	host.control.config = config;
	host.control.settings = settings;
	host.control.supervisor = seat->supervisor;
	host.control.started_ms = monotonic_ms();
	size_t kept = config_live_resume(settings);
	config_log_apply(config);
	if (kept > 0)
		log_event(LOG_INFO, "settings_kept", "count=%zu by=request", kept);
	struct watchdog *watchdog = watchdog_start(&config->invocation_cpu_ms, &config->operations_limit_ms);
	bool started = store_start(&host, &error) && flow_start(&host, &error);
	if (started)
		host_run(&host);
	else
		host.code = complain(&error, EXIT_DATA);
	host_finish(&host, started && host.code == EXIT_GOOD);
	watchdog_stop(watchdog);
	return host.code;
}
