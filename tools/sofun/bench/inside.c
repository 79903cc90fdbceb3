/* Work inside the host: the counter and the chain of three, driven by the plugin bench. No client is in the way; one call
 * now and then beside the load tells the latency. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/host.h"
#include "bench/report.h"
#include "client/rpc.h"
#include "client/socket.h"
#include "fail.h"
#include "wire/pack.h"

enum {
	MESSAGES = 3000000, /* of a round: about a second */
	MESSAGES_QUICK = 200000,
	WARM_TIMES = 5, /* so many messages an id before the first round: all but 0.7 % of the ids exist then */
	WARM_MESSAGES_LEAST = 200000,
	TREE_MESSAGES = 4000000,
	UNSYNCED_MESSAGES = 300000,
	SYNCED_MESSAGES = 1500,
	QUICK_DIVISOR = 20,
	PROBE_PAUSE_MS = 5, /* 200 calls a second beside millions of messages */
	PROBE_MS_MAX = 60000,
	CHAIN_HOPS = 3, /* plugins/bench */
	PROBLEM_BYTES = 256,
};

/* Rates of DESIGN section 4; a baseline below two thirds of them proves nothing. */
#define VOID_SHARE (2.0 / 3)

struct baseline_plan {
	const char *name; /* for people */
	const char *program;
	const char *mode;
	bool on_disk;
	uint64_t messages;
};

static const struct baseline_plan baseline_plans[] = {
	{"hash table, msgpack-c's tree", "baseline_table", "tree", false, TREE_MESSAGES},
	{"hash table, cursor", "baseline_table", "cursor", false, TREE_MESSAGES},
	{"LevelDB put, unsynced", "baseline_leveldb", "unsynced", true, UNSYNCED_MESSAGES},
	{"LevelDB put, synced", "baseline_leveldb", "sync", true, SYNCED_MESSAGES},
};

enum { TREE, CURSOR, UNSYNCED, SYNCED, BASELINES };

/* ---- one round ---- */

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
static bool load_run(struct bench_host *host, const char *target, uint64_t left, uint64_t ids, uint64_t seed,
	struct histogram *latency, double *ret_seconds) {
	struct barrier barrier = {.host = host};
	pthread_t thread;
	const uint64_t start_ns = clock_ns();
	if (!host_drive(host, target, left, ids, seed))
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

/* calls: how many messages are counted for each that the driver sends. */
static bool round_run(struct bench_host *host, const char *target, uint64_t left, uint64_t calls, uint64_t ids,
	uint64_t seed, struct figures *figures) {
	struct histogram *latency = check_alloc(1, sizeof *latency);
	struct host_account account;
	uint64_t handled;
	double seconds = 0;
	const double messages = (double)(left * calls);
	program_settle(host->program.works);
	host_account_begin(host, &account);
	const bool good = host_status(host, "handled", &handled) &&
		load_run(host, target, left, ids, seed, latency, &seconds) && work_check(host, handled, left * calls);
	if (good) {
		program_settle(host->program.works); /* what is written back behind the round is its cost too */
		samples_add(&figures->rate, messages / seconds);
		samples_add(&figures->p50_us, histogram_us(latency, 0.5));
		samples_add(&figures->p99_us, histogram_us(latency, 0.99));
		host_account_end(host, &account, messages, figures);
	}
	free(latency);
	return good;
}

static uint64_t round_messages(const struct bench *bench) {
	return bench->quick ? MESSAGES_QUICK : MESSAGES;
}

static bool warm(struct bench *bench, struct bench_host *host, const char *target, uint64_t ids) {
	double seconds;
	uint64_t messages = bench->quick ? ids : ids * WARM_TIMES;
	if (messages < WARM_MESSAGES_LEAST)
		messages = WARM_MESSAGES_LEAST;
	return load_run(host, target, messages, ids, UINT64_C(1) << 40, NULL, &seconds);
}

/* ---- the counter ---- */

struct counter {
	uint64_t ids;
	uint32_t shards;
	struct bench_host host;
	struct program baselines[BASELINES]; /* pid 0: not started */
	struct figures *figures;
	struct figures *baseline_figures[BASELINES];
};

static bool baselines_start(struct bench *bench, struct counter *counter) {
	for (size_t i = 0; i < BASELINES; i++) {
		const struct baseline_plan *plan = &baseline_plans[i];
		char ids[32], directory[PATH_BYTES + NAME_BYTES];
		snprintf(ids, sizeof ids, "%llu", (unsigned long long)counter->ids);
		snprintf(directory, sizeof directory, "%s/leveldb-%s-%s-%zu", bench->directory, plan->mode, ids,
			bench->figure_count);
		const char *with_disk[] = {directory, ids, plan->mode, NULL};
		if (!baseline_start(bench, &counter->baselines[i], plan->program, plan->on_disk ? with_disk : with_disk + 1))
			return false;
		counter->baseline_figures[i] = bench_figures(bench, "messages", "%s, %s ids", plan->name, ids);
		counter->baseline_figures[i]->is_baseline = true;
	}
	return true;
}

static bool baselines_round(struct bench *bench, struct counter *counter) {
	for (size_t i = 0; i < BASELINES; i++) {
		const uint64_t messages = baseline_plans[i].messages / (bench->quick ? QUICK_DIVISOR : 1);
		if (!baseline_round(bench, &counter->baselines[i], messages, counter->baseline_figures[i]))
			return false;
		program_settle(counter->baselines[i].works); /* LevelDB compacts behind it */
	}
	return true;
}

static bool counter_measure(struct bench *bench, struct counter *counter, bool with_baselines) {
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "counter-%llu-%u-%zu", (unsigned long long)counter->ids, counter->shards,
		bench->figure_count);
	counter->figures = bench_figures(bench, "messages", "counter, %llu ids, %u shard%s",
		(unsigned long long)counter->ids, counter->shards, counter->shards == 1 ? "" : "s");
	bench_say(bench, "%s", counter->figures->name);
	bool good = host_start(&counter->host, bench, name, counter->shards) &&
		warm(bench, &counter->host, "counter", counter->ids) && (!with_baselines || baselines_start(bench, counter));
	for (uint32_t round = 0; good && round < bench->rounds; round++) {
		good = round_run(&counter->host, "counter", round_messages(bench), 1, counter->ids,
			(round + 1) * (uint64_t)MESSAGES, counter->figures);
		good = good && (!with_baselines || baselines_round(bench, counter));
	}
	host_stop(&counter->host, SIGTERM);
	for (size_t i = 0; i < BASELINES; i++)
		program_stop(&counter->baselines[i], 0);
	return good;
}

struct counter_targets {
	struct bound ratios[BASELINES];
	double void_below[BASELINES];
	struct bound rate, disk;
};

static void counter_judge(struct bench *bench, const struct counter *counter, const struct counter_targets *targets) {
	static const struct samples none = {.count = 0};
	const struct figures *ours = counter->figures;
	for (size_t i = 0; i < BASELINES; i++)
		target_add_ratio(bench, &targets->ratios[i], &ours->rate,
			counter->baseline_figures[i] == NULL ? &none : &counter->baseline_figures[i]->rate,
			targets->void_below[i] * VOID_SHARE, ours);
	target_add(bench, &targets->rate, &ours->rate, ours);
	target_add(bench, &targets->disk, &ours->disk_bytes, ours);
}

static const struct counter_targets targets_few = {
	{{"counter, 1,000 ids, to a hash table (tree)", AT_LEAST, 0.75, QUANTITY_TIMES},
		{"counter, 1,000 ids, to a hash table (cursor)", AT_LEAST, 0, QUANTITY_TIMES},
		{"counter, 1,000 ids, to unsynced LevelDB puts", AT_LEAST, 12, QUANTITY_TIMES},
		{"counter, 1,000 ids, to synced LevelDB puts", AT_LEAST, 500, QUANTITY_TIMES}},
	{4276e3, 0, 240e3, 3700},
	{"counter, 1,000 ids, one shard", AT_LEAST, 3e6, QUANTITY_RATE},
	{"disk a message, 1,000 ids", AT_MOST, 8, QUANTITY_BYTES},
};

static const struct counter_targets targets_many = {
	{{"counter, 1,000,000 ids, to a hash table (tree)", AT_LEAST, 0.65, QUANTITY_TIMES},
		{"counter, 1,000,000 ids, to a hash table (cursor)", AT_LEAST, 0, QUANTITY_TIMES},
		{"counter, 1,000,000 ids, to unsynced LevelDB puts", AT_LEAST, 5, QUANTITY_TIMES},
		{"counter, 1,000,000 ids, to synced LevelDB puts", AT_LEAST, 250, QUANTITY_TIMES}},
	{1643e3, 0, 215e3, 3500},
	{"counter, 1,000,000 ids, one shard", AT_LEAST, 1e6, QUANTITY_RATE},
	{"disk a message, 1,000,000 ids", AT_MOST, 40, QUANTITY_BYTES},
};

bool bench_counter(struct bench *bench) {
	static const struct {
		uint64_t ids;
		uint32_t shards;
		const struct counter_targets *targets; /* NULL: for orientation, without baselines */
	} plans[] = {
		{1, 1, NULL},
		{1000, 1, &targets_few},
		{1000, 2, NULL},
		{100000, 1, NULL},
		{1000000, 1, &targets_many},
		{1000000, 2, NULL},
	};
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct counter counter = {.ids = plans[i].ids, .shards = plans[i].shards};
		if (!counter_measure(bench, &counter, plans[i].targets != NULL && bench->baselines[0] != '\0'))
			return false;
		if (plans[i].targets != NULL)
			counter_judge(bench, &counter, plans[i].targets);
	}
	return true;
}

/* ---- the chain ---- */

bool bench_chain(struct bench *bench) {
	static const struct bound bound = {"chain of three, 1,000 ids, to the counter", AT_LEAST, 0.7, QUANTITY_TIMES};
	enum { IDS = 1000 };
	struct bench_host host;
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "chain-%zu", bench->figure_count);
	struct figures *counter = bench_figures(bench, "messages", "counter beside the chain, 1000 ids, 1 shard");
	struct figures *chain = bench_figures(bench, "messages", "chain of three, 1000 ids, 1 shard");
	bench_say(bench, "%s", chain->name);
	bool good =
		host_start(&host, bench, name, 1) && warm(bench, &host, "counter", IDS) && warm(bench, &host, "chain", IDS);
	const uint64_t messages = round_messages(bench);
	for (uint32_t round = 0; good && round < bench->rounds; round++) {
		const uint64_t seed = (round + 1) * (uint64_t)MESSAGES;
		good = round_run(&host, "counter", messages, 1, IDS, seed, counter) &&
			round_run(&host, "chain", messages / CHAIN_HOPS, CHAIN_HOPS, IDS, seed, chain);
	}
	host_stop(&host, SIGTERM);
	if (good)
		target_add_ratio(bench, &bound, &chain->rate, &counter->rate, 0, chain);
	return good;
}
