/* Tables for people: a head and rows of left-justified columns, as wide as their widest cell. On a terminal that is too narrow
 * cells are cut as far as their columns allow, then columns are left out by importance; a head is never cut, and what is
 * left out is named below. Where stdout is no terminal all is shown. */
#ifndef SOFUN_TABLE_H
#define SOFUN_TABLE_H

#include <jansson.h>
#include <stddef.h>

#include "base/bytes.h"

struct table_column {
	const char *head;
	unsigned shortest; /* its cells may be cut to this width; 0: never, as of a figure */
	unsigned spare;    /* where there is no room the column with the highest number is left out; 0: never */
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t column_count;
	struct buf cells; /* NUL-terminated texts, row by row */
	size_t count;
};

void table_init(struct table *table, const struct table_column *columns, size_t count);
void table_cell(struct table *table, const char *text);         /* copied */
void table_cell_json(struct table *table, const json_t *value); /* strings as they are, the rest as JSON */
void table_print(struct table *table);                          /* and frees it */

#endif
