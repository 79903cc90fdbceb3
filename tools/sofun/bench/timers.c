/* Timers while very many are pending: set, cancelled and fired, and the memory that they take. Each is one message of a
 * driver to an instance of its own, which sets or cancels its timer; a fired one is a message to a counter. */
#include <signal.h>

#include "base/check.h"
#include "bench/report.h"
#include "bench/round.h"
#include "fail.h"

enum {
	PENDING = 10000000,
	PENDING_QUICK = 200000,
	HOURS = 10, /* at which those of the start are due */
	HOUR_MS = 3600 * 1000,
	QUICK_DIVISOR = 5, /* of a round */
};

enum { SET, CANCEL, FIRE, WORKS };

static const char *const words[WORKS] = {"set", "cancel", "fire"}; /* of baseline_timers, too */
static const char *const done[WORKS] = {"set", "cancelled", "fired"};

enum { HEAP, ROWS, BASELINES };

static const struct {
	const char *name, *mode;
} baselines[BASELINES] = {{"heap and hash table in memory", "heap"}, {"LevelDB, two rows each, unsynced", "leveldb"}};

struct timers {
	struct bench *bench;
	struct bench_host host;
	struct program baselines[BASELINES]; /* pid 0: none */
	struct figures *figures[WORKS], *baseline_figures[BASELINES][WORKS];
	uint64_t pending, round; /* timers */
	uint64_t seed;
	struct samples memory_mib, own_mib, heap_mib;
};

/* ---- the host's ---- */

static bool alarms(
	struct timers *timers, const char *target, uint64_t seed, uint64_t hours, uint64_t count, struct figures *figures) {
	const struct load load = {target, count, 1, seed, hours * HOUR_MS};
	return round_run(&timers->host, &load, 1, figures);
}

static bool set(struct timers *timers, uint64_t hours, uint64_t count, struct figures *figures) {
	if (!alarms(timers, "alarm", timers->seed, hours, count, figures))
		return false;
	timers->seed += count;
	return true;
}

/* The clock goes on by an hour, at which as many are due as a round has. */
static bool fire(struct timers *timers) {
	struct figures *figures = timers->figures[FIRE];
	struct host_account account;
	uint64_t before, after;
	program_settle(timers->host.program.works);
	host_account_begin(&timers->host, &account);
	if (!host_status(&timers->host, "handled", &before))
		return false;
	const uint64_t start_ns = clock_ns();
	if (!host_clock_advance(&timers->host, HOUR_MS))
		return false;
	const double seconds = (double)(clock_ns() - start_ns) / 1e9;
	if (!host_status(&timers->host, "handled", &after))
		return false;
	if (after - before != timers->pending / HOURS)
		return fail_here(timers->bench->run, "%llu timers fired where %llu were due",
				   (unsigned long long)(after - before), (unsigned long long)(timers->pending / HOURS)),
			   false;
	program_settle(timers->host.program.works);
	samples_add(&figures->rate, (double)(after - before) / seconds);
	host_account_end(&timers->host, &account, (double)(after - before), figures);
	return true;
}

static bool fill(struct timers *timers) {
	struct figures filled = {.unit = "timers"};
	bench_say(timers->bench, "  %llu timers are set", (unsigned long long)timers->pending);
	for (uint64_t hour = 1; hour <= HOURS; hour++)
		if (!set(timers, hour, timers->pending / HOURS, &filled))
			return false;
	return true;
}

/* As many as fire are set anew, due after all others; and some more, which are cancelled. */
static bool host_round(struct timers *timers) {
	const uint64_t seed = timers->seed + timers->pending / HOURS;
	struct usage usage;
	if (usage_read(timers->host.program.works, &usage)) {
		samples_add(&timers->memory_mib, (double)usage.memory_bytes / (1 << 20));
		samples_add(&timers->own_mib, (double)usage.own_bytes / (1 << 20));
	}
	return fire(timers) && set(timers, HOURS, timers->pending / HOURS, timers->figures[SET]) &&
		set(timers, HOURS, timers->round, timers->figures[SET]) &&
		alarms(timers, "silence", seed, 0, timers->round, timers->figures[CANCEL]);
}

/* ---- the baselines' ---- */

static bool baselines_round(struct timers *timers) {
	const uint64_t hour = timers->pending / HOURS;
	for (size_t i = 0; i < BASELINES; i++) {
		struct program *program = &timers->baselines[i];
		struct figures **figures = timers->baseline_figures[i];
		struct usage usage;
		if (i == HEAP && usage_read(program->works, &usage))
			samples_add(&timers->heap_mib, (double)usage.memory_bytes / (1 << 20));
		if (!baseline_do(timers->bench, program, words[FIRE], hour, figures[FIRE]) ||
			!baseline_do(timers->bench, program, words[SET], hour, figures[SET]) ||
			!baseline_do(timers->bench, program, words[SET], timers->round, figures[SET]) ||
			!baseline_do(timers->bench, program, words[CANCEL], timers->round, figures[CANCEL]))
			return false;
		program_settle(program->works);
	}
	return true;
}

static bool baselines_start(struct timers *timers) {
	struct bench *bench = timers->bench;
	char pending[32];
	snprintf(pending, sizeof pending, "%llu", (unsigned long long)timers->pending);
	for (size_t i = 0; i < BASELINES; i++) {
		char directory[PATH_BYTES + NAME_BYTES];
		snprintf(
			directory, sizeof directory, "%s/timers-%s-%zu", bench->directory, baselines[i].mode, bench->figure_count);
		const char *arguments[] = {directory, pending, baselines[i].mode, NULL};
		if (!baseline_start(bench, &timers->baselines[i], "baseline_timers", arguments))
			return false;
		for (size_t work = 0; work < WORKS; work++) {
			timers->baseline_figures[i][work] =
				bench_figures(bench, "timers", "timers %s, %s", done[work], baselines[i].name);
			timers->baseline_figures[i][work]->is_baseline = true;
		}
	}
	return true;
}

/* ---- both ---- */

static bool start(struct bench *bench, struct timers *timers) {
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "timers-%zu", bench->figure_count);
	for (size_t work = 0; work < WORKS; work++)
		timers->figures[work] = bench_figures(bench, "timers", "timers %s, %llu pending, %u shards", done[work],
			(unsigned long long)timers->pending, bench->cpus);
	bench_say(bench, "timers set, cancelled and fired");
	return host_start_timeless(&timers->host, bench, name, bench->cpus) && fill(timers) &&
		(bench->baselines[0] == '\0' || baselines_start(timers));
}

static void judge(struct bench *bench, const struct timers *timers) {
	static const struct samples none = {.count = 0};
	static const struct bound ratios[WORKS][BASELINES] = {
		{{"timers set, to a heap in memory", AT_LEAST, 0, QUANTITY_TIMES},
			{"timers set, to LevelDB rows", AT_LEAST, 0, QUANTITY_TIMES}},
		{{"timers cancelled, to a heap in memory", AT_LEAST, 0, QUANTITY_TIMES},
			{"timers cancelled, to LevelDB rows", AT_LEAST, 0, QUANTITY_TIMES}},
		{{"timers fired, to a heap in memory", AT_LEAST, 0, QUANTITY_TIMES},
			{"timers fired, to LevelDB rows", AT_LEAST, 0, QUANTITY_TIMES}}};
	static const struct bound own = {"timers pending: memory of the host's own", AT_MOST, 512, QUANTITY_MIB};
	static const struct bound memory = {"the same, with files that LevelDB maps", AT_MOST, 0, QUANTITY_MIB};
	static const struct bound heap = {"the same timers in a heap and hash table", AT_MOST, 0, QUANTITY_MIB};
	for (size_t work = 0; work < WORKS; work++)
		for (size_t i = 0; i < BASELINES; i++) {
			const struct figures *baseline = timers->baseline_figures[i][work];
			target_add_ratio(bench, &ratios[work][i], &timers->figures[work]->rate,
				baseline == NULL ? &none : &baseline->rate, 0, timers->figures[work]);
		}
	target_add(bench, &own, &timers->own_mib, timers->figures[SET]);
	target_add(bench, &memory, &timers->memory_mib, timers->figures[SET]);
	target_add(bench, &heap, &timers->heap_mib, timers->figures[SET]);
}

bool bench_timers(struct bench *bench) {
	struct timers timers = {.bench = bench, .pending = bench->quick ? PENDING_QUICK : PENDING};
	timers.round = timers.pending / HOURS / (bench->quick ? QUICK_DIVISOR : 1);
	bool good = start(bench, &timers);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = host_round(&timers) && (timers.baselines[HEAP].pid == 0 || baselines_round(&timers));
	host_stop(&timers.host, SIGTERM);
	for (size_t i = 0; i < BASELINES; i++)
		program_stop(&timers.baselines[i], 0);
	if (good)
		judge(bench, &timers);
	return good;
}
