/* The data directory and its lock: one process at a time. Used by main.c, before any thread. */
#ifndef HOST_DATA_DIR_H
#define HOST_DATA_DIR_H

#include <stdbool.h>

#include "base/error.h"

struct data_dir {
	int lock_fd; /* -1: none */
};

/* After the started process has gone the kernel frees its lock within moments; INTERFACE grants 2 s, and a start waits
 * that long for it. */
enum { LOCK_WAIT_MS = 2000 };

/* Makes the directory (and what is above it) if it is absent, and locks DIR/LOCK, which then names this process.
 * ERROR_CONFLICT: another process holds it; ERROR_REFUSED: the directory cannot be made or written to, or it holds no
 * store but other things (then nothing is written). */
bool data_dir_open(const char *path, struct data_dir *ret_dir, struct error *error);

/* For --verify: makes and writes nothing; a directory without LOCK is fine. */
bool data_dir_open_readonly(const char *path, struct data_dir *ret_dir, struct error *error);

void data_dir_close(struct data_dir *dir);

#endif
