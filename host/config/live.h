/* Settings that change while the host runs: by a request, and when SIGHUP has the file read again. [loop thread]
 *
 * A request's value holds until the next start or until it is taken back, and wins over the file; a worker that comes after
 * a crash has it, too (kept.h). Reading the file again changes all that may change, all or nothing: a file with a
 * mistake changes nothing. */
#ifndef HOST_CONFIG_LIVE_H
#define HOST_CONFIG_LIVE_H

#include "config/config.h"

struct config_live;

/* running: what the host reads, changed in place. The arguments are those of config_parse, and stay valid. */
struct config_live *config_live_create(struct config *running, int argc, char *const argv[]);
void config_live_destroy(struct config_live *live); /* NULL is fine */

/* Once in each worker, before it reads a setting: what requests to an earlier worker have changed; how many settings. */
size_t config_live_resume(struct config_live *live);

/* changed(arg) is called after every change, once for all of it. */
void config_live_watch(struct config_live *live, void (*changed)(void *arg), void *arg);

/* A setting that differs now from what it was, or would. */
struct config_change {
	const char *key;
	char *from; /* as in sofun.yaml */
	char *to;
	bool live; /* false: it needs a restart, and was not changed */
};
struct config_changes {
	struct config_change *items;
	size_t count;
};
void config_changes_finish(struct config_changes *changes);

/* mapping: settings in YAML or JSON; resets: keys that go back to what file and flags say. All or nothing.
 * ERROR_CONFLICT: one of them needs a restart. */
bool config_live_set(struct config_live *live, struct bytes mapping, const char *const *resets, size_t reset_count,
	struct config_changes *ret_changes, struct error *error);

/* Reads the file again. Changes that need a restart are in the list, and were not made. */
bool config_live_reload(struct config_live *live, struct config_changes *ret_changes, struct error *error);

#endif
