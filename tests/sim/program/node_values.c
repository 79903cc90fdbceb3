/* The values of an instance of the program's function: what they must be follows from its count, and is looked at before each
 * change. */
#include <string.h>

#include "base/check.h"
#include "flow/instance/record.h"
#include "node_entries.h"
#include "program_inside.h"
#include "wire/cursor.h"
#include "wire/pack.h"

const sofun_value node_values[PROGRAM_VALUES] = {
	{.name = "count", .kind = SOFUN_INT},
	{.name = "sent", .kind = SOFUN_RAW},
	{.name = "seen", .kind = SOFUN_RAW},
	{.name = "blob", .kind = SOFUN_RAW},
	{.name = "version", .kind = SOFUN_INT},
	{.name = "waiting", .kind = SOFUN_INT}, /* operations for which the address waits */
	{.name = "table", .kind = SOFUN_KIND_TABLE},
	{.name = "list", .kind = SOFUN_KIND_LIST},
	{.name = "table_2", .kind = SOFUN_KIND_TABLE},
	{.name = "scrap", .kind = SOFUN_KIND_TABLE},
};

static uint64_t count_get(sofun_context *context, uint32_t schema) {
	sofun_bytes bytes;
	uint64_t count = 0;
	check(context->host->state_get(context, VALUE_COUNT, &bytes) == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	if (bytes.size == 0)
		return 0;
	check(cursor_read_uint(&cursor, &count));
	if ((count >= PROGRAM_COUNT_2) != (schema == 2))
		program_violation("a count of another schema", schema, count);
	return count & (PROGRAM_COUNT_2 - 1);
}

/* A value that is large, small or unset by turns: what it must be now follows from the count. */
static size_t blob_size(uint64_t count) {
	static const size_t sizes[] = {0, 40, 3000, 1500, 0, 1024, 1030};
	return count == 0 ? 0 : sizes[(count / 3) % (sizeof sizes / sizeof *sizes)];
}

/* False: the store could not be read, as after a crash in the middle of this call. */
static bool blob_check(sofun_context *context, uint64_t count) {
	sofun_bytes bytes;
	int status = context->host->state_get(context, VALUE_BLOB, &bytes);
	if (status == SOFUN_STORE)
		return false;
	check(status == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	struct bytes bin = {0};
	check(bytes.size == 0 || cursor_read_bin(&cursor, &bin));
	if (bin.size != blob_size(count))
		program_violation("the size of the large value", blob_size(count), bin.size);
	for (size_t i = 0; i < bin.size; i++) {
		if (bin.data[i] != (uint8_t)(count / 3)) {
			program_violation("the content of the large value", count / 3, bin.data[i]);
			break;
		}
	}
	return true;
}

static void blob_set(sofun_context *context, uint64_t count) {
	if (blob_size(count) == 0) {
		check(context->host->state_clear(context, VALUE_BLOB) == SOFUN_OK);
		return;
	}
	uint8_t bytes[3000];
	struct buf buf = {0};
	memset(bytes, (uint8_t)(count / 3), sizeof bytes);
	pack_bin(&buf, bytes_of(bytes, blob_size(count)));
	check(context->host->state_set(context, VALUE_BLOB, (sofun_bytes){buf.data, buf.size}) == SOFUN_OK);
	buf_finish(&buf);
}

/* False: the store could not be read. */
static bool entries_check(sofun_context *context, struct node_entries entries, uint64_t count, bool each) {
	bool store = false;
	const char *wrong = node_entries_check(context, entries, count, each, &store);
	if (wrong != NULL)
		program_violation(wrong, count, count);
	return !store;
}

/* Every entry is looked at before the change, and now and then behind it: what a message has written it sees itself. */
static bool entries_act(sofun_context *context, uint32_t schema, uint64_t count) {
	const struct node_entries entries = {schema == 2 ? VALUE_TABLE_2 : VALUE_TABLE, VALUE_LIST};
	return entries_check(context, entries, count, true) && node_entries_change(context, entries, count + 1) &&
		entries_check(context, entries, count + 1, count % 4 == 0) &&
		node_entries_mark(context, VALUE_SCRAP, count % 5);
}

bool node_count_more(sofun_context *context, uint32_t schema) {
	uint64_t count = count_get(context, schema);
	if (!blob_check(context, count) || !entries_act(context, schema, count))
		return false;
	program_did(COMMAND_INCREMENT);
	program_value_set(context, VALUE_COUNT, count + 1 + (schema == 2 ? PROGRAM_COUNT_2 : 0));
	blob_set(context, count + 1);
	return true;
}

bool program_count(struct bytes row, uint64_t *ret_count) {
	struct instance_header header;
	struct instance_value value;
	if (!instance_header_take(&row, &header) || row.size == 0 || !instance_value_take(&row, &value) ||
		value.number != VALUE_COUNT)
		return false;
	struct cursor cursor = cursor_of(value.msgpack);
	if (!cursor_read_uint(&cursor, ret_count) || (*ret_count >= PROGRAM_COUNT_2) != (header.schema == 2))
		return false;
	*ret_count &= PROGRAM_COUNT_2 - 1;
	return true;
}
