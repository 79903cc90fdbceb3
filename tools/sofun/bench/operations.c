/* Asynchronous operations: each is one message of a driver, which starts one; its work does nothing; its result counts. */
#include <signal.h>

#include "bench/report.h"
#include "bench/round.h"
#include "fail.h"

enum {
	ROUND = 50000, /* below operations.pending_max, however slow the results are */
	IDS = 1000,
	THREADS = 4, /* as operations.threads */
};

enum { MEMORY, ROWS, BASELINES };

static const struct {
	const char *name, *mode;
} baselines[BASELINES] = {{"pool and queues in memory", "memory"}, {"the same and LevelDB rows, unsynced", "leveldb"}};

struct operations {
	struct bench *bench;
	struct bench_host host;
	struct program baselines[BASELINES]; /* pid 0: none */
	struct figures *figures, *baseline_figures[BASELINES];
};

static bool baselines_start(struct operations *operations) {
	struct bench *bench = operations->bench;
	char threads[8];
	snprintf(threads, sizeof threads, "%d", THREADS);
	for (size_t i = 0; i < BASELINES; i++) {
		char directory[PATH_BYTES + NAME_BYTES];
		snprintf(directory, sizeof directory, "%s/operations-%s-%zu", bench->directory, baselines[i].mode,
			bench->figure_count);
		const char *arguments[] = {directory, threads, baselines[i].mode, NULL};
		if (!baseline_start(bench, &operations->baselines[i], "baseline_operations", arguments))
			return false;
		operations->baseline_figures[i] = bench_figures(bench, "operations", "operations, %s", baselines[i].name);
		operations->baseline_figures[i]->is_baseline = true;
	}
	return true;
}

static bool start(struct operations *operations) {
	struct bench *bench = operations->bench;
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "operations-%zu", bench->figure_count);
	operations->figures =
		bench_figures(bench, "operations", "operations started, worked for, counted, %u shards", bench->cpus);
	bench_say(bench, "asynchronous operations");
	return host_start(&operations->host, bench, name, bench->cpus) && round_warm(&operations->host, "counter", IDS) &&
		(bench->baselines[0] == '\0' || baselines_start(operations));
}

static bool one_round(struct operations *operations, uint32_t round) {
	const struct load load = {.target = "errand", .left = ROUND, .ids = IDS, .seed = round_seed(round)};
	if (!round_run(&operations->host, &load, 1, operations->figures))
		return false;
	for (size_t i = 0; i < BASELINES && operations->baselines[i].pid != 0; i++) {
		if (!baseline_do(operations->bench, &operations->baselines[i], "work", ROUND, operations->baseline_figures[i]))
			return false;
		program_settle(operations->baselines[i].works);
	}
	return true;
}

static void judge(struct bench *bench, const struct operations *operations) {
	static const struct samples none = {.count = 0};
	static const struct bound ratios[BASELINES] = {
		{"operations, to a pool and queues in memory", AT_LEAST, 0, QUANTITY_TIMES},
		{"operations, to the same and LevelDB rows", AT_LEAST, 0, QUANTITY_TIMES}};
	for (size_t i = 0; i < BASELINES; i++) {
		const struct figures *baseline = operations->baseline_figures[i];
		target_add_ratio(bench, &ratios[i], &operations->figures->rate, baseline == NULL ? &none : &baseline->rate, 0,
			operations->figures);
	}
}

bool bench_operations(struct bench *bench) {
	struct operations operations = {.bench = bench};
	bool good = start(&operations);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = one_round(&operations, round);
	host_stop(&operations.host, SIGTERM);
	for (size_t i = 0; i < BASELINES; i++)
		program_stop(&operations.baselines[i], 0);
	if (good)
		judge(bench, &operations);
	return good;
}
