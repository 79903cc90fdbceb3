/* Positions of producers: rows 'P', read when a producer comes, written at the cut, gone when nobody has sent for
 * producer.expiry_s (rule 9). [the shard's holder] */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "flow/keyed/keyed_rows.h"
#include "flow/shard.h"
#include "wire/cursor.h"
#include "wire/pack.h"

/* Positions of a shard kept in memory; beyond it clean ones are read again from their rows. */
enum { PRODUCERS_MAX = 16384 };

static struct bytes producer_ingress(const struct producer *producer) {
	return bytes_of(producer->names, producer->ingress_size);
}

static struct bytes producer_name(const struct producer *producer) {
	return bytes_of(producer->names + producer->ingress_size, producer->name_size);
}

static struct key producer_key(struct bytes ingress, struct bytes name) {
	struct key key = key_of(KEY_PRODUCER);
	key_u8(&key, (uint8_t)ingress.size);
	key_append(&key, ingress);
	key_append(&key, name);
	return key;
}

static bool position_read(struct bytes row, uint64_t *ret_accepted, uint64_t *ret_touched_ms) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count >= 2 && cursor_read_uint(&cursor, ret_accepted) &&
		cursor_read_uint(&cursor, ret_touched_ms);
}

static uint64_t expires_ms(const struct shard *shard, const struct producer *producer) {
	return producer->touched_ms + shard->flow->config->producer_expiry_s * 1000;
}

static void producers_trim(struct shard *shard) {
	uint64_t applied = store_applied(shard->flow->store);
	for (size_t i = 0; i < PRODUCER_BUCKETS; i++) {
		struct producer **place = &shard->producers[i];
		while (*place != NULL) {
			struct producer *producer = *place;
			if (producer->dirty || producer->dirty_epoch > applied) {
				place = &producer->next;
				continue;
			}
			*place = producer->next;
			free(producer);
			shard->producer_count--;
		}
	}
}

static struct producer *producer_find(
	const struct shard *shard, uint64_t hash, struct bytes ingress, struct bytes name) {
	struct producer *producer = shard->producers[hash % PRODUCER_BUCKETS];
	while (producer != NULL &&
		!(producer->hash == hash && bytes_equal(producer_ingress(producer), ingress) &&
			bytes_equal(producer_name(producer), name)))
		producer = producer->next;
	return producer;
}

/* What has expired is gone for whoever asks; its row goes when the sweep comes to it. */
static void producer_expire(const struct shard *shard, struct producer *producer) {
	if (producer->accepted > 0 && expires_ms(shard, producer) <= shard->epoch_time_ms)
		producer->accepted = 0;
}

struct producer *producer_get(struct shard *shard, struct bytes ingress, struct bytes name, struct error *error) {
	uint64_t hash = hash_mix(hash_bytes(1, ingress.data, ingress.size), hash_bytes(2, name.data, name.size));
	struct producer *producer = producer_find(shard, hash, ingress, name);
	if (producer != NULL) {
		producer_expire(shard, producer);
		return producer;
	}
	struct key key = producer_key(ingress, name);
	uint64_t accepted = 0;
	uint64_t touched_ms = 0;
	buf_reset(&shard->scratch);
	int found = store_get(shard->flow->store, REDO_RUNTIME, key_bytes(&key), &shard->scratch, error);
	if (found < 0)
		return NULL;
	if (found == 1 && !position_read(bytes_buf(&shard->scratch), &accepted, &touched_ms)) {
		error_set(error, ERROR_STORE_FAILED, "the row of a producer is malformed: run sofund --verify");
		return NULL;
	}
	if (shard->producer_count >= PRODUCERS_MAX)
		producers_trim(shard);
	producer = check_alloc(1, sizeof *producer + ingress.size + name.size);
	producer->hash = hash;
	producer->accepted = accepted;
	producer->touched_ms = touched_ms;
	producer->filed = found == 1;
	producer->ingress_size = (uint16_t)ingress.size;
	producer->name_size = (uint32_t)name.size;
	memcpy(producer->names, ingress.data, ingress.size);
	memcpy(producer->names + ingress.size, name.data, name.size);
	producer->next = shard->producers[hash % PRODUCER_BUCKETS];
	shard->producers[hash % PRODUCER_BUCKETS] = producer;
	shard->producer_count++;
	producer_expire(shard, producer);
	return producer;
}

void producer_touch(struct shard *shard, struct producer *producer) {
	producer->touched_ms = shard->epoch_time_ms;
	if (producer->dirty)
		return;
	producer->dirty = true;
	if (shard->producers_dirty_count == shard->producers_dirty_capacity) {
		shard->producers_dirty_capacity =
			shard->producers_dirty_capacity == 0 ? 16 : shard->producers_dirty_capacity * 2;
		shard->producers_dirty =
			realloc(shard->producers_dirty, shard->producers_dirty_capacity * sizeof *shard->producers_dirty);
		check_memory(shard->producers_dirty);
	}
	shard->producers_dirty[shard->producers_dirty_count++] = producer;
}

/* An entry of the sweep: one for each producer, filed anew only when it comes due too early. */
static void producer_file(struct shard *shard, struct producer *producer) {
	struct key row = producer_key(producer_ingress(producer), producer_name(producer));
	struct key wake = key_wake(expires_ms(shard, producer), key_bytes(&row));
	buf_reset(&shard->scratch);
	keyed_number_write(
		&shard->scratch, flow_producer_hash(shard->flow, producer_ingress(producer), producer_name(producer)));
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&wake), bytes_buf(&shard->scratch));
	producer->filed = true;
}

/* The value of a producer's row: [accepted, time_ms of the last change]. */
void producers_redo(struct shard *shard, uint64_t epoch) {
	for (size_t i = 0; i < shard->producers_dirty_count; i++) {
		struct producer *producer = shard->producers_dirty[i];
		struct key key = producer_key(producer_ingress(producer), producer_name(producer));
		buf_reset(&shard->scratch);
		pack_array(&shard->scratch, 2);
		pack_uint(&shard->scratch, producer->accepted);
		pack_uint(&shard->scratch, producer->touched_ms);
		redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&shard->scratch));
		if (!producer->filed)
			producer_file(shard, producer);
		producer->dirty = false;
		producer->dirty_epoch = epoch;
	}
	shard->producers_dirty_count = 0;
}

void producers_finish(struct shard *shard) {
	for (size_t i = 0; i < PRODUCER_BUCKETS; i++) {
		while (shard->producers[i] != NULL) {
			struct producer *producer = shard->producers[i];
			shard->producers[i] = producer->next;
			free(producer);
		}
	}
	free(shard->producers_dirty);
}

bool producer_sweep(struct shard *shard, struct bytes row_key, uint64_t due_ms) {
	struct error error;
	struct bytes ingress = bytes_of(row_key.data + 2, row_key.data[1]);
	struct bytes name = bytes_of(ingress.data + ingress.size, row_key.size - 2 - ingress.size);
	shard_touch(shard);
	if (due_ms > shard->epoch_time_ms)
		return true; /* this shard's epoch began before the sweep looked at the clock: it looks again */
	struct producer *producer = producer_get(shard, ingress, name, &error);
	if (producer == NULL) {
		shard_store_error(shard, &error);
		return false;
	}
	struct key wake = key_wake(due_ms, row_key);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&wake));
	producer->dirty_epoch = shard->epoch; /* the store does not know yet */
	if (producer->dirty || expires_ms(shard, producer) > shard->epoch_time_ms) {
		if (producer->touched_ms > 0)
			producer_file(shard, producer);
		return true;
	}
	redo_remove(&shard->redo, REDO_RUNTIME, row_key);
	producer->accepted = 0;
	producer->touched_ms = 0;
	producer->filed = false;
	return true;
}
