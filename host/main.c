/* sofund: the order of start and stop, and nothing else. What each part is: ARCHITECTURE.md. */
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "budget.h"
#include "config.h"
#include "control/server.h"
#include "control/settings.h"
#include "data_dir.h"
#include "flow/invocation.h"
#include "ingress/data_server.h"
#include "limits.h"
#include "loop.h"
#include "plugin/probe.h"
#include "state/kv.h"

/* As INTERFACE has them. */
enum { EXIT_GOOD = 0, EXIT_INTERNAL = 1, EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_STORE = 4 };

/* At the stop the last answers have this long to be read by those who asked. */
enum { ANSWERS_DRAIN_MS = 1000 };

struct host {
	struct config config;
	struct data_dir dir;
	char *control_path;
	char *data_path;
	struct control control;
	struct loop *loop;
	struct http_server *http;
	struct data_server *data;
	int code; /* of the exit */
};

static int complain(const struct error *error, int code) {
	char line[sizeof *error];
	error_line(error, line, sizeof line);
	fprintf(stderr, "sofund: %s\n", line);
	return code;
}

static char *path_join(const char *dir, const char *name) {
	struct buf text = {0};
	buf_printf(&text, "%s/%s", dir, name);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

/* readonly: LevelDB cannot open a database without writing to it, so shadows are opened. */
static struct store_options store_options_of(const struct config *config, bool readonly) {
	struct budget budget = budget_split(config->memory_bytes);
	return (struct store_options){
		.disk = disk_machine(),
		.factory = readonly ? kv_leveldb_shadow(budget.kv_cache_bytes)
							: kv_leveldb(budget.kv_cache_bytes, budget.write_buffer_bytes),
		.dir = config->data,
		.checkpoint_bytes = budget.checkpoint_bytes,
		.segment_bytes = JOURNAL_SEGMENT_SHARD_BYTES * config->shards,
		.journal_bytes_max = budget.journal_bytes_max,
		.readonly = readonly,
	};
}

/* ---- start, in this order ---- */

/* A path that does not fit is the user's mistake, so it is told before anything is made. */
static bool paths_check(struct host *host, struct error *error) {
	const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
	host->control_path = path_join(host->config.data, "control.sock");
	host->data_path = path_join(host->config.data, "data.sock");
	if (strlen(host->control_path) <= most)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "the path of the control socket is too long");
	error_found(error, "%zu bytes", strlen(host->control_path));
	error_expected(error, "at most %zu bytes", most);
	error_hint(error, "choose a data directory with a shorter path: --data DIR");
	return false;
}

/* From the lock to a store that serves: whoever connects to the control socket meanwhile waits for its answer. */
static bool store_start(struct host *host, struct error *error) {
	struct control *control = &host->control;
	if (!data_dir_open(host->config.data, &host->dir, error))
		return false;
	control->base = event_base_new();
	check_memory(control->base);
	control->requests = requests_create();
	host->http = http_server_create(control, host->control_path, error);
	if (host->http == NULL)
		return false;
	struct store_options options = store_options_of(&host->config, false);
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

static bool flow_start(struct host *host, struct error *error) {
	struct control *control = &host->control;
	control->engine = engine_create(&host->config, control->store, &control->recovered, error);
	if (control->engine == NULL)
		return false;
	const struct registry_options options = {
		.config = &host->config,
		.engine = control->engine,
		.requests = control->requests,
		.store = control->store,
		.disk = disk_machine(),
		.base = control->base,
		.host = host_api_table(),
	};
	control->registry = registry_create(&options, error);
	if (control->registry != NULL)
		control->hub = hub_create(control);
	struct view *view = control->registry == NULL ? NULL : registry_recover(control->registry, error);
	if (view == NULL)
		return false;
	engine_start(control->engine, view);
	registry_start(control->registry);
	return true;
}

/* registry_on_settled: everything that stood in the plugins directory has been judged. */
static void host_ready(void *arg) {
	struct host *host = arg;
	struct control *control = &host->control;
	struct error error;
	host->data =
		data_server_create(control->base, &host->config, control->engine, control->requests, host->data_path, &error);
	if (host->data == NULL) {
		host->code = complain(&error, EXIT_DATA);
		loop_stop(host->loop);
		return;
	}
	data_server_egresses(host->data, control->hub);
	control->phase = CONTROL_READY;
	log_event(LOG_INFO, "ready", "version=%s recovered=%s epoch=%llu start_ms=%llu", SOFUN_VERSION,
		recovered_word(&control->recovered), (unsigned long long)control->recovered.epoch,
		(unsigned long long)(monotonic_ms() - control->started_ms));
	printf("sofund ready pid=%ld worker=%ld control=%s data=%s\n", (long)getpid(), (long)getpid(), host->control_path,
		host->data_path);
	fflush(stdout);
}

/* ---- stop, in this order ---- */

static bool answers_open(void *arg) {
	const struct host *host = arg;
	return http_server_busy(host->http) || (host->data != NULL && data_server_busy(host->data));
}

/* From serving to silence: nothing new comes in, what was accepted is committed, everyone who asked gets an answer. */
static void flow_stop(struct host *host) {
	struct control *control = &host->control;
	control->phase = CONTROL_STOPPING;
	if (host->data != NULL)
		data_server_stop(host->data);
	egress_hub_stop(control->hub);
	registry_stop(control->registry);
	engine_stop(control->engine);
	loop_answer(host->loop);
	requests_refuse(control->requests, ERROR_STOPPING, "the host is stopping");
	loop_drain(host->loop, answers_open, host, ANSWERS_DRAIN_MS);
}

/* Also for a host that came only half way. */
static void host_finish(struct host *host, bool clean) {
	struct control *control = &host->control;
	struct error error;
	data_server_destroy(host->data);
	http_server_destroy(host->http);
	loop_destroy(host->loop);
	registry_destroy(control->registry);
	engine_destroy(control->engine);
	egress_hub_destroy(control->hub);
	if (control->store != NULL && !store_close(control->store, clean, &error)) {
		/* A full disk keeps the last checkpoint away, and nothing else: the journal has it all. */
		int code = complain(&error, EXIT_STORE);
		host->code = error.system == ENOSPC ? host->code : code;
	}
	requests_destroy(control->requests);
	if (control->base != NULL)
		event_base_free(control->base);
	data_dir_close(&host->dir);
	free(host->control_path);
	free(host->data_path);
}

/* ---- the life of the host ---- */

static void host_run(struct host *host) {
	struct control *control = &host->control;
	struct engine_status status;
	host->loop = loop_create(control);
	loop_on_hangup(host->loop, settings_hangup, control);
	if (registry_busy(control->registry))
		registry_on_settled(control->registry, host_ready, host);
	else
		host_ready(host);
	loop_run(host->loop);
	engine_status(control->engine, &status);
	if (loop_failed(host->loop))
		host->code = complain(&status.error, EXIT_STORE);
	flow_stop(host);
}

static int host_main(struct host *host) {
	struct error error;
	host->dir.lock_fd = -1;
	host->control.config = &host->config;
	host->control.started_ms = monotonic_ms();
	bool started = false;
	if (!paths_check(host, &error))
		host->code = complain(&error, EXIT_USAGE);
	else if (!store_start(host, &error) || !flow_start(host, &error))
		host->code = complain(&error, EXIT_DATA);
	else
		started = true;
	if (started)
		host_run(host);
	host_finish(host, started && host->code == EXIT_GOOD);
	return host->code;
}

/* ---- the command line ---- */

static void verify_line(void *arg, const char *text) {
	(void)arg;
	printf("%s\n", text);
}

/* --verify DIR: looks at a data directory that no host uses, and changes nothing. */
static int verify_main(const char *path) {
	struct config config;
	struct data_dir dir;
	struct error error;
	config_init(&config);
	free(config.data);
	config.data = check_strdup(path);
	bool good = data_dir_open_readonly(path, &dir, &error);
	if (good) {
		struct store_options options = store_options_of(&config, true);
		good = store_verify(&options, verify_line, NULL, &error);
		data_dir_close(&dir);
	}
	config_finish(&config);
	if (!good)
		return complain(&error, EXIT_DATA);
	printf("%s is sound\n", path);
	return EXIT_GOOD;
}

static int help_main(void) {
	struct buf text = {0};
	buf_printf(&text,
		"sofund %s: runs stateful functions that are shared objects\n\n"
		"Start it, copy a plugin into its plugins directory, send it something:\n\n"
		"  sofund --data ./sofun-data &\n"
		"  cp counter.so ./sofun-data/plugins/\n"
		"  sofun --data ./sofun-data call demo/counter alice 1\n\n"
		"It runs in the foreground until SIGTERM, and says on stdout when it is ready. What it cannot do it says on\n"
		"stderr, with what to do about it.\n\n",
		SOFUN_VERSION);
	config_usage(&text);
	buf_printf(&text,
		"\n"
		"  --check-config        look at the settings that the other flags and the file give, and start nothing\n"
		"  --settings yaml|man   print every setting, explained: a sofun.yaml to begin with, or the page sofun.yaml(5)\n"
		"  --verify DIR          check a data directory that no host uses, and change nothing\n"
		"  --version             print the version\n"
		"  --help                print this\n\n"
		"exit: 0 stopped by SIGTERM or SIGINT, 1 internal, 2 usage or configuration, 3 data directory refused (newer,\n"
		"locked, unwritable, corrupt), 4 the store failed while running\n");
	fwrite(text.data, 1, text.size, stdout);
	buf_finish(&text);
	return EXIT_GOOD;
}

static int settings_main(const char *form) {
	struct buf text = {0};
	struct error error;
	if (!config_document(form, &text)) {
		error_set(&error, ERROR_BAD_REQUEST, "--settings does not know this form");
		error_found(&error, "%.200s", form);
		error_expected(&error, "yaml or man");
		return complain(&error, EXIT_USAGE);
	}
	fwrite(text.data, 1, text.size, stdout);
	buf_finish(&text);
	return EXIT_GOOD;
}

/* Takes --check-config out of the arguments; false: it is not among them. */
static bool check_take(int *argc, char *argv[]) {
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--check-config") != 0)
			continue;
		for (int k = i; k < *argc; k++)
			argv[k] = argv[k + 1];
		--*argc;
		return true;
	}
	return false;
}

static int check_main(const struct config *config) {
	if (config->file != NULL)
		printf("%s is good\n", config->file);
	else
		printf("the settings are good; there is no sofun.yaml\n");
	return EXIT_GOOD;
}

/* The flags that stand alone; -1: there is none, so the host is to run. */
static int command_main(int argc, char *const argv[]) {
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help_main();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("sofund %s\n", SOFUN_VERSION);
		return EXIT_GOOD;
	}
	if (argc == 3 && strcmp(argv[1], "--verify") == 0)
		return verify_main(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--settings") == 0)
		return settings_main(argv[2]);
	return -1;
}

/* Connections, databases and images all need descriptors; the usual soft limit of 1,024 is for programs that use
 * select(). Where it cannot be raised the host runs with what there is. */
static void descriptors_raise(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_event(LOG_WARN, "descriptors", "limit=soft reason=\"%s\"", strerror(errno));
}

#ifdef SOFUN_MUTANTS
/* --mutant NAME, anywhere: plants it and takes the two words away. */
static int mutant_take(int *argc, char *argv[]) {
	for (int i = 1; i + 1 < *argc; i++) {
		if (strcmp(argv[i], "--mutant") != 0)
			continue;
		if (!mutant_plant(argv[i + 1])) {
			fprintf(stderr, "sofund: there is no mutant %s\n", argv[i + 1]);
			return EXIT_USAGE;
		}
		for (int k = i; k + 2 <= *argc; k++)
			argv[k] = argv[k + 2];
		*argc -= 2;
	}
	return -1;
}
#endif

static bool listeners_check(const struct config *config, struct error *error) {
	if (config->listen_data.count == 0 && config->listen_http.count == 0)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "listening on TCP comes with a later version");
	error_found(error, "listen.%s", config->listen_data.count > 0 ? "data" : "http");
	error_expected(error, "the Unix sockets in the data directory");
	return false;
}

int main(int argc, char *argv[]) {
	struct host host = {0};
	struct error error;
	int code = probe_main(argc, argv);
	if (code < 0)
		code = command_main(argc, argv);
#ifdef SOFUN_MUTANTS
	if (code < 0)
		code = mutant_take(&argc, argv);
#endif
	if (code >= 0)
		return code;
	loop_signals_hold();
	descriptors_raise();
	json_object_seed(0); /* before there are threads: jansson makes its seed at first need */
	bool check_only = check_take(&argc, argv);
	config_init(&host.config);
	if (!config_parse(&host.config, argc, argv, &error) || !listeners_check(&host.config, &error)) {
		code = complain(&error, EXIT_USAGE);
	} else if (check_only) {
		code = check_main(&host.config);
	} else {
		host.control.settings = config_live_create(&host.config, argc, argv);
		code = host_main(&host);
		config_live_destroy(host.control.settings);
	}
	config_finish(&host.config);
	return code;
}
