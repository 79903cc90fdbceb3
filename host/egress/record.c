#include "egress/record.h"

#include "base/check.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

/* time_ms, source, payload */
enum { RECORD_PAIRS = 3 };

bool record_pack(struct buf *map, struct bytes record) {
	struct cursor cursor = cursor_of(record);
	struct bytes type, id, payload;
	uint32_t count;
	uint64_t time_ms;
	if (!cursor_read_array(&cursor, &count) || count != 4 || !cursor_read_uint(&cursor, &time_ms) ||
		!cursor_read_str(&cursor, &type) || !cursor_read_text_or_bin(&cursor, &id) ||
		cursor_take(&cursor, CURSOR_NESTING_MAX - 1, &payload) != CURSOR_GOOD || !cursor_at_end(&cursor))
		return false;
	pack_map(map, RECORD_PAIRS);
	pack_text(map, "time_ms");
	pack_uint(map, time_ms);
	pack_text(map, "source");
	pack_map(map, 2);
	pack_text(map, "type");
	pack_str(map, type);
	pack_text(map, "id");
	if (bytes_utf8(id))
		pack_str(map, id);
	else
		pack_bin(map, id);
	pack_text(map, "payload");
	pack_raw(map, payload);
	return true;
}

void record_pack_skipped(struct buf *out, struct bytes map, uint64_t skipped) {
	struct cursor cursor = cursor_of(map);
	uint32_t pairs;
	bool good = cursor_read_map(&cursor, &pairs);
	check(good && pairs == RECORD_PAIRS);
	pack_map(out, RECORD_PAIRS + 1);
	pack_text(out, "skipped");
	pack_uint(out, skipped);
	pack_raw(out, cursor_left(&cursor));
}

json_t *record_json(uint64_t offset, struct bytes map) {
	struct error error;
	json_t *members = json_from_value(map, CURSOR_NESTING_MAX, &error);
	check_memory(members);
	json_t *json = json_object();
	check_memory(json);
	check(json_object_set_new(json, "offset", json_integer((json_int_t)offset)) == 0);
	check(json_object_update(json, members) == 0);
	json_decref(members);
	return json;
}
