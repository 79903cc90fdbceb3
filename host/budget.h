/* How limits.memory_bytes is shared out. Pure. */
#ifndef HOST_BUDGET_H
#define HOST_BUDGET_H

#include <stdint.h>

struct budget {
	uint64_t base_bytes;         /* what no budget counts: code, stacks, connections, what malloc keeps */
	uint64_t checkpoint_bytes;   /* of journal between two checkpoints: what the applier's table then holds */
	uint64_t journal_bytes_max;  /* untrimmed journal: two checkpoints, the one that fills and the one being written */
	uint64_t kv_cache_bytes;     /* one block cache for all databases */
	uint64_t write_buffer_bytes; /* of all databases together */
	uint64_t engine_bytes;       /* mailboxes and cached instances: the rest */
};

struct budget budget_split(uint64_t memory_bytes);

#endif
