#include "budget.h"

#include "limits.h"

/* In eighths, so that a small host keeps the proportions of a large one:
 *   2  the applier's two tables (active and frozen), each of one checkpoint; a checkpoint of more than CHECKPOINT_BYTES
 *      gains nothing and lengthens recovery, so a large host gives the engine what is left of it
 *   1  the block cache: what is hot is cached as instances already, this one serves cold reads
 *   1  the write buffers: sorted batches of one checkpoint come through them, flushed at its end
 *   4  the engine: the hot instances are what throughput lives from */
struct budget budget_split(uint64_t memory_bytes) {
	uint64_t base = memory_bytes / 4 < MEMORY_BASE_BYTES ? memory_bytes / 4 : MEMORY_BASE_BYTES;
	memory_bytes -= base;
	uint64_t eighth = memory_bytes / 8;
	struct budget budget = {
		.base_bytes = base,
		.checkpoint_bytes = eighth < CHECKPOINT_BYTES ? eighth : CHECKPOINT_BYTES,
		.kv_cache_bytes = eighth,
		.write_buffer_bytes = eighth,
	};
	budget.journal_bytes_max = 2 * budget.checkpoint_bytes;
	budget.engine_bytes =
		memory_bytes - 2 * budget.checkpoint_bytes - budget.kv_cache_bytes - budget.write_buffer_bytes;
	return budget;
}
