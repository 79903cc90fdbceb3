/* A map in the order of its keys (bytes_compare): a skip list. Zero-initialised is empty, and costs nothing.
 *
 * One writer. Others may read while it puts: what they see is whole, and a node stays where it is. Nobody may read while it
 * removes, or at the end. */
#ifndef HOST_BASE_ORDERED_H
#define HOST_BASE_ORDERED_H

#include <stdatomic.h>

#include "base/bytes.h"

struct ordered_node {
	_Atomic(void *) what; /* never NULL once it can be seen */
	uint32_t key_size;
	uint32_t height;
	_Atomic(struct ordered_node *) next[]; /* `height` of them, then the key */
};

/* One node in four is a level higher: enough for 16 million without a long walk. */
enum { ORDERED_HEIGHT_MAX = 12 };

struct ordered {
	_Atomic size_t bytes;                /* memory of the nodes */
	_Atomic(struct ordered_node *) head; /* of full height, without a key; NULL: nothing was ever put */
	uint64_t random;
	size_t count;
};

/* destroy(): of what each node has; NULL: nothing is to be done. */
void ordered_finish(struct ordered *ordered, void (*destroy)(void *what));

/* Puts `what` at the key; *ret_before: what stood there, NULL if nothing did. */
struct ordered_node *ordered_put(struct ordered *ordered, struct bytes key, void *what, void **ret_before);

/* What stands at the key; NULL: nothing. */
void *ordered_get(const struct ordered *ordered, struct bytes key);

/* The first node whose key is not below; NULL: there is none. */
struct ordered_node *ordered_seek(const struct ordered *ordered, struct bytes key);

/* Takes the key out; what stood there, NULL if nothing did. */
void *ordered_remove(struct ordered *ordered, struct bytes key);

static inline struct ordered_node *ordered_next(const struct ordered_node *node) {
	return atomic_load_explicit(&node->next[0], memory_order_acquire);
}

static inline struct bytes ordered_key(const struct ordered_node *node) {
	return bytes_of(node->next + node->height, node->key_size);
}

static inline void *ordered_what(const struct ordered_node *node) {
	return atomic_load_explicit(&node->what, memory_order_acquire);
}

#endif
