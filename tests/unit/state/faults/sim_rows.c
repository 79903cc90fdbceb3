#include "sim_rows.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

struct sim_row {
	_Atomic unsigned references;
	uint64_t priority; /* follows from the key, so that equal maps are equal trees */
	size_t key_size;
	size_t value_size;
	uint8_t bytes[];
};

struct sim_node {
	_Atomic unsigned references;
	size_t count; /* of rows from here down */
	struct sim_row *row;
	struct sim_node *left;
	struct sim_node *right;
};

/* ---- rows ---- */

struct sim_row *sim_row_create(struct bytes key, struct bytes value) {
	struct sim_row *row = malloc(sizeof *row + key.size + value.size);
	check_memory(row);
	atomic_init(&row->references, 1);
	row->priority = hash_bytes(0, key.data, key.size);
	row->key_size = key.size;
	row->value_size = value.size;
	bytes_copy(row->bytes, key.data, key.size);
	bytes_copy(row->bytes + key.size, value.data, value.size);
	return row;
}

static struct sim_row *row_retain(struct sim_row *row) {
	atomic_fetch_add_explicit(&row->references, 1, memory_order_relaxed);
	return row;
}

void sim_row_release(struct sim_row *row) {
	if (atomic_fetch_sub(&row->references, 1) == 1)
		free(row);
}

struct bytes sim_row_key(const struct sim_row *row) {
	return bytes_of(row->bytes, row->key_size);
}

struct bytes sim_row_value(const struct sim_row *row) {
	return bytes_of(row->bytes + row->key_size, row->value_size);
}

/* ---- nodes ---- */

static size_t node_count(const struct sim_node *node) {
	return node == NULL ? 0 : node->count;
}

static void node_recount(struct sim_node *node) {
	node->count = 1 + node_count(node->left) + node_count(node->right);
}

static struct sim_node *node_retain(struct sim_node *node) {
	if (node != NULL)
		atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
	return node;
}

static void node_release(struct sim_node *node) {
	if (node == NULL || atomic_fetch_sub(&node->references, 1) != 1)
		return;
	node_release(node->left);
	node_release(node->right);
	sim_row_release(node->row);
	free(node);
}

static struct sim_node *node_create(struct sim_row *row, struct sim_node *left, struct sim_node *right) {
	struct sim_node *node = malloc(sizeof *node);
	check_memory(node);
	*node = (struct sim_node){.references = 1, .row = row_retain(row), .left = left, .right = right};
	node_recount(node);
	return node;
}

/* The node at [at] for this map alone, so that it may change. Nobody but this thread could come to share it now. */
static struct sim_node *node_own(struct sim_node **at) {
	struct sim_node *node = *at;
	if (atomic_load(&node->references) == 1)
		return node;
	*at = node_create(node->row, node_retain(node->left), node_retain(node->right));
	node_release(node);
	return *at;
}

/* The child takes the place of its parent; both are this map's alone. */
static void rotate(struct sim_node **at, struct sim_node **child, struct sim_node **inner) {
	struct sim_node *parent = *at;
	struct sim_node *top = *child;
	*child = *inner;
	*inner = parent;
	*at = top;
	node_recount(parent);
	node_recount(top);
}

static void node_put(struct sim_node **at, struct sim_row *row) {
	if (*at == NULL) {
		*at = node_create(row, NULL, NULL);
		return;
	}
	struct sim_node *node = node_own(at);
	int order = bytes_compare(sim_row_key(row), sim_row_key(node->row));
	if (order == 0) {
		sim_row_release(node->row);
		node->row = row_retain(row);
		return;
	}
	struct sim_node **child = order < 0 ? &node->left : &node->right;
	node_put(child, row);
	node_recount(node);
	if ((*child)->row->priority > node->row->priority)
		rotate(at, child, order < 0 ? &(*child)->right : &(*child)->left);
}

/* All of left stands before all of right; takes both references. */
static struct sim_node *nodes_join(struct sim_node *left, struct sim_node *right) {
	if (left == NULL || right == NULL)
		return left == NULL ? right : left;
	bool left_first = left->row->priority > right->row->priority;
	struct sim_node *top = left_first ? node_own(&left) : node_own(&right);
	if (left_first)
		top->right = nodes_join(top->right, right);
	else
		top->left = nodes_join(left, top->left);
	node_recount(top);
	return top;
}

/* REQUIRES: the key is there. */
static void node_remove(struct sim_node **at, struct bytes key) {
	struct sim_node *node = node_own(at);
	int order = bytes_compare(key, sim_row_key(node->row));
	if (order != 0) {
		node_remove(order < 0 ? &node->left : &node->right, key);
		node_recount(node);
		return;
	}
	*at = nodes_join(node->left, node->right);
	node->left = node->right = NULL;
	node_release(node);
}

/* ---- maps ---- */

struct sim_rows sim_rows_copy(const struct sim_rows *rows) {
	return (struct sim_rows){node_retain(rows->root)};
}

void sim_rows_clear(struct sim_rows *rows) {
	node_release(rows->root);
	rows->root = NULL;
}

size_t sim_rows_count(const struct sim_rows *rows) {
	return node_count(rows->root);
}

const struct sim_row *sim_rows_get(const struct sim_rows *rows, struct bytes key) {
	const struct sim_node *node = rows->root;
	while (node != NULL) {
		int order = bytes_compare(key, sim_row_key(node->row));
		if (order == 0)
			return node->row;
		node = order < 0 ? node->left : node->right;
	}
	return NULL;
}

void sim_rows_put(struct sim_rows *rows, struct sim_row *row) {
	node_put(&rows->root, row);
}

void sim_rows_remove(struct sim_rows *rows, struct bytes key) {
	if (sim_rows_get(rows, key) != NULL)
		node_remove(&rows->root, key);
}

size_t sim_rows_place(const struct sim_rows *rows, struct bytes key) {
	size_t place = 0;
	const struct sim_node *node = rows->root;
	while (node != NULL) {
		bool before = bytes_compare(sim_row_key(node->row), key) < 0;
		place += before ? 1 + node_count(node->left) : 0;
		node = before ? node->right : node->left;
	}
	return place;
}

const struct sim_row *sim_rows_at(const struct sim_rows *rows, size_t place) {
	const struct sim_node *node = rows->root;
	check(place < node_count(node));
	while (place != node_count(node->left)) {
		bool left = place < node_count(node->left);
		place -= left ? 0 : node_count(node->left) + 1;
		node = left ? node->left : node->right;
	}
	return node->row;
}
