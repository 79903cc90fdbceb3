/* Lists: a value of many items in a row, appended at the end, taken from the front, each read by itself. The extension
 * "sofun.list/1". A function declares one with SOFUN_LIST(name) among its values; `list` is its constant, as for values.
 *
 *   int status = sofun_list_append_int(context, room_lines, number);
 *
 * An item is one MessagePack object. Items count from 0, the oldest one, to length - 1. What holds of tables (table.h) holds
 * here, too: own writes are seen, all or nothing happens, 65,536 items written and as many stepped over in one
 * invocation, get, length, open and next in on_expire, sofun_carry in migrate. Threads as in host.h.
 */
#ifndef SOFUN_LIST_H
#define SOFUN_LIST_H

#include "table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOFUN_LISTS "sofun.list/1"

/* All views that these functions give end at the next call of one of them (or of table.h) in the same callback. [invoke, on_result; to read also on_expire] */
typedef struct sofun_lists {
	uint32_t size; /* of this table, in bytes */

	int (*length)(sofun_context *context, uint32_t list, uint64_t *ret_length);

	/* The item; {NULL, 0} if index is not below the length. */
	int (*get)(sofun_context *context, uint32_t list, uint64_t index, sofun_bytes *ret_msgpack);

	/* Copies one MessagePack object, of at most limits.value_bytes, behind the last item. */
	int (*append)(sofun_context *context, uint32_t list, sofun_bytes msgpack);

	/* Takes that many items from the front, or all if there are fewer; the next one has index 0 then. However many, it is
	 * done at once; space comes back in the background. */
	int (*drop)(sofun_context *context, uint32_t list, uint64_t count);

	/* Takes all items away. */
	int (*clear)(sofun_context *context, uint32_t list);

	/* A cursor before the item with that index. At most 16 in one callback, tables' included, then SOFUN_TOO_LARGE. */
	int (*open)(sofun_context *context, uint32_t list, uint64_t from, sofun_cursor **ret_cursor);

	/* The next item, {NULL, 0} behind the last one. */
	int (*next)(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_msgpack);
} sofun_lists;

/* The functions; NULL: this host does not have them. */
static inline const sofun_lists *sofun_lists_of(sofun_context *context) {
	return (const sofun_lists *)context->host->extension(context->host, SOFUN_LISTS);
}

static inline int sofun_list_length(sofun_context *context, uint32_t list, uint64_t *ret_length) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->length(context, list, ret_length);
}

static inline int sofun_list_get(sofun_context *context, uint32_t list, uint64_t index, sofun_bytes *ret_msgpack) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->get(context, list, index, ret_msgpack);
}

static inline int sofun_list_append(sofun_context *context, uint32_t list, sofun_bytes msgpack) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->append(context, list, msgpack);
}

static inline int sofun_list_append_int(sofun_context *context, uint32_t list, int64_t number) {
	uint8_t room[SOFUN_INT_BYTES_MAX];
	sofun_bytes msgpack;
	msgpack.data = room;
	msgpack.size = sofun_put_int(room, number);
	return sofun_list_append(context, list, msgpack);
}

static inline int sofun_list_drop(sofun_context *context, uint32_t list, uint64_t count) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->drop(context, list, count);
}

static inline int sofun_list_clear(sofun_context *context, uint32_t list) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->clear(context, list);
}

static inline int sofun_list_open(sofun_context *context, uint32_t list, uint64_t from, sofun_cursor **ret_cursor) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->open(context, list, from, ret_cursor);
}

static inline int sofun_list_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_msgpack) {
	const sofun_lists *lists = sofun_lists_of(context);
	return lists == NULL ? SOFUN_NOT_ALLOWED : lists->next(context, cursor, ret_msgpack);
}

#ifdef __cplusplus
}
#endif

#endif
