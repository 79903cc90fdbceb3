/* Tables: a value of many entries, each of which is read and written by itself, however many there are. The extension
 * "sofun.table/1". A function declares one with SOFUN_TABLE(name) among its values; `table` is its constant, as for values.
 *
 *   sofun_bytes seen;
 *   int status = sofun_table_get(context, source_users, user, &seen);
 *
 * A key is a string of 1 to 255 bytes, an entry one MessagePack object. Entries stand in the order of their keys' bytes, a
 * key before those that it begins: so text sorts by its UTF-8, and numbers as sofun_table_key_int makes them by their value.
 *
 * A call sees what this invocation did before it. All of it happens if invoke returns 0, and none of it else. An invocation
 * may write at most 65,536 entries, and step over as many (SOFUN_TOO_LARGE): whoever needs more sends itself a message
 * and goes on behind the last key. In on_expire only get, open and next; in migrate none: sofun_carry takes a table along,
 * whatever its size, and what is not carried is gone. Each answers SOFUN_OK or a status of types.h. Threads as in host.h.
 */
#ifndef SOFUN_TABLE_H
#define SOFUN_TABLE_H

#include "msgpack.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOFUN_TABLES "sofun.table/1"

enum { SOFUN_TABLE_KEY_BYTES_MAX = 255 };

/* A place in a table or a list; the host's, gone when the callback returns. */
typedef struct sofun_cursor sofun_cursor;

/* All views that these functions give end at the next call of one of them (or of list.h) in the same callback. [invoke, on_result; to read also on_expire] */
typedef struct sofun_tables {
	uint32_t size; /* of this table, in bytes */

	/* The entry; {NULL, 0} if there is none. */
	int (*get)(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes *ret_msgpack);

	/* Copies one MessagePack object, of at most limits.value_bytes, to the key. */
	int (*set)(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes msgpack);

	/* Takes the entry away, if there is one. */
	int (*remove)(sofun_context *context, uint32_t table, sofun_bytes key);

	/* Takes all entries away, at once however many; their space comes back later, in the background. */
	int (*clear)(sofun_context *context, uint32_t table);

	/* A cursor before the first entry whose key begins with prefix and is not below from; either may be empty. At most 16
	 * in one callback, then SOFUN_TOO_LARGE. */
	int (*open)(
		sofun_context *context, uint32_t table, sofun_bytes prefix, sofun_bytes from, sofun_cursor **ret_cursor);

	/* The next entry; key {NULL, 0} behind the last one. What this invocation sets and removes ahead of the cursor counts. */
	int (*next)(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_key, sofun_bytes *ret_msgpack);
} sofun_tables;

/* The functions; NULL: this host does not have them. */
static inline const sofun_tables *sofun_tables_of(sofun_context *context) {
	return (const sofun_tables *)context->host->extension(context->host, SOFUN_TABLES);
}

static inline int sofun_table_get(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes *ret_msgpack) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->get(context, table, key, ret_msgpack);
}

static inline int sofun_table_set(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes msgpack) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->set(context, table, key, msgpack);
}

static inline int sofun_table_remove(sofun_context *context, uint32_t table, sofun_bytes key) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->remove(context, table, key);
}

static inline int sofun_table_clear(sofun_context *context, uint32_t table) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->clear(context, table);
}

static inline int sofun_table_open(
	sofun_context *context, uint32_t table, sofun_bytes prefix, sofun_bytes from, sofun_cursor **ret_cursor) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->open(context, table, prefix, from, ret_cursor);
}

static inline int sofun_table_next(
	sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_key, sofun_bytes *ret_msgpack) {
	const sofun_tables *tables = sofun_tables_of(context);
	return tables == NULL ? SOFUN_NOT_ALLOWED : tables->next(context, cursor, ret_key, ret_msgpack);
}

/* An entry that is an integer; 0 if there is none. */
static inline int sofun_table_get_int(sofun_context *context, uint32_t table, sofun_bytes key, int64_t *ret_value) {
	sofun_bytes msgpack;
	const int status = sofun_table_get(context, table, key, &msgpack);
	if (status != SOFUN_OK)
		return status;
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size == 0)
		*ret_value = 0;
	else if (!sofun_read_int(&reader, ret_value))
		return SOFUN_BAD_ARGUMENT;
	return SOFUN_OK;
}

static inline int sofun_table_set_int(sofun_context *context, uint32_t table, sofun_bytes key, int64_t number) {
	uint8_t room[SOFUN_INT_BYTES_MAX];
	sofun_bytes msgpack;
	msgpack.data = room;
	msgpack.size = sofun_put_int(room, number);
	return sofun_table_set(context, table, key, msgpack);
}

enum { SOFUN_TABLE_KEY_INT_BYTES = 8 };

/* A number as a key that sorts by its value, negative ones first: big-endian, its sign turned over. A view of room. */
static inline sofun_bytes sofun_table_key_int(uint8_t room[SOFUN_TABLE_KEY_INT_BYTES], int64_t number) {
	const uint64_t bits = (uint64_t)number ^ (UINT64_C(1) << 63);
	for (int i = 0; i < SOFUN_TABLE_KEY_INT_BYTES; i++)
		room[i] = (uint8_t)(bits >> (56 - 8 * i));
	sofun_bytes key;
	key.data = room;
	key.size = SOFUN_TABLE_KEY_INT_BYTES;
	return key;
}

/* The number of such a key; false: it is none. */
static inline bool sofun_table_key_number(sofun_bytes key, int64_t *ret_number) {
	if (key.size != SOFUN_TABLE_KEY_INT_BYTES)
		return false;
	uint64_t bits = 0;
	for (int i = 0; i < SOFUN_TABLE_KEY_INT_BYTES; i++)
		bits = bits << 8 | key.data[i];
	*ret_number = (int64_t)(bits ^ (UINT64_C(1) << 63));
	return true;
}

#ifdef __cplusplus
}
#endif

#endif
