/* What goes to stdout: JSON values, and values as a person reads them. Tables: show/table.h. */
#ifndef SOFUN_OUTPUT_H
#define SOFUN_OUTPUT_H

#include <jansson.h>

#include "base/bytes.h"

/* One line of compact JSON. */
void output_json(const json_t *value);

/* The same for what the command measured itself: 0.003, where a double's own digits would be 0.0030000000000000001. */
void output_json_figures(const json_t *value);

/* A value as a person reads it: a string without quotes unless it has control characters, the rest compact JSON. */
void text_of_json(const json_t *value, struct buf *ret_text);

/* Milliseconds since 1970 as 2026-01-31T12:00:00.000Z. */
enum { TIME_TEXT_BYTES = 32 };
void time_text(long long time_ms, char *ret_text);

#endif
