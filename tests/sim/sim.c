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
#include "limits.h"
#include "points.h"
#include "world.h"

enum { INSTANCES_MIN = 4, INSTANCES_MAX = 60000, RECORDS_MAX = 1000000 };

struct options {
	uint64_t first;
	uint64_t seeds;     /* 0: as many as the kind asks for */
	uint64_t seconds;   /* 0: no limit */
	uint32_t instances; /* 0: as the kind, and so on */
	uint32_t records;
	const char *mutant;
	bool large;
	bool trace;
};

static void help(FILE *stream) {
	fprintf(stream,
		"usage: sofun-sim [--large] [--seeds N] [--first N=1] [--seconds S] [--mutant NAME]\n"
		"       sofun-sim [--large] --seed N\n"
		"  Runs seeds. Every seed is a whole life of a store, with crashes, power cuts, swaps and other numbers of shards in the\n"
		"  middle; at its end every count must be exact. The same seed does the same again.\n"
		"\n"
		"  small seeds (default: 1000 of them)  24 instances and some 800 messages, so that they meet: 20 a second\n"
		"  --large (default: 3 of them)         1,000 instances and more than 100,000 messages: 10 s each\n"
		"\n"
		"  --seed N        runs one seed and tells its crashes\n"
		"  --seconds S     begins no seed after S seconds\n"
		"  --instances N   another number of instances, and\n"
		"  --records N     of records of each of two producers, 9 messages each: try fewer if a large seed fails\n"
		"  --mutant NAME   plants a defect (no_sync, naive_trim): the run must fail\n");
}

static bool option_take(struct options *options, const char *name, const char *value) {
	uint64_t number = strtoull(value, NULL, 10);
	if (strcmp(name, "--seeds") == 0)
		options->seeds = number;
	else if (strcmp(name, "--first") == 0)
		options->first = number;
	else if (strcmp(name, "--seconds") == 0)
		options->seconds = number;
	else if (strcmp(name, "--instances") == 0 && number >= INSTANCES_MIN && number <= INSTANCES_MAX)
		options->instances = (uint32_t)number;
	else if (strcmp(name, "--records") == 0 && number > 0 && number <= RECORDS_MAX)
		options->records = (uint32_t)number;
	else if (strcmp(name, "--mutant") == 0)
		options->mutant = value;
	else if (strcmp(name, "--seed") == 0) {
		options->first = number;
		options->seeds = 1;
		options->trace = true;
	} else
		return false;
	return true;
}

static bool options_parse(struct options *options, int argc, char **argv) {
	*options = (struct options){.first = 1};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--large") == 0)
			options->large = true;
		else if (i + 1 == argc || !option_take(options, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	if (options->seeds == 0)
		options->seeds = options->large ? 3 : 1000;
	return true;
}

/* ---- the two kinds of seeds ---- */

static struct world_options world_small(uint64_t seed) {
	return (struct world_options){
		.instances = 24,
		.records = 20 + (uint32_t)(seed * 7 % 40),
		.keys = 12,
		.crashes_max = 1 + (uint32_t)(seed % 9),
		.deaths_max = 40,
		.segment_bytes = 256 << 10,
		.epoch_bytes_max = EPOCH_BYTES_MAX, /* never reached */
		.crash_steps = 1500,
		.crash_events = 60,
		.swap_one_in = 8,
		.poison_one_in = 128,
		.blame_one_in = 1500,
		.steps_max = 400000,
	};
}

static struct world_options world_large(uint64_t seed) {
	return (struct world_options){
		.instances = 1000,
		.records = 5000,
		.keys = 120,
		.crashes_max = 10 + (uint32_t)(seed % 20),
		.deaths_max = 100,
		.segment_bytes = 4 << 20,
		.epoch_bytes_max = EPOCH_BYTES_MIN,
		.crash_steps = 3000,
		.crash_events = 1500,
		.swap_one_in = 48,
		.poison_one_in = 8192,
		.blame_one_in = 50000,
		.steps_max = 1000000,
	};
}

static struct world_options world_of(const struct options *options, uint64_t seed) {
	struct world_options world = options->large ? world_large(seed) : world_small(seed);
	world.seed = seed;
	world.mutant = options->mutant;
	world.trace = options->trace;
	if (options->instances > 0)
		world.instances = options->instances;
	if (options->records > 0)
		world.records = options->records;
	return world;
}

/* ---- what repeats the seed that runs ---- */

static char repeat[256];

static void repeat_add(const char *option, unsigned long long number) {
	size_t used = strlen(repeat);
	if (number > 0)
		snprintf(repeat + used, sizeof repeat - used, " %s %llu", option, number);
}

static void repeat_set(const struct options *options, uint64_t seed) {
	snprintf(repeat, sizeof repeat, "(repeat with: sofun-sim%s%s%s", options->large ? " --large" : "",
		options->mutant != NULL ? " --mutant " : "", options->mutant != NULL ? options->mutant : "");
	repeat_add("--instances", options->instances);
	repeat_add("--records", options->records);
	repeat_add("--seed", seed);
	strncat(repeat, ")", sizeof repeat - strlen(repeat) - 1);
}

/* An assertion of the host ends the process: the seed is told all the same. */
static void aborted(int signal) {
	char line[sizeof repeat + 32];
	int size = snprintf(line, sizeof line, "signal %d %s\n", signal, repeat);
	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		_exit(3);
	_exit(1);
}

/* ---- the run ---- */

struct totals {
	uint64_t seeds;
	uint64_t crashes;
	uint64_t messages;
	uint64_t messages_min; /* of a seed */
	uint64_t steps_max;    /* of a seed */
	uint64_t cuts_inside;
	uint64_t swaps;
	uint64_t reshards;
	uint64_t undecided;
	uint64_t commands[PROGRAM_COMMANDS];
	uint64_t bad;
};

static void totals_add(struct totals *totals, const struct world_result *result) {
	if (totals->seeds == 0 || result->messages < totals->messages_min)
		totals->messages_min = result->messages;
	if (result->steps > totals->steps_max)
		totals->steps_max = result->steps;
	totals->seeds++;
	totals->crashes += result->crashes;
	totals->messages += result->messages;
	totals->cuts_inside += result->cuts_inside;
	totals->swaps += result->swaps;
	totals->reshards += result->reshards;
	totals->undecided += result->undecided;
	for (int i = 0; i < PROGRAM_COMMANDS; i++)
		totals->commands[i] += result->commands[i];
	totals->bad += result->good ? 0 : 1;
}

static void seed_run(const struct options *options, uint64_t seed, struct totals *totals) {
	const struct world_options world = world_of(options, seed);
	struct world_result result;
	repeat_set(options, seed);
	world_run(&world, &result);
	totals_add(totals, &result);
	if (result.good)
		return;
	printf("seed %llu: %s %s\n", (unsigned long long)seed, result.what, repeat);
	fflush(stdout);
}

static void commands_print(const struct totals *totals) {
	printf("given, retries included:");
	for (int i = 0; i < PROGRAM_COMMANDS; i++)
		printf("%s %llu %s", i == 0 ? "" : ",", (unsigned long long)totals->commands[i],
			program_command_name((enum program_command)i));
	printf("\n");
}

/* A run that had nothing of a kind to get right has not shown that it is. */
static bool commands_missing(const struct options *options, const struct totals *totals) {
	bool missing = false;
	for (int i = 0; (options->large || options->seeds >= 100) && i < PROGRAM_COMMANDS; i++) {
		if (totals->commands[i] > 0)
			continue;
		printf("no %s in all of that: it shows nothing of them\n", program_command_name((enum program_command)i));
		missing = true;
	}
	return missing;
}

static void totals_print(const struct totals *totals, time_t seconds) {
	points_print();
	commands_print(totals);
	printf("simulation: %llu seeds, %llu crashes, %llu messages, %llu cuts inside a function, %llu swaps, "
		   "%llu looks at undecided messages, %llu wrong, %llds\n",
		(unsigned long long)totals->seeds, (unsigned long long)totals->crashes, (unsigned long long)totals->messages,
		(unsigned long long)totals->cuts_inside, (unsigned long long)totals->swaps,
		(unsigned long long)totals->undecided, (unsigned long long)totals->bad, (long long)seconds);
	printf("%llu changes of the number of shards; %llu messages at least and %llu steps at most in a seed\n",
		(unsigned long long)totals->reshards, (unsigned long long)totals->messages_min,
		(unsigned long long)totals->steps_max);
	printf("crash points passed but never crashed at: %u\n", points_missed());
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
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		help(stdout);
		return 0;
	}
	if (!options_parse(&options, argc, argv)) {
		help(stderr);
		return 2;
	}
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
	totals_print(&totals, time(NULL) - start);
	bool missing = commands_missing(&options, &totals);
	return totals.bad > 0 || missing ? 1 : 0;
}
