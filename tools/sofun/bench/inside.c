/* Work inside the host: the counter and the chain of three, driven by the plugin bench. */
#include <signal.h>

#include "bench/report.h"
#include "bench/round.h"

enum {
	TREE_MESSAGES = 4000000,
	UNSYNCED_MESSAGES = 300000,
	SYNCED_MESSAGES = 1500,
	QUICK_DIVISOR = 20, /* of the baselines */
	CHAIN_HOPS = 3,     /* plugins/bench */
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
		round_warm(&counter->host, "counter", counter->ids) && (!with_baselines || baselines_start(bench, counter));
	for (uint32_t round = 0; good && round < bench->rounds; round++) {
		const struct load load = {"counter", round_messages(bench), counter->ids, round_seed(round), 0};
		good = round_run(&counter->host, &load, 1, counter->figures);
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
		host_start(&host, bench, name, 1) && round_warm(&host, "counter", IDS) && round_warm(&host, "chain", IDS);
	const uint64_t messages = round_messages(bench);
	for (uint32_t round = 0; good && round < bench->rounds; round++) {
		const struct load counted = {"counter", messages, IDS, round_seed(round), 0};
		const struct load chained = {"chain", messages / CHAIN_HOPS, IDS, round_seed(round), 0};
		good = round_run(&host, &counted, 1, counter) && round_run(&host, &chained, CHAIN_HOPS, chain);
	}
	host_stop(&host, SIGTERM);
	if (good)
		target_add_ratio(bench, &bound, &chain->rate, &counter->rate, 0, chain);
	return good;
}
