#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"

enum { HEAP_CAPACITY_FIRST = 16 };

static void heap_put(struct heap *heap, size_t index, struct heap_node *node) {
	heap->nodes[index] = node;
	node->index = index;
}

static void heap_up(struct heap *heap, struct heap_node *node) {
	size_t index = node->index;
	while (index > 0 && heap->less(node, heap->nodes[(index - 1) / 2])) {
		heap_put(heap, index, heap->nodes[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	heap_put(heap, index, node);
}

static void heap_down(struct heap *heap, struct heap_node *node) {
	size_t index = node->index;
	for (;;) {
		size_t child = index * 2 + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->less(heap->nodes[child + 1], heap->nodes[child]))
			child++;
		if (!heap->less(heap->nodes[child], node))
			break;
		heap_put(heap, index, heap->nodes[child]);
		index = child;
	}
	heap_put(heap, index, node);
}

void heap_add(struct heap *heap, struct heap_node *node) {
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity == 0 ? HEAP_CAPACITY_FIRST : heap->capacity * 2;
		heap->nodes = realloc(heap->nodes, heap->capacity * sizeof *heap->nodes);
		check_memory(heap->nodes);
	}
	node->index = heap->count++;
	heap_up(heap, node);
}

void heap_remove(struct heap *heap, struct heap_node *node) {
	check(node->index < heap->count && heap->nodes[node->index] == node);
	struct heap_node *last = heap->nodes[--heap->count];
	if (last == node)
		return;
	heap_put(heap, node->index, last);
	heap_update(heap, last);
}

void heap_update(struct heap *heap, struct heap_node *node) {
	heap_up(heap, node);
	heap_down(heap, node);
}

void heap_rebuild(struct heap *heap) {
	for (size_t i = 0; i < heap->count; i++)
		heap->nodes[i]->index = i;
	for (size_t i = heap->count / 2; i > 0; i--)
		heap_down(heap, heap->nodes[i - 1]);
}

void heap_finish(struct heap *heap) {
	free(heap->nodes);
	*heap = (struct heap){.less = heap->less};
}
