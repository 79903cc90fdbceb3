/* State that ends by itself: what it costs each message that the end must be known, and what the sweep does that takes the
 * ended ones off the disk. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/client.h"
#include "bench/report.h"
#include "bench/round.h"
#include "client/http.h"
#include "fail.h"

enum {
	IDS = 1000000,
	IDS_QUICK = 100000,
	COST_PORTION = 500000,
	COST_CHECKPOINTS = 2, /* of a round: some 13,000,000 messages */
	FIRSTS = 3,           /* rounds of messages that are the first of their instance */
	SWEEPS = 3,           /* filling takes longer than what is measured */
	FOREGROUND_RATE = 20000,
	FOREGROUND_CONNECTIONS = 16,
	FOREGROUND_IN_FLIGHT = 4096, /* of each: more than a stall of seconds leaves waiting */
	FOREGROUND_IDS = 1000,
	FOREGROUND_MS = 12000, /* about as long as a sweep may take; the rest of a longer one goes on without clients */
	FOREGROUND_MS_QUICK = 1500,
	QUIET_PART = 4,            /* of the foreground's time, the share before the sweep */
	IDLE_MS = 2 * 3600 * 1000, /* more than the plugin's instances live without a message */
};

static uint64_t ids_of(const struct bench *bench) {
	return bench->quick ? IDS_QUICK : IDS;
}

/* ---- what a message pays ---- */

struct cost {
	const char *target; /* of the driver; and the function is bench/<target> */
	const char *name;
	struct bench_host host;
	struct figures *figures;
	uint64_t seed;
	uint64_t written; /* checkpoints, as of the last look */
};

static bool cost_start(struct bench *bench, struct cost *cost, const char *touches) {
	char name[NAME_BYTES];
	snprintf(name, sizeof name, "expiry-%s-%zu", cost->target, bench->figure_count);
	cost->figures = bench_figures(bench, "messages", "counter %s idle_ttl, %s", cost->name, touches);
	return host_start(&cost->host, bench, name, 1);
}

/* Messages to instances of which there are `ids`, evenly. */
static bool cost_drive(struct cost *cost, uint64_t messages, uint64_t ids) {
	const struct load load = {cost->target, messages, ids, cost->seed, 0};
	cost->seed += messages;
	return host_drive(&cost->host, &load) && host_barrier(&cost->host);
}

static bool host_checkpoints(struct bench_host *host, uint64_t *ret_number) {
	return host_metric(host, "sofun_checkpoints_total", ret_number);
}

/* Until the host has written back so many times more. How often it must depends on what a message leaves in the journal: so a
 * stretch between two ends of that is what costs as much as any other. */
static bool cost_until(struct cost *cost, uint64_t checkpoints, uint64_t *ret_messages) {
	const uint64_t from = cost->written;
	*ret_messages = 0;
	while (cost->written - from < checkpoints) {
		if (!cost_drive(cost, COST_PORTION, IDS) || !host_checkpoints(&cost->host, &cost->written))
			return false;
		*ret_messages += COST_PORTION;
	}
	return true;
}

/* The first round begins at the end of a checkpoint behind all that filling has left: the table that fills while the first one is
 * written holds some of it, too. The others begin where the one before has ended. */
static bool cost_round(struct cost *cost) {
	struct host_account account;
	uint64_t messages;
	const bool begins = cost->figures->rate.count == 0;
	if (begins && !(host_checkpoints(&cost->host, &cost->written) && cost_until(cost, COST_CHECKPOINTS, &messages)))
		return false;
	program_settle(cost->host.program.works);
	host_account_begin(&cost->host, &account);
	const uint64_t start_ns = clock_ns();
	if (!cost_until(cost, COST_CHECKPOINTS, &messages))
		return false;
	samples_add(&cost->figures->rate, (double)messages * 1e9 / (double)(clock_ns() - start_ns));
	host_account_end(&cost->host, &account, (double)messages, cost->figures);
	return true;
}

/* Each message makes an instance: for one that ends also the entry of its sweep. */
static bool cost_round_first(struct cost *cost) {
	struct host_account account;
	const uint64_t messages = ids_of(cost->host.bench);
	program_settle(cost->host.program.works);
	host_account_begin(&cost->host, &account);
	const uint64_t start_ns = clock_ns();
	if (!cost_drive(cost, messages, UINT32_MAX))
		return false;
	samples_add(&cost->figures->rate, (double)messages * 1e9 / (double)(clock_ns() - start_ns));
	program_settle(cost->host.program.works);
	host_account_end(&cost->host, &account, (double)messages, cost->figures);
	return true;
}

/* A short look: no stretch is long enough to be written back. */
static bool cost_round_quick(struct cost *cost) {
	const struct load load = {cost->target, round_messages(cost->host.bench), IDS_QUICK, cost->seed, 0};
	cost->seed += load.left;
	return round_run(&cost->host, &load, 1, cost->figures);
}

/* Two hosts, so that neither has the other's instances in its memory; the one that waits does nothing. */
static bool costs_measure(struct bench *bench, const char *touches, uint64_t warm_ids,
	bool (*measure)(struct cost *cost), uint32_t rounds, const struct bound *rate, const struct bound *cpu) {
	struct cost lasting = {.target = "lasting", .name = "without"}, idle = {.target = "idle", .name = "with"};
	bool good = cost_start(bench, &lasting, touches) && cost_start(bench, &idle, touches);
	if (warm_ids > 0)
		good = good && round_warm(&lasting.host, lasting.target, warm_ids) &&
			round_warm(&idle.host, idle.target, warm_ids);
	for (uint32_t round = 0; good && round < rounds; round++) {
		struct cost *first = round % 2 == 0 ? &lasting : &idle, *second = round % 2 == 0 ? &idle : &lasting;
		good = measure(first) && measure(second);
	}
	host_stop(&lasting.host, SIGTERM);
	host_stop(&idle.host, SIGTERM);
	if (!good)
		return false;
	target_add_ratio(bench, rate, &idle.figures->rate, &lasting.figures->rate, 0, idle.figures);
	target_add_ratio(bench, cpu, &idle.figures->host_cpu_us, &lasting.figures->host_cpu_us, 0, idle.figures);
	return true;
}

static bool cost_measure(struct bench *bench) {
	static const struct bound later[] = {
		{"counter with idle_ttl, 1,000,000 ids, to one without", AT_LEAST, 0.95, QUANTITY_TIMES},
		{"the same: CPU of a message", AT_MOST, 0, QUANTITY_TIMES}};
	static const struct bound first[] = {
		{"counter with idle_ttl, each message the first, to one without", AT_LEAST, 0, QUANTITY_TIMES},
		{"the same: CPU of a message", AT_MOST, 0, QUANTITY_TIMES}};
	const uint32_t firsts = bench->rounds < FIRSTS ? bench->rounds : FIRSTS;
	char touches[NAME_BYTES];
	bench_say(bench, "counter with and without idle_ttl");
	snprintf(touches, sizeof touches, "%llu ids, 1 shard", (unsigned long long)ids_of(bench));
	return costs_measure(bench, touches, ids_of(bench), bench->quick ? cost_round_quick : cost_round, bench->rounds,
			   &later[0], &later[1]) &&
		costs_measure(bench, "new ids, 1 shard", 0, cost_round_first, firsts, &first[0], &first[1]);
}

/* ---- the sweep, and who works beside it ---- */

/* Latencies of calls, apart: before the sweep, while it runs, and after it, when what it removed is written back and compacted. */
enum { STRETCH_BEFORE, STRETCH_BESIDE, STRETCH_AFTER, STRETCHES };
static const char *const stretch_names[STRETCHES] = {"before", "beside", "after"};
struct foreground {
	_Atomic int stretch;
	struct histogram latency[STRETCHES];
};

static void foreground_seen(void *arg, uint64_t due_ns, uint64_t now_ns) {
	struct foreground *foreground = arg;
	const int stretch = atomic_load_explicit(&foreground->stretch, memory_order_relaxed);
	histogram_add(&foreground->latency[stretch], now_ns > due_ns ? now_ns - due_ns : 0, 1);
}

struct sweep {
	struct bench_host *host;
	struct foreground *foreground;
	uint32_t first_ms;
	double seconds;
	bool good;
};

/* All fall due at once; the clock's answer says that all are swept, and durable. */
static void *sweep_run(void *arg) {
	struct sweep *sweep = arg;
	pause_ms(sweep->first_ms);
	const uint64_t start_ns = clock_ns();
	atomic_store(&sweep->foreground->stretch, STRETCH_BESIDE);
	sweep->good = host_clock_advance(sweep->host, IDLE_MS);
	atomic_store(&sweep->foreground->stretch, STRETCH_AFTER);
	sweep->seconds = (double)(clock_ns() - start_ns) / 1e9;
	return NULL;
}

struct sweep_bench {
	struct bench *bench;
	struct bench_host host;
	struct program baseline; /* pid 0: none */
	struct figures *figures, *baseline_figures;
	struct figures *calls_figures[STRETCHES];
	struct calls calls;
};

static bool fill(struct sweep_bench *sweeps, uint32_t round) {
	const struct load load = {"note", ids_of(sweeps->bench), 1, (round + 1) * (uint64_t)IDS, 0};
	if (!host_drive(&sweeps->host, &load) || !host_barrier(&sweeps->host))
		return false;
	program_settle(sweeps->host.program.works);
	return true;
}

static void foreground_note(const struct histogram *latency, double seconds, struct figures *figures) {
	if (latency->total == 0)
		return; /* it was over before an answer came */
	samples_add(&figures->rate, (double)latency->total / seconds);
	samples_add(&figures->p50_us, histogram_us(latency, 0.5));
	samples_add(&figures->p99_us, histogram_us(latency, 0.99));
}

/* The host must say that none is left, or there is no figure. */
static bool ended_check(struct sweep_bench *sweeps) {
	json_t *answer;
	if (http_json(&sweeps->host.run, "GET", "/v1/state/bench/note?limit=1", NULL, &answer) != EXIT_OK)
		return false;
	const bool none = json_array_size(json_object_get(answer, "instances")) == 0;
	json_decref(answer);
	return none || (fail_here(sweeps->bench->run, "the clock moved, and there are instances that did not end"), false);
}

static bool sweep_beside(struct sweep_bench *sweeps, struct foreground *foreground, struct host_account *account) {
	const uint32_t ms = sweeps->bench->quick ? FOREGROUND_MS_QUICK : FOREGROUND_MS;
	struct sweep sweep = {.host = &sweeps->host, .foreground = foreground, .first_ms = ms / QUIET_PART};
	const struct client_plan plan = {.socket = sweeps->host.data_path,
		.connections = FOREGROUND_CONNECTIONS,
		.in_flight = FOREGROUND_IN_FLIGHT,
		.rate = FOREGROUND_RATE,
		.duration_ms = ms,
		.write = calls_write,
		.arg = &sweeps->calls,
		.seen = foreground_seen,
		.seen_arg = foreground};
	struct client_result *result = check_alloc(1, sizeof *result);
	pthread_t thread;
	host_account_begin(&sweeps->host, account);
	check(pthread_create(&thread, NULL, sweep_run, &sweep) == 0);
	const bool good = client_run(&sweeps->host.run, &plan, result);
	pthread_join(thread, NULL);
	if (good && sweep.good) {
		const double before = (double)sweep.first_ms / 1e3, rest = (double)ms / 1e3 - before;
		const double beside = sweep.seconds < rest ? sweep.seconds : rest;
		const double seconds[STRETCHES] = {before, beside, rest - beside};
		samples_add(&sweeps->figures->rate, (double)ids_of(sweeps->bench) / sweep.seconds);
		for (int i = 0; i < STRETCHES; i++)
			foreground_note(&foreground->latency[i], seconds[i], sweeps->calls_figures[i]);
	}
	free(result);
	return good && sweep.good;
}

static bool sweep_round(struct sweep_bench *sweeps, uint32_t round) {
	struct foreground *foreground = check_alloc(1, sizeof *foreground);
	struct host_account account;
	bool good = fill(sweeps, round) && sweep_beside(sweeps, foreground, &account) && ended_check(sweeps);
	if (good) {
		program_settle(sweeps->host.program.works);
		host_account_end(&sweeps->host, &account, (double)ids_of(sweeps->bench), sweeps->figures);
	}
	free(foreground);
	return good;
}

/* As many rows of a hundred bytes, put and then taken away in order of their times. */
static bool baseline_sweep(struct sweep_bench *sweeps) {
	struct figures filled = {.unit = "rows"};
	if (sweeps->baseline.pid == 0)
		return true;
	const bool good = baseline_do(sweeps->bench, &sweeps->baseline, "set", ids_of(sweeps->bench), &filled) &&
		baseline_do(sweeps->bench, &sweeps->baseline, "fire", ids_of(sweeps->bench), sweeps->baseline_figures);
	program_settle(sweeps->baseline.works);
	return good;
}

static bool sweep_start(struct bench *bench, struct sweep_bench *sweeps) {
	static const uint8_t nil = 0xc0;
	char name[NAME_BYTES], directory[PATH_BYTES + 2 * NAME_BYTES];
	calls_init(&sweeps->calls, "demo/counter", bytes_of(&nil, 1), FOREGROUND_IDS);
	snprintf(name, sizeof name, "sweep-%zu", bench->figure_count);
	snprintf(directory, sizeof directory, "%s/leveldb-%s", bench->directory, name);
	sweeps->figures = bench_figures(
		bench, "instances", "sweep of %llu ended instances, 100 bytes each", (unsigned long long)ids_of(bench));
	for (int i = 0; i < STRETCHES; i++)
		sweeps->calls_figures[i] =
			bench_figures(bench, "calls", "call at %d/s %s the sweep", FOREGROUND_RATE, stretch_names[i]);
	bench_say(bench, "%s", sweeps->figures->name);
	const char *arguments[] = {directory, "0", "leveldb", NULL};
	if (bench->baselines[0] == '\0')
		return host_start_timeless(&sweeps->host, bench, name, bench->cpus);
	sweeps->baseline_figures = bench_figures(bench, "rows", "LevelDB rows taken away in order, unsynced");
	sweeps->baseline_figures->is_baseline = true;
	return host_start_timeless(&sweeps->host, bench, name, bench->cpus) &&
		baseline_start(bench, &sweeps->baseline, "baseline_timers", arguments);
}

static void sweep_judge(struct bench *bench, const struct sweep_bench *sweeps) {
	static const struct samples none = {.count = 0};
	static const struct bound rate = {"sweep, beside 20,000 calls a second", AT_LEAST, 100000, QUANTITY_RATE};
	static const struct bound ratio = {"the same, to LevelDB rows", AT_LEAST, 0, QUANTITY_TIMES};
	static const struct bound p99 = {"call beside the sweep: p99 to that before", AT_MOST, 0, QUANTITY_TIMES};
	target_add(bench, &rate, &sweeps->figures->rate, sweeps->figures);
	target_add_ratio(bench, &ratio, &sweeps->figures->rate,
		sweeps->baseline_figures == NULL ? &none : &sweeps->baseline_figures->rate, 0, sweeps->figures);
	struct figures *const beside = sweeps->calls_figures[STRETCH_BESIDE];
	target_add_ratio(bench, &p99, &beside->p99_us, &sweeps->calls_figures[STRETCH_BEFORE]->p99_us, 0, beside);
}

static bool sweep_measure(struct bench *bench) {
	struct sweep_bench sweeps = {.bench = bench};
	bool good = sweep_start(bench, &sweeps);
	for (uint32_t round = 0; good && round < bench->rounds && round < SWEEPS; round++)
		good = sweep_round(&sweeps, round) && baseline_sweep(&sweeps);
	host_stop(&sweeps.host, SIGTERM);
	program_stop(&sweeps.baseline, 0);
	if (good)
		sweep_judge(bench, &sweeps);
	return good;
}

bool bench_expiry(struct bench *bench) {
	return cost_measure(bench) && sweep_measure(bench);
}
