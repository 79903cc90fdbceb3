#include "bench/report.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "show/output.h"
#include "show/table.h"

/* ---- targets ---- */

static void number_write(char *text, size_t size, double value, enum quantity quantity) {
	switch (quantity) {
	case QUANTITY_RATE:
		snprintf(text, size,
			value >= 1e6       ? "%.2f M/s"
				: value >= 1e4 ? "%.0f k/s"
							   : "%.0f/s",
			value >= 1e6       ? value / 1e6
				: value >= 1e4 ? value / 1e3
							   : value);
		break;
	case QUANTITY_US:
		snprintf(text, size, value >= 1e4 ? "%.1f ms" : "%.3g us", value >= 1e4 ? value / 1e3 : value);
		break;
	case QUANTITY_MS:
		snprintf(text, size, "%.3g ms", value);
		break;
	case QUANTITY_BYTES:
		snprintf(text, size, "%.3g bytes", value);
		break;
	case QUANTITY_MIB:
		snprintf(text, size, "%.0f MiB", value);
		break;
	case QUANTITY_TIMES:
		snprintf(text, size, "%.3g x", value);
		break;
	}
}

static struct target *target_new(struct bench *bench, const struct bound *bound, const struct figures *of) {
	check(bench->target_count < TARGETS_MAX);
	struct target *target = &bench->targets[bench->target_count++];
	*target = (struct target){.bound = bound->bound, .noisy = of != NULL && of->noisy};
	char number[NAME_BYTES / 2];
	snprintf(target->work, sizeof target->work, "%s", bound->work);
	number_write(number, sizeof number, bound->bound, bound->quantity);
	if (bound->bound > 0)
		snprintf(target->target, sizeof target->target, "%s %s", bound->direction == AT_LEAST ? ">=" : "<=", number);
	else
		snprintf(target->target, sizeof target->target, "-");
	return target;
}

static void target_judge(struct target *target, const struct bound *bound, double value) {
	target->value = value;
	if (bound->bound <= 0)
		target->verdict = VERDICT_ORIENTATION;
	else if (bound->direction == AT_LEAST ? value >= bound->bound : value <= bound->bound)
		target->verdict = VERDICT_MET;
	else
		target->verdict = VERDICT_NOT_MET;
}

/* "median (least to most)" */
static void spread_write(char *text, size_t size, const struct samples *values, enum quantity quantity) {
	char median[32], least[32], most[32];
	number_write(median, sizeof median, samples_median(values), quantity);
	number_write(least, sizeof least, samples_least(values), quantity);
	number_write(most, sizeof most, samples_most(values), quantity);
	if (values->count > 1)
		snprintf(text, size, "%s (%s to %s)", median, least, most);
	else
		snprintf(text, size, "%s", median);
}

void target_add(
	struct bench *bench, const struct bound *bound, const struct samples *values, const struct figures *of) {
	struct target *target = target_new(bench, bound, of);
	if (values->count == 0) { /* e.g. /proc does not say how much was written */
		snprintf(target->measured, sizeof target->measured, "not measured");
		target->verdict = VERDICT_VOID;
		return;
	}
	spread_write(target->measured, sizeof target->measured, values, bound->quantity);
	target_judge(target, bound, samples_median(values));
	target->has_ratio = bound->bound > 0;
	target->ratio = target->has_ratio ? target->value / bound->bound : 0;
}

void target_add_ratio(struct bench *bench, const struct bound *bound, const struct samples *ours,
	const struct samples *theirs, double void_below, const struct figures *of) {
	struct target *target = target_new(bench, bound, of);
	const struct samples ratios = samples_ratio(ours, theirs);
	if (ratios.count == 0) {
		snprintf(target->measured, sizeof target->measured, "no baseline");
		target->verdict = VERDICT_VOID;
		return;
	}
	spread_write(target->measured, sizeof target->measured, &ratios, bound->quantity);
	target_judge(target, bound, samples_median(&ratios));
	target->has_ratio = true;
	target->ratio = target->value;
	if (samples_median(theirs) < void_below)
		target->verdict = VERDICT_VOID;
}

static const char *verdict_word(enum verdict verdict) {
	static const char *const words[] = {
		[VERDICT_MET] = "met", [VERDICT_NOT_MET] = "not met", [VERDICT_VOID] = "void", [VERDICT_ORIENTATION] = "-"};
	return words[verdict];
}

bool report_good(const struct bench *bench) {
	for (size_t i = 0; i < bench->target_count; i++)
		if (bench->targets[i].verdict == VERDICT_NOT_MET || bench->targets[i].verdict == VERDICT_VOID)
			return false;
	return true;
}

/* ---- tables for people ---- */

static void cell_number(struct table *table, double value, const char *format) {
	char text[64];
	snprintf(text, sizeof text, format, value);
	table_cell(table, text);
}

static void cell_median(struct table *table, const struct samples *values, const char *format) {
	if (values->count == 0)
		table_cell(table, "-");
	else
		cell_number(table, samples_median(values), format);
}

static void cell_rate(struct table *table, const struct figures *figures) {
	char text[128];
	if (figures->rate.count > 1)
		snprintf(text, sizeof text, "%.0f (%.0f to %.0f) %s/s", samples_median(&figures->rate),
			samples_least(&figures->rate), samples_most(&figures->rate), figures->unit);
	else
		snprintf(text, sizeof text, "%.0f %s/s", samples_median(&figures->rate), figures->unit);
	table_cell(table, figures->rate.count == 0 ? "-" : text);
}

static void figures_print(const struct bench *bench) {
	static const struct table_column columns[] = {{"workload", 24, 0}, {"rate", 0, 0}, {"p50 us", 0, 3},
		{"p99 us", 0, 2}, {"host CPU us", 0, 1}, {"client CPU us", 0, 6}, {"disk bytes", 0, 4}, {"peak MiB", 0, 5}};
	struct table table;
	table_init(&table, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < bench->figure_count; i++) {
		const struct figures *figures = &bench->figures[i];
		char name[NAME_BYTES + 16];
		snprintf(name, sizeof name, "%s%s", figures->name, figures->noisy ? " (noisy)" : "");
		table_cell(&table, name);
		cell_rate(&table, figures);
		cell_median(&table, &figures->p50_us, "%.1f");
		cell_median(&table, &figures->p99_us, "%.1f");
		cell_median(&table, &figures->host_cpu_us, "%.3f");
		cell_median(&table, &figures->client_cpu_us, "%.3f");
		cell_median(&table, &figures->disk_bytes, "%.2f");
		if (figures->memory_peak_bytes == 0)
			table_cell(&table, "-");
		else
			cell_number(&table, (double)figures->memory_peak_bytes / (1 << 20), "%.1f");
	}
	table_print(&table);
}

static void targets_print(const struct bench *bench) {
	static const struct table_column columns[] = {
		{"work", 24, 0}, {"target", 12, 1}, {"measured", 0, 0}, {"ratio", 0, 2}, {"verdict", 0, 0}};
	struct table table;
	table_init(&table, columns, sizeof columns / sizeof columns[0]);
	for (size_t i = 0; i < bench->target_count; i++) {
		const struct target *target = &bench->targets[i];
		char verdict[32];
		table_cell(&table, target->work);
		table_cell(&table, target->target);
		table_cell(&table, target->measured);
		if (target->has_ratio)
			cell_number(&table, target->ratio, "%.3g");
		else
			table_cell(&table, "-");
		snprintf(verdict, sizeof verdict, "%s%s", verdict_word(target->verdict), target->noisy ? " (noisy)" : "");
		table_cell(&table, verdict);
	}
	table_print(&table);
}

/* ---- JSON ---- */

static json_t *samples_json(const struct samples *samples) {
	if (samples->count == 0)
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:I}", "median", samples_median(samples), "least", samples_least(samples), "most",
		samples_most(samples), "rounds", (json_int_t)samples->count);
}

static json_t *figures_json(const struct figures *figures) {
	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", figures->name, "unit",
		figures->unit, "baseline", figures->is_baseline, "noisy", figures->noisy, "rate", samples_json(&figures->rate),
		"p50_us", samples_json(&figures->p50_us), "p99_us", samples_json(&figures->p99_us), "host_cpu_us",
		samples_json(&figures->host_cpu_us), "client_cpu_us", samples_json(&figures->client_cpu_us), "disk_bytes",
		samples_json(&figures->disk_bytes), "counted_write_bytes", samples_json(&figures->counted_bytes),
		"memory_peak_bytes",
		figures->memory_peak_bytes == 0 ? json_null() : json_integer((json_int_t)figures->memory_peak_bytes));
}

static json_t *target_json(const struct target *target) {
	return json_pack("{s:s, s:s, s:f, s:s, s:f, s:o, s:s, s:b}", "work", target->work, "target", target->target,
		"bound", target->bound, "measured", target->measured, "value", target->value, "ratio",
		target->has_ratio ? json_real(target->ratio) : json_null(), "verdict", verdict_word(target->verdict), "noisy",
		target->noisy);
}

static void json_print(const struct bench *bench) {
	json_t *figures = json_array(), *targets = json_array();
	for (size_t i = 0; i < bench->figure_count; i++)
		json_array_append_new(figures, figures_json(&bench->figures[i]));
	for (size_t i = 0; i < bench->target_count; i++)
		json_array_append_new(targets, target_json(&bench->targets[i]));
	json_t *all = json_pack("{s:s, s:s, s:f, s:I, s:b, s:b, s:o, s:o, s:O}", "durability", "sync", "file_system",
		bench->file_system, "fdatasync_p50_us", bench->sync_p50_us, "cpus", (json_int_t)bench->cpus, "quick",
		bench->quick, "baselines", bench->baselines[0] != '\0', "figures", figures, "targets", targets, "details",
		bench->details);
	check_memory(all);
	output_json(all);
	json_decref(all);
}

void report_print(const struct bench *bench) {
	if (bench->run->json) {
		json_print(bench);
		return;
	}
	printf("\ndurability sync, file system %s, fdatasync p50 %.0f us, %u cores, %u rounds%s\n", bench->file_system,
		bench->sync_p50_us, bench->cpus, bench->rounds, bench->quick ? " (quick: figures mean little)" : "");
	puts(
		"rates are medians (least to most); CPU and disk bytes are per operation; disk bytes are the device's, others' included\n");
	figures_print(bench);
	putchar('\n');
	targets_print(bench);
	puts(
		"\nratio: to the baseline where there is one, else measured to target. void: the baseline is missing or ran below two\n"
		"thirds of what it should. noisy: the machine's cores were not free (a spin loop before and after tells).");
}
