#include "registry/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

static const char *const verdict_names[] = {
	[VERDICT_ATTEMPTING] = "attempting",
	[VERDICT_LIVE] = "live",
	[VERDICT_DRAINING] = "draining",
	[VERDICT_RETIRED] = "retired",
	[VERDICT_REFUSED] = "refused",
	[VERDICT_QUARANTINED] = "quarantined",
	[VERDICT_READY] = "ready",
};
enum { VERDICT_STATES = sizeof(verdict_names) / sizeof(verdict_names[0]) };

const char *verdict_state_name(enum verdict_state state) {
	return verdict_names[state];
}

bool verdict_state_of(struct bytes name, enum verdict_state *ret_state) {
	for (int state = 0; state < VERDICT_STATES; state++)
		if (bytes_equal(name, bytes_text(verdict_names[state]))) {
			*ret_state = (enum verdict_state)state;
			return true;
		}
	return false;
}

struct verdict *verdict_find(const struct registry *registry, const uint8_t hash[HASH_BYTES]) {
	for (size_t i = 0; i < registry->verdict_count; i++)
		if (memcmp(registry->verdicts[i]->hash, hash, HASH_BYTES) == 0)
			return registry->verdicts[i];
	return NULL;
}

void verdict_set_text(char **place, const char *text) {
	char *copy = check_strdup(text);
	free(*place);
	*place = copy;
}

struct verdict *verdict_add(struct registry *registry, const uint8_t hash[HASH_BYTES]) {
	struct verdict *verdict = verdict_find(registry, hash);
	if (verdict != NULL)
		return verdict;
	verdict = check_alloc(1, sizeof(*verdict));
	memcpy(verdict->hash, hash, HASH_BYTES);
	verdict_set_text(&verdict->file, "");
	verdict_set_text(&verdict->image, "");
	registry->verdicts = realloc(registry->verdicts, (registry->verdict_count + 1) * sizeof(struct verdict *));
	check_memory(registry->verdicts);
	registry->verdicts[registry->verdict_count++] = verdict;
	return verdict;
}

void verdict_destroy(struct verdict *verdict) {
	free(verdict->file);
	free(verdict->image);
	free(verdict->refusal);
	free(verdict);
}

void verdict_refuse(struct verdict *verdict, enum verdict_state state, const struct error *error) {
	verdict->state = state;
	verdict_set_text(&verdict->image, "");
	free(verdict->refusal);
	verdict->refusal = NULL;
	if (error == NULL)
		return;
	verdict->refusal = check_alloc(1, sizeof(*error));
	*verdict->refusal = *error;
}

void verdict_forget_copy(struct verdict *verdict) {
	verdict_set_text(&verdict->image, "");
	verdict->kept = 0;
}
