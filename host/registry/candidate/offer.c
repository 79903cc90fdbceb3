/* What is known of the files in the plugins directory, so that a refusal stays visible as long as its file is there. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

static size_t offer_place(const struct registry *registry, const char *file) {
	size_t place = 0;
	while (place < registry->offer_count && strcmp(registry->offers[place]->file, file) != 0)
		place++;
	return place;
}

struct offer *offer_find(const struct registry *registry, const char *file) {
	size_t place = offer_place(registry, file);
	return place < registry->offer_count ? registry->offers[place] : NULL;
}

static void offer_drop(struct registry *registry, size_t place) {
	struct offer *offer = registry->offers[place];
	registry->offer_count--;
	memmove(registry->offers + place, registry->offers + place + 1,
		(registry->offer_count - place) * sizeof(struct offer *));
	free(offer->error);
	free(offer->file);
	free(offer);
}

void offer_remove(struct registry *registry, const char *file) {
	size_t place = offer_place(registry, file);
	if (place < registry->offer_count)
		offer_drop(registry, place);
}

/* Those of `load` have no file whose removal would end them: the oldest goes. */
static void offers_bound(struct registry *registry) {
	size_t loads = 0;
	size_t oldest = registry->offer_count;
	for (size_t i = registry->offer_count; i > 0; i--) {
		if (!registry->offers[i - 1]->from_load)
			continue;
		loads++;
		oldest = i - 1;
	}
	if (loads > LOADS_SHOWN_MAX)
		offer_drop(registry, oldest);
}

struct offer *offer_add(struct registry *registry, const char *file, bool from_load) {
	struct offer *offer = offer_find(registry, file);
	if (offer == NULL) {
		offer = check_alloc(1, sizeof(*offer));
		offer->file = check_strdup(file);
		registry->offers = realloc(registry->offers, (registry->offer_count + 1) * sizeof(struct offer *));
		check_memory(registry->offers);
		registry->offers[registry->offer_count++] = offer;
		offer->from_load = from_load;
		offers_bound(registry);
	}
	offer->from_load = from_load;
	return offer;
}

void offer_judge(
	struct offer *offer, const uint8_t *hash, const struct file_identity *identity, const struct error *error) {
	offer->hashed = hash != NULL;
	if (hash != NULL)
		memcpy(offer->hash, hash, HASH_BYTES);
	offer->identity = *identity;
	offer->deferred = false;
	free(offer->error);
	offer->error = NULL;
	if (error == NULL)
		return;
	offer->error = check_alloc(1, sizeof(*error));
	*offer->error = *error;
}

void offers_destroy(struct registry *registry) {
	while (registry->offer_count > 0)
		offer_drop(registry, registry->offer_count - 1);
	free(registry->offers);
}
