#include "bench/round.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "client/rpc.h"
#include "client/socket.h"
#include "fail.h"
#include "wire/pack.h"

enum {
	MESSAGES = 3000000,
	MESSAGES_QUICK = 200000,
	WARM_TIMES = 5, /* so many messages an id: all but 0.7 % of the ids exist then */
	WARM_MESSAGES_LEAST = 200000,
	PROBE_PAUSE_MS = 5, /* 200 calls a second beside millions of messages */
	PROBE_MS_MAX = 60000,
	PROBLEM_BYTES = 256,
};

struct barrier {
	struct bench_host *host;
	atomic_bool done;
	bool good;
};

static void *barrier_wait(void *arg) {
	struct barrier *barrier = arg;
	barrier->good = host_barrier(barrier->host);
	atomic_store(&barrier->done, true);
	return NULL;
}

/* One call of the counter and its answer; false: told. */
static bool probe_call(struct bench_host *host, struct rpc *rpc, struct histogram *latency) {
	struct rpc_answer answer;
	char problem[PROBLEM_BYTES] = "the answer is no MessagePack-RPC";
	bool broken = false;
	const uint64_t start_ns = clock_ns(), deadline_ms = clock_ms() + PROBE_MS_MAX;
	rpc_begin(rpc, 0, "call");
	pack_map(&rpc->queued, 3);
	pack_text(&rpc->queued, "to");
	pack_text(&rpc->queued, "demo/counter");
	pack_text(&rpc->queued, "id");
	pack_text(&rpc->queued, "probe");
	pack_text(&rpc->queued, "payload");
	pack_nil(&rpc->queued);
	while (!rpc_answer_take(rpc, &answer, &broken))
		if (broken || rpc_exchange(rpc, deadline_ms, problem) != RPC_OK)
			return fail_here(&host->run, "the call beside the load: %s", problem), false;
	if (answer.error.data != NULL)
		return rpc_fail(&host->run, answer.error), false;
	histogram_add(latency, clock_ns() - start_ns, 1);
	return true;
}

static bool probe_until(struct bench_host *host, const atomic_bool *done, struct histogram *latency) {
	struct rpc rpc;
	const int opened = rpc_open(&rpc, host->data_path);
	if (opened < 0)
		return fail_unreachable(&host->run, "%s", host->data_path), false;
	bool good = true;
	while (good && !atomic_load(done)) {
		good = probe_call(host, &rpc, latency);
		pause_ms(PROBE_PAUSE_MS);
	}
	rpc_close(&rpc);
	return good;
}

/* Drives and waits; *ret_seconds is until all is handled and durable. latency NULL: nobody looks. */
static bool load_run(struct bench_host *host, const struct load *load, struct histogram *latency, double *ret_seconds) {
	struct barrier barrier = {.host = host};
	pthread_t thread;
	const uint64_t start_ns = clock_ns();
	if (!host_drive(host, load))
		return false;
	check(pthread_create(&thread, NULL, barrier_wait, &barrier) == 0);
	const bool probed = latency == NULL || probe_until(host, &barrier.done, latency);
	pthread_join(thread, NULL);
	*ret_seconds = (double)(clock_ns() - start_ns) / 1e9;
	return probed && barrier.good;
}

/* A figure counts only if the host did what it was asked to. */
static bool work_check(struct bench_host *host, uint64_t handled_before, uint64_t messages) {
	uint64_t handled, dead;
	if (!host_status(host, "handled", &handled) || !host_status(host, "dead", &dead))
		return false;
	if (handled - handled_before >= messages && dead == 0)
		return true;
	fail_here(&host->run, "the host handled %llu of %llu messages, and %llu died",
		(unsigned long long)(handled - handled_before), (unsigned long long)messages, (unsigned long long)dead);
	return false;
}

bool round_run(struct bench_host *host, const struct load *load, uint64_t calls, struct figures *figures) {
	struct histogram *latency = check_alloc(1, sizeof *latency);
	struct host_account account;
	uint64_t handled;
	double seconds = 0;
	const uint64_t messages = load->left * calls;
	program_settle(host->program.works);
	host_account_begin(host, &account);
	const bool good = host_status(host, "handled", &handled) && load_run(host, load, latency, &seconds) &&
		work_check(host, handled, messages);
	if (good) {
		program_settle(host->program.works);
		samples_add(&figures->rate, (double)messages / seconds);
		samples_add(&figures->p50_us, histogram_us(latency, 0.5));
		samples_add(&figures->p99_us, histogram_us(latency, 0.99));
		host_account_end(host, &account, (double)messages, figures);
	}
	free(latency);
	return good;
}

bool round_warm(struct bench_host *host, const char *target, uint64_t ids) {
	double seconds;
	struct load load = {.target = target, .left = ids, .ids = ids, .seed = UINT64_C(1) << 40};
	if (!host->bench->quick)
		load.left *= WARM_TIMES;
	if (load.left < WARM_MESSAGES_LEAST)
		load.left = WARM_MESSAGES_LEAST;
	return load_run(host, &load, NULL, &seconds);
}

uint64_t round_messages(const struct bench *bench) {
	return bench->quick ? MESSAGES_QUICK : MESSAGES;
}

uint64_t round_seed(uint32_t round) {
	return (round + 1) * (uint64_t)MESSAGES;
}
