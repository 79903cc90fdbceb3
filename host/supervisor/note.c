#include "supervisor/note.h"

#include <stdio.h>
#include <string.h>

static struct notes own; /* without a supervisor */
static struct notes *current = &own;
static _Thread_local struct note *mine;

void notes_open(struct notes *notes) {
	current = notes;
}

struct notes *notes_current(void) {
	return current;
}

struct note *note_mine(void) {
	return mine;
}

void note_mine_set(struct note *note) {
	mine = note;
}

uint32_t note_image_add(const char *name, const char *version, const uint8_t hash[NOTE_HASH_BYTES]) {
	for (uint32_t i = 1; i < NOTE_IMAGES_MAX; i++) {
		struct note_image *image = &current->images[i];
		bool used = false;
		if (!atomic_compare_exchange_strong(&image->used, &used, true))
			continue;
		snprintf(image->name, sizeof image->name, "%s", name);
		snprintf(image->version, sizeof image->version, "%s", version);
		memcpy(image->hash, hash, NOTE_HASH_BYTES);
		return i;
	}
	return NOTE_IMAGE_NONE;
}

void note_image_code(uint32_t image, uintptr_t begin, uintptr_t end) {
	if (image == NOTE_IMAGE_NONE)
		return;
	atomic_store(&current->images[image].end, end);
	atomic_store(&current->images[image].begin, begin);
}

void note_image_remove(uint32_t image) {
	if (image == NOTE_IMAGE_NONE)
		return;
	atomic_store(&current->images[image].begin, 0);
	atomic_store(&current->images[image].end, 0);
	atomic_store(&current->images[image].used, false);
}

uint32_t note_image_find(uintptr_t address) {
	for (uint32_t i = 1; i < NOTE_IMAGES_MAX; i++) {
		const struct note_image *image = &current->images[i];
		uintptr_t begin = atomic_load(&image->begin);
		if (begin != 0 && address >= begin && address < atomic_load(&image->end))
			return i;
	}
	return NOTE_IMAGE_NONE;
}
