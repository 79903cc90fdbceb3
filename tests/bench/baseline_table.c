/* Baseline: the loop of the in-process counter without any store, and without any code of sofun. One thread. A message is
 * MessagePack, [type, id, payload], in a mailbox; handling it reads it, finds the instance of its 16-byte id in a hash
 * table, and calls the function, which reads the count and writes it back, MessagePack too.
 *
 *   baseline_table IDS tree|cursor
 *
 * tree: all is read with msgpack-c's object tree, as the prototypes of the design's section 4 did; cursor: the bytes are
 * read where they lie. Says "ready" when every id has been counted once; then each line N on stdin is a round of N
 * messages, answered with "SECONDS 0 0" (a loop has no latencies). */
#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ID_BYTES = 16,
	VALUE_BYTES = 9,    /* the longest integer of MessagePack */
	MESSAGE_BYTES = 64, /* more than any of these messages has */
	MAILBOX = 1024,     /* messages: as many as the host's driver sends at once */
};

static const char type[] = "demo/counter";

struct message {
	size_t size;
	char bytes[MESSAGE_BYTES];
};

/* What a message says; views into it. */
struct parts {
	const char *type;
	size_t type_size;
	const char *id;
	size_t id_size;
	int64_t step;
};

struct instance {
	char id[ID_BYTES];
	char value[VALUE_BYTES];
	uint8_t value_size; /* 0: a free place */
};

struct codec {
	bool (*message_read)(const struct message *message, struct parts *ret_parts);
	bool (*count_read)(const char *bytes, size_t size, int64_t *ret_count);
};

static struct instance *table;
static uint64_t table_mask;
static struct message mailbox[MAILBOX];
static msgpack_sbuffer packed;

static uint64_t mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void id_write(uint64_t index, char *id) {
	for (int i = ID_BYTES - 1; i >= 0; i--) {
		id[i] = "0123456789abcdef"[index & 15];
		index >>= 4;
	}
}

static struct instance *instance_find(const char *id) {
	uint64_t halves[2];
	memcpy(halves, id, sizeof halves);
	uint64_t at = mix(halves[0] ^ mix(halves[1])) & table_mask;
	while (table[at].value_size != 0 && memcmp(table[at].id, id, ID_BYTES) != 0)
		at = (at + 1) & table_mask;
	if (table[at].value_size == 0) {
		memcpy(table[at].id, id, ID_BYTES);
		table[at].value[0] = 0;
		table[at].value_size = 1;
	}
	return &table[at];
}

/* ---- msgpack-c's object tree ---- */

static bool tree_step(const msgpack_object *payload, int64_t *ret_step) {
	*ret_step = payload->type == MSGPACK_OBJECT_NIL ? 1 : (int64_t)payload->via.u64;
	return payload->type == MSGPACK_OBJECT_NIL || payload->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
}

/* The zone that holds the tree is freed; its views stay, since they point into the message. */
static bool tree_message_read(const struct message *message, struct parts *ret_parts) {
	msgpack_unpacked tree;
	size_t at = 0;
	msgpack_unpacked_init(&tree);
	bool good = msgpack_unpack_next(&tree, message->bytes, message->size, &at) == MSGPACK_UNPACK_SUCCESS &&
		tree.data.type == MSGPACK_OBJECT_ARRAY && tree.data.via.array.size == 3;
	const msgpack_object *items = good ? tree.data.via.array.ptr : NULL;
	good = good && items[0].type == MSGPACK_OBJECT_STR && items[1].type == MSGPACK_OBJECT_STR &&
		tree_step(&items[2], &ret_parts->step);
	if (good) {
		ret_parts->type = items[0].via.str.ptr;
		ret_parts->type_size = items[0].via.str.size;
		ret_parts->id = items[1].via.str.ptr;
		ret_parts->id_size = items[1].via.str.size;
	}
	msgpack_unpacked_destroy(&tree);
	return good;
}

static bool tree_count_read(const char *bytes, size_t size, int64_t *ret_count) {
	msgpack_unpacked tree;
	size_t at = 0;
	msgpack_unpacked_init(&tree);
	const bool good = msgpack_unpack_next(&tree, bytes, size, &at) == MSGPACK_UNPACK_SUCCESS &&
		tree.data.type == MSGPACK_OBJECT_POSITIVE_INTEGER;
	*ret_count = good ? (int64_t)tree.data.via.u64 : 0;
	msgpack_unpacked_destroy(&tree);
	return good;
}

/* ---- a cursor over the bytes ---- */

static bool cursor_uint(const char *bytes, size_t size, int64_t *ret_number) {
	const uint8_t head = size == 0 ? 0xc1 : (uint8_t)bytes[0];
	const size_t wide = head >= 0xcc && head <= 0xcf ? (size_t)1 << (head - 0xcc) : 0;
	if (size != 1 + wide || (wide == 0 && head > 0x7f))
		return false;
	uint64_t number = wide == 0 ? head : 0;
	for (size_t i = 0; i < wide; i++)
		number = number << 8 | (uint8_t)bytes[1 + i];
	*ret_number = (int64_t)number;
	return true;
}

static bool cursor_text(const char **at, const char *end, const char **ret_text, size_t *ret_size) {
	if (*at == end || ((uint8_t) * *at & 0xe0) != 0xa0)
		return false;
	*ret_size = (uint8_t) * *at & 31;
	*ret_text = *at + 1;
	*at += 1 + *ret_size;
	return *at <= end;
}

static bool cursor_message_read(const struct message *message, struct parts *ret_parts) {
	const char *at = message->bytes + 1, *end = message->bytes + message->size;
	if (message->size == 0 || (uint8_t)message->bytes[0] != 0x93 ||
		!cursor_text(&at, end, &ret_parts->type, &ret_parts->type_size) ||
		!cursor_text(&at, end, &ret_parts->id, &ret_parts->id_size) || at == end)
		return false;
	ret_parts->step = 1;
	return (uint8_t)*at == 0xc0 || cursor_uint(at, (size_t)(end - at), &ret_parts->step);
}

/* ---- the loop ---- */

static void message_write(struct message *message, uint64_t index) {
	char id[ID_BYTES];
	msgpack_packer packer;
	id_write(index, id);
	msgpack_sbuffer_clear(&packed);
	msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
	msgpack_pack_array(&packer, 3);
	msgpack_pack_str_with_body(&packer, type, sizeof type - 1);
	msgpack_pack_str_with_body(&packer, id, ID_BYTES);
	msgpack_pack_nil(&packer);
	memcpy(message->bytes, packed.data, packed.size);
	message->size = packed.size;
}

static bool message_handle(const struct message *message, const struct codec *codec) {
	struct parts parts;
	int64_t count;
	if (!codec->message_read(message, &parts) || parts.type_size != sizeof type - 1 ||
		memcmp(parts.type, type, parts.type_size) != 0 || parts.id_size != ID_BYTES)
		return false;
	struct instance *instance = instance_find(parts.id);
	if (!codec->count_read(instance->value, instance->value_size, &count))
		return false;
	msgpack_packer packer;
	msgpack_sbuffer_clear(&packed);
	msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
	msgpack_pack_int64(&packer, count + parts.step);
	memcpy(instance->value, packed.data, packed.size);
	instance->value_size = (uint8_t)packed.size;
	return true;
}

/* random NULL: each id in turn; else evenly drawn ones, as the host's driver does. */
static void run(uint64_t messages, uint64_t ids, uint64_t *random, const struct codec *codec) {
	for (uint64_t done = 0; done < messages;) {
		size_t count = 0;
		for (; count < MAILBOX && done < messages; count++, done++)
			message_write(&mailbox[count], random == NULL ? done : ((mix((*random)++) >> 32) * ids) >> 32);
		for (size_t i = 0; i < count; i++) {
			if (!message_handle(&mailbox[i], codec)) {
				fputs("baseline_table: a message could not be read\n", stderr);
				exit(1);
			}
		}
	}
}

static double seconds_now(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	const uint64_t ids = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
	if (ids == 0 || ids > UINT32_MAX || (strcmp(argv[2], "tree") != 0 && strcmp(argv[2], "cursor") != 0)) {
		fputs("usage: baseline_table IDS tree|cursor\n", stderr);
		return 2;
	}
	static const struct codec tree = {tree_message_read, tree_count_read}, cursor = {cursor_message_read, cursor_uint};
	const struct codec *codec = strcmp(argv[2], "tree") == 0 ? &tree : &cursor;
	uint64_t places = 16;
	while (places < 2 * ids)
		places *= 2;
	table_mask = places - 1;
	table = calloc(places, sizeof *table);
	if (table == NULL)
		return fputs("baseline_table: out of memory\n", stderr), 1;
	msgpack_sbuffer_init(&packed);
	run(ids, ids, NULL, codec);
	puts("ready");
	fflush(stdout);
	unsigned long long messages;
	uint64_t random = 1;
	while (scanf("%llu", &messages) == 1) {
		const double start = seconds_now();
		run(messages, ids, &random, codec);
		printf("%.9f 0 0\n", seconds_now() - start);
		fflush(stdout);
	}
	return 0;
}
