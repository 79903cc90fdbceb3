/* Calls over the data socket, by this process: request and reply, durable in between. The same client against an echo
 * server with the same framing shows what of it is the client's share. */
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/client.h"
#include "bench/host.h"
#include "bench/report.h"
#include "wire/pack.h"

enum {
	IDS = 1000,
	ROUND_MS = 1500,
	ROUND_MS_QUICK = 200,
	SYNCED_PUTS = 1000,
	SYNCED_PUTS_QUICK = 100,
	STEADY_RATE = 100000,
	STEADY_CONNECTIONS = 16,
	STEADY_IN_FLIGHT = 4096, /* of each: more than a stall of half a second leaves waiting */
	STEADY_MS = 3000,
	CHAIN_HOPS = 3,
	SHAPES = 4,
};

static const struct { uint32_t connections, in_flight; } shapes[SHAPES] = {{1, 1}, {1, 16}, {64, 1}, {64, 16}};

static void nil_calls_init(struct calls *calls) {
	static const uint8_t nil = 0xc0;
	calls_init(calls, "demo/counter", bytes_of(&nil, 1), IDS);
}

static struct client_plan plan_of(struct bench *bench, struct calls *calls, uint32_t connections, uint32_t in_flight) {
	return (struct client_plan){.connections = connections,
		.in_flight = in_flight,
		.duration_ms = bench->quick ? ROUND_MS_QUICK : ROUND_MS,
		.write = calls_write,
		.arg = calls};
}

static void result_add(const struct client_result *result, struct figures *figures) {
	samples_add(&figures->rate, (double)result->answered / result->seconds);
	samples_add(&figures->p50_us, histogram_us(&result->latency, 0.5));
	samples_add(&figures->p99_us, histogram_us(&result->latency, 0.99));
}

/* A round against the host. */
static bool host_round(struct bench_host *host, struct client_plan *plan, struct figures *figures) {
	struct client_result *result = check_alloc(1, sizeof *result);
	struct host_account account;
	plan->socket = host->data_path;
	program_settle(host->program.works);
	host_account_begin(host, &account);
	const bool good = client_run(&host->run, plan, result);
	if (good) {
		result_add(result, figures);
		host_account_end(host, &account, (double)(result->answered + result->late), figures);
	}
	free(result);
	return good;
}

/* ---- the echo server ---- */

struct echo {
	struct program program;
	char socket[PATH_BYTES + NAME_BYTES];
};

static bool echo_start(struct bench *bench, struct echo *echo, bool syncs) {
	char file[PATH_BYTES + NAME_BYTES];
	const char *kind = syncs ? "synced" : "plain";
	snprintf(echo->socket, sizeof echo->socket, "%s/echo-%s-%zu.sock", bench->directory, kind, bench->figure_count);
	snprintf(file, sizeof file, "%s/echo-%zu", bench->directory, bench->figure_count);
	const char *arguments[] = {echo->socket, syncs ? file : NULL, NULL};
	return baseline_start(bench, &echo->program, "baseline_echo", arguments);
}

static bool echo_round(struct bench *bench, struct echo *echo, struct client_plan *plan, struct figures *figures) {
	struct client_result *result = check_alloc(1, sizeof *result);
	struct usage before, after;
	plan->socket = echo->socket;
	const double own_us = usage_own_cpu_us();
	const bool counted = usage_read(echo->program.works, &before);
	const bool good = client_run(bench->run, plan, result);
	if (good && counted && usage_read(echo->program.works, &after))
		samples_add(&figures->host_cpu_us, (after.cpu_us - before.cpu_us) / (double)result->answered);
	if (good) {
		result_add(result, figures);
		samples_add(&figures->client_cpu_us, (usage_own_cpu_us() - own_us) / (double)result->answered);
	}
	free(result);
	return good;
}

/* ---- calls ---- */

struct call_bench {
	struct bench_host host;
	struct echo echo;
	struct echo echo_synced; /* before it answers */
	struct program synced;   /* LevelDB puts */
	struct figures *synced_figures;
	struct figures *calls[SHAPES], *echoes[SHAPES], *echoes_synced[SHAPES];
	bool with_baselines;
};

static bool call_start(struct bench *bench, struct call_bench *call) {
	char name[NAME_BYTES], directory[PATH_BYTES + 2 * NAME_BYTES];
	snprintf(name, sizeof name, "call-%zu", bench->figure_count);
	snprintf(directory, sizeof directory, "%s/leveldb-%s", bench->directory, name);
	const char *arguments[] = {directory, "1000", "sync", NULL};
	if (!host_start(&call->host, bench, name, bench->cpus))
		return false;
	for (size_t i = 0; i < SHAPES; i++) {
		const uint32_t connections = shapes[i].connections, in_flight = shapes[i].in_flight;
		call->calls[i] =
			bench_figures(bench, "calls", "call, %u connections, %u in flight each", connections, in_flight);
		if (!call->with_baselines)
			continue;
		call->echoes[i] =
			bench_figures(bench, "calls", "echo server, %u connections, %u in flight each", connections, in_flight);
		call->echoes[i]->is_baseline = true;
		call->echoes_synced[i] = bench_figures(bench, "calls",
			"echo server that syncs each turn, %u connections, %u in flight each", connections, in_flight);
		call->echoes_synced[i]->is_baseline = true;
	}
	if (!call->with_baselines)
		return true;
	call->synced_figures = bench_figures(bench, "puts", "LevelDB put, synced, beside the calls");
	call->synced_figures->is_baseline = true;
	return baseline_start(bench, &call->synced, "baseline_leveldb", arguments) &&
		echo_start(bench, &call->echo, false) && echo_start(bench, &call->echo_synced, true);
}

static bool call_round(struct bench *bench, struct call_bench *call, struct calls *calls) {
	for (size_t i = 0; i < SHAPES; i++) {
		struct client_plan plan = plan_of(bench, calls, shapes[i].connections, shapes[i].in_flight);
		if (!host_round(&call->host, &plan, call->calls[i]))
			return false;
		if (call->with_baselines &&
			(!echo_round(bench, &call->echo, &plan, call->echoes[i]) ||
				!echo_round(bench, &call->echo_synced, &plan, call->echoes_synced[i])))
			return false;
	}
	program_settle(call->host.program.works);
	return !call->with_baselines ||
		baseline_round(bench, &call->synced, bench->quick ? SYNCED_PUTS_QUICK : SYNCED_PUTS, call->synced_figures);
}

static void call_judge(struct bench *bench, const struct call_bench *call) {
	enum { IDLE = 0, ALONE = 2, PILED = 3 }; /* of shapes */
	static const struct samples none = {.count = 0};
	const struct figures *const *calls = (const struct figures *const *)call->calls;
	const struct figures *const *echoes = (const struct figures *const *)call->echoes;
	const struct bound rows[] = {
		{"call, one in flight, idle host: p50 to a synced put's", AT_MOST, 2.5, QUANTITY_TIMES},
		{"call, 64 connections, 1 in flight", AT_LEAST, 40000, QUANTITY_RATE},
		{"the same: host CPU a call", AT_MOST, 20, QUANTITY_US},
		{"the same, to the echo server", AT_LEAST, 0.5, QUANTITY_TIMES},
		{"the same, to one that syncs each turn", AT_LEAST, 0, QUANTITY_TIMES},
		{"call, 64 connections, 16 in flight", AT_LEAST, 300000, QUANTITY_RATE},
		{"the same: host CPU a call", AT_MOST, 4, QUANTITY_US},
		{"the same, to the echo server", AT_LEAST, 0.5, QUANTITY_TIMES},
		{"the same, to one that syncs each turn", AT_LEAST, 0, QUANTITY_TIMES},
	};
	target_add_ratio(bench, &rows[0], &calls[IDLE]->p50_us,
		call->synced_figures == NULL ? &none : &call->synced_figures->p50_us, 0, calls[IDLE]);
	const struct figures *const *synced = (const struct figures *const *)call->echoes_synced;
	for (size_t i = ALONE, row = 1; i <= PILED; i++, row += 4) {
		target_add(bench, &rows[row], &calls[i]->rate, calls[i]);
		target_add(bench, &rows[row + 1], &calls[i]->host_cpu_us, calls[i]);
		target_add_ratio(
			bench, &rows[row + 2], &calls[i]->rate, echoes[i] == NULL ? &none : &echoes[i]->rate, 0, calls[i]);
		target_add_ratio(
			bench, &rows[row + 3], &calls[i]->rate, synced[i] == NULL ? &none : &synced[i]->rate, 0, calls[i]);
	}
}

bool bench_call(struct bench *bench) {
	struct call_bench call = {.with_baselines = bench->baselines[0] != '\0'};
	struct calls calls;
	nil_calls_init(&calls);
	bench_say(bench, "calls, 1 and 64 connections, 1 and 16 in flight");
	bool good = call_start(bench, &call);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = call_round(bench, &call, &calls);
	host_stop(&call.host, SIGTERM);
	program_stop(&call.echo.program, 0);
	program_stop(&call.echo_synced.program, 0);
	program_stop(&call.synced, 0);
	if (good)
		call_judge(bench, &call);
	return good;
}

/* ---- at a rate; through a chain ---- */

/* Rounds of one plan against a host of its own. */
static bool plan_run(struct bench *bench, const char *name, struct client_plan *plan, struct figures *figures) {
	struct bench_host host;
	char directory[NAME_BYTES];
	snprintf(directory, sizeof directory, "%s-%zu", name, bench->figure_count);
	bench_say(bench, "%s", figures->name);
	bool good = host_start(&host, bench, directory, bench->cpus);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = host_round(&host, plan, figures);
	host_stop(&host, SIGTERM);
	return good;
}

bool bench_steady(struct bench *bench) {
	static const struct bound rate = {"call at 100,000/s: answered", AT_LEAST, 0.99 * STEADY_RATE, QUANTITY_RATE};
	static const struct bound p50 = {"call at 100,000/s: p50", AT_MOST, 1500, QUANTITY_US};
	static const struct bound p99 = {"call at 100,000/s: p99", AT_MOST, 10000, QUANTITY_US};
	struct calls calls;
	nil_calls_init(&calls);
	struct client_plan plan = plan_of(bench, &calls, STEADY_CONNECTIONS, STEADY_IN_FLIGHT);
	plan.rate = STEADY_RATE;
	plan.duration_ms = bench->quick ? ROUND_MS_QUICK : STEADY_MS;
	struct figures *figures =
		bench_figures(bench, "calls", "call at %d/s, %d connections", STEADY_RATE, STEADY_CONNECTIONS);
	if (!plan_run(bench, "steady", &plan, figures))
		return false;
	target_add(bench, &rate, &figures->rate, figures);
	target_add(bench, &p50, &figures->p50_us, figures);
	target_add(bench, &p99, &figures->p99_us, figures);
	return true;
}

/* The first of three functions is called, the third replies. */
bool bench_chain_calls(struct bench *bench) {
	static const struct bound bound = {"chain of three, 64 connections: replies", AT_LEAST, 30000, QUANTITY_RATE};
	struct calls calls;
	struct buf payload = {0};
	pack_array(&payload, 2);
	pack_uint(&payload, CHAIN_HOPS);
	pack_uint(&payload, IDS);
	calls_init(&calls, "bench/chain", bytes_buf(&payload), IDS);
	buf_finish(&payload);
	struct client_plan plan = plan_of(bench, &calls, 64, 1);
	struct figures *figures = bench_figures(bench, "replies", "chain of three, 64 connections, 1 in flight each");
	if (!plan_run(bench, "chain-calls", &plan, figures))
		return false;
	target_add(bench, &bound, &figures->rate, figures);
	return true;
}
