/* Rows 'T', 'V', 'W' and 't' of the runtime database as bytes; their grammar is plugin/FORMAT.md.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_ROW_ROW_H
#define HOST_REGISTRY_ROW_ROW_H

#include "base/bytes.h"
#include "base/error.h"
#include "state/key.h"
#include "wire/cursor.h"

struct function_type;
struct lineage;
struct registry;
struct verdict;

/* ---- row.c: what they share ---- */
bool row_malformed(struct error *error, char kind); /* says so; false */
/* A string, with its final 0, into `room` bytes. */
bool row_read_text(struct cursor *cursor, char *text, size_t room);
/* The same in memory of its own, instead of what *place had. */
bool row_read_new_text(struct cursor *cursor, char **place);

/* ---- verdict.c ---- */
void verdict_write(struct buf *row, const struct verdict *verdict);
bool verdict_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);

/* ---- type.c ---- */
void type_write(struct buf *row, const struct function_type *type);
bool type_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);

/* ---- lineage.c ---- */
enum { LINEAGE_FENCE_OFFSET = 5 }; /* of the fence's 8 bytes in the row */
struct key lineage_key(const struct lineage *lineage);
void lineage_write(struct buf *row, const struct lineage *lineage);
/* Rows 'V' have been read. */
bool lineage_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);

/* ---- ttl.c ---- */
void type_ttl_write(struct buf *row, const struct function_type *type);
/* Rows 'T' have been read. */
bool type_ttl_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);
void type_ttl_commit(struct registry *registry, struct function_type *type);
void types_ttl_commit(struct registry *registry); /* those that are to be written */

#endif
