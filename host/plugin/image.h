/* An image: one version of a plugin as this process has it, from the copy of its bytes to the unmapping. Made and closed
 * on the stager's thread (at recovery: the loop thread); between hand-overs it belongs to one thread at a time. The
 * shards enter it through the functions' copies only, and read its name and version for logs. */
#ifndef HOST_PLUGIN_IMAGE_H
#define HOST_PLUGIN_IMAGE_H

#include <stdatomic.h>

#include "plugin/abi.h"
#include "plugin/image_file.h"
#include "plugin/load.h"
#include "plugin/manifest.h"
#include "plugin/strays.h"

/* States are values that print. The registry alone moves a live image on. */
enum image_state {
	IMAGE_STAGED,   /* its file is copied and judged; nothing of it has run in this process */
	IMAGE_READY,    /* loaded, init has returned 0 */
	IMAGE_LIVE,     /* in a view */
	IMAGE_DRAINING, /* messages accepted before its fence still go to it */
	IMAGE_RETIRED,  /* fini has returned; unmapped */
	IMAGE_STUCK,    /* it should be gone, but a call, a thread or the loader holds it */
};

struct image {
	uint32_t magic;
	enum image_state state;
	char name[MANIFEST_NAME_BYTES_MAX + 1];
	char version[MANIFEST_VERSION_BYTES_MAX + 1];
	uint8_t hash[HASH_BYTES];
	char hash_text[HASH_TEXT_BYTES];
	uint64_t generation; /* in the file's name; unique in this data directory */
	char *path;          /* of the copy */
	struct manifest manifest;

	/* from image_open to image_close */
	struct library *library;
	const sofun_plugin *descriptor; /* the plugin's own */
	struct abi_facts facts;
	void *plugin_data;
	struct strays strays; /* which threads there were before it came */
	uint32_t note;        /* its number in supervisor/note.h */

	_Atomic uint32_t working; /* calls of its work that run on the pool: it stays until they have returned */
};

/* Takes the manifest over. */
struct image *image_create(
	struct manifest *manifest, const uint8_t hash[HASH_BYTES], uint64_t generation, const char *path);

/* REQUIRES that it is not open. NULL is fine. Leaves the file. */
void image_destroy(struct image *image);

const char *image_state_name(enum image_state state);

/* dlopen, descriptor, init, noting where a death would come from (supervisor/note.h). False: ERROR_REFUSED, and nothing of it
 * is left, or the library is stuck: *ret_stuck. */
bool image_open(struct image *image, const struct sofun_host *host, bool *ret_stuck, struct error *error);

/* fini, then the unmapping, verified. False: it should be IMAGE_STUCK, for *ret_reason, a constant text. keep: no dlclose.
 * Leaves the state alone: while this runs on the stager's thread, the loop shows the image as draining. */
bool image_close(struct image *image, bool keep, const char **ret_reason);

#endif
