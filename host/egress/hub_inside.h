/* What the files of host/egress share. No other code should include this file. [loop thread] */
#ifndef HOST_EGRESS_HUB_INSIDE_H
#define HOST_EGRESS_HUB_INSIDE_H

#include "egress/hub.h"

enum {
	EGRESS_HUB_MAGIC = 0x65687562,
	/* Of one read: enough to pay for handing it over, little enough that the next egress gets its turn. */
	BATCH_RECORDS_MAX = 1024,
	BATCH_BYTES_MAX = 256 * 1024,
	ACKED_BUCKETS = 1024,
};

/* An egress that somebody reads. */
struct egress_feed {
	struct egress_hub *hub;
	LIST_ENTRY(egress_feed) link;
	uint64_t end;                 /* offset after the last record known to be there */
	struct egress_readers hungry; /* want records that are there */
	struct egress_readers idle;   /* want records that are still to come */
	size_t readers;               /* that are open */
	bool busy;                    /* a read is under way */
	/* of that read */
	uint64_t from;
	uint64_t start; /* the oldest offset there was */
	struct egress_batch batch;
	struct error error;
	size_t name_size;
	uint8_t name[];
};
LIST_HEAD(egress_feeds, egress_feed);

struct acked;
LIST_HEAD(acked_list, acked);

/* How far an egress was when this process began. */
struct egress_origin {
	struct buf name;
	uint64_t end;
};

struct egress_hub {
	uint32_t magic; /* EGRESS_HUB_MAGIC */
	struct egress_hub_options options;
	uint64_t incarnation; /* of records emitted by this process */
	struct egress_feeds feeds;
	struct egress_origin *origins;
	size_t origin_count;
	struct acked_list acked[ACKED_BUCKETS];
	bool stopped;
};

/* Where the egress ended when this process began. */
uint64_t egress_origin(const struct egress_hub *hub, struct bytes egress);

#endif
