/* LevelDB's MANIFEST, as far as its end is concerned. For dir.c; no other code should include this file.
 *
 * LevelDB makes a change of its tables durable in this order: the new tables, synced; a record for the MANIFEST, written;
 * the folder, synced; the MANIFEST, synced. Only then are the tables deleted that the record takes out. A power cut before
 * the last sync may keep any part of the record, and lose the name of a table that it brings in: then LevelDB finds
 * "missing files", or a record that is torn, and does not open. What stood before that last record stands complete. */
#ifndef HOST_STATE_LEVELDB_MANIFEST_H
#define HOST_STATE_LEVELDB_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Where the last record begins, whole or torn. False: it is the only one, or there is damage before it. */
bool manifest_last_record(struct bytes content, uint64_t *ret_offset);

#endif
