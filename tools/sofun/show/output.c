#include "show/output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "show/terminal.h"

enum {
	COLUMNS_MAX = 12,
	COLUMN_GAP = 2,
	COLUMN_WIDTH_MIN = 8, /* a narrower one says nothing */
};

void output_json(const json_t *value) {
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

void output_json_figures(const json_t *value) {
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	putchar('\n');
}

void table_init(struct table *table, size_t columns) {
	check(columns > 0 && columns <= COLUMNS_MAX);
	*table = (struct table){.columns = columns};
}

void table_cell(struct table *table, const char *text) {
	buf_append(&table->cells, text, strlen(text) + 1);
	table->count++;
}

static bool has_control(const char *text) {
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

void text_of_json(const json_t *value, struct buf *ret_text) {
	const char *text = json_string_value(value);
	if (text != NULL && strlen(text) == json_string_length(value) && !has_control(text)) {
		buf_append_bytes(ret_text, bytes_text(text));
		return;
	}
	char *dumped = value == NULL ? check_strdup("") : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	check_memory(dumped);
	buf_append_bytes(ret_text, bytes_text(dumped));
	free(dumped);
}

void table_cell_json(struct table *table, const json_t *value) {
	text_of_json(value, &table->cells);
	buf_append_u8(&table->cells, '\0');
	table->count++;
}

/* Columns of a terminal are characters, not bytes. */
static size_t text_width(const char *text) {
	size_t width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* Makes the widest columns narrower until a row fits; a column keeps room for a few characters. */
static void widths_fit(size_t *widths, size_t columns, size_t room) {
	for (;;) {
		size_t sum = (columns - 1) * COLUMN_GAP, widest = 0;
		for (size_t i = 0; i < columns; i++) {
			sum += widths[i];
			widest = widths[i] > widths[widest] ? i : widest;
		}
		if (sum <= room || widths[widest] <= COLUMN_WIDTH_MIN)
			return;
		const size_t over = sum - room, spare = widths[widest] - COLUMN_WIDTH_MIN;
		widths[widest] -= over > spare ? spare : over > widths[widest] / 4 ? widths[widest] / 4 : over;
	}
}

/* The text, or what fits of it and an ellipsis. */
static void cell_print(const char *text, size_t width, bool pad) {
	const size_t full = text_width(text);
	if (full <= width) {
		printf("%s%*s", text, pad ? (int)(width - full + COLUMN_GAP) : 0, "");
		return;
	}
	const char *end = text;
	for (size_t shown = 0; shown + 1 < width; shown++)
		do
			end++;
		while (((unsigned char)*end & 0xc0) == 0x80);
	printf("%.*s\xe2\x80\xa6%*s", (int)(end - text), text, pad ? COLUMN_GAP : 0, "");
}

static void row_print(const char **at, size_t columns, const size_t *widths) {
	for (size_t i = 0; i < columns; i++) {
		cell_print(*at, widths[i], i + 1 < columns);
		*at += strlen(*at) + 1;
	}
	putchar('\n');
}

void table_print(struct table *table) {
	size_t widths[COLUMNS_MAX] = {0};
	const size_t room = terminal_columns(STDOUT_FILENO);
	const char *at = (const char *)table->cells.data;
	check(table->count % table->columns == 0);
	for (size_t i = 0; i < table->count; i++, at += strlen(at) + 1)
		if (text_width(at) > widths[i % table->columns])
			widths[i % table->columns] = text_width(at);
	if (room > 0) /* where nobody looks nothing is cut */
		widths_fit(widths, table->columns, room);
	at = (const char *)table->cells.data;
	for (size_t i = 0; i < table->count; i += table->columns) {
		fputs(i == 0 ? terminal_style(STDOUT_FILENO, STYLE_HEAD) : "", stdout);
		row_print(&at, table->columns, widths);
		fputs(i == 0 ? terminal_plain(STDOUT_FILENO) : "", stdout);
	}
	buf_finish(&table->cells);
}

void time_text(long long time_ms, char *ret_text) {
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	size_t size = strftime(ret_text, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(ret_text + size, TIME_TEXT_BYTES - size, ".%03dZ", (int)(time_ms % 1000));
}
