/* authwatch_dump LOG: runs the lines of an sshd log through the bundled plugin, in a fake host, and prints what it
 * then keeps and has emitted, as tests/lib/authwatch_count.py prints its count. */
#include <jansson.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "fake_host.h"

static json_t *text_of(msgpack_object object) {
	if (object.type == MSGPACK_OBJECT_STR)
		return json_stringn(object.via.str.ptr, object.via.str.size);
	check(object.type == MSGPACK_OBJECT_POSITIVE_INTEGER);
	return json_integer((json_int_t)object.via.u64);
}

static json_t *object_of(struct bytes msgpack) {
	msgpack_unpacked unpacked;
	size_t at = 0;
	msgpack_unpacked_init(&unpacked);
	check(msgpack_unpack_next(&unpacked, (const char *)msgpack.data, msgpack.size, &at) == MSGPACK_UNPACK_SUCCESS);
	json_t *json = unpacked.data.type == MSGPACK_OBJECT_MAP ? json_object() : text_of(unpacked.data);
	for (uint32_t i = 0; unpacked.data.type == MSGPACK_OBJECT_MAP && i < unpacked.data.via.map.size; i++) {
		const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
		char key[64];
		(void)snprintf(key, sizeof key, "%.*s", (int)pair->key.via.str.size, pair->key.via.str.ptr);
		check(json_object_set_new(json, key, text_of(pair->val)) == 0);
	}
	msgpack_unpacked_destroy(&unpacked);
	return json;
}

static json_t *sources_of(const struct fake *fake, json_int_t *ret_failures) {
	static const char *const values[] = {"failures", "users", "first", "last"};
	json_t *sources = json_object();
	*ret_failures = 0;
	for (size_t i = 0; i < fake_instance_count(fake); i++) {
		const struct bytes id = fake_instance_id(fake, i);
		char key[256];
		(void)snprintf(key, sizeof key, "%.*s", (int)id.size, (const char *)id.data);
		json_t *source = json_object();
		for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
			check(
				json_object_set_new(source, values[k], object_of(fake_state(fake, "auth/source", id, values[k]))) == 0);
		*ret_failures += json_integer_value(json_object_get(source, "failures"));
		check(json_object_set_new(sources, key, source) == 0);
	}
	return sources;
}

static json_t *bans_of(const struct fake *fake) {
	json_t *bans = json_array();
	for (size_t i = 0; i < fake_effect_count(fake); i++) {
		const struct fake_effect *effect = fake_effect(fake, i);
		if (effect->kind == FAKE_EMIT)
			check(json_array_append_new(bans, object_of(bytes_buf(&effect->payload))) == 0);
	}
	return bans;
}

/* As `sofun ingest` sends a file: each line is a record, without its LF. A line that the router refuses is a dead
 * letter. */
static void log_read(struct fake *fake, FILE *file) {
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;
	while ((size = getline(&line, &capacity, file)) > 0) {
		if (line[size - 1] == '\n')
			size--;
		(void)fake_route(fake, "authlog", bytes_of(line, (size_t)size));
		check(fake_deliver(fake) == 0);
	}
	free(line);
}

int main(int count, char **arguments) {
	FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
	if (file == NULL) {
		(void)fprintf(stderr, "usage: authwatch_dump LOG, and the file must be readable\n");
		return 2;
	}
	struct fake *fake = fake_create("lib/sofun/plugins/authwatch.so");
	log_read(fake, file);
	(void)fclose(file);
	json_int_t failures;
	json_t *sources = sources_of(fake, &failures);
	json_t *all = json_pack("{s:o, s:o, s:I}", "sources", sources, "bans", bans_of(fake), "failures", failures);
	check(all != NULL && json_dumpf(all, stdout, JSON_INDENT(1) | JSON_SORT_KEYS) == 0);
	json_decref(all);
	fake_destroy(fake);
	return 0;
}
