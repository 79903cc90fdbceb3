#include "show/table.h"

#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "show/output.h"
#include "show/terminal.h"

enum {
	COLUMNS_MAX = 12,
	COLUMN_GAP = 2,
};

void table_init(struct table *table, const struct table_column *columns, size_t count) {
	check(count > 0 && count <= COLUMNS_MAX);
	*table = (struct table){.columns = columns, .column_count = count};
	for (size_t i = 0; i < count; i++)
		table_cell(table, columns[i].head);
}

void table_cell(struct table *table, const char *text) {
	buf_append(&table->cells, text, strlen(text) + 1);
	table->count++;
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

/* ---- how wide each column becomes ---- */

struct layout {
	size_t widths[COLUMNS_MAX]; /* 0: left out */
	size_t least[COLUMNS_MAX];  /* what a column needs, if it is shown */
	size_t count;
	size_t last; /* the last one that is shown: nothing follows it */
};

static void layout_measure(struct layout *layout, const struct table *table) {
	const char *at = (const char *)table->cells.data;
	*layout = (struct layout){.count = table->column_count};
	for (size_t i = 0; i < table->count; i++, at += strlen(at) + 1) {
		size_t *width = &layout->widths[i % layout->count];
		*width = text_width(at) > *width ? text_width(at) : *width;
	}
	for (size_t i = 0; i < layout->count; i++) {
		const struct table_column *column = &table->columns[i];
		const size_t head = text_width(column->head), shortest = column->shortest > head ? column->shortest : head;
		layout->least[i] = column->shortest > 0 && shortest < layout->widths[i] ? shortest : layout->widths[i];
	}
}

/* Of a row whose columns are so wide; those that are left out have the width 0. */
static size_t row_width(const struct layout *layout, const size_t *widths) {
	size_t sum = 0;
	for (size_t i = 0; i < layout->count; i++)
		if (layout->widths[i] > 0)
			sum += widths[i] + (sum == 0 ? 0 : COLUMN_GAP);
	return sum;
}

/* Leaves columns out until a row can be made to fit, or none is left to spare. */
static void columns_choose(struct layout *layout, const struct table_column *columns, size_t room) {
	while (row_width(layout, layout->least) > room) {
		size_t most = layout->count;
		for (size_t i = 0; i < layout->count; i++)
			if (layout->widths[i] > 0 && columns[i].spare > (most == layout->count ? 0 : columns[most].spare))
				most = i;
		if (most == layout->count)
			return;
		layout->widths[most] = 0;
	}
}

/* Takes what is too much from the widest of those that can be cut, step by step. */
static void cells_shorten(struct layout *layout, size_t room) {
	while (row_width(layout, layout->widths) > room) {
		size_t widest = layout->count;
		for (size_t i = 0; i < layout->count; i++)
			if (layout->widths[i] > layout->least[i] &&
				(widest == layout->count || layout->widths[i] > layout->widths[widest]))
				widest = i;
		if (widest == layout->count)
			return;
		layout->widths[widest]--;
	}
}

static void layout_fit(struct layout *layout, const struct table *table) {
	const size_t room = terminal_columns(STDOUT_FILENO);
	layout_measure(layout, table);
	if (room > 0) { /* where nobody looks nothing is cut */
		columns_choose(layout, table->columns, room);
		cells_shorten(layout, room);
	}
	for (size_t i = 0; i < layout->count; i++)
		layout->last = layout->widths[i] > 0 ? i : layout->last;
}

/* ---- printed ---- */

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

static void row_print(const char **at, const struct layout *layout) {
	for (size_t i = 0; i < layout->count; i++, *at += strlen(*at) + 1)
		if (layout->widths[i] > 0)
			cell_print(*at, layout->widths[i], i != layout->last);
	putchar('\n');
}

/* "left out for want of room: A, B": nobody should take them for missing. */
static void omitted_print(const struct layout *layout, const struct table_column *columns) {
	struct buf line = {0};
	for (size_t i = 0; i < layout->count; i++)
		if (layout->widths[i] == 0)
			buf_printf(&line, "%s%s", line.size == 0 ? "left out for want of room: " : ", ", columns[i].head);
	if (line.size > 0) {
		buf_append_u8(&line, '\0');
		fputs(terminal_style(STDOUT_FILENO, STYLE_DIM), stdout);
		cell_print((const char *)line.data, terminal_columns(STDOUT_FILENO), false);
		printf("%s\n", terminal_plain(STDOUT_FILENO));
	}
	buf_finish(&line);
}

void table_print(struct table *table) {
	struct layout layout;
	const char *at = (const char *)table->cells.data;
	check(table->count % table->column_count == 0);
	layout_fit(&layout, table);
	for (size_t i = 0; i < table->count; i += table->column_count) {
		fputs(i == 0 ? terminal_style(STDOUT_FILENO, STYLE_HEAD) : "", stdout);
		row_print(&at, &layout);
		fputs(i == 0 ? terminal_plain(STDOUT_FILENO) : "", stdout);
	}
	omitted_print(&layout, table->columns);
	buf_finish(&table->cells);
}
