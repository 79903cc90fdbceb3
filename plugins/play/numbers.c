#include "numbers.h"

#include <stdlib.h>

struct numbers_entry {
	sofun_bytes id;
	uint64_t number;
};

/* FNV-1a: short ids, no adversary. */
static uint32_t id_hash(sofun_bytes id) {
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < id.size; i++)
		hash = (hash ^ id.data[i]) * 16777619u;
	return hash;
}

/* Where the id is, or where it would be put. */
static uint32_t slot_find(const struct numbers *numbers, sofun_bytes id) {
	uint32_t slot = id_hash(id) & (numbers->slot_count - 1);
	while (numbers->slots[slot] != 0 && !sofun_bytes_equal(numbers->entries[numbers->slots[slot] - 1].id, id))
		slot = (slot + 1) & (numbers->slot_count - 1);
	return slot;
}

uint64_t *numbers_of(struct numbers *numbers, sofun_bytes id) {
	const uint32_t slot = slot_find(numbers, id);
	if (numbers->slots[slot] == 0) {
		numbers->entries[numbers->count].id = id;
		numbers->entries[numbers->count].number = 0;
		numbers->slots[slot] = ++numbers->count;
	}
	return &numbers->entries[numbers->slots[slot] - 1].number;
}

static bool numbers_make_room(struct numbers *numbers, uint64_t entries) {
	uint64_t slots = 4;
	while (slots < 2 * entries)
		slots *= 2;
	if (slots > UINT32_MAX)
		return false;
	numbers->slot_count = (uint32_t)slots;
	numbers->entries = calloc((size_t)entries + 1, sizeof *numbers->entries);
	numbers->slots = calloc((size_t)slots, sizeof *numbers->slots);
	return numbers->entries != NULL && numbers->slots != NULL;
}

int numbers_load(sofun_context *context, uint32_t value, uint32_t more, struct numbers *ret_numbers) {
	memset(ret_numbers, 0, sizeof *ret_numbers);
	sofun_bytes msgpack;
	const int status = sofun_get_raw(context, value, &msgpack);
	if (status != SOFUN_OK)
		return sofun_fail(context, "the numbers could not be read: %s", sofun_status_text(status));
	sofun_reader reader = sofun_reader_of(msgpack);
	uint32_t pairs = 0;
	if (msgpack.size > 0 && !sofun_read_map(&reader, &pairs))
		return sofun_fail(context, "the numbers are no map");
	if (!numbers_make_room(ret_numbers, (uint64_t)pairs + more))
		return sofun_fail(context, "no memory for the numbers of %u peers", pairs);
	for (; pairs > 0; pairs--) {
		sofun_bytes id;
		uint64_t number;
		if (!sofun_read_str(&reader, &id) || !sofun_read_uint(&reader, &number))
			return sofun_fail(context, "the numbers are no map of ids to integers");
		*numbers_of(ret_numbers, id) = number;
	}
	return 0;
}

int numbers_store(sofun_context *context, uint32_t value, const struct numbers *numbers) {
	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_map(&writer, numbers->count);
	for (uint32_t i = 0; i < numbers->count; i++) {
		sofun_write_str(&writer, numbers->entries[i].id);
		sofun_write_uint(&writer, numbers->entries[i].number);
	}
	sofun_bytes msgpack;
	int status = sofun_written(&writer, &msgpack);
	if (status == SOFUN_OK)
		status = sofun_set_raw(context, value, msgpack);
	if (status != SOFUN_OK)
		return sofun_fail(
			context, "the numbers of %u peers could not be kept: %s", numbers->count, sofun_status_text(status));
	return 0;
}

void numbers_finish(struct numbers *numbers) {
	free(numbers->entries);
	free(numbers->slots);
}
