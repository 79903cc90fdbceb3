/* One ordered database of bytes behind a seam: LevelDB in the host (state/leveldb/leveldb.c, the only user of leveldb/c.h),
 * a model in the simulation. Thread-safe. */
#ifndef HOST_STATE_KV_H
#define HOST_STATE_KV_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"

struct kv_op {
	struct bytes key;
	struct bytes value;
	bool remove;
};

struct kv {
	const struct kv_ops *ops;
};

struct kv_cursor {
	const struct kv_cursor_ops *ops;
};

struct kv_ops {
	/* 1 found (value appended to ret_value), 0 absent, -1 error. */
	int (*get)(struct kv *kv, struct bytes key, struct buf *ret_value, struct error *error);
	/* One atomic batch. Without sync it may be lost at a power cut, with all later ones or without (rule 1). */
	bool (*write)(struct kv *kv, const struct kv_op *ops, size_t count, bool sync, struct error *error);
	/* Rule 1: makes every earlier write survive a power cut once the next synced write has succeeded. */
	bool (*flush)(struct kv *kv, struct error *error);
	/* Gives back the space of what was removed from `from` to `to`, both included: it takes its time. What goes wrong is
	 * told by the next write. */
	void (*compact)(struct kv *kv, struct bytes from, struct bytes to);
	struct kv_cursor *(*cursor)(struct kv *kv); /* a snapshot; before the first key until seek */
	/* What the keys from `from` on, before `to`, take on disk, about. */
	uint64_t (*size)(struct kv *kv, struct bytes from, struct bytes to);
	void (*close)(struct kv *kv);
};

struct kv_cursor_ops {
	void (*seek)(struct kv_cursor *cursor, struct bytes key); /* first key >= key */
	void (*next)(struct kv_cursor *cursor);                   /* REQUIRES valid */
	bool (*valid)(const struct kv_cursor *cursor);            /* false at the end and on error */
	struct bytes (*key)(const struct kv_cursor *cursor);      /* until the next move */
	struct bytes (*value)(const struct kv_cursor *cursor);
	bool (*status)(const struct kv_cursor *cursor, struct error *error);
	void (*close)(struct kv_cursor *cursor);
};

/* Opens databases that share one block cache and one write-buffer budget. */
struct kv_factory {
	/* Creates it if create is set. Damage that checksums can see: ERROR_STORE_FAILED with what to do. */
	struct kv *(*open)(struct kv_factory *factory, const char *path, bool create, struct error *error);
	void (*close)(struct kv_factory *factory);
};

struct kv_factory *kv_leveldb(size_t cache_bytes, size_t write_buffer_bytes);

/* The same, but each database is opened as a shadow in a temporary folder, because LevelDB cannot open one without
 * writing: what is read is what stands there, and nothing of it is changed. For --verify. */
struct kv_factory *kv_leveldb_shadow(size_t cache_bytes);

#endif
