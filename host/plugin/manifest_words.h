/* The words of a manifest's lines (plugin-api/ABI.md, section 1). For manifest*.c only. Any thread. */
#ifndef HOST_PLUGIN_MANIFEST_WORDS_H
#define HOST_PLUGIN_MANIFEST_WORDS_H

#include "plugin/manifest.h"

/* Cuts the next word off; words are separated by exactly one space. An empty one is no word. */
struct bytes word_take(struct bytes *rest);

bool word_is(struct bytes text, const char *word);

/* Decimal digits without a leading zero. */
bool word_number(struct bytes text, uint64_t max, uint64_t *ret_number);

/* [a-z] and then letters, digits and `others`; copied to ret_name. */
bool word_name(struct bytes text, const char *others, char ret_name[MANIFEST_NAME_BYTES_MAX + 1]);

/* "namespace/name". */
bool word_type(struct bytes text, char ret_type[MANIFEST_TYPE_BYTES_MAX + 1]);

/* Three numbers with dots between. */
bool words_version(struct bytes text, uint64_t ret_numbers[3]);

/* "raw", "int" and so on; "up", "down", "both". */
bool word_kind(struct bytes text, uint32_t *ret_kind);
bool word_ways(struct bytes text, uint32_t *ret_ways);

#endif
