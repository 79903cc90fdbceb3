#include "base/ordered.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

static struct ordered_node *node_create(struct ordered *ordered, struct bytes key, uint32_t height, void *what) {
	size_t bytes = sizeof(struct ordered_node) + height * sizeof(_Atomic(struct ordered_node *)) + key.size;
	struct ordered_node *node = check_alloc(1, bytes);
	check(key.size <= UINT32_MAX);
	atomic_init(&node->what, what);
	node->key_size = (uint32_t)key.size;
	node->height = height;
	if (key.size > 0)
		memcpy(node->next + height, key.data, key.size);
	atomic_fetch_add_explicit(&ordered->bytes, bytes, memory_order_relaxed);
	return node;
}

static void node_destroy(struct ordered *ordered, struct ordered_node *node) {
	size_t bytes = sizeof *node + node->height * sizeof node->next[0] + node->key_size;
	atomic_fetch_sub_explicit(&ordered->bytes, bytes, memory_order_relaxed);
	free(node);
}

static struct ordered_node *head_of(const struct ordered *ordered) {
	return atomic_load_explicit(&ordered->head, memory_order_acquire);
}

static struct ordered_node *node_next(const struct ordered_node *node, uint32_t level) {
	return atomic_load_explicit(&node->next[level], memory_order_acquire);
}

void ordered_finish(struct ordered *ordered, void (*destroy)(void *what)) {
	struct ordered_node *node = head_of(ordered);
	while (node != NULL) {
		struct ordered_node *next = ordered_next(node);
		if (destroy != NULL && ordered_what(node) != NULL)
			destroy(ordered_what(node));
		free(node);
		node = next;
	}
	*ordered = (struct ordered){0};
}

/* The first node whose key is not below; before: the last ones below it, one for each level. */
static struct ordered_node *node_find(
	struct ordered_node *head, struct bytes key, struct ordered_node *before[ORDERED_HEIGHT_MAX]) {
	struct ordered_node *at = head;
	struct ordered_node *found = NULL;
	for (uint32_t level = ORDERED_HEIGHT_MAX; level-- > 0;) {
		struct ordered_node *next = node_next(at, level);
		/* what was compared on the level above need not be again */
		while (next != NULL && next != found && bytes_compare(ordered_key(next), key) < 0) {
			at = next;
			next = node_next(at, level);
		}
		found = next;
		before[level] = at;
	}
	return found;
}

static bool node_is(const struct ordered_node *node, struct bytes key) {
	return node != NULL && bytes_equal(ordered_key(node), key);
}

static uint32_t height_choose(struct ordered *ordered) {
	enum { BRANCHING = 4 };
	uint32_t height = 1;
	ordered->random = hash_mix(ordered->random, 0x9e3779b97f4a7c15u);
	for (uint64_t bits = ordered->random; height < ORDERED_HEIGHT_MAX && bits % BRANCHING == 0; bits /= BRANCHING)
		height++;
	return height;
}

struct ordered_node *ordered_put(struct ordered *ordered, struct bytes key, void *what, void **ret_before) {
	struct ordered_node *before[ORDERED_HEIGHT_MAX];
	check(what != NULL);
	if (head_of(ordered) == NULL)
		atomic_store_explicit(
			&ordered->head, node_create(ordered, bytes_of(NULL, 0), ORDERED_HEIGHT_MAX, NULL), memory_order_release);
	struct ordered_node *node = node_find(head_of(ordered), key, before);
	if (node_is(node, key)) {
		*ret_before = atomic_exchange_explicit(&node->what, what, memory_order_acq_rel);
		return node;
	}
	*ret_before = NULL;
	node = node_create(ordered, key, height_choose(ordered), what);
	for (uint32_t level = 0; level < node->height; level++) {
		atomic_init(&node->next[level], node_next(before[level], level));
		atomic_store_explicit(&before[level]->next[level], node, memory_order_release);
	}
	ordered->count++;
	return node;
}

struct ordered_node *ordered_seek(const struct ordered *ordered, struct bytes key) {
	struct ordered_node *before[ORDERED_HEIGHT_MAX];
	struct ordered_node *head = head_of(ordered);
	return head == NULL ? NULL : node_find(head, key, before);
}

void *ordered_get(const struct ordered *ordered, struct bytes key) {
	struct ordered_node *node = ordered_seek(ordered, key);
	return node_is(node, key) ? ordered_what(node) : NULL;
}

void *ordered_remove(struct ordered *ordered, struct bytes key) {
	struct ordered_node *before[ORDERED_HEIGHT_MAX];
	struct ordered_node *head = head_of(ordered);
	struct ordered_node *node = head == NULL ? NULL : node_find(head, key, before);
	if (!node_is(node, key))
		return NULL;
	for (uint32_t level = 0; level < node->height; level++)
		atomic_store_explicit(&before[level]->next[level], node_next(node, level), memory_order_release);
	void *what = ordered_what(node);
	node_destroy(ordered, node);
	ordered->count--;
	return what;
}
