/* sofun-sim: runs seeds. Each is deterministic: `sofun-sim --seed N` repeats what was found. */
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "points.h"
#include "world.h"

struct options {
	uint64_t first;
	uint64_t seeds;
	uint64_t seconds; /* 0: no limit */
	const char *mutant;
	bool trace;
};

static int usage(void) {
	fprintf(stderr,
		"usage: sofun-sim [--seeds N=1000] [--first N=1] [--seconds S] [--mutant NAME] | --seed N\n"
		"  runs N seeds from FIRST on; every seed is a whole life with crashes and power cuts, checked at its end\n"
		"  --seed N      runs one seed and tells its crashes\n"
		"  --seconds S   stops after S seconds\n"
		"  --mutant NAME plants a defect (no_sync, naive_trim): the run must fail\n");
	return 2;
}

static bool options_parse(struct options *options, int argc, char **argv) {
	*options = (struct options){.first = 1, .seeds = 1000};
	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t number = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--seeds") == 0)
			options->seeds = number;
		else if (strcmp(argv[i], "--first") == 0)
			options->first = number;
		else if (strcmp(argv[i], "--seconds") == 0)
			options->seconds = number;
		else if (strcmp(argv[i], "--mutant") == 0)
			options->mutant = argv[i + 1];
		else if (strcmp(argv[i], "--seed") == 0)
			*options = (struct options){.first = number, .seeds = 1, .trace = true, .mutant = options->mutant};
		else
			return false;
	}
	return argc % 2 == 1;
}

/* An assertion of the host ends the process: the seed is told all the same. */
static uint64_t seed_now;

static void aborted(int signal) {
	char line[64];
	int size = snprintf(line, sizeof line, "seed %llu: signal %d\n", (unsigned long long)seed_now, signal);
	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		_exit(3);
	_exit(1);
}

struct totals {
	uint64_t seeds;
	uint64_t crashes;
	uint64_t messages;
	uint64_t cuts_inside;
	uint64_t swaps;
	uint64_t undecided;
	uint64_t bad;
};

static void seed_run(const struct options *options, uint64_t seed, struct totals *totals) {
	struct world_options world = {
		.seed = seed,
		.records = 20 + (uint32_t)(seed * 7 % 40),
		.crashes_max = 1 + (uint32_t)(seed % 9),
		.mutant = options->mutant,
		.trace = options->trace,
	};
	struct world_result result;
	seed_now = seed;
	world_run(&world, &result);
	totals->seeds++;
	totals->crashes += result.crashes;
	totals->messages += result.messages;
	totals->cuts_inside += result.cuts_inside;
	totals->swaps += result.swaps;
	totals->undecided += result.undecided;
	if (result.good)
		return;
	totals->bad++;
	printf("seed %llu: %s (repeat with: sofun-sim --seed %llu)\n", (unsigned long long)seed, result.what,
		(unsigned long long)seed);
	fflush(stdout);
}

/* A run makes and drops a host some ten times: the small things of the one before are for the next, and what is large, and
 * zero for the most part, is the kernel's to give. */
static void memory_keep(void) {
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, 16 << 20);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

int main(int argc, char **argv) {
	struct options options;
	if (!options_parse(&options, argc, argv))
		return usage();
	memory_keep();
	log_level_set(options.trace ? LOG_INFO : LOG_ERROR + 1);
	signal(SIGABRT, aborted);
	signal(SIGSEGV, aborted);
	time_t start = time(NULL);
	struct totals totals = {0};
	for (uint64_t seed = options.first; seed < options.first + options.seeds && totals.bad < 20; seed++) {
		if (options.seconds > 0 && (uint64_t)(time(NULL) - start) >= options.seconds)
			break;
		seed_run(&options, seed, &totals);
	}
	points_print();
	printf("simulation: %llu seeds, %llu crashes, %llu messages, %llu cuts inside a function, %llu swaps, "
		   "%llu looks at undecided messages, %llu wrong, %llds\n",
		(unsigned long long)totals.seeds, (unsigned long long)totals.crashes, (unsigned long long)totals.messages,
		(unsigned long long)totals.cuts_inside, (unsigned long long)totals.swaps, (unsigned long long)totals.undecided,
		(unsigned long long)totals.bad, (long long)(time(NULL) - start));
	printf("crash points passed but never crashed at: %u\n", points_missed());
	return totals.bad > 0 ? 1 : 0;
}
