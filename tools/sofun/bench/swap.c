/* Swaps of a plugin back and forth under load, seen by the client whose calls it answers. At half load, evenly: the pause
 * that a swap makes. At full load: what it takes from the rate. Whatever belongs to a swap by name is measured with it: the
 * version is staged anew each time. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/client.h"
#include "bench/host.h"
#include "bench/report.h"
#include "bench/watch.h"
#include "client/http.h"
#include "fail.h"
#include "wire/pack.h"

enum {
	IDS = 1000,
	CONNECTIONS = 64,
	IN_FLIGHT = 16,       /* of each, at full load */
	IN_FLIGHT_EVEN = 256, /* the same, at half load: more than a stall of a tenth of a second leaves waiting */
	SWAPS = 30,
	SWAPS_QUICK = 3,
	SATURATION_MS = 4000,
	RETRY_MS = 5, /* while the version before drains */
	PATIENCE_MS = 10000,
	SPARE_PERIODS = 2, /* for swaps that had to wait */
	BODY_BYTES = 96,
};

/* How long is looked, of each swap. A quick run looks an eighth as long. */
struct pace {
	uint32_t half_ms;    /* before and behind a swap */
	uint32_t earlier_ms; /* from the swap back to the middle of the stretch that it is compared with */
	uint32_t period_ms;  /* from swap to swap: no stretch is part of two */
	uint32_t second_ms;  /* of which the rates are compared */
};

static const struct pace pace_full = {500, 2000, 3200, 1000}, pace_quick = {62, 250, 400, 125};

static const char *const versions[] = {"1.0.0", "1.1.0"}; /* of plugins/bench, with the same behaviour */
static const char *const drains[] = {"accepted", "running"};
enum { DRAINS = sizeof drains / sizeof *drains };

/* One swap; both times are the clock's. */
struct mark {
	const char *drain;
	uint64_t asked_ns;
	uint64_t live_ns; /* it was answered: the fence is durable */
};

/* A run of swaps beside the client. */
struct swapper {
	struct bench_host *host;
	const char *drain; /* NULL: both in turns */
	uint32_t first_ms, period_ms, swaps;
	uint64_t end_ns;   /* those after it are left out */
	uint32_t *version; /* the next one's; across runs */
	struct mark marks[SWAPS];
	uint32_t marked;
	bool good;
};

/* ---- swaps ---- */

/* The answer must say that the version asked for is live: else nothing was measured. */
static bool live_check(const struct bench_host *host, const json_t *answer, const char *version) {
	const char *found = json_string_value(json_object_get(answer, "version"));
	const char *state = json_string_value(json_object_get(answer, "state"));
	if (found != NULL && state != NULL && strcmp(found, version) == 0 && strcmp(state, "live") == 0)
		return true;
	fail_here(
		&host->run, "a swap to %s made %s %s", version, found == NULL ? "nothing" : found, state == NULL ? "" : state);
	return false;
}

/* Asks once; *ret_refused: the host is not done with the swap before. */
static bool swap_ask(struct swapper *swapper, struct mark *mark, const char *version, bool *ret_refused) {
	enum { CONFLICT = 409 };
	char body[BODY_BYTES], problem[256];
	struct http_answer answer = {.status = 0};
	json_t *value;
	snprintf(body, sizeof body, "{\"version\":\"%s\",\"drain\":\"%s\"}", version, mark->drain);
	mark->asked_ns = clock_ns();
	const enum http_result result = http_request(
		swapper->host->control_path, "POST", "/v1/plugins/bench/swap", bytes_text(body), PATIENCE_MS, &answer, problem);
	mark->live_ns = clock_ns();
	*ret_refused = result == HTTP_OK && answer.status == CONFLICT;
	if (result != HTTP_OK || *ret_refused) {
		buf_finish(&answer.body);
		return *ret_refused || (fail_here(&swapper->host->run, "a swap: %s", problem), false);
	}
	if (http_answered(&swapper->host->run, "/v1/plugins/bench/swap", &answer, &value) != EXIT_OK)
		return false;
	const bool good = live_check(swapper->host, value, version);
	json_decref(value);
	return good;
}

static bool swap_once(struct swapper *swapper, struct mark *mark) {
	const char *version = versions[*swapper->version % 2];
	const uint64_t deadline_ns = clock_ns() + (uint64_t)PATIENCE_MS * 1000000u;
	bool refused = true;
	while (swap_ask(swapper, mark, version, &refused) && refused && clock_ns() < deadline_ns)
		pause_ms(RETRY_MS);
	if (refused)
		return false;
	++*swapper->version;
	return true;
}

static void *swaps_run(void *arg) {
	struct swapper *swapper = arg;
	uint64_t next_ns = clock_ns() + (uint64_t)swapper->first_ms * 1000000u;
	swapper->good = true;
	while (swapper->good && swapper->marked < swapper->swaps) {
		const uint64_t now_ns = clock_ns();
		if (now_ns < next_ns)
			pause_ms((uint32_t)((next_ns - now_ns) / 1000000u) + 1);
		if (clock_ns() >= swapper->end_ns)
			break;
		struct mark *mark = &swapper->marks[swapper->marked];
		mark->drain = swapper->drain != NULL ? swapper->drain : drains[swapper->marked % DRAINS];
		swapper->good = swap_once(swapper, mark);
		swapper->marked += swapper->good;
		next_ns = mark->asked_ns + (uint64_t)swapper->period_ms * 1000000u;
	}
	return NULL;
}

/* ---- a run of the client, with swaps beside it ---- */

struct swap_bench {
	struct bench *bench;
	struct bench_host host;
	struct calls calls;
	struct pace pace;
	uint32_t swaps;   /* of each run */
	uint32_t version; /* the next one to go live, of `versions` */
	uint64_t rate;    /* half of what the host can answer */
	struct samples live_ms;
	json_t *details;
};

static struct client_plan plan_of(struct swap_bench *swap, uint64_t rate) {
	return (struct client_plan){.socket = swap->host.data_path,
		.connections = CONNECTIONS,
		.in_flight = rate > 0 ? IN_FLIGHT_EVEN : IN_FLIGHT,
		.rate = rate,
		.write = calls_write,
		.arg = &swap->calls};
}

static bool run_beside(
	struct swap_bench *swap, struct swapper *swapper, struct watch *watch, struct figures *figures, uint64_t rate) {
	struct client_plan plan = plan_of(swap, rate);
	struct client_result *result = check_alloc(1, sizeof *result);
	struct host_account account;
	pthread_t thread;
	swapper->host = &swap->host;
	swapper->swaps = swap->swaps;
	swapper->version = &swap->version;
	swapper->period_ms = swap->pace.period_ms;
	swapper->first_ms = swap->pace.period_ms;
	plan.duration_ms = swap->pace.period_ms * (swap->swaps + SPARE_PERIODS);
	plan.seen = watch_answer;
	plan.seen_arg = watch;
	program_settle(swap->host.program.works);
	host_account_begin(&swap->host, &account);
	watch_init(watch);
	swapper->end_ns = watch->start_ns + (uint64_t)(plan.duration_ms - swap->pace.second_ms) * 1000000u;
	check(pthread_create(&thread, NULL, swaps_run, swapper) == 0);
	bool good = client_run(&swap->host.run, &plan, result);
	pthread_join(thread, NULL);
	good = good && swapper->good;
	if (good && swapper->marked == 0)
		good = (fail_here(swap->bench->run, "no swap came about in time"), false);
	if (good) {
		samples_add(&figures->rate, (double)result->answered / result->seconds);
		samples_add(&figures->p50_us, histogram_us(&result->latency, 0.5));
		samples_add(&figures->p99_us, histogram_us(&result->latency, 0.99));
		host_account_end(&swap->host, &account, (double)(result->answered + result->late), figures);
	}
	free(result);
	return good;
}

/* What was seen, for a plot; times count from the start. */
static void details_add(
	struct swap_bench *swap, const struct swapper *swapper, struct watch *watch, const char *name, uint64_t rate) {
	json_t *marks = json_array();
	for (uint32_t i = 0; i < swapper->marked; i++) {
		const struct mark *mark = &swapper->marks[i];
		json_array_append_new(marks,
			json_pack("{s:s, s:f, s:f}", "drain", mark->drain, "asked_ms",
				(double)(mark->asked_ns - watch->start_ns) / 1e6, "live_ms",
				(double)(mark->live_ns - watch->start_ns) / 1e6));
	}
	json_t *run = json_pack("{s:s, s:I, s:i, s:o, s:o}", "name", name, "rate", (json_int_t)rate, "bin_ms", WATCH_BIN_MS,
		"bins", watch_json(watch), "swaps", marks);
	check_memory(run);
	json_array_append_new(swap->details, run);
}

static struct stretch stretch_around(uint64_t middle_ns, uint32_t half_ms) {
	const uint64_t half_ns = (uint64_t)half_ms * 1000000u;
	return (struct stretch){middle_ns - half_ns, middle_ns + half_ns};
}

/* ---- half load ---- */

/* Beyond those of a stretch without a swap: both may be negative. */
struct pauses {
	struct samples gap_ms, longest_ms, gap_before_ms;
};

static struct pauses pauses_of(
	const struct swap_bench *swap, const struct swapper *swapper, const struct watch *watch) {
	struct pauses pauses = {.gap_ms = {.count = 0}};
	for (uint32_t i = 0; i < swapper->marked; i++) {
		const uint64_t at_ns = swapper->marks[i].asked_ns;
		const struct stretch with = stretch_around(at_ns, swap->pace.half_ms);
		const struct stretch without =
			stretch_around(at_ns - (uint64_t)swap->pace.earlier_ms * 1000000u, swap->pace.half_ms);
		samples_add(&pauses.gap_ms, watch_gap_ms(watch, with) - watch_gap_ms(watch, without));
		samples_add(&pauses.gap_before_ms, watch_gap_ms(watch, without));
		samples_add(&pauses.longest_ms, watch_longest_ms(watch, with) - watch_longest_ms(watch, without));
	}
	return pauses;
}

static void live_note(struct swap_bench *swap, const struct swapper *swapper) {
	for (uint32_t i = 0; i < swapper->marked && swap->live_ms.count < SAMPLES_MAX; i++)
		samples_add(&swap->live_ms, (double)(swapper->marks[i].live_ns - swapper->marks[i].asked_ns) / 1e6);
}

/* The rows of one drain. */
static void half_judge(struct bench *bench, size_t drain, const struct pauses *pauses, const struct figures *figures) {
	static const struct bound gap[DRAINS] = {{"swap, half load, accepted: pause of one", AT_MOST, 1, QUANTITY_MS},
		{"swap, half load, running: pause of one", AT_MOST, 1, QUANTITY_MS}};
	static const struct bound before = {"the same: longest gap without a swap", AT_MOST, 0, QUANTITY_MS};
	static const struct bound longest = {"the same: longest call beyond that of before", AT_MOST, 0, QUANTITY_MS};
	target_add(bench, &gap[drain], &pauses->gap_ms, figures);
	target_add(bench, &before, &pauses->gap_before_ms, figures);
	target_add(bench, &longest, &pauses->longest_ms, figures);
}

static bool half_load(struct swap_bench *swap, size_t drain) {
	struct swapper swapper = {.drain = drains[drain]};
	struct watch watch;
	struct figures *figures =
		bench_figures(swap->bench, "calls", "call at half load, %u swaps, drain %s", swap->swaps, drains[drain]);
	bench_say(swap->bench, "%s: %llu/s", figures->name, (unsigned long long)swap->rate);
	const bool good = run_beside(swap, &swapper, &watch, figures, swap->rate);
	if (good) {
		const struct pauses pauses = pauses_of(swap, &swapper, &watch);
		half_judge(swap->bench, drain, &pauses, figures);
		live_note(swap, &swapper);
		details_add(swap, &swapper, &watch, drains[drain], swap->rate);
	}
	watch_finish(&watch);
	return good;
}

/* ---- full load ---- */

static struct samples shares_of(
	const struct swap_bench *swap, const struct swapper *swapper, const struct watch *watch) {
	struct samples shares = {.count = 0};
	const uint64_t second_ns = (uint64_t)swap->pace.second_ms * 1000000u;
	for (uint32_t i = 0; i < swapper->marked; i++) {
		const uint64_t at_ns = swapper->marks[i].asked_ns;
		const uint64_t before = watch_count(watch, (struct stretch){at_ns - second_ns, at_ns});
		if (before > 0)
			samples_add(
				&shares, (double)watch_count(watch, (struct stretch){at_ns, at_ns + second_ns}) / (double)before);
	}
	return shares;
}

static bool full_load(struct swap_bench *swap) {
	static const struct bound share = {
		"swap, full load: rate of its second to the one before", AT_LEAST, 0.95, QUANTITY_TIMES};
	static const struct bound live = {"swap by name: from the request until live", AT_MOST, 0, QUANTITY_MS};
	struct swapper swapper = {.drain = NULL};
	struct watch watch;
	struct figures *figures =
		bench_figures(swap->bench, "calls", "call at full load, %u swaps, both drains", swap->swaps);
	bench_say(swap->bench, "%s", figures->name);
	const bool good = run_beside(swap, &swapper, &watch, figures, 0);
	if (good) {
		const struct samples shares = shares_of(swap, &swapper, &watch);
		target_add(swap->bench, &share, &shares, figures);
		target_add(swap->bench, &live, &swap->live_ms, figures);
		details_add(swap, &swapper, &watch, "full", 0);
	}
	watch_finish(&watch);
	return good;
}

/* What the host answers in closed loop, without a swap. */
static bool saturation(struct swap_bench *swap) {
	struct client_plan plan = plan_of(swap, 0);
	struct client_result *result = check_alloc(1, sizeof *result);
	plan.duration_ms = swap->bench->quick ? SATURATION_MS / 8 : SATURATION_MS;
	bench_say(swap->bench, "calls at full load, without a swap");
	const bool good = client_run(&swap->host.run, &plan, result) && client_run(&swap->host.run, &plan, result);
	if (good)
		swap->rate = (uint64_t)((double)result->answered / result->seconds / 2);
	free(result);
	return good;
}

/* ---- both ---- */

/* One hop: it counts and replies, as the counter does, and it is of the plugin that is swapped. */
static void chain_calls_init(struct calls *calls) {
	struct buf payload = {0};
	pack_array(&payload, 2);
	pack_uint(&payload, 1);
	pack_uint(&payload, IDS);
	calls_init(calls, "bench/chain", bytes_buf(&payload), IDS);
	buf_finish(&payload);
}

static bool nothing_died(struct bench_host *host) {
	uint64_t dead;
	if (!host_status(host, "dead", &dead))
		return false;
	return dead == 0 || (fail_here(&host->run, "%llu messages died", (unsigned long long)dead), false);
}

bool bench_swap(struct bench *bench) {
	struct swap_bench swap = {.bench = bench,
		.pace = bench->quick ? pace_quick : pace_full,
		.swaps = bench->quick ? SWAPS_QUICK : SWAPS,
		.details = json_array()};
	char name[NAME_BYTES];
	chain_calls_init(&swap.calls);
	snprintf(name, sizeof name, "swap-%zu", bench->figure_count);
	bool good = host_start(&swap.host, bench, name, bench->cpus) && host_plugin_load(&swap.host, "next/bench") &&
		saturation(&swap);
	for (size_t drain = 0; good && drain < DRAINS; drain++)
		good = half_load(&swap, drain);
	good = good && full_load(&swap) && host_barrier(&swap.host) && nothing_died(&swap.host);
	host_stop(&swap.host, SIGTERM);
	json_object_set_new(bench->details, "swap", swap.details);
	return good;
}
