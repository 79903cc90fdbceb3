/* Tables of many entries: each message sets or reads one. */
#include <signal.h>

#include "bench/report.h"
#include "bench/round.h"

enum {
	ENTRIES = 1000000,
	ENTRIES_QUICK = 100000,
	READ_SHARE = 3, /* of a round's messages, a part: reads go to the disk, and take longer */
	ROWS = 300000,  /* of a baseline's round */
	QUICK_DIVISOR = 20,
};

enum { SET, READ, WORKS };

static const struct {
	const char *target, *name, *mode, *baseline;
} works[WORKS] = {{"shelve", "set", "unsynced", "LevelDB put, unsynced"}, {"look", "read", "get", "LevelDB get"}};

struct tables {
	struct bench_host host;
	struct program baselines[WORKS]; /* pid 0: none */
	struct figures *figures[WORKS], *baseline_figures[WORKS];
	uint64_t entries, messages[WORKS];
};

/* Reads ask for what was set in this life: the seeds of a fill, again. */
static bool fill(struct bench *bench, struct tables *tables) {
	const struct load load = {"shelve", tables->messages[SET], tables->entries, round_seed(0), 0};
	struct figures filled = {.unit = "messages"};
	for (uint32_t i = 0; i < bench->rounds; i++) {
		struct load part = load;
		part.seed = round_seed(i);
		if (!round_run(&tables->host, &part, 1, &filled))
			return false;
	}
	return true;
}

static bool start(struct bench *bench, struct tables *tables) {
	char name[NAME_BYTES], entries[32];
	snprintf(name, sizeof name, "tables-%zu", bench->figure_count);
	snprintf(entries, sizeof entries, "%llu", (unsigned long long)tables->entries);
	for (size_t i = 0; i < WORKS; i++)
		tables->figures[i] =
			bench_figures(bench, "messages", "table entry %s, %s entries, 1 shard", works[i].name, entries);
	bench_say(bench, "tables of %s entries", entries);
	for (size_t i = 0; i < WORKS && bench->baselines[0] != '\0'; i++) {
		char directory[PATH_BYTES + 2 * NAME_BYTES];
		snprintf(directory, sizeof directory, "%s/leveldb-%s-%s", bench->directory, name, works[i].mode);
		const char *arguments[] = {directory, entries, works[i].mode, NULL};
		if (!baseline_start(bench, &tables->baselines[i], "baseline_leveldb", arguments))
			return false;
		tables->baseline_figures[i] =
			bench_figures(bench, "messages", "%s, %s rows, beside the tables", works[i].baseline, entries);
		tables->baseline_figures[i]->is_baseline = true;
	}
	return host_start(&tables->host, bench, name, 1) && fill(bench, tables);
}

static bool tables_round(struct bench *bench, struct tables *tables, uint32_t round) {
	for (size_t i = 0; i < WORKS; i++) {
		const struct load load = {works[i].target, tables->messages[i], tables->entries, round_seed(round), 0};
		const uint64_t rows = bench->quick ? ROWS / QUICK_DIVISOR : ROWS;
		if (!round_run(&tables->host, &load, 1, tables->figures[i]))
			return false;
		if (tables->baselines[i].pid != 0 &&
			!baseline_round(bench, &tables->baselines[i], rows, tables->baseline_figures[i]))
			return false;
		program_settle(tables->baselines[i].works);
	}
	return true;
}

bool bench_tables(struct bench *bench) {
	static const struct samples none = {.count = 0};
	static const struct bound bounds[WORKS] = {
		{"table entry set, to unsynced LevelDB puts", AT_LEAST, 0, QUANTITY_TIMES},
		{"table entry read, to LevelDB gets", AT_LEAST, 0, QUANTITY_TIMES}};
	struct tables tables = {.entries = bench->quick ? ENTRIES_QUICK : ENTRIES};
	tables.messages[SET] = round_messages(bench);
	tables.messages[READ] = round_messages(bench) / READ_SHARE;
	bool good = start(bench, &tables);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = tables_round(bench, &tables, round);
	host_stop(&tables.host, SIGTERM);
	for (size_t i = 0; i < WORKS; i++) {
		const struct figures *baseline = tables.baseline_figures[i];
		program_stop(&tables.baselines[i], 0);
		if (good)
			target_add_ratio(bench, &bounds[i], &tables.figures[i]->rate, baseline == NULL ? &none : &baseline->rate, 0,
				tables.figures[i]);
	}
	return good;
}
