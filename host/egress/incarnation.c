#include "egress/incarnation.h"

#include <sys/random.h>

#include "base/check.h"
#include "wire/cursor.h"
#include "wire/pack.h"

/* 2^33 epochs are more than a host commits in its life; so ids stay below 2^53, which JSON readers take exactly. */
enum { RANDOM_BITS = 20 };

uint64_t incarnation_new(uint64_t epoch) {
	uint32_t random = 0;
	ssize_t got = getrandom(&random, sizeof random, 0);
	check(got == sizeof random);
	return (epoch + 1) << RANDOM_BITS | (random & ((1u << RANDOM_BITS) - 1));
}

struct key incarnation_key(struct bytes egress) {
	struct key key = key_of(KEY_INCARNATIONS);
	key_append(&key, egress);
	return key;
}

void incarnations_put(struct buf *value, const struct incarnations *incarnations) {
	pack_array(value, (uint32_t)incarnations->count);
	for (size_t i = 0; i < incarnations->count; i++) {
		pack_array(value, 2);
		pack_uint(value, incarnations->entries[i].id);
		pack_uint(value, incarnations->entries[i].first);
	}
}

bool incarnations_take(struct bytes value, struct incarnations *ret_incarnations) {
	struct cursor cursor = cursor_of(value);
	uint32_t count, pair;
	*ret_incarnations = (struct incarnations){0};
	if (!cursor_read_array(&cursor, &count) || count > INCARNATIONS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct incarnation *entry = &ret_incarnations->entries[i];
		if (!cursor_read_array(&cursor, &pair) || pair != 2 || !cursor_read_uint(&cursor, &entry->id) ||
			!cursor_read_uint(&cursor, &entry->first) || (i > 0 && entry->first < entry[-1].first))
			return false;
	}
	ret_incarnations->count = count;
	return cursor_at_end(&cursor);
}

bool incarnations_begin(struct incarnations *incarnations, uint64_t id, uint64_t first) {
	struct incarnation *entries = incarnations->entries;
	size_t count = incarnations->count;
	if (count > 0 && (entries[count - 1].id == id || entries[count - 1].first >= first))
		return false;
	if (count == INCARNATIONS_MAX)
		memmove(entries, entries + 1, --count * sizeof *entries);
	entries[count] = (struct incarnation){.id = id, .first = first};
	incarnations->count = count + 1;
	return true;
}

bool incarnations_continue(const struct incarnations *incarnations, uint64_t id, uint64_t next, uint64_t start,
	uint64_t end, uint64_t *ret_from) {
	size_t i = 0;
	*ret_from = end;
	if (id == 0)
		return next <= end;
	while (i < incarnations->count && incarnations->entries[i].id != id)
		i++;
	/* of another history: what they have in common is not known */
	if (i == incarnations->count) {
		*ret_from = start;
		return next == 0;
	}
	if (i + 1 < incarnations->count)
		*ret_from = incarnations->entries[i + 1].first;
	return next <= *ret_from;
}
