#include "plugin/examine.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "plugin/elf_file.h"
#include "plugin/probe.h"
#include "plugin/refusal.h"

static bool hash_known(const struct examination_order *order, const uint8_t hash[HASH_BYTES]) {
	for (size_t i = 0; i < order->known_count; i++)
		if (memcmp(order->known[i], hash, HASH_BYTES) == 0)
			return true;
	return false;
}

static enum examine_result examine_copy(const struct examination_order *order, struct bytes content,
	struct manifest *manifest, struct examination_result *result) {
	char *file_name = image_file_name(manifest->name, manifest->version, order->generation, result->hash);
	char *path = path_join(order->images, file_name);
	enum examine_result verdict = EXAMINE_UNREADABLE;
	if (image_file_write(order->disk, order->images, file_name, COPY_MODE, content, &result->error)) {
		result->image = image_create(manifest, result->hash, order->generation, path);
		verdict = EXAMINE_GOOD;
	}
	free(path);
	free(file_name);
	return verdict;
}

static enum examine_result examine_probe(const struct examination_order *order, struct examination_result *result) {
	if (probe_run(result->image->path, PROBE_MS_MAX, &result->unmaps, &result->error))
		return EXAMINE_GOOD;
	order->disk->unlink(order->disk, result->image->path); /* a leftover is cleaned at the next start */
	image_destroy(result->image);
	result->image = NULL;
	return EXAMINE_REFUSED;
}

static enum examine_result examine_manifest(const struct examination_order *order, struct bytes content,
	struct bytes section, struct examination_result *result) {
	struct manifest manifest;
	if (!manifest_parse(section, &manifest, &result->error))
		return EXAMINE_REFUSED;
	memcpy(result->name, manifest.name, sizeof(result->name));
	memcpy(result->version, manifest.version, sizeof(result->version));
	enum examine_result verdict = examine_copy(order, content, &manifest, result);
	if (verdict == EXAMINE_GOOD)
		return examine_probe(order, result);
	manifest_finish(&manifest);
	return verdict;
}

static enum examine_result examine_content(
	const struct examination_order *order, struct bytes content, struct examination_result *result) {
	struct elf_facts facts;
	image_hash(content, result->hash);
	result->hashed = true;
	if (hash_known(order, result->hash))
		return EXAMINE_KNOWN;
	char *path = check_strdup(order->path);
	enum elf_verdict verdict = elf_examine(content, dirname(path), &facts, &result->error);
	free(path);
	if (verdict == ELF_SOUND)
		return examine_manifest(order, content, facts.manifest, result);
	return verdict == ELF_INCOMPLETE ? EXAMINE_INCOMPLETE : EXAMINE_REFUSED;
}

enum examine_result examine(const struct examination_order *order, struct examination_result *ret_result) {
	static const enum examine_result unread[] = {[FILE_READ] = EXAMINE_GOOD,
		[FILE_CHANGED] = EXAMINE_INCOMPLETE,
		[FILE_ABSENT] = EXAMINE_ABSENT,
		[FILE_UNREADABLE] = EXAMINE_UNREADABLE};
	struct buf content = {0};
	*ret_result = (struct examination_result){0};
	enum examine_result verdict = unread[file_read(order->path, &content, &ret_result->identity, &ret_result->error)];
	if (verdict == EXAMINE_GOOD)
		verdict = examine_content(order, bytes_buf(&content), ret_result);
	if (verdict != EXAMINE_GOOD && verdict != EXAMINE_KNOWN)
		refusal_clean(&ret_result->error);
	buf_finish(&content);
	return verdict;
}
