/* Files on their way to being a live version, or one that is kept ready; and what is known of those that came.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_CANDIDATE_CANDIDATE_H
#define HOST_REGISTRY_CANDIDATE_CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "plugin/examine.h"
#include "plugin/inbox.h"
#include "plugin/stage.h"
#include "registry/loaded/plugin.h"
#include "registry/registry.h"
#include "registry/verdict.h"

/* What is known of a file in the plugins directory, or of a `load` that was refused. */
struct offer {
	char *file;
	bool from_load; /* not in the directory */
	bool hashed;
	bool deferred; /* offered again when a plugin has gone */
	uint8_t hash[HASH_BYTES];
	struct file_identity identity;
	struct error *error; /* NULL: not refused */
};

/* A swap by name and version, while the version is staged. */
struct swap {
	const struct lineage *lineage;
	bool running;
	uint64_t deadline_ms;
	uint32_t percent; /* of a canary; 0: all of it */
	bool rollback;
	bool no_way_back; /* taken even if nothing that it writes could be read by the version before */
};

/* A file on its way to live; one at a time, in order of arrival. */
struct candidate {
	struct stage_job job;
	struct registry *registry;
	struct candidate *next;
	char *path; /* what is read */
	char *file; /* its name in the plugins directory */
	bool from_inbox;
	bool patience_over;
	bool force;            /* judged anew, whatever was judged before */
	bool place;            /* a copy is to be put into the directory */
	bool ready;            /* it is to be kept ready, not to go live */
	char *replaced;        /* an earlier copy of the same bytes, which goes in the end; NULL: none */
	struct plugin *plugin; /* once it is open */
	struct swap *swap;     /* asked for by name and version; NULL: it came as a file */
	char *placed;          /* that copy, under a name that does not count yet; NULL: not there */
	registry_done *done;   /* NULL: from the inbox, or answered */
	void *done_arg;
	uint8_t (*known)[HASH_BYTES];
	size_t known_count;
	struct examination_order order;
	enum examine_result result;
	struct examination_result found;
	bool opened; /* the image is open */
	bool place_failed;
	bool stuck;              /* the image was refused, and stays mapped */
	struct verdict *verdict; /* from the row `attempting` on */
};

/* ---- stage.c ---- */
void candidate_arrived(struct registry *registry, const char *file, bool patience_over);
void candidates_next(struct registry *registry);
void candidates_stop(struct registry *registry);
struct candidate *candidate_add(struct registry *registry, char *path, char *file); /* at the end; takes both over */
void candidate_end(struct candidate *candidate);
void candidate_tell_inbox(const struct candidate *candidate, enum inbox_verdict verdict);
void candidate_tell_error(struct candidate *candidate, const struct error *error);
struct offer *candidate_offer(struct candidate *candidate, const struct error *error);
/* The fault is in the bytes: the verdict is kept, and they are not tried again by themselves. */
void candidate_judge_bytes(struct candidate *candidate);
void refused_durable(void *candidate, bool good);

/* ---- open.c ---- */
#define LOADING_SUFFIX ".loading"
void candidate_commit_attempt(struct candidate *candidate);
void candidate_abandon(struct candidate *candidate);

/* ---- offer.c ---- */
struct offer *offer_find(const struct registry *registry, const char *file);
struct offer *offer_add(struct registry *registry, const char *file, bool from_load); /* found or new */
/* hash and error may be NULL. */
void offer_judge(
	struct offer *offer, const uint8_t *hash, const struct file_identity *identity, const struct error *error);
void offer_remove(struct registry *registry, const char *file);
void offers_destroy(struct registry *registry);

#endif
