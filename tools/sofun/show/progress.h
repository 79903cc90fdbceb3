/* A progress bar on stderr, where that is a terminal; nothing elsewhere. */
#ifndef SOFUN_PROGRESS_H
#define SOFUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown;
	uint64_t started_ms;
	uint64_t drawn_ms;
};

void progress_init(struct progress *progress, bool wanted);

/* part of whole is done (whole 0: nobody knows), which is `records` records. Redraws now and then. */
void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t records);

/* Wipes the bar. */
void progress_finish(struct progress *progress);

#endif
