#include "flow/dead/act.h"

#include <stdio.h>

#include "base/little.h"
#include "flow/dead/letter.h"
#include "flow/shard.h"
#include "state/key.h"

enum { GONE_BYTES = 16 };

static bool gone_find(const struct shard *shard, uint64_t number) {
	const struct buf *gone = &shard->dead_gone.gone;
	for (size_t at = 0; at < gone->size; at += GONE_BYTES) {
		if (little_u64(gone->data + at) == number)
			return true;
	}
	return false;
}

static void gone_add(struct shard *shard, uint64_t number) {
	uint8_t *at = buf_reserve(&shard->dead_gone.gone, GONE_BYTES);
	little_u64_put(at, number);
	little_u64_put(at + 8, shard->epoch);
	shard->dead_gone.gone.size += GONE_BYTES;
}

void dead_trim(struct shard *shard) {
	struct buf *gone = &shard->dead_gone.gone;
	size_t keep = 0;
	if (gone->size == 0)
		return;
	uint64_t applied = store_applied(shard->flow->store);
	while (keep < gone->size && little_u64(gone->data + keep + 8) <= applied)
		keep += GONE_BYTES;
	memmove(gone->data, gone->data + keep, gone->size - keep);
	gone->size -= keep;
}

static void answer(
	struct shard *shard, const struct input *input, enum error_code code, const char *text, struct bytes found) {
	struct engine_answer answer = {
		.token = input->token, .code = code, .number = shard->epoch, .payload = bytes_text(text), .type = found};
	output_put(&shard->outputs, &answer);
}

/* At the tail of its address: what the address has already comes first. */
static void message_send(struct shard *shard, const struct input *input, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	uint32_t to = message_shard(head->hash, shard->flow->shards_count);
	struct queue *channel = shard_channel(shard->flow, shard->index, to);
	uint8_t *copy = queue_reserve(channel, head->size);
	memcpy(copy, at, head->size);
	effects_born(shard, (struct message_head *)(void *)copy, input->colour);
	queue_commit(channel, head->size);
	if (to == shard->index)
		queue_publish(channel);
	else
		shard->touched |= UINT64_C(1) << to;
	shard->counts.channels_in++;
	shard->epoch_bytes += head->size;
	shard->epoch_messages++;
}

/* 1: it is there; 0: it is gone; -1: the store could not be read. */
static int letter_find(struct shard *shard, uint64_t number) {
	struct error error;
	struct key key = key_dead(number);
	if (gone_find(shard, number))
		return 0;
	buf_reset(&shard->scratch);
	int found = store_get(shard->flow->store, REDO_RUNTIME, key_bytes(&key), &shard->scratch, &error);
	if (found < 0)
		shard_store_error(shard, &error);
	return found;
}

static void record_again(struct shard *shard, const struct input *input, const struct dead_input *dead) {
	const uint8_t *at = (const uint8_t *)(dead + 1);
	struct bytes ingress = bytes_of(at, dead->ingress_size);
	struct bytes producer = bytes_of(at + dead->ingress_size, dead->producer_size);
	struct bytes record = bytes_of(producer.data + producer.size, dead->record_size);
	route_again(shard, input, ingress, producer, record);
}

/* Only now: the epoch may have been cut while a router ran. */
static void letter_remove(struct shard *shard, uint64_t number) {
	struct key key = key_dead(number);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&key));
	shard->epoch_bytes += key.size;
	gone_add(shard, number);
	if (number > shard->dead_gone.greatest)
		shard->dead_gone.greatest = number;
}

bool dead_take(struct shard *shard, const struct input *input) {
	const struct dead_input *dead = (const struct dead_input *)(const void *)(input + 1);
	const uint8_t *at = (const uint8_t *)(dead + 1);
	if (dead->action == DEAD_MESSAGE &&
		((const struct message_head *)(const void *)at)->type >= shard->view->binding_count)
		return false;
	shard_touch(shard);
	int found = letter_find(shard, input->first);
	if (found < 0)
		return false;
	if (found == 0) {
		char number[24];
		snprintf(number, sizeof number, "%llu", (unsigned long long)input->first);
		answer(shard, input, ERROR_NOT_FOUND, "there is no such dead letter any more", bytes_text(number));
		return true;
	}
	if (dead->action == DEAD_RECORD &&
		!view_ingress(
			shard->view, bytes_of(at, dead->ingress_size), bytes_of(at + dead->ingress_size, dead->producer_size))) {
		answer(shard, input, ERROR_UNKNOWN_INGRESS, "no router serves its ingress now: it stays",
			bytes_of(at, dead->ingress_size));
		return true;
	}
	if (dead->action == DEAD_RECORD)
		record_again(shard, input, dead);
	else if (dead->action == DEAD_MESSAGE)
		message_send(shard, input, at);
	letter_remove(shard, input->first);
	answer(shard, input, ERROR_NONE, "", (struct bytes){0});
	return true;
}
