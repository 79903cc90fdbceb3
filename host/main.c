/* sofund: its command line, and what comes before the first fork. The host proper is worker.c. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "config/config.h"
#include "config/live.h"
#include "data_dir.h"
#include "door/door.h"
#include "loop.h"
#include "plugin/probe.h"
#include "supervisor/listen.h"
#include "worker.h"

/* What the supervisor keeps for all its workers. */
struct start {
	struct config config;
	struct config_live *settings;
	struct data_dir dir;
	char *control_path;
	char *data_path;
	int control_fd;
	int data_fd;
	struct doors doors; /* on the network */
};

static char *path_join(const char *dir, const char *name) {
	struct buf text = {0};
	buf_printf(&text, "%s/%s", dir, name);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

/* ---- before the first worker ---- */

/* A path that does not fit is the user's mistake, so it is told before anything is made. */
static bool paths_check(struct start *start, struct error *error) {
	const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
	start->control_path = path_join(start->config.data, "control.sock");
	start->data_path = path_join(start->config.data, "data.sock");
	if (strlen(start->control_path) <= most)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "the path of the control socket is too long");
	error_found(error, "%zu bytes", strlen(start->control_path));
	error_expected(error, "at most %zu bytes", most);
	error_hint(error, "choose a data directory with a shorter path: --data DIR");
	return false;
}

/* The lock first: it is what allows an old socket to be replaced. */
static bool start_open(struct start *start, struct error *error) {
	if (!data_dir_open(start->config.data, &start->dir, error))
		return false;
	start->control_fd = listen_unix(start->control_path, error);
	if (start->control_fd >= 0)
		start->data_fd = listen_unix(start->data_path, error);
	return start->data_fd >= 0;
}

static void start_close(struct start *start) {
	if (start->control_fd >= 0)
		listen_unlink(start->control_path);
	if (start->data_fd >= 0)
		listen_unlink(start->data_path);
	if (start->control_fd >= 0)
		close(start->control_fd);
	if (start->data_fd >= 0)
		close(start->data_fd);
	doors_close(&start->doors);
	data_dir_close(&start->dir);
	free(start->control_path);
	free(start->data_path);
}

static int work(void *arg, const struct seat *seat) {
	struct start *start = arg;
	return worker_main(&start->config, start->settings, &start->doors, seat);
}

static int start_main(struct start *start) {
	struct error error;
	int code;
	umask(0077); /* what is made below --data is its owner's alone, by whichever library */
	start->dir.lock_fd = -1;
	start->control_fd = start->data_fd = -1;
	if (!paths_check(start, &error)) {
		code = complain(&error, EXIT_USAGE);
	} else if (!start_open(start, &error)) {
		code = complain(&error, EXIT_DATA);
	} else if (!doors_open(&start->doors, &start->config, &error)) {
		code = complain(&error, EXIT_USAGE);
	} else {
		const struct supervisor_options options = {
			.data = start->config.data,
			.cores = start->config.core_dumps,
			.control_fd = start->control_fd,
			.data_fd = start->data_fd,
			.work = work,
			.arg = start,
		};
		code = supervisor_run(&options);
	}
	start_close(start);
	return code;
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
		error_advise(&error, "yaml or man", "sofund --settings yaml prints a file with every default");
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

int main(int argc, char *argv[]) {
	struct start start = {0};
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
	config_init(&start.config);
	if (!config_parse(&start.config, argc, argv, &error) || !doors_check(&start.config, &error)) {
		code = complain(&error, EXIT_USAGE);
	} else if (check_only) {
		code = check_main(&start.config);
	} else {
		config_log_apply(&start.config);
		start.settings = config_live_create(&start.config, argc, argv);
		code = start_main(&start);
		config_live_destroy(start.settings);
	}
	config_finish(&start.config);
	return code;
}
