/* A crash of the worker, then SIGKILL and restart, with 1,000,000 instances and a journal that is nearly due for its
 * checkpoint. */
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/client.h"
#include "bench/host.h"
#include "bench/report.h"
#include "client/rpc.h"
#include "fail.h"
#include "limits.h"
#include "wire/pack.h"

enum {
	INSTANCES = 1000000,
	WARM_TIMES = 5,
	WARM_TIMES_QUICK = 1,
	STEP = 20000, /* messages between two looks at the journal */
	STEPS_MAX = 1000,
	PUSHES_MAX = 100, /* of STEP: far more than the few MiB that are missing */
	WRITTEN_BACK_MS_MAX = 60000,
	LOOK_MS = 5,
	CALL_MS = 30000,
};

/* A checkpoint starts at 64 MiB of journal: the run stops short of it by more than a step. */
#define JOURNAL_BYTES (UINT64_C(60) << 20)

static bool load_drive(struct bench_host *host, uint64_t messages, uint64_t seed) {
	const struct load load = {"counter", messages, INSTANCES, seed, 0};
	return host_drive(host, &load);
}

/* Makes instances, then journal without a checkpoint. */
static bool fill(struct bench *bench, struct bench_host *host, uint64_t *ret_journal) {
	const uint64_t messages = (uint64_t)INSTANCES * (bench->quick ? WARM_TIMES_QUICK : WARM_TIMES);
	if (!load_drive(host, messages, 1) || !host_barrier(host))
		return false;
	program_settle(host->program.works);
	uint64_t seed = UINT64_C(1) << 40;
	bool good = host_metric(host, "sofun_journal_untrimmed_bytes", ret_journal);
	for (uint32_t i = 0; good && i < STEPS_MAX && *ret_journal < JOURNAL_BYTES; i++, seed += STEP)
		good = load_drive(host, STEP, seed) && host_barrier(host) &&
			host_metric(host, "sofun_journal_untrimmed_bytes", ret_journal);
	if (good && *ret_journal < JOURNAL_BYTES)
		return fail_here(bench->run, "the journal does not grow: %llu bytes", (unsigned long long)*ret_journal), false;
	return good;
}

/* One call: false if it did not succeed; told. */
static bool call_once(struct bench_host *host, uint64_t *ret_count) {
	struct buf params = {0};
	uint8_t id[BENCH_ID_BYTES];
	json_t *answer = NULL;
	bench_id_write(0, id);
	pack_map(&params, 3);
	pack_text(&params, "to");
	pack_text(&params, "demo/counter");
	pack_text(&params, "id");
	pack_str(&params, bytes_of(id, sizeof id));
	pack_text(&params, "payload");
	pack_nil(&params);
	const bool good = rpc_call(&host->run, "call", bytes_buf(&params), &(struct rpc_patience){.limit_ms = CALL_MS},
						  &answer) == EXIT_OK;
	*ret_count = good ? (uint64_t)json_integer_value(json_object_get(answer, "payload")) : 0;
	json_decref(answer);
	buf_finish(&params);
	return good;
}

/* Until a checkpoint of this life is done: all that stood in the journal at the kill is in the databases then. The host
 * writes back when a checkpoint is due, so what the journal lacks to 64 MiB is sent first, within the time measured. */
static bool written_back_wait(struct bench_host *host, double start_ns, double *ret_ms) {
	uint64_t checkpoints = 0, untrimmed = 0, seed = UINT64_C(1) << 50;
	bool good = true;
	*ret_ms = 0;
	for (uint32_t pushes = 0; good && checkpoints == 0 && *ret_ms < WRITTEN_BACK_MS_MAX;) {
		good = host_metric(host, "sofun_checkpoints_total", &checkpoints) &&
			host_metric(host, "sofun_journal_untrimmed_bytes", &untrimmed);
		if (good && checkpoints == 0 && untrimmed < CHECKPOINT_BYTES && pushes++ < PUSHES_MAX)
			good = load_drive(host, STEP, seed += STEP) && host_barrier(host);
		else
			pause_ms(LOOK_MS);
		*ret_ms = ((double)clock_ns() - start_ns) / 1e6;
	}
	return good;
}

/* The worker dies as of a fault; the next one answers on the socket that stayed open. Counts from the death. */
static bool crash_once(struct bench_host *host, uint64_t *ret_count, double *ret_ms) {
	uint64_t worker;
	const double start_ns = (double)clock_ns();
	kill(host->program.works, SIGSEGV);
	while (kill(host->program.works, 0) == 0) /* until then it might still take the connection */
		pause_ms(1);
	const bool good = call_once(host, ret_count);
	*ret_ms = ((double)clock_ns() - start_ns) / 1e6;
	if (!good || !host_status(host, "worker_pid", &worker))
		return false;
	host->program.works = (pid_t)worker;
	return true;
}

struct restart {
	struct figures *figures;
	struct samples crash_ms, first_ms, all_ms;
	uint64_t journal;
};

static bool restart_round(struct bench *bench, struct restart *restart, uint32_t round) {
	struct bench_host host;
	char name[NAME_BYTES];
	uint64_t count, again;
	double crash_ms;
	snprintf(name, sizeof name, "restart-%zu-%u", bench->figure_count, round);
	bool good = host_start(&host, bench, name, bench->cpus) && fill(bench, &host, &restart->journal) &&
		crash_once(&host, &count, &crash_ms);
	host_stop(&host, SIGKILL);
	const double start_ns = (double)clock_ns();
	good = good && host_start(&host, bench, name, bench->cpus) && call_once(&host, &again);
	const double first_ms = ((double)clock_ns() - start_ns) / 1e6;
	double all_ms = 0;
	if (good && again != count + 1) {
		fail_here(bench->run, "a counter stood at %llu before the kill and at %llu after one more",
			(unsigned long long)count, (unsigned long long)again);
		good = false;
	}
	good = good && written_back_wait(&host, start_ns, &all_ms);
	struct usage usage;
	if (good && usage_read(host.program.works, &usage))
		restart->figures->memory_peak_bytes = usage.peak_bytes;
	host_stop(&host, SIGTERM);
	if (good) {
		samples_add(&restart->crash_ms, crash_ms);
		samples_add(&restart->first_ms, first_ms);
		samples_add(&restart->all_ms, all_ms);
	}
	return good;
}

bool bench_restart(struct bench *bench) {
	enum { RESTARTS_MAX = 3 }; /* filling takes longer than what is measured */
	static const struct bound crash = {"crash of the worker: first reply", AT_MOST, 1000, QUANTITY_MS};
	static const struct bound first = {"restart after SIGKILL: first reply", AT_MOST, 1000, QUANTITY_MS};
	static const struct bound all = {"restart after SIGKILL: all written back", AT_MOST, 3000, QUANTITY_MS};
	struct restart restart = {.figures = bench_figures(bench, "restarts", "restart, %d instances", INSTANCES)};
	bench_say(bench, "%s", restart.figures->name);
	for (uint32_t round = 0; round < bench->rounds && round < RESTARTS_MAX; round++)
		if (!restart_round(bench, &restart, round))
			return false;
	bench_say(bench, "  journal at the kill: %llu MiB", (unsigned long long)(restart.journal >> 20));
	target_add(bench, &crash, &restart.crash_ms, restart.figures);
	target_add(bench, &first, &restart.first_ms, restart.figures);
	target_add(bench, &all, &restart.all_ms, restart.figures);
	return true;
}
