/* The first half of staging, on the stager's thread: from the user's file to an image that was read, judged, copied and
 * probed. Nothing of it has run in this process, and nothing is visible yet. */
#ifndef HOST_PLUGIN_EXAMINE_H
#define HOST_PLUGIN_EXAMINE_H

#include "plugin/image.h"

enum examine_result {
	EXAMINE_GOOD,
	EXAMINE_KNOWN,      /* its hash is among the known ones: not judged anew */
	EXAMINE_INCOMPLETE, /* or it changed while it was read: more may come */
	EXAMINE_ABSENT,
	EXAMINE_UNREADABLE, /* permissions, no regular file, no room for the copy, no process for the probe */
	EXAMINE_REFUSED,    /* the fault is in the bytes: they will be refused again */
};

struct examination_order {
	const char *path;   /* of the user's file */
	const char *images; /* directory of images */
	struct disk *disk;
	uint64_t generation; /* for the copy's name */
	const uint8_t (*known)[HASH_BYTES];
	size_t known_count;
};

struct examination_result {
	struct file_identity identity;
	bool hashed; /* hash is set */
	uint8_t hash[HASH_BYTES];
	char name[MANIFEST_NAME_BYTES_MAX + 1]; /* "" if it was refused before its manifest was read */
	char version[MANIFEST_VERSION_BYTES_MAX + 1];
	struct image *image; /* if good */
	bool unmaps;         /* dlclose took it away in the probe */
	struct error error;  /* unless good or known */
};

enum examine_result examine(const struct examination_order *order, struct examination_result *ret_result);

#endif
