#include "show/versions_print.h"

#include <stdio.h>
#include <time.h>

#include "show/output.h"
#include "show/plugin_print.h"
#include "show/table.h"

enum { CELL_BYTES = 48 };

static double figure(const json_t *row, const char *key) {
	return json_number_value(json_object_get(row, key));
}

static void cell_number(struct table *table, const char *format, double number) {
	char text[CELL_BYTES];
	(void)snprintf(text, sizeof text, format, number);
	table_cell(table, text);
}

static void cell_ms(struct table *table, const json_t *seconds) {
	if (json_is_number(seconds))
		cell_number(table, "%.3f", json_number_value(seconds) * 1000);
	else
		table_cell(table, "-");
}

/* Since the version came. */
static double seconds_counted(const json_t *version) {
	double seconds = (double)time(NULL) - figure(version, "counted_since_ms") / 1000;
	return seconds < 1 ? 1 : seconds;
}

static void function_cells(struct table *table, const json_t *version, const json_t *function) {
	table_cell_json(table, json_object_get(function, "function"));
	table_cell_json(table, json_object_get(version, "version"));
	cell_number(table, "%.0f %%", figure(version, "share_percent"));
	cell_number(table, "%.0f", figure(function, "messages"));
	cell_number(table, "%.1f", figure(function, "messages") / seconds_counted(version));
	cell_number(table, "%.2f %%", figure(function, "error_percent"));
	cell_number(table, "%.0f", figure(function, "retries"));
	cell_number(table, "%.0f", figure(function, "exhausted"));
	cell_ms(table, json_object_get(function, "p50_s"));
	cell_ms(table, json_object_get(function, "p99_s"));
}

static void table_of_figures(const json_t *versions) {
	/* The share stands in the table above. */
	static const struct table_column columns[] = {{"FUNCTION", 20, 0}, {"VERSION", 0, 0}, {"SHARE", 0, 7},
		{"MESSAGES", 0, 1}, {"/S", 0, 2}, {"FAILED AT FIRST", 0, 0}, {"RETRIES", 0, 5}, {"EXHAUSTED", 0, 4},
		{"P50 MS", 0, 6}, {"P99 MS", 0, 3}};
	size_t i, k, rows = 0;
	json_t *version, *function;
	struct table table;
	table_init(&table, columns, sizeof columns / sizeof columns[0]);
	json_array_foreach(versions, i, version) {
		json_array_foreach(json_object_get(version, "figures"), k, function) {
			function_cells(&table, version, function);
			rows++;
		}
	}
	if (rows > 0)
		putchar('\n');
	table_print(&table);
}

static void conduct_print(const json_t *version) {
	const json_t *why = json_object_get(version, "went_back");
	double probation_ms = figure(version, "probation_ms");
	struct buf text = {0};
	text_of_json(json_object_get(version, "version"), &text);
	if (probation_ms > 0)
		buf_printf(&text, " is on probation for %.0f s more: promote ends it, rollback goes back", probation_ms / 1000);
	if (json_is_object(why)) {
		buf_printf(&text, ": ");
		text_of_json(json_object_get(why, "message"), &text);
		buf_printf(&text, ": found ");
		text_of_json(json_object_get(why, "found"), &text);
		buf_printf(&text, ", expected ");
		text_of_json(json_object_get(why, "expected"), &text);
	}
	if (probation_ms > 0 || json_is_object(why))
		printf("%.*s\n", (int)text.size, (const char *)text.data);
	buf_finish(&text);
}

void versions_print(const json_t *versions) {
	size_t i;
	json_t *version;
	plugins_print(versions, NULL);
	table_of_figures(versions);
	json_array_foreach(versions, i, version) conduct_print(version);
}
