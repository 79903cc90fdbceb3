/* The router of ingress "sim": a record becomes one message. */
#include "base/check.h"
#include "program_inside.h"
#include "wire/cursor.h"
#include "wire/pack.h"

void program_record(struct buf *record, uint32_t producer, uint64_t sequence) {
	pack_array(record, 2);
	pack_uint(record, producer);
	pack_uint(record, sequence);
}

static int program_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	uint64_t producer, sequence;
	uint32_t fields;
	struct cursor cursor = cursor_of(bytes_of(record->data.data, record->data.size));
	check(cursor_read_array(&cursor, &fields) && cursor_read_uint(&cursor, &producer) &&
		cursor_read_uint(&cursor, &sequence));
	if (sequence != record->sequence)
		program_violation("a record came under another number", record->sequence, sequence);
	const struct node_payload message = {
		.number = deed_record(program_hooks.seed, (uint32_t)producer, sequence),
		.party = producer,
		.order = sequence,
	};
	node_send(context, &message);
	program_inside();
	return 0;
}

const sofun_router program_router = {
	.size = sizeof program_router,
	.ingress = "sim",
	.format = "msgpack",
	.route = program_route,
};
