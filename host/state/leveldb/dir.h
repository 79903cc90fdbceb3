/* What leveldb.c does to the folder of a database beside LevelDB itself. No other code should include this file.
 * Results are 0 or a negative errno. */
#ifndef HOST_STATE_LEVELDB_DIR_H
#define HOST_STATE_LEVELDB_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its tables are there, and CURRENT is gone: told to create what is missing, LevelDB would begin an empty database and delete
 * them. None that a crash leaves is like this: CURRENT is durable before the first table. */
bool leveldb_dir_headless(const char *path);

/* Rule 15: moves all *.log files into <path>/set-aside/. Counts them. */
int leveldb_dir_set_aside(const char *path, unsigned *ret_count);

/* Cuts the last record off the MANIFEST (manifest.h): what it was, and links to all tables, are kept in
 * <path>/set-aside/. REQUIRES: the logs are set aside. -EINVAL: there is none that could be cut off. */
int leveldb_dir_manifest_cut(const char *path);

/* It helped: what was kept of the tables goes, but for those that LevelDB took for refuse and deleted. */
void leveldb_dir_opened(const char *path);

/* It did not help: everything is as it was. */
int leveldb_dir_put_back(const char *path);

/* -ENOSPC if there is no room for so many bytes. */
int leveldb_dir_space(const char *path, uint64_t bytes);

/* A temporary folder that looks like the database: links to its tables, copies of all else. The caller removes and
 * frees it. */
int leveldb_dir_shadow(const char *path, char **ret_shadow);
void leveldb_dir_shadow_remove(char *shadow);

#endif
