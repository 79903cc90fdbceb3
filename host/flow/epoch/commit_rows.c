/* Rows that the registry, sinks and acknowledgements make durable: they go to the committer and into the next record. By way of
 * a shard they would wait for whatever call it is in, and with them a swap that is to end that call's version. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/epoch/commit.h"

void committer_rows_init(struct committer_rows *rows) {
	pthread_mutex_init(&rows->mutex, NULL);
}

void committer_rows_finish(struct committer_rows *rows) {
	buf_finish(&rows->redo);
	buf_finish(&rows->tokens);
	buf_finish(&rows->taken);
	pthread_mutex_destroy(&rows->mutex);
}

void committer_rows_add(struct committer *committer, uint64_t token, struct bytes redo) {
	struct committer_rows *rows = &committer->rows;
	pthread_mutex_lock(&rows->mutex);
	buf_append_bytes(&rows->redo, redo);
	buf_append(&rows->tokens, &token, sizeof token);
	atomic_store(&rows->asked, true);
	pthread_mutex_unlock(&rows->mutex);
	park_wake(&committer->flow->committer_park);
}

bool committer_rows_take(struct committer *committer, struct buf *redo) {
	struct committer_rows *rows = &committer->rows;
	if (!atomic_load(&rows->asked))
		return false;
	pthread_mutex_lock(&rows->mutex);
	buf_append_bytes(redo, bytes_buf(&rows->redo));
	buf_append_bytes(&rows->taken, bytes_buf(&rows->tokens));
	buf_reset(&rows->redo);
	buf_reset(&rows->tokens);
	atomic_store(&rows->asked, false);
	pthread_mutex_unlock(&rows->mutex);
	return true;
}

void committer_rows_answer(struct committer *committer) {
	struct committer_rows *rows = &committer->rows;
	for (size_t at = 0; at < rows->taken.size; at += sizeof(uint64_t)) {
		struct engine_answer answer = {.number = committer->epoch};
		memcpy(&answer.token, rows->taken.data + at, sizeof answer.token);
		output_put(&committer->answers, &answer);
	}
	buf_reset(&rows->taken);
}

void committer_rows_refuse(struct committer *committer, void (*refuse)(void *arg, uint64_t token), void *arg) {
	struct buf left = {0};
	committer_rows_take(committer, &left);
	for (size_t at = 0; at < committer->rows.taken.size; at += sizeof(uint64_t)) {
		uint64_t token;
		memcpy(&token, committer->rows.taken.data + at, sizeof token);
		refuse(arg, token);
	}
	buf_reset(&committer->rows.taken);
	buf_finish(&left);
}
