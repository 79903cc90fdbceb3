#include "flow/migration/blocked.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

void blocked_init(struct blocked *blocked) {
	*blocked = (struct blocked){0};
	pthread_mutex_init(&blocked->mutex, NULL);
}

void blocked_finish(struct blocked *blocked) {
	free(blocked->addresses);
	pthread_mutex_destroy(&blocked->mutex);
}

static size_t address_find(const struct blocked *blocked, uint16_t type, struct bytes id) {
	size_t at = 0;
	while (at < blocked->shown &&
		!(blocked->addresses[at].type == type &&
			bytes_equal(bytes_of(blocked->addresses[at].id, blocked->addresses[at].id_size), id)))
		at++;
	return at;
}

void blocked_add(struct blocked *blocked, uint16_t type, struct bytes id, uint64_t since_ms, struct bytes reason) {
	pthread_mutex_lock(&blocked->mutex);
	blocked->count++;
	if (blocked->addresses == NULL)
		blocked->addresses = check_alloc(BLOCKED_SHOWN_MAX, sizeof *blocked->addresses);
	if (blocked->shown < BLOCKED_SHOWN_MAX) {
		struct blocked_address *address = &blocked->addresses[blocked->shown++];
		address->type = type;
		address->id_size = (uint8_t)id.size;
		memcpy(address->id, id.data, id.size);
		address->since_ms = since_ms;
		snprintf(address->reason, sizeof address->reason, "%.*s", (int)reason.size, (const char *)reason.data);
	}
	pthread_mutex_unlock(&blocked->mutex);
}

void blocked_remove(struct blocked *blocked, uint16_t type, struct bytes id) {
	pthread_mutex_lock(&blocked->mutex);
	check(blocked->count > 0);
	blocked->count--;
	size_t at = address_find(blocked, type, id);
	if (at < blocked->shown)
		blocked->addresses[at] = blocked->addresses[--blocked->shown];
	pthread_mutex_unlock(&blocked->mutex);
}

uint64_t blocked_each(
	struct blocked *blocked, void (*each)(void *arg, const struct blocked_address *address), void *arg) {
	pthread_mutex_lock(&blocked->mutex);
	for (size_t i = 0; i < blocked->shown; i++)
		each(arg, &blocked->addresses[i]);
	uint64_t count = blocked->count;
	pthread_mutex_unlock(&blocked->mutex);
	return count;
}
