#include "show/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/socket.h"
#include "show/terminal.h"

enum {
	BAR_CELLS = 30,
	BAR_CELLS_MIN = 5,
	LINE_BYTES = 256,
	REDRAW_MS = 100,
	LATELY_MS = 3000, /* what rates look back on: long enough to be read, short enough to follow a host that was away */
};

void progress_init(struct progress *progress, bool wanted) {
	*progress = (struct progress){.shown = wanted && isatty(STDERR_FILENO), .drawn_ms = clock_ms()};
}

/* As much of the line as the terminal holds. */
static void line_draw(const char *line) {
	fprintf(stderr, "\r\033[K%.*s", (int)terminal_columns(STDERR_FILENO) - 1, line);
}

/* "[####....]", as long as the rest of the line leaves room; "" where that is too little. */
static void bar_text(double share, size_t rest, char ret_text[BAR_CELLS + 3]) {
	const size_t columns = terminal_columns(STDERR_FILENO), taken = rest + 4;
	size_t cells = columns > taken + BAR_CELLS ? BAR_CELLS : columns > taken ? columns - taken : 0;
	size_t full = (size_t)(share * (double)cells), at = 0;
	if (cells < BAR_CELLS_MIN) {
		ret_text[0] = '\0';
		return;
	}
	ret_text[at++] = '[';
	for (size_t i = 0; i < cells; i++)
		ret_text[at++] = i < full ? '#' : '.';
	ret_text[at++] = ']';
	ret_text[at] = '\0';
}

/* How fast it went within the last redraw, mixed into what was known. */
static void rates_update(struct progress *progress, uint64_t now_ms, uint64_t part, uint64_t records) {
	const double seconds = (double)(now_ms - progress->drawn_ms) / 1000;
	const double rate = (double)(records - progress->drawn_records) / seconds;
	const double part_rate = (double)(part - progress->drawn_part) / seconds;
	const bool first =
		progress->drawn_records == 0; /* skipping what was durable before tells nothing of what is to come */
	const double weight = first || seconds * 1000 > LATELY_MS ? 1 : seconds * 1000 / LATELY_MS;
	progress->rate += (rate - progress->rate) * weight;
	progress->part_rate += (part_rate - progress->part_rate) * weight;
	progress->drawn_ms = now_ms;
	progress->drawn_part = part;
	progress->drawn_records = records;
}

static void left_text(double seconds, char *ret_text, size_t size) {
	if (seconds < 100)
		snprintf(ret_text, size, "%.0f s left", seconds);
	else if (seconds < 6000)
		snprintf(ret_text, size, "%.0f min left", seconds / 60);
	else
		snprintf(ret_text, size, "%.1f h left", seconds / 3600);
}

void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t records) {
	uint64_t now_ms = clock_ms();
	char line[LINE_BYTES], rest[128], left[32] = "", bar[BAR_CELLS + 3];
	if (!progress->shown || now_ms - progress->drawn_ms < REDRAW_MS)
		return;
	rates_update(progress, now_ms, part, records);
	if (whole == 0) {
		snprintf(line, sizeof line, "%llu records  %.0f/s", (unsigned long long)records, progress->rate);
	} else {
		double share = part >= whole ? 1 : (double)part / (double)whole;
		if (progress->part_rate > 0 && records > 0)
			left_text((double)(whole - part) / progress->part_rate, left, sizeof left);
		snprintf(rest, sizeof rest, " %3.0f %%  %llu records  %.0f/s  %s", share * 100, (unsigned long long)records,
			progress->rate, left);
		bar_text(share, strlen(rest), bar);
		snprintf(line, sizeof line, "%s%s", bar, rest);
	}
	line_draw(line);
}

void progress_left(struct progress *progress, const char *name, uint64_t left, uint64_t whole) {
	uint64_t now_ms = clock_ms(), done = whole - left;
	char line[LINE_BYTES], rest[128], time[32] = "", bar[BAR_CELLS + 3];
	if (!progress->shown || now_ms - progress->drawn_ms < REDRAW_MS)
		return;
	rates_update(progress, now_ms, done, done);
	if (progress->part_rate > 0)
		left_text((double)left / progress->part_rate, time, sizeof time);
	snprintf(rest, sizeof rest, " %.40s drains  %llu left  %.0f/s  %s", name, (unsigned long long)left, progress->rate,
		time);
	bar_text(whole == 0 ? 1 : (double)done / (double)whole, strlen(rest), bar);
	snprintf(line, sizeof line, "%s%s", bar, rest);
	line_draw(line);
}

void progress_say(struct progress *progress, const char *text) {
	if (progress->shown)
		line_draw(text);
}

void progress_finish(struct progress *progress) {
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
