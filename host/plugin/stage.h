/* The stager: one thread that does what takes milliseconds or calls a plugin, so that neither the loop nor a shard
 * waits. Jobs run one after the other, in order; each comes back to the loop thread when it is done.
 *
 * What a plugin goes through, and where:
 *
 *   inbox [loop]      a file stands still in the directory
 *   examine [stager]  read, hash, ELF, manifest, copy, probe in a child            may fail, nothing visible
 *   registry [loop]   against the store and the live plugins; row `attempting`, durable
 *   open [stager]     dlopen, descriptor, init
 *   registry [loop]   row `live` with the new function types, durable; then the view     cannot fail
 *   registry [loop]   fence, drain, a view without it; row `retired`, durable            cannot fail
 *   close [stager]    fini, dlclose, verified */
#ifndef HOST_PLUGIN_STAGE_H
#define HOST_PLUGIN_STAGE_H

#include <stdbool.h>

struct stage;

/* Embedded in what the job is about. */
struct stage_job {
	void (*run)(struct stage_job *job);                  /* [stager] */
	void (*done)(struct stage_job *job, bool cancelled); /* [loop]; cancelled: it never ran */
	struct stage_job *next;
};

struct stage *stage_create(void);

/* Readable when jobs have come back. [loop] */
int stage_fd(const struct stage *stage);

void stage_submit(struct stage *stage, struct stage_job *job); /* [loop] */
void stage_take(struct stage *stage);                          /* [loop] calls done() of those that came back */

/* Waits for the job that runs, ends the thread, hands back all jobs, those that never ran as cancelled. [loop] */
void stage_stop(struct stage *stage);
void stage_destroy(struct stage *stage); /* stopped; NULL is fine */

#endif
