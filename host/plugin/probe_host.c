#include "plugin/probe_host.h"

#include <string.h>

#include "sofun/list.h"
#include "sofun/operation.h"
#include "sofun/plugin.h"
#include "sofun/table.h"
#include "sofun/timer.h"

/* ---- the core table ---- */

static void refuse_log(const sofun_host *host, sofun_context *context, int level, sofun_bytes text) {
	(void)host;
	(void)context;
	(void)level;
	(void)text;
}

static int refuse_get(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	(void)context;
	(void)value;
	(void)ret_msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	(void)context;
	(void)value;
	(void)msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_clear(sofun_context *context, uint32_t value) {
	(void)context;
	(void)value;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_send(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload) {
	(void)context;
	(void)to;
	(void)type;
	(void)payload;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_two(sofun_context *context, sofun_bytes first, sofun_bytes second) {
	(void)context;
	(void)first;
	(void)second;
	return SOFUN_NOT_ALLOWED;
}

static void refuse_fail(sofun_context *context, sofun_bytes text) {
	(void)context;
	(void)text;
}

static sofun_buf *refuse_buf(sofun_context *context) {
	(void)context;
	return NULL;
}

static int refuse_reserve(sofun_context *context, sofun_buf *buf, size_t extra) {
	(void)context;
	(void)buf;
	(void)extra;
	return SOFUN_NOT_ALLOWED;
}

static uint64_t refuse_time(sofun_context *context) {
	(void)context;
	return 0;
}

/* ---- extensions ---- */

static int refuse_send_after(sofun_context *context, uint64_t delay_ms, sofun_bytes token, const sofun_address *to,
	sofun_bytes type, sofun_bytes payload) {
	(void)context, (void)delay_ms, (void)token, (void)to, (void)type, (void)payload;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_cancel(sofun_context *context, sofun_bytes token, int *ret_found) {
	(void)context, (void)token, (void)ret_found;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_start(sofun_context *context, uint32_t flags, sofun_bytes metadata, uint64_t *ret_id) {
	(void)context, (void)flags, (void)metadata, (void)ret_id;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_complete(const sofun_host *host, uint64_t id, uint32_t status, sofun_bytes result) {
	(void)host, (void)id, (void)status, (void)result;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_entry_get(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes *ret_msgpack) {
	(void)context, (void)table, (void)key, (void)ret_msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_entry_set(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes msgpack) {
	(void)context, (void)table, (void)key, (void)msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_open(
	sofun_context *context, uint32_t table, sofun_bytes prefix, sofun_bytes from, sofun_cursor **ret_cursor) {
	(void)context, (void)table, (void)prefix, (void)from, (void)ret_cursor;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_key, sofun_bytes *ret_msgpack) {
	(void)context, (void)cursor, (void)ret_key, (void)ret_msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_length(sofun_context *context, uint32_t list, uint64_t *ret_length) {
	(void)context, (void)list, (void)ret_length;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_item_get(sofun_context *context, uint32_t list, uint64_t index, sofun_bytes *ret_msgpack) {
	(void)context, (void)list, (void)index, (void)ret_msgpack;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_drop(sofun_context *context, uint32_t list, uint64_t count) {
	(void)context, (void)list, (void)count;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_open_list(sofun_context *context, uint32_t list, uint64_t from, sofun_cursor **ret_cursor) {
	(void)context, (void)list, (void)from, (void)ret_cursor;
	return SOFUN_NOT_ALLOWED;
}

static int refuse_next_item(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_msgpack) {
	(void)context, (void)cursor, (void)ret_msgpack;
	return SOFUN_NOT_ALLOWED;
}

/* An init that looks for what its plugin needs finds it, as in the host. */
static const void *probe_extension(const sofun_host *host, const char *id) {
	static const sofun_timer timer = {sizeof timer, refuse_send_after, refuse_cancel};
	static const sofun_operation operation = {sizeof operation, refuse_start, refuse_complete};
	static const sofun_tables tables = {
		sizeof tables, refuse_entry_get, refuse_entry_set, refuse_set, refuse_clear, refuse_open, refuse_next};
	static const sofun_lists lists = {sizeof lists, refuse_length, refuse_item_get, refuse_set, refuse_drop,
		refuse_clear, refuse_open_list, refuse_next_item};
	const struct {
		const char *id;
		const void *table;
	} known[] = {{SOFUN_TIMER, &timer}, {SOFUN_OPERATION, &operation}, {SOFUN_TABLES, &tables}, {SOFUN_LISTS, &lists}};
	(void)host;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].id, id) == 0)
			return known[i].table;
	return NULL;
}

const sofun_host *probe_host(void) {
	static const sofun_host table = {
		.size = sizeof(table),
		.abi_major = SOFUN_ABI_MAJOR,
		.abi_minor = SOFUN_ABI_MINOR,
		.extension = probe_extension,
		.log = refuse_log,
		.state_get = refuse_get,
		.state_set = refuse_set,
		.state_clear = refuse_clear,
		.send = refuse_send,
		.reply = refuse_two,
		.emit = refuse_two,
		.fail = refuse_fail,
		.buf = refuse_buf,
		.buf_reserve = refuse_reserve,
		.time_ms = refuse_time,
	};
	return &table;
}
