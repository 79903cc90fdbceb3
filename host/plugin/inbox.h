/* The inbox: a directory where plugin files are dropped, replaced and removed. It tells what stands still and is new,
 * and what is gone; what that means is the registry's to say. Only names that end in `.so` and do not begin with a dot
 * count. inotify only wakes it: what it believes comes from scans, so that a lost event costs a second, not a plugin.
 * [loop thread] */
#ifndef HOST_PLUGIN_INBOX_H
#define HOST_PLUGIN_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event_base;
struct inbox;

struct inbox_options {
	struct event_base *base;
	const char *directory;
	uint64_t patience_ms; /* a file that is not whole is waited for this long, from its first sight on */
	/* A new or changed file stands still, or its patience is over. Answer with inbox_judged, later. */
	void (*arrived)(void *arg, const char *file, bool patience_over);
	/* A file that was seen while running is gone, for 2 s, from a directory that is still the same one. */
	void (*removed)(void *arg, const char *file);
	/* Everything that the first scan met has been judged. Once. */
	void (*settled)(void *arg);
	void *arg;
};

struct inbox *inbox_create(const struct inbox_options *options);
void inbox_destroy(struct inbox *inbox); /* NULL is fine */

/* The first scan, then the watch. */
void inbox_start(struct inbox *inbox);

enum inbox_verdict {
	INBOX_JUDGED,     /* not offered again until it changes */
	INBOX_INCOMPLETE, /* offered again when it has changed, or when its patience is over */
	INBOX_AGAIN,      /* offered again soon, as if it were new */
};

/* For each arrived() exactly once; a file that is gone meanwhile is fine. */
void inbox_judged(struct inbox *inbox, const char *file, enum inbox_verdict verdict);

/* Offers a judged file again, e.g. because what stood in its way has gone. Unknown files are fine. */
void inbox_offer_again(struct inbox *inbox, const char *file);

/* Forgets a file that the host itself took away, so that its absence is no event. */
void inbox_forget(struct inbox *inbox, const char *file);

/* True if the file stands in the directory as of the last scan. */
bool inbox_has(const struct inbox *inbox, const char *file);

bool inbox_settled(const struct inbox *inbox);

#endif
