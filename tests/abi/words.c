/* Uses every word of sofun/declare.h; compiled as C11 and as C++17 by test_headers.py, which knows the manifest that
 * must come out. */
#include <sofun/sofun.h>

#define EIGHT(prefix) \
	SOFUN_VALUE(prefix##0, RAW), SOFUN_VALUE(prefix##1, INT), SOFUN_VALUE(prefix##2, FLOAT), \
		SOFUN_VALUE(prefix##3, STR), SOFUN_VALUE(prefix##4, BOOL), SOFUN_VALUE(prefix##5, RAW), \
		SOFUN_VALUE(prefix##6, RAW), SOFUN_VALUE(prefix##7, RAW)
#define VERSION "2.30.4"
#define SCHEMA 7

/* As many values as a function may have. */
SOFUN_FUNCTION(most, "words/most.of-all_1", SCHEMA, EIGHT(a), EIGHT(b), EIGHT(c), EIGHT(d), EIGHT(e), EIGHT(f),
	EIGHT(g), EIGHT(h), SOFUN_IDLE_TTL(1000));
SOFUN_FUNCTION(one, "words/one", 1, SOFUN_VALUE(only, STR));
SOFUN_SCHEMA(moved_1, "words/moved", 1, UP, SOFUN_VALUE(number, INT));
SOFUN_SCHEMA(moved_4, "words/moved", 4, BOTH, SOFUN_VALUE(number, INT), SOFUN_VALUE(text, STR));
SOFUN_FUNCTION(moved, "words/moved", 5, SOFUN_VALUE(text, STR), SOFUN_VALUE(flag, BOOL), SOFUN_EARLIER(moved_1),
	SOFUN_EARLIER(moved_4));
SOFUN_FUNCTION(many, "words/many", 1, SOFUN_TABLE(entries), SOFUN_VALUE(plain, INT), SOFUN_LIST(items));
SOFUN_SCHEMA(whole_1, "words/whole", 1, DOWN, SOFUN_VALUE(number, FLOAT));
SOFUN_FUNCTION(whole, "words/whole", 2, SOFUN_VALUE(number, INT), SOFUN_EXPIRING_VALUE(brief, STR, 5, 7), SOFUN_WORK,
	SOFUN_ON_EXPIRE, SOFUN_IDLE_TTL(60 * 1000), SOFUN_EARLIER(whole_1), SOFUN_ON_RESULT);
SOFUN_FUNCTION(clerk, "words/clerk", 1, SOFUN_WORK, SOFUN_ON_RESULT); /* keeps nothing */
SOFUN_STATELESS_FUNCTION(none, "words/none");
SOFUN_ROUTER(text, "words", "line");
SOFUN_ROUTER(packed, "words", "msgpack");

static int words_init(const sofun_host *host, void **ret_plugin_data, char *error, size_t error_size) {
	*ret_plugin_data = NULL;
	(void)error;
	return host->size < sizeof(sofun_host) && error_size > 0;
}

static void words_fini(void *plugin_data) {
	(void)plugin_data;
}

/* `other` stands in a second file. */
SOFUN_PLUGIN_WITH("words", VERSION, words_init, words_fini, SOFUN_WITH_ROUTER(text), SOFUN_WITH_FUNCTION(most),
	SOFUN_WITH_EGRESS("first"), SOFUN_WITH_FUNCTION(one), SOFUN_WITH_FUNCTION(none), SOFUN_WITH_FUNCTION(moved),
	SOFUN_WITH_FUNCTION(many), SOFUN_WITH_FUNCTION(whole), SOFUN_WITH_FUNCTION(clerk), SOFUN_WITH_ROUTER(packed),
	SOFUN_WITH_FUNCTION(other), SOFUN_WITH_EGRESS("second.egress"));

static int most_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	return most_a0 == 0 && most_h7 == 63 && most_value_count == 64 ? sofun_reply(context, message->payload) : 1;
}

static int many_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	(void)message;
	uint8_t room[SOFUN_TABLE_KEY_INT_BYTES];
	const sofun_bytes none = sofun_bytes_of(NULL, 0);
	sofun_bytes key = sofun_table_key_int(room, -7);
	sofun_bytes entry;
	sofun_cursor *cursor;
	int64_t number = 0;
	uint64_t length = 0;
	/* Each convenience once, so that each is compiled. */
	const int status = sofun_table_set_int(context, many_entries, key, 1) |
		sofun_table_get_int(context, many_entries, key, &number) | sofun_table_get(context, many_entries, key, &entry) |
		sofun_table_set(context, many_entries, key, entry) |
		sofun_table_open(context, many_entries, none, none, &cursor) | sofun_table_next(context, cursor, &key, &entry) |
		sofun_table_remove(context, many_entries, key) | sofun_table_clear(context, many_entries) |
		sofun_list_append_int(context, many_items, number) | sofun_list_get(context, many_items, 0, &entry) |
		sofun_list_append(context, many_items, entry) | sofun_list_length(context, many_items, &length) |
		sofun_list_open(context, many_items, 0, &cursor) | sofun_list_next(context, cursor, &entry) |
		sofun_list_drop(context, many_items, 1) | sofun_list_clear(context, many_items);
	return status == SOFUN_OK && sofun_table_key_number(key, &number) && many_items == 2 ? 0 : SOFUN_FAILED;
}

static int one_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	bool flag = false;
	double real = 0;
	int64_t number = 0;
	sofun_bytes text = sofun_text("");
	/* Each convenience once, so that each is compiled. */
	const int status = sofun_get_str(context, one_only, &text) | sofun_set_str(context, one_only, text) |
		sofun_get_bool(context, one_only, &flag) | sofun_set_bool(context, one_only, flag) |
		sofun_get_float(context, one_only, &real) | sofun_set_float(context, one_only, real) |
		sofun_get_int(context, one_only, &number) | sofun_set_int(context, one_only, number) |
		sofun_clear(context, one_only) | sofun_send_nil(context, "words/none", message->self.id) |
		sofun_send_int(context, "words/none", message->self.id, number) |
		sofun_emit(context, "first", message->payload) | sofun_reply_int(context, number);
	sofun_log(context, SOFUN_LOG_INFO, "%d", status);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "%s", sofun_status_text(status));
}

static int moved_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	(void)message;
	return sofun_set_bool(context, moved_flag, true);
}

static int moved_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	(void)plugin_data;
	if (migration->to == 4)
		return sofun_carry(context, moved_text, moved_4_text) | sofun_set_int(context, moved_4_number, moved_1_number);
	return migration->from == 4 ? sofun_carry(context, moved_4_text, moved_text) : 0;
}

static int whole_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	return sofun_start(context, SOFUN_OPERATION_WAIT, message->payload) | sofun_set_int(context, whole_number, 1) |
		sofun_clear(context, whole_brief);
}

static int whole_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	(void)plugin_data;
	(void)migration;
	return sofun_set_float(context, whole_1_number, 1);
}

static int whole_on_expire(sofun_context *context, void *plugin_data, const sofun_expiry *expiry) {
	(void)plugin_data;
	return sofun_send_nil(context, "words/none", expiry->self.id);
}

static int whole_work(sofun_work *work, void *plugin_data) {
	(void)plugin_data;
	return work->result(work, work->metadata);
}

static int whole_on_result(sofun_context *context, void *plugin_data, const sofun_result *result) {
	(void)plugin_data;
	return sofun_reply(context, result->metadata);
}

static int clerk_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	return sofun_start(context, 0, message->payload);
}

static int clerk_work(sofun_work *work, void *plugin_data) {
	(void)work;
	(void)plugin_data;
	return 0;
}

static int clerk_on_result(sofun_context *context, void *plugin_data, const sofun_result *result) {
	(void)context;
	(void)plugin_data;
	return result->status != SOFUN_RESULT_SUCCESS;
}

static int none_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	return sofun_fail_text(context, message->payload);
}

static int text_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	return sofun_send_nil(context, "words/one", record->data);
}

static int packed_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	return sofun_send(context, "words/one", sofun_text("x"), record->data);
}

#ifdef WORDS_MAIN /* a program that ends well if the words have filled the structs as they say */
int main(void) {
	const sofun_function *const w = &whole_function;
	const sofun_function *const c = &clerk_function;
	const bool whole = w->value_count == 2 && w->values[1].expire_after_write_ms == 5 &&
		w->values[1].expire_after_invoke_ms == 7 && w->invoke == whole_invoke && w->migrate == whole_migrate &&
		w->schemas[0] == &whole_1_schema && w->schemas[1] == NULL && w->idle_ttl_ms == 60000 &&
		w->on_expire == whole_on_expire && w->work == whole_work && w->on_result == whole_on_result;
	const bool clerk = c->value_count == 0 && c->schemas == NULL && c->migrate == NULL && c->idle_ttl_ms == 0 &&
		c->on_expire == NULL && c->work == clerk_work && c->on_result == clerk_on_result;
	const bool rest = most_function.value_count == 64 && most_function.idle_ttl_ms == 1000 &&
		most_function.on_expire == NULL && moved_function.schemas[1] == &moved_4_schema &&
		moved_function.schemas[2] == NULL && moved_function.migrate == moved_migrate && one_function.work == NULL;
	return whole && clerk && rest ? 0 : 1;
}
#endif
