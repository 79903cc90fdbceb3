#include "base/near.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

static size_t least(size_t a, size_t b) {
	return a < b ? a : b;
}

size_t near_distance(const char *a, const char *b) {
	const size_t rows = strlen(a), columns = strlen(b);
	size_t room[3][NEAR_NAME_BYTES], *before = room[0], *above = room[1], *row = room[2];
	check(rows < NEAR_NAME_BYTES && columns < NEAR_NAME_BYTES);
	for (size_t k = 0; k <= columns; k++)
		row[k] = k;
	for (size_t i = 1; i <= rows; i++) {
		size_t *oldest = before;
		before = above, above = row, row = oldest;
		row[0] = i;
		for (size_t k = 1; k <= columns; k++) {
			row[k] = least(least(above[k], row[k - 1]) + 1, above[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], before[k - 2] + 1);
		}
	}
	return row[columns];
}

/* A third of its letters may be wrong, one at least: "lod" is load, "x" is nothing. */
static size_t slips_max(size_t size) {
	return size < 2 ? 0 : size < 6 ? 1 : size / 3;
}

struct near near_begin(struct bytes wanted) {
	struct near near = {.distance = 0};
	if (wanted.size == 0 || wanted.size >= NEAR_NAME_BYTES || memchr(wanted.data, '\0', wanted.size) != NULL)
		return near;
	bytes_copy((uint8_t *)near.wanted, wanted.data, wanted.size);
	near.distance = slips_max(wanted.size) + 1;
	return near;
}

void near_offer(struct near *near, const char *name) {
	const size_t size = strlen(name);
	if (near->distance == 0 || size >= NEAR_NAME_BYTES)
		return;
	const size_t distance = near_distance(near->wanted, name);
	if (distance >= near->distance)
		return;
	near->distance = distance;
	memcpy(near->best, name, size + 1);
}

const char *near_question(const struct near *near, char room[NEAR_QUESTION_BYTES]) {
	if (near->best[0] == '\0')
		return "";
	(void)snprintf(room, NEAR_QUESTION_BYTES, "did you mean %s? ", near->best);
	return room;
}
