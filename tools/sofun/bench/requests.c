/* The frames of bench's client: written once as a template, then stamped with a msgid and an id. */
#include "base/check.h"
#include "bench/client.h"
#include "wire/pack.h"

enum {
	MSGID_AT = 2, /* behind the array's header and the 0 of a request */
	MSGID_BYTES = 5,
};

void bench_id_write(uint64_t index, uint8_t *id) {
	for (int i = BENCH_ID_BYTES - 1; i >= 0; i--) {
		id[i] = (uint8_t) "0123456789abcdef"[index & 15];
		index >>= 4;
	}
}

/* splitmix64, as the plugin draws. */
uint64_t bench_index_draw(uint64_t *random, uint64_t ids) {
	uint64_t x = (*random)++ + 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (((x ^ x >> 31) >> 32) * ids) >> 32;
}

/* Any number has room: the widest form. */
static void msgid_stamp(uint8_t *at, uint32_t msgid) {
	at[0] = 0xce;
	for (int i = 0; i < 4; i++)
		at[1 + i] = (uint8_t)(msgid >> (24 - 8 * i));
}

void calls_init(struct calls *calls, const char *type, struct bytes payload, uint64_t ids) {
	struct buf frame = {0};
	static const uint8_t room[BENCH_ID_BYTES] = {0};
	pack_array(&frame, 4);
	pack_uint(&frame, 0);
	check(frame.size == MSGID_AT);
	buf_append(&frame, room, MSGID_BYTES);
	pack_text(&frame, "call");
	pack_array(&frame, 1);
	pack_map(&frame, 3);
	pack_text(&frame, "to");
	pack_text(&frame, type);
	pack_text(&frame, "payload");
	pack_raw(&frame, payload);
	pack_text(&frame, "id");
	pack_str(&frame, bytes_of(room, BENCH_ID_BYTES));
	check(frame.size <= CALL_BYTES_MAX);
	*calls = (struct calls){.size = frame.size, .id_at = frame.size - BENCH_ID_BYTES, .ids = ids, .random = 1};
	memcpy(calls->bytes, frame.data, frame.size);
	buf_finish(&frame);
}

void calls_write(void *arg, uint32_t connection, uint64_t number, uint32_t msgid, struct buf *out) {
	(void)connection, (void)number;
	struct calls *calls = arg;
	uint8_t *at = buf_reserve(out, calls->size);
	memcpy(at, calls->bytes, calls->size);
	msgid_stamp(at + MSGID_AT, msgid);
	bench_id_write(bench_index_draw(&calls->random, calls->ids), at + calls->id_at);
	out->size += calls->size;
}
