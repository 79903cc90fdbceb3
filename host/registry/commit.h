/* Rows of plugins on their way to being durable, one behind the other, and fences between them.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_COMMIT_H
#define HOST_REGISTRY_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/engine/engine.h"

struct function_type;
struct registry;
struct verdict;

/* good: it is durable. */
typedef void commit_then(void *arg, bool good);
typedef void fence_then(void *arg, uint64_t epoch, bool good);

/* Rows on their way to the store. */
struct commit {
	struct commit *next;
	struct registry *registry;
	uint64_t token;
	commit_then *then;
	fence_then *fence_then; /* instead: of a fence */
	void *arg;
};

/* Makes the verdict's row durable, and those of `types`; then() is called unless the registry stops first. */
void verdict_commit(struct registry *registry, struct verdict *verdict, struct function_type *const *types,
	size_t type_count, commit_then *then, void *arg);
/* Makes rows durable; then(), if there is one, as verdict_commit. */
void rows_commit(struct registry *registry, const struct engine_row *rows, size_t count, commit_then *then, void *arg);
/* The same for a fence; then() is given its epoch. */
void fence_commit(struct registry *registry, const struct engine_fence *order, fence_then *then, void *arg);
/* The rows of types alone. */
void types_commit(struct registry *registry, struct function_type *const *types, size_t count);
void rows_release(struct registry *registry); /* those that waited for a fence */
void commits_forget(struct registry *registry);

#endif
