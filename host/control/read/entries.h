/* Pages of tables and lists, as JSON: {entries:[{key,value}],next} and {length,items:[],next}. [reader thread] */
#ifndef HOST_CONTROL_READ_ENTRIES_H
#define HOST_CONTROL_READ_ENTRIES_H

#include "control/read/read.h"
#include "flow/entries/header.h"

enum { ENTRIES_SHOWN = 10 }; /* of each table and list, where the whole instance is asked for */

struct entries_ask {
	uint32_t database;
	struct bytes id;
	const struct entries_header *header;
	uint64_t limit;
	const struct bytes *after; /* a key, or the decimal index of an item; NULL: from the first on */
};

/* NULL: the job has an error. */
json_t *read_entries(struct read_job *job, struct store *store, const struct entries_ask *ask);

#endif
