/* A progress bar on stderr, where that is a terminal; nothing elsewhere. */
#ifndef SOFUN_PROGRESS_H
#define SOFUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown;
	uint64_t drawn_ms;
	uint64_t drawn_part;
	uint64_t drawn_records;
	double rate;      /* records a second, lately */
	double part_rate; /* of part a second, lately */
};

void progress_init(struct progress *progress, bool wanted);

/* part of whole is done (whole 0: nobody knows), which is `records` records of this run. Redraws now and then. */
void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t records);

/* The same for what gets less: `left` of whole, of something with a name. */
void progress_left(struct progress *progress, const char *name, uint64_t left, uint64_t whole);

/* A word instead of the bar, e.g. that the host is away. */
void progress_say(struct progress *progress, const char *text);

/* Wipes the bar. */
void progress_finish(struct progress *progress);

#endif
