/* authwatch_dump LOG: runs the lines of an sshd log through the bundled plugin, in a fake host, and prints what it
 * then keeps and has emitted, as tests/lib/authwatch_count.py prints its count. */
#include <jansson.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include <sofun/testing.h>

static json_t *text_of(msgpack_object object) {
	if (object.type == MSGPACK_OBJECT_STR)
		return json_stringn(object.via.str.ptr, object.via.str.size);
	check(object.type == MSGPACK_OBJECT_POSITIVE_INTEGER);
	return json_integer((json_int_t)object.via.u64);
}

static json_t *object_of(sofun_bytes msgpack) {
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

static json_t *sources_of(const sofun_test *test, json_int_t *ret_failures) {
	static const char *const values[] = {"failures", "users", "first", "last"};
	json_t *sources = json_object();
	*ret_failures = 0;
	for (size_t i = 0; i < sofun_test_instance_count(test); i++) {
		const sofun_bytes id = sofun_test_instance_id(test, i);
		char key[256];
		(void)snprintf(key, sizeof key, "%.*s", (int)id.size, (const char *)id.data);
		json_t *source = json_object();
		for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
			check(json_object_set_new(
					  source, values[k], object_of(sofun_test_state(test, "auth/source", id, values[k]))) == 0);
		*ret_failures += json_integer_value(json_object_get(source, "failures"));
		check(json_object_set_new(sources, key, source) == 0);
	}
	return sources;
}

static json_t *bans_of(const sofun_test *test) {
	json_t *bans = json_array();
	for (size_t i = 0; i < sofun_test_effect_count(test); i++) {
		const sofun_test_effect *effect = sofun_test_effect_at(test, i);
		if (effect->kind == SOFUN_TEST_EMIT)
			check(json_array_append_new(bans, object_of(effect->payload)) == 0);
	}
	return bans;
}

/* As `sofun ingest` sends a file: each line is a record, without its LF. A line that the router refuses is a dead
 * letter. */
static void log_read(sofun_test *test, FILE *file) {
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;
	while ((size = getline(&line, &capacity, file)) > 0) {
		if (line[size - 1] == '\n')
			size--;
		(void)sofun_test_route(test, "authlog", sofun_bytes_of(line, (size_t)size));
		check(sofun_test_deliver(test) == 0);
	}
	free(line);
}

int main(int count, char **arguments) {
	FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
	if (file == NULL) {
		(void)fprintf(stderr, "usage: authwatch_dump LOG, and the file must be readable\n");
		return 2;
	}
	sofun_test *test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/authwatch.so");
	log_read(test, file);
	(void)fclose(file);
	json_int_t failures;
	json_t *sources = sources_of(test, &failures);
	json_t *all = json_pack("{s:o, s:o, s:I}", "sources", sources, "bans", bans_of(test), "failures", failures);
	check(all != NULL && json_dumpf(all, stdout, JSON_INDENT(1) | JSON_SORT_KEYS) == 0);
	json_decref(all);
	sofun_test_close(test);
	return 0;
}
