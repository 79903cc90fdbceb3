#include "flow/timer/run.h"

#include "base/check.h"

static struct timer_row *row_at(const struct timer_run *run, size_t at) {
	return (struct timer_row *)(void *)(run->rows.data + at);
}

void timer_run_finish(struct timer_run *run) {
	buf_finish(&run->rows);
	*run = (struct timer_run){0};
}

struct timer_row *timer_run_first(const struct timer_run *run) {
	return run->count == 0 ? NULL : row_at(run, run->first);
}

void timer_run_take(struct timer_run *run) {
	check(run->count > 0);
	run->first += row_at(run, run->first)->size;
	if (--run->count == 0)
		timer_run_finish(run);
}

/* What was taken leaves its memory once it is more than what is left. */
static void timer_run_close_up(struct timer_run *run) {
	const size_t left = timer_run_bytes(run);
	if (run->first <= left)
		return;
	memmove(run->rows.data, run->rows.data + run->first, left);
	run->rows.size = left;
	run->last -= run->first;
	run->first = 0;
}

void timer_run_append(struct timer_run *run, const struct timer_row *row) {
	check(run->count == 0 || timer_place_before(row_at(run, run->last)->place, row->place));
	timer_run_close_up(run);
	run->last = run->rows.size;
	buf_append(&run->rows, row, row->size);
	run->count++;
}

struct timer_place timer_run_middle(const struct timer_run *run) {
	check(run->count > 0);
	size_t at = run->first;
	for (size_t left = run->count / 2; left > 0; left--)
		at += row_at(run, at)->size;
	return row_at(run, at)->place;
}

void timer_run_cut(struct timer_run *run, struct timer_place place) {
	size_t at = run->first;
	size_t kept = 0;
	if (run->count == 0 || timer_place_before(row_at(run, run->last)->place, place))
		return;
	for (; timer_place_before(row_at(run, at)->place, place); kept++) {
		run->last = at;
		at += row_at(run, at)->size;
	}
	run->rows.size = at;
	run->count = kept;
	if (kept == 0)
		timer_run_finish(run);
}
