/* Verdicts: what was judged of a plugin file with that content, one for each hash.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_VERDICT_H
#define HOST_REGISTRY_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "plugin/examine.h"
#include "plugin/image.h"

struct registry;

enum verdict_state {
	VERDICT_ATTEMPTING,
	VERDICT_LIVE,
	VERDICT_DRAINING,
	VERDICT_RETIRED,
	VERDICT_REFUSED,
	VERDICT_QUARANTINED,
	VERDICT_READY,
};

/* A row 'V'. */
struct verdict {
	uint8_t hash[HASH_BYTES];
	enum verdict_state state;
	char name[MANIFEST_NAME_BYTES_MAX + 1]; /* "" if it was refused before its manifest was read */
	char version[MANIFEST_VERSION_BYTES_MAX + 1];
	char *file;          /* in the plugins directory; "" if it is not there */
	char *image;         /* file name of the copy; "" if there is none. Retired with a copy: it may come back */
	uint64_t generation; /* of the copy */
	uint64_t kept;       /* 1: it was live, so its copy stays while its plugin is live, and it may come back */
	uint64_t attempts;   /* first runs that were begun and not seen to their end */
	uint64_t held_inode; /* retired, but its file could not be taken away: which one it is */
	uint64_t held_ctime_ns;
	uint64_t time_ms;
	struct error *refusal; /* refused, quarantined; else NULL */
	bool written;          /* a row of it is in the store */
};

const char *verdict_state_name(enum verdict_state state);
bool verdict_state_of(struct bytes name, enum verdict_state *ret_state); /* false: no state is called so */
struct verdict *verdict_find(const struct registry *registry, const uint8_t hash[HASH_BYTES]);
struct verdict *verdict_add(struct registry *registry, const uint8_t hash[HASH_BYTES]); /* found or new */
void verdict_destroy(struct verdict *verdict);
void verdict_set_text(char **place, const char *text);
void verdict_refuse(struct verdict *verdict, enum verdict_state state, const struct error *error);
void verdict_forget_copy(struct verdict *verdict); /* it will not come back */

#endif
