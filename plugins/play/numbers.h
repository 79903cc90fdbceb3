/* The numbers that an instance has given to (or last seen from) each of its peers: a RAW value, a MessagePack map of
 * id (as str) to number, loaded with an index for the time of one invocation. */
#ifndef PLAY_NUMBERS_H
#define PLAY_NUMBERS_H

#include <sofun/sofun.h>

struct numbers {
	struct numbers_entry *entries;
	uint32_t *slots; /* open addressing over the ids: index + 1, 0 = free */
	uint32_t count;
	uint32_t slot_count; /* a power of two, at least twice the entries that may come */
};

/* With room for `more` new peers. Ids are views of the value and of what is passed to numbers_of. 0, or SOFUN_FAILED
 * with the reason told. numbers_finish is due in both cases. */
int numbers_load(sofun_context *context, uint32_t value, uint32_t more, struct numbers *ret_numbers);

/* The peer's number, to be read and changed; 0 for a new peer. */
uint64_t *numbers_of(struct numbers *numbers, sofun_bytes id);

/* 0, or SOFUN_FAILED with the reason told. */
int numbers_store(sofun_context *context, uint32_t value, const struct numbers *numbers);

void numbers_finish(struct numbers *numbers);

#endif
