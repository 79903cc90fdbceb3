/* An egress record as the outside sees it. The flow writes [time_ms, type, id, payload] (flow/FORMAT.md); subscribers get a
 * map {time_ms, source:{type,id}, payload}, in which an id that is UTF-8 is a str; JSON has the same members. Any thread. */
#ifndef HOST_EGRESS_RECORD_H
#define HOST_EGRESS_RECORD_H

#include <jansson.h>

#include "base/bytes.h"

/* Appends the map. False: the record is damaged, and nothing is added. */
bool record_pack(struct buf *map, struct bytes record);

/* The pairs of a packed map with one more: {skipped, …}. REQUIRES map comes from record_pack. */
void record_pack_skipped(struct buf *out, struct bytes map, uint64_t skipped);

/* {"offset","time_ms","source":{"type","id"},"payload"} of a packed map; the caller's reference. */
json_t *record_json(uint64_t offset, struct bytes map);

#endif
