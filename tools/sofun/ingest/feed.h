/* The pipeline of `sofun ingest`: batches on their way to the host, kept until they are durable, sent again on a new
 * connection when the old one is lost. */
#ifndef SOFUN_FEED_H
#define SOFUN_FEED_H

#include <signal.h>
#include <stdint.h>

#include "client/rpc.h"
#include "command.h"
#include "ingest/source.h"
#include "show/progress.h"

enum {
	WINDOW_BATCHES = 64,         /* on their way at once: keeps a host busy over one commit */
	BATCH_BYTES_MAX = 1 << 20,   /* a batch ends here too, far below limits.frame_bytes */
	WINDOW_BYTES_MAX = 16 << 20, /* of memory for what may have to be sent again */
};

struct batch {
	uint64_t first; /* sequence number of its first record */
	uint32_t count;
	struct buf records; /* packed */
};

struct feed {
	const struct invocation *run;
	const char *ingress;
	const char *producer;
	uint64_t batch_records;
	uint64_t rate;                     /* records a second; 0: as fast as it goes */
	uint64_t patience_ms;              /* how long to try to reach a host that went away */
	const volatile sig_atomic_t *stop; /* not 0: the user wants no more */
	struct source *source;
	struct progress progress;

	struct rpc rpc;
	struct batch window[WINDOW_BATCHES]; /* a ring */
	uint64_t window_first;               /* number of the oldest batch; its place is the number modulo the size */
	uint64_t window_end;                 /* number after the newest batch */
	uint64_t window_sent;                /* number after the newest batch that was sent on this connection */
	size_t window_bytes;
	bool filling; /* the newest batch still takes records */
	bool ended;   /* the source has */
	bool dry;     /* the source has nothing now */

	uint64_t started_ms;
	uint64_t read;    /* records of the source */
	uint64_t skipped; /* of these, durable before this run */
	uint64_t durable; /* position of the producer */
	uint64_t dead;    /* records of this run that became dead letters: those that a router failed on */
};

/* Connects and asks how far the producer is. An exit code, told. */
int feed_open(struct feed *feed);

/* Sends everything; returns when all is durable. An exit code, told. */
int feed_run(struct feed *feed);

void feed_close(struct feed *feed);

#endif
