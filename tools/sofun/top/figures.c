#include "top/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* NAME{LABELS} VALUE, or NAME VALUE. The line is cut into its parts. */
static bool line_read(char *line, struct figure *ret_figure) {
	char *space = strrchr(line, ' '), *brace = strchr(line, '{'), *end;
	if (*line == '#' || space == NULL)
		return false;
	ret_figure->value = strtod(space + 1, &end);
	if (end == space + 1 || *end != '\0')
		return false;
	*space = '\0';
	ret_figure->name = line;
	ret_figure->labels = "";
	if (brace == NULL)
		return true;
	if (space[-1] != '}')
		return false;
	space[-1] = '\0';
	*brace = '\0';
	ret_figure->labels = brace + 1;
	return true;
}

void figures_read(struct figures *figures, struct buf text) {
	*figures = (struct figures){.text = text};
	buf_append_u8(&figures->text, '\0');
	char *line = (char *)figures->text.data;
	size_t capacity = 0;
	while (line != NULL && *line != '\0') {
		char *end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		if (figures->count == capacity) {
			capacity = capacity * 2 + 64;
			figures->all = realloc(figures->all, capacity * sizeof *figures->all);
			check_memory(figures->all);
		}
		figures->count += line_read(line, &figures->all[figures->count]);
		line = end;
	}
}

void figures_finish(struct figures *figures) {
	buf_finish(&figures->text);
	free(figures->all);
	*figures = (struct figures){0};
}

bool figure_label(const struct figure *figure, const char *label, char *ret_value, size_t size) {
	const size_t label_size = strlen(label);
	const char *at = figure->labels;
	while (*at != '\0') {
		const char *equals = strstr(at, "=\"");
		if (equals == NULL)
			return false;
		const char *begin = equals + 2, *end = strchr(begin, '"');
		if (end == NULL)
			return false;
		if ((size_t)(equals - at) == label_size && memcmp(at, label, label_size) == 0)
			return snprintf(ret_value, size, "%.*s", (int)(end - begin), begin) < (int)size;
		at = end + 1 + (end[1] == ',');
	}
	return false;
}

static bool label_is(const struct figure *figure, const char *label, const char *value) {
	char found[256];
	return label == NULL || (figure_label(figure, label, found, sizeof found) && strcmp(found, value) == 0);
}

static bool figure_is(const struct figure *figure, const char *name, const struct figure_choice *choice) {
	return strcmp(figure->name, name) == 0 && label_is(figure, choice->label, choice->value) &&
		label_is(figure, choice->also, choice->also_value);
}

double figure_value(
	const struct figures *figures, const char *name, const struct figure_choice *choice, double fallback) {
	bool found = false;
	double sum = 0;
	for (size_t i = 0; i < figures->count; i++) {
		if (!figure_is(&figures->all[i], name, choice))
			continue;
		found = true;
		sum += figures->all[i].value;
	}
	return found ? sum : fallback;
}

/* ---- histograms ---- */

struct bucket {
	double upper;
	double count; /* of observations up to upper, within the time between the looks */
};

static double bucket_before(const struct figures *before, const struct figure *now) {
	for (size_t i = 0; i < before->count; i++)
		if (strcmp(before->all[i].name, now->name) == 0 && strcmp(before->all[i].labels, now->labels) == 0)
			return before->all[i].value;
	return 0;
}

double figure_quantile(const struct figures *before, const struct figures *after, const char *name,
	const struct figure_choice *choice, double quantile) {
	enum { BUCKETS_MAX = 64 };
	struct bucket buckets[BUCKETS_MAX];
	char bucket_name[128], upper[32];
	size_t count = 0;
	(void)snprintf(bucket_name, sizeof bucket_name, "%s_bucket", name);
	for (size_t i = 0; i < after->count && count < BUCKETS_MAX; i++) {
		const struct figure *figure = &after->all[i];
		if (!figure_is(figure, bucket_name, choice) || !figure_label(figure, "le", upper, sizeof upper))
			continue;
		buckets[count].upper = strcmp(upper, "+Inf") == 0 ? INFINITY : strtod(upper, NULL);
		buckets[count++].count = figure->value - bucket_before(before, figure);
	}
	if (count == 0 || buckets[count - 1].count <= 0)
		return -1;
	const double wanted = quantile * buckets[count - 1].count;
	size_t at = 0;
	while (at + 1 < count && buckets[at].count < wanted)
		at++;
	const double lower = at == 0 ? 0 : buckets[at - 1].upper, below = at == 0 ? 0 : buckets[at - 1].count;
	if (isinf(buckets[at].upper))
		return lower; /* all that is known: it is longer */
	return lower + (buckets[at].upper - lower) * (wanted - below) / (buckets[at].count - below);
}
