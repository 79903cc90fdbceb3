#include "plugin/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "supervisor/note.h"

enum {
	IMAGE_MAGIC = 0x494d4147,
	INIT_TEXT_BYTES = 200, /* of init's own reason; what is longer is cut to fit a line */
};

static const char *const state_names[] = {
	[IMAGE_STAGED] = "staged",
	[IMAGE_READY] = "ready",
	[IMAGE_LIVE] = "live",
	[IMAGE_DRAINING] = "draining",
	[IMAGE_RETIRED] = "retired",
	[IMAGE_STUCK] = "stuck",
};

const char *image_state_name(enum image_state state) {
	return state_names[state];
}

struct image *image_create(
	struct manifest *manifest, const uint8_t hash[HASH_BYTES], uint64_t generation, const char *path) {
	struct image *image = check_alloc(1, sizeof(*image));
	image->magic = IMAGE_MAGIC;
	image->state = IMAGE_STAGED;
	memcpy(image->name, manifest->name, sizeof(image->name));
	memcpy(image->version, manifest->version, sizeof(image->version));
	memcpy(image->hash, hash, HASH_BYTES);
	image_hash_text(hash, image->hash_text);
	image->generation = generation;
	image->path = check_strdup(path);
	image->manifest = *manifest;
	*manifest = (struct manifest){0};
	return image;
}

void image_destroy(struct image *image) {
	if (image == NULL)
		return;
	CHECK_OBJECT(image, IMAGE_MAGIC);
	check(image->library == NULL);
	strays_finish(&image->strays);
	manifest_finish(&image->manifest);
	free(image->path);
	image->magic = 0;
	free(image);
}

/* Whoever runs code of an image says so before: where a death would come from. A unit test's thread has no note. */
static void image_note(const struct image *image, enum note_kind kind) {
	if (note_mine() != NULL)
		note_enter(note_mine(), kind, image->note, NULL);
}

/* init, and its refusal in its own words. */
static bool image_init(struct image *image, const struct sofun_host *host, struct error *error) {
	char text[INIT_TEXT_BYTES] = "";
	if (image->facts.init == NULL)
		return true;
	int result = image->facts.init(host, &image->plugin_data, text, sizeof(text));
	if (result == 0)
		return true;
	text[sizeof(text) - 1] = '\0';
	error_set(error, ERROR_REFUSED, "the plugin's init refuses: %s", text[0] == '\0' ? "it gives no reason" : text);
	error_found(error, "init returned %d", result);
	error_expected(error, "0");
	error_hint(error, "do what the plugin's text asks for, then load it again with `sofun load`");
	return false;
}

static bool image_enter(struct image *image, const struct sofun_host *host, struct error *error) {
	image->library = library_open(image->path, error);
	if (image->library == NULL)
		return false;
	uintptr_t begin, end;
	library_code(image->library, &begin, &end);
	note_image_code(image->note, begin, end);
	image->descriptor = library_symbol(image->library, SOFUN_DESCRIPTOR_SYMBOL);
	return abi_read(image->descriptor, &image->manifest, &image->facts, error) && image_init(image, host, error);
}

/* The code goes, unless a thread may be in it. */
static bool image_unmap(struct image *image, bool keep, const char **ret_reason) {
	bool strays = !keep && strays_inside(&image->strays, image->library);
	bool unmapped = library_close(image->library, keep || strays);
	image->library = NULL;
	image->descriptor = NULL;
	image->plugin_data = NULL;
	abi_finish(&image->facts);
	if (unmapped)
		return true;
	*ret_reason = "the loader keeps it mapped (-z nodelete, a unique symbol, or a thread-local destructor)";
	if (strays)
		*ret_reason = "a thread of the plugin is still alive";
	if (keep || library_kept_always())
		*ret_reason = "kept mapped on purpose (--keep-images or a sanitizer)";
	return false;
}

bool image_open(struct image *image, const struct sofun_host *host, bool *ret_stuck, struct error *error) {
	const char *reason;
	CHECK_OBJECT(image, IMAGE_MAGIC);
	check(image->library == NULL);
	*ret_stuck = false;
	strays_note(&image->strays);
	image->note = note_image_add(image->name, image->version, image->hash);
	image_note(image, NOTE_LOAD);
	bool good = image_enter(image, host, error);
	if (!good && image->library != NULL)
		*ret_stuck = !image_unmap(image, false, &reason);
	image_note(image, NOTE_NOTHING);
	if (good)
		image->state = IMAGE_READY;
	else if (!*ret_stuck)
		note_image_remove(image->note);
	return good;
}

bool image_close(struct image *image, bool keep, const char **ret_reason) {
	CHECK_OBJECT(image, IMAGE_MAGIC);
	check(image->library != NULL);
	image_note(image, NOTE_FINI);
	if (image->facts.fini != NULL)
		image->facts.fini(image->plugin_data);
	bool unmapped = image_unmap(image, keep, ret_reason);
	image_note(image, NOTE_NOTHING);
	if (unmapped)
		note_image_remove(image->note);
	return unmapped;
}
