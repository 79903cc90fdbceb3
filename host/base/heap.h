/* A binary heap of nodes that their owners embed: the least one is at hand, and any one can be taken out. Whoever owns
 * the heap calls; nothing here locks. */
#ifndef HOST_BASE_HEAP_H
#define HOST_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
	size_t index; /* the heap's own */
};

struct heap {
	struct heap_node **nodes; /* [0] is the least */
	size_t count;
	size_t capacity;
	bool (*less)(const struct heap_node *a, const struct heap_node *b); /* a total order: no two are alike */
};

static inline struct heap_node *heap_first(const struct heap *heap) {
	return heap->count > 0 ? heap->nodes[0] : NULL;
}

void heap_add(struct heap *heap, struct heap_node *node);
void heap_remove(struct heap *heap, struct heap_node *node);
/* The node's order has changed. */
void heap_update(struct heap *heap, struct heap_node *node);
/* Every node's order may have changed, or nodes[] was filled by hand up to count. */
void heap_rebuild(struct heap *heap);
/* Frees the heap's own memory; the nodes are their owners'. */
void heap_finish(struct heap *heap);

#endif
