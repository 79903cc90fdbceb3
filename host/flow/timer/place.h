/* Where a timer stands: by due time, those due together in the order in which they were set. Also the durable keys. */
#ifndef HOST_FLOW_TIMER_PLACE_H
#define HOST_FLOW_TIMER_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/key.h"

struct timer_place {
	uint64_t due_ms;
	uint64_t serial; /* rising with every timer that is set, across restarts */
};

/* Beyond every timer. */
#define TIMER_PLACE_END ((struct timer_place){UINT64_MAX, UINT64_MAX})

static inline bool timer_place_before(struct timer_place a, struct timer_place b) {
	return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.serial < b.serial;
}

static inline bool timer_place_same(struct timer_place a, struct timer_place b) {
	return a.due_ms == b.due_ms && a.serial == b.serial;
}

/* What is sent when it is due, and how its row's key begins. */
enum timer_kind { TIMER_MESSAGE = KEY_TIMER, TIMER_SWEEP = KEY_SWEEP };

enum { TIMER_KEY_BYTES = 17, TOKEN_ROW_BYTES = 16 };

/* kind due serial */
static inline struct key key_timer(enum timer_kind kind, struct timer_place place) {
	struct key key = key_of((enum key_kind)kind);
	key_u64(&key, place.due_ms);
	key_u64(&key, place.serial);
	return key;
}

/* 'Y' type id_size id token */
static inline struct key key_token(uint16_t type, struct bytes id, struct bytes token) {
	struct key key = key_of(KEY_TOKEN);
	key_u8(&key, (uint8_t)(type >> 8));
	key_u8(&key, (uint8_t)type);
	key_u8(&key, (uint8_t)id.size);
	key_append(&key, id);
	key_append(&key, token);
	return key;
}

#endif
