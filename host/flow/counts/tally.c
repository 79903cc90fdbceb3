#include "flow/counts/tally.h"

#include "flow/epoch/commit.h"

void tally_epoch(struct committer *committer, struct shard *shard, size_t size) {
	uint64_t handled = shard->seal.counts.handled - committer->handled[shard->index];
	committer->handled[shard->index] += handled;
	if (size == 0 && handled == 0)
		return;
	tally_set(&shard->tally.epoch_messages, handled);
	tally_set(&shard->tally.epoch_bytes, size);
}

void tally_commit(struct committer *committer, uint64_t start_us, uint64_t written_us) {
	histogram_add(&committer->tally.append, written_us - start_us);
	histogram_add(&committer->tally.commit, monotonic_us() - committer->cut_us);
	tally_add(&committer->tally.epochs, 1);
}
