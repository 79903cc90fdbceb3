/* The crash table in <data>/crashes: read once at the start, written whole at each death and at each change of an outcome
 * (a new file, synced, renamed over the old one, the directory synced). Its form is in FORMAT.md. [supervisor] */
#ifndef HOST_SUPERVISOR_CRASH_FILE_H
#define HOST_SUPERVISOR_CRASH_FILE_H

#include "supervisor/crash.h"

#define CRASH_FILE_NAME "crashes"

/* An absent file is an empty table. One that cannot be read, is damaged or of a newer form is told in the log and taken
 * for empty: it holds suspicions, no user's data. */
void crash_file_read(const char *data, struct crash_table *table);

/* False: told in the log. The host goes on: what it will be told of a crash may then be forgotten at a power cut. */
bool crash_file_write(const char *data, const struct crash_table *table);

/* The table as the file has it. */
void crash_table_pack(const struct crash_table *table, struct buf *file);
bool crash_table_unpack(struct bytes file, struct crash_table *table);

#endif
