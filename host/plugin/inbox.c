#include "plugin/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "plugin/image_file.h"

enum {
	/* A file stands still when it did not change for this long: a copy writes more often than that. */
	STILL_MS = 100,
	/* At the first scan a file that is this old by its own times stands still at once. */
	OLD_S = 2,
	/* A removal counts after this long: editors and copies remove, then put again. */
	REMOVAL_MS = 2000,
	/* Between scans: while something moves; else, as a net under inotify; and never closer than this. */
	SCAN_MOVING_MS = 25,
	SCAN_IDLE_MS = 1000,
	SCAN_GAP_MS = 10,
	INOTIFY_BYTES = 16384,
};

enum entry_state { ENTRY_MOVING, ENTRY_OFFERED, ENTRY_JUDGED };

struct entry {
	char *file;
	enum entry_state state;
	bool incomplete; /* was offered, was not whole, and has not changed since */
	bool changed;    /* while it was offered */
	bool first;      /* met by the first scan, and not judged yet */
	bool seen;       /* in the scan that runs */
	bool here;       /* in the last scan */
	struct file_identity identity;
	uint64_t directory;   /* identity of the directory it was last seen in */
	uint64_t still_ms;    /* since when it has not changed */
	uint64_t patience_ms; /* when its patience began; 0: it did not */
	uint64_t missing_ms;  /* since when it is gone; 0: it is not */
};

struct inbox {
	struct inbox_options options;
	char *directory_path;
	struct entry **entries; /* in order of their names */
	size_t count;
	uint64_t directory; /* identity of the directory as of the last scan; 0: it could not be read */
	bool started;
	bool settled;
	bool notified_since; /* the last scan: the next one is near, and is not put off by more events */
	uint64_t scanned_ms;
	int inotify_fd;
	struct event *notified;
	struct event *timer;
};

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- entries ---- */

/* The place of the name, or where it would be. */
static size_t entry_place(const struct inbox *inbox, const char *file) {
	size_t low = 0;
	size_t high = inbox->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(inbox->entries[middle]->file, file) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *entry_find(const struct inbox *inbox, const char *file) {
	size_t place = entry_place(inbox, file);
	return place < inbox->count && strcmp(inbox->entries[place]->file, file) == 0 ? inbox->entries[place] : NULL;
}

static struct entry *entry_add(struct inbox *inbox, const char *file) {
	size_t place = entry_place(inbox, file);
	struct entry *entry = check_alloc(1, sizeof(*entry));
	entry->file = check_strdup(file);
	inbox->entries = realloc(inbox->entries, (inbox->count + 1) * sizeof(struct entry *));
	check_memory(inbox->entries);
	memmove(inbox->entries + place + 1, inbox->entries + place, (inbox->count - place) * sizeof(struct entry *));
	inbox->entries[place] = entry;
	inbox->count++;
	return entry;
}

static void entry_remove(struct inbox *inbox, size_t place) {
	struct entry *entry = inbox->entries[place];
	inbox->count--;
	memmove(inbox->entries + place, inbox->entries + place + 1, (inbox->count - place) * sizeof(struct entry *));
	free(entry->file);
	free(entry);
}

static void entry_move(struct entry *entry, uint64_t now) {
	entry->state = ENTRY_MOVING;
	entry->still_ms = now;
	entry->changed = false;
	if (entry->patience_ms == 0)
		entry->patience_ms = now;
}

/* ---- one scan ---- */

static bool name_counts(const char *name) {
	size_t size = strlen(name);
	return name[0] != '.' && size > 3 && strcmp(name + size - 3, ".so") == 0;
}

static bool status_old(const struct stat *status) {
	time_t now = time(NULL);
	return now - status->st_mtime >= OLD_S && now - status->st_ctime >= OLD_S;
}

static void entry_sight(struct inbox *inbox, struct entry *entry, const struct stat *status, uint64_t now) {
	struct file_identity identity = file_identity_of(status);
	bool changed = !file_identity_equal(&identity, &entry->identity);
	entry->identity = identity;
	entry->seen = true;
	entry->directory = inbox->directory;
	entry->missing_ms = 0;
	if (!changed)
		return;
	if (entry->state == ENTRY_OFFERED)
		entry->changed = true;
	else
		entry_move(entry, now);
	entry->incomplete = false;
	entry->still_ms = now;
}

static void scan_name(struct inbox *inbox, const char *name, uint64_t now) {
	struct stat status;
	char *path = path_join(inbox->directory_path, name);
	bool good = stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
	free(path);
	if (!good)
		return;
	struct entry *entry = entry_find(inbox, name);
	if (entry == NULL) {
		entry = entry_add(inbox, name);
		entry_move(entry, now);
		entry->first = !inbox->started;
	}
	entry_sight(inbox, entry, &status, now);
	if (entry->first && status_old(&status))
		entry->still_ms = now > STILL_MS ? now - STILL_MS : 0;
}

/* False if the directory cannot be read: then nothing is known, and nothing is missing. */
static bool scan_directory(struct inbox *inbox, uint64_t now) {
	struct stat status;
	DIR *directory = opendir(inbox->directory_path);
	inbox->directory = 0;
	if (directory == NULL)
		return false;
	if (fstat(dirfd(directory), &status) == 0)
		inbox->directory = (uint64_t)status.st_dev << 32 ^ (uint64_t)status.st_ino;
	struct dirent *found;
	errno = 0;
	while ((found = readdir(directory)) != NULL)
		if (name_counts(found->d_name))
			scan_name(inbox, found->d_name, now);
	bool good = errno == 0 || errno == ENOENT;
	closedir(directory);
	return good;
}

/* Only what was in this very directory can be missing from it: another one in its place is an unmounted or exchanged
 * folder (INVARIANTS 33). */
static void scan_missing(struct inbox *inbox, uint64_t now) {
	for (size_t i = 0; i < inbox->count; i++) {
		struct entry *entry = inbox->entries[i];
		entry->here = entry->seen;
		if (!entry->seen && entry->missing_ms == 0 && entry->directory == inbox->directory)
			entry->missing_ms = now;
		if (!entry->seen && entry->directory != inbox->directory)
			entry->missing_ms = 0;
		entry->seen = false;
	}
}

/* ---- telling ---- */

static bool patience_over(const struct inbox *inbox, const struct entry *entry, uint64_t now) {
	return now - entry->patience_ms >= inbox->options.patience_ms;
}

static bool entry_ready(const struct inbox *inbox, const struct entry *entry, uint64_t now) {
	if (entry->state != ENTRY_MOVING || !entry->here)
		return false;
	bool still = now - entry->still_ms >= STILL_MS;
	return patience_over(inbox, entry, now) || (still && !entry->incomplete);
}

static void tell_arrivals(struct inbox *inbox, uint64_t now) {
	for (size_t i = 0; i < inbox->count; i++) {
		struct entry *entry = inbox->entries[i];
		if (!entry_ready(inbox, entry, now))
			continue;
		entry->state = ENTRY_OFFERED;
		entry->changed = false;
		inbox->options.arrived(inbox->options.arg, entry->file, patience_over(inbox, entry, now));
	}
}

static void tell_removals(struct inbox *inbox, uint64_t now) {
	for (size_t i = 0; i < inbox->count;) {
		struct entry *entry = inbox->entries[i];
		if (entry->missing_ms == 0 || now - entry->missing_ms < REMOVAL_MS || entry->state == ENTRY_OFFERED) {
			i++;
			continue;
		}
		char *file = check_strdup(entry->file);
		entry_remove(inbox, i);
		inbox->options.removed(inbox->options.arg, file);
		free(file);
	}
}

static void tell_settled(struct inbox *inbox) {
	if (inbox->settled)
		return;
	for (size_t i = 0; i < inbox->count; i++)
		if (inbox->entries[i]->first)
			return;
	inbox->settled = true;
	inbox->options.settled(inbox->options.arg);
}

/* ---- the watch ---- */

static void scan_later(struct inbox *inbox, uint64_t delay_ms) {
	struct timeval delay = {.tv_sec = (time_t)(delay_ms / 1000), .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
	event_add(inbox->timer, &delay);
}

static bool something_moves(const struct inbox *inbox) {
	for (size_t i = 0; i < inbox->count; i++)
		if (inbox->entries[i]->state == ENTRY_MOVING || inbox->entries[i]->missing_ms != 0)
			return true;
	return false;
}

/* The watch follows the path: a directory that came anew needs a new one. Adding it twice is the same watch. */
static void watch(struct inbox *inbox) {
	if (inbox->inotify_fd >= 0)
		inotify_add_watch(inbox->inotify_fd, inbox->directory_path,
			IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
				IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void scan(struct inbox *inbox) {
	uint64_t now = now_ms();
	uint64_t before = inbox->directory;
	inbox->notified_since = false;
	if (scan_directory(inbox, now))
		scan_missing(inbox, now);
	if (inbox->directory != before && inbox->started)
		log_event(LOG_WARN, "plugins_directory", "path=\"%s\" event=\"%s\"", inbox->directory_path,
			inbox->directory == 0 ? "cannot be read; nothing is unloaded"
								  : "came or was exchanged; nothing is unloaded");
	if (inbox->directory != before && inbox->directory != 0)
		watch(inbox);
	inbox->scanned_ms = now;
	inbox->started = true;
	tell_arrivals(inbox, now);
	tell_removals(inbox, now);
	tell_settled(inbox);
	scan_later(inbox, something_moves(inbox) ? SCAN_MOVING_MS : SCAN_IDLE_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	scan(arg);
}

/* What the events say does not matter: the scan looks for itself. */
static void on_notified(evutil_socket_t fd, short what, void *arg) {
	struct inbox *inbox = arg;
	uint8_t events[INOTIFY_BYTES];
	(void)what;
	while (read((int)fd, events, sizeof(events)) > 0)
		continue;
	if (inbox->notified_since)
		return;
	inbox->notified_since = true;
	uint64_t since = now_ms() - inbox->scanned_ms;
	scan_later(inbox, since < SCAN_GAP_MS ? SCAN_GAP_MS - since : 0);
}

struct inbox *inbox_create(const struct inbox_options *options) {
	struct inbox *inbox = check_alloc(1, sizeof(*inbox));
	inbox->options = *options;
	inbox->directory_path = check_strdup(options->directory);
	inbox->timer = evtimer_new(options->base, on_timer, inbox);
	check_memory(inbox->timer);
	inbox->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inbox->inotify_fd < 0) {
		log_event(LOG_WARN, "no_inotify", "reason=\"%s\" effect=\"the directory is looked at once a second\"",
			strerror(errno));
		return inbox;
	}
	inbox->notified = event_new(options->base, inbox->inotify_fd, EV_READ | EV_PERSIST, on_notified, inbox);
	check_memory(inbox->notified);
	return inbox;
}

void inbox_start(struct inbox *inbox) {
	if (inbox->notified != NULL)
		event_add(inbox->notified, NULL);
	scan(inbox);
}

void inbox_destroy(struct inbox *inbox) {
	if (inbox == NULL)
		return;
	if (inbox->notified != NULL)
		event_free(inbox->notified);
	if (inbox->inotify_fd >= 0)
		close(inbox->inotify_fd);
	event_free(inbox->timer);
	while (inbox->count > 0)
		entry_remove(inbox, inbox->count - 1);
	free(inbox->entries);
	free(inbox->directory_path);
	free(inbox);
}

/* ---- what the registry says ---- */

void inbox_judged(struct inbox *inbox, const char *file, enum inbox_verdict verdict) {
	struct entry *entry = entry_find(inbox, file);
	if (entry == NULL)
		return;
	bool changed = entry->changed;
	check(entry->state == ENTRY_OFFERED);
	entry->incomplete = verdict == INBOX_INCOMPLETE && !changed;
	entry->state = ENTRY_JUDGED;
	if (verdict != INBOX_INCOMPLETE)
		entry->patience_ms = 0;
	if (verdict == INBOX_JUDGED)
		entry->first = false;
	if (verdict != INBOX_JUDGED || changed) {
		entry_move(entry, now_ms());
		scan_later(inbox, SCAN_MOVING_MS);
	}
	tell_settled(inbox);
}

void inbox_offer_again(struct inbox *inbox, const char *file) {
	struct entry *entry = entry_find(inbox, file);
	if (entry == NULL || entry->state != ENTRY_JUDGED)
		return;
	entry_move(entry, now_ms());
	entry->incomplete = false;
	scan_later(inbox, SCAN_MOVING_MS);
}

void inbox_forget(struct inbox *inbox, const char *file) {
	struct entry *entry = entry_find(inbox, file);
	if (entry != NULL && entry->state != ENTRY_OFFERED)
		entry_remove(inbox, entry_place(inbox, file));
}

bool inbox_has(const struct inbox *inbox, const char *file) {
	const struct entry *entry = entry_find(inbox, file);
	return entry != NULL && entry->here;
}

bool inbox_settled(const struct inbox *inbox) {
	return inbox->settled;
}
