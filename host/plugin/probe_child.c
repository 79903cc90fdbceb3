/* The child's side of probe.h. Runs in a process of its own, which ends by _exit: nothing here is given back. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "plugin/abi.h"
#include "plugin/elf_file.h"
#include "plugin/image_file.h"
#include "plugin/load.h"
#include "plugin/probe.h"
#include "plugin/probe_host.h"
#include "plugin/refusal.h"
#include "plugin/strays.h"

enum {
	REPORT_FD = 3,
	/* A thread that was joined is listed by the kernel for a moment more: looks, and the pause between two. */
	THREAD_LOOKS = 300,
	LOOK_PAUSE_NS = 1000000,
	INIT_TEXT_BYTES = 200,
};

struct probe {
	const char *path;
	struct manifest manifest;
	struct library *library;
	struct abi_facts facts;
	bool good;
	struct error error;
	pthread_barrier_t finished; /* init and fini are done */
	pthread_barrier_t unloaded; /* the helper may end */
};

/* ---- the steps ---- */

static void report(const char *text) {
	/* Whoever started the probe by hand has no descriptor 3; the exit code remains. */
	ssize_t written = write(REPORT_FD, text, strlen(text));
	(void)written;
}

static void report_step(const char *name) {
	char line[64];
	snprintf(line, sizeof(line), "step %s\n", name);
	report(line);
}

static bool probe_read(struct probe *probe) {
	struct buf content = {0};
	struct file_identity identity;
	struct elf_facts facts;
	report_step("read");
	bool good = file_read(probe->path, &content, &identity, &probe->error) == FILE_READ &&
		elf_examine(bytes_buf(&content), NULL, &facts, &probe->error) == ELF_SOUND &&
		manifest_parse(facts.manifest, &probe->manifest, &probe->error);
	buf_finish(&content);
	return good;
}

static bool probe_load(struct probe *probe) {
	report_step("load");
	probe->library = library_open(probe->path, &probe->error);
	return probe->library != NULL &&
		abi_read(
			library_symbol(probe->library, SOFUN_DESCRIPTOR_SYMBOL), &probe->manifest, &probe->facts, &probe->error);
}

static bool probe_init(struct probe *probe, void **ret_plugin_data) {
	char text[INIT_TEXT_BYTES] = "";
	report_step("init");
	int result = probe->facts.init == NULL ? 0 : probe->facts.init(probe_host(), ret_plugin_data, text, sizeof(text));
	if (result == 0)
		return true;
	text[sizeof(text) - 1] = '\0';
	error_set(
		&probe->error, ERROR_REFUSED, "the plugin's init refuses: %s", text[0] == '\0' ? "it gives no reason" : text);
	error_found(&probe->error, "init returned %d", result);
	error_expected(&probe->error, "0");
	error_hint(&probe->error, "do what the plugin's text asks for, then load it again with `sofun load`");
	return false;
}

/* Init and fini on a thread that ends after the unloading: a thread-specific destructor that was left behind dies then,
 * here and not in the host (trap 9). */
static void *probe_life(void *arg) {
	struct probe *probe = arg;
	void *plugin_data = NULL;
	probe->good = probe_init(probe, &plugin_data);
	if (probe->good && probe->facts.fini != NULL) {
		report_step("fini");
		probe->facts.fini(plugin_data);
	}
	pthread_barrier_wait(&probe->finished);
	pthread_barrier_wait(&probe->unloaded);
	return NULL;
}

static bool probe_threads(struct probe *probe, size_t expected) {
	size_t found = threads_count();
	report_step("threads");
	for (int look = 0; look < THREAD_LOOKS && found > expected; look++) {
		nanosleep(&(struct timespec){.tv_nsec = LOOK_PAUSE_NS}, NULL);
		found = threads_count();
	}
	if (found <= expected)
		return true;
	error_set(&probe->error, ERROR_REFUSED, "the plugin leaves threads behind when fini has returned");
	error_found(&probe->error, "%zu more than before init", found - expected);
	error_expected(&probe->error, "none");
	error_hint(&probe->error, "end and join the plugin's threads in fini");
	return false;
}

static void *nothing(void *arg) {
	return arg;
}

/* With the first thread a sanitizer's run-time library begins one of its own, which must not count as the plugin's. */
static void threads_begin(void) {
	pthread_t first;
	check(pthread_create(&first, NULL, nothing, NULL) == 0);
	pthread_join(first, NULL);
}

static bool probe_live(struct probe *probe, bool *ret_unmapped) {
	pthread_t helper;
	threads_begin();
	size_t threads = threads_count();
	pthread_barrier_init(&probe->finished, NULL, 2);
	pthread_barrier_init(&probe->unloaded, NULL, 2);
	check(pthread_create(&helper, NULL, probe_life, probe) == 0);
	pthread_barrier_wait(&probe->finished);
	if (!probe->good || !probe_threads(probe, threads + 1))
		return false; /* the helper ends with the process */
	report_step("unload");
	*ret_unmapped = library_close(probe->library, false);
	report_step("thread-end");
	pthread_barrier_wait(&probe->unloaded);
	pthread_join(helper, NULL);
	return true;
}

static bool probe_steps(struct probe *probe, bool *ret_unmapped) {
	return probe_read(probe) && probe_load(probe) && probe_live(probe, ret_unmapped);
}

static void probe_settle_in(void) {
	struct rlimit no_core = {0, 0};
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a probe does not outlive its host */
	setrlimit(RLIMIT_CORE, &no_core);
}

int probe_main(int argc, char *const argv[]) {
	struct probe probe = {0};
	struct buf line = {0};
	bool unmapped = false;
	if (argc != 3 || strcmp(argv[1], "--probe") != 0)
		return -1;
	probe_settle_in();
	probe.path = argv[2];
	bool good = probe_steps(&probe, &unmapped);
	if (good) {
		report(unmapped ? "good unmapped\n" : "good mapped\n");
	} else {
		refusal_clean(&probe.error);
		buf_printf(&line, "refused ");
		refusal_write(&line, &probe.error);
		buf_printf(&line, "\n");
		report((const char *)line.data);
	}
	_exit(good ? 0 : 1);
}
