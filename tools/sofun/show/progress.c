#include "show/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/socket.h"

enum {
	BAR_CELLS = 30,
	REDRAW_MS = 100,
};

void progress_init(struct progress *progress, bool wanted) {
	*progress = (struct progress){.shown = wanted && isatty(STDERR_FILENO), .started_ms = clock_ms()};
}

static void bar_text(double share, char *ret_text) {
	int full = (int)(share * BAR_CELLS);
	for (int i = 0; i < BAR_CELLS; i++)
		ret_text[i] = i < full ? '#' : '.';
	ret_text[BAR_CELLS] = '\0';
}

void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t records) {
	uint64_t now_ms = clock_ms();
	if (!progress->shown || now_ms - progress->drawn_ms < REDRAW_MS)
		return;
	progress->drawn_ms = now_ms;
	double seconds = (double)(now_ms - progress->started_ms) / 1000;
	double rate = seconds > 0 ? (double)records / seconds : 0;
	if (whole == 0) {
		fprintf(stderr, "\r\033[K%llu records  %.0f/s", (unsigned long long)records, rate);
		return;
	}
	double share = part >= whole ? 1 : (double)part / (double)whole;
	double left_s = share > 0 ? seconds * (1 - share) / share : 0;
	char bar[BAR_CELLS + 1];
	bar_text(share, bar);
	fprintf(stderr, "\r\033[K[%s] %3.0f %%  %llu records  %.0f/s  %.0f s left", bar, share * 100,
		(unsigned long long)records, rate, left_s);
}

void progress_finish(struct progress *progress) {
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
