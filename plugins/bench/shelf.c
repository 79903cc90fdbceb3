/* bench/shelf: a table, of which each message sets or reads one entry.
 *
 *   payload str     the key: sets the entry to how often this instance has set one
 *   payload [str]   reads it, and fails if there is none
 */
#include "load.h"

SOFUN_FUNCTION(shelf, "bench/shelf", 1,
	SOFUN_VALUE(count, INT),
	SOFUN_TABLE(entries));

static int entry_set(sofun_context *context, sofun_bytes key) {
	int64_t count;
	int status = sofun_get_int(context, shelf_count, &count);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, shelf_count, count + 1);
	if (status == SOFUN_OK)
		status = sofun_table_set_int(context, shelf_entries, key, count + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not set: %s", sofun_status_text(status));
}

static int entry_read(sofun_context *context, sofun_bytes key) {
	int64_t number = 0;
	const int status = sofun_table_get_int(context, shelf_entries, key, &number);
	if (status != SOFUN_OK)
		return sofun_fail(context, "not read: %s", sofun_status_text(status));
	return number > 0 ? 0 : sofun_fail(context, "there is no such entry");
}

static int shelf_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	sofun_reader reader = sofun_reader_of(message->payload);
	uint32_t count;
	sofun_bytes key;
	if (sofun_read_str(&reader, &key))
		return entry_set(context, key);
	reader = sofun_reader_of(message->payload);
	if (sofun_read_array(&reader, &count) && count == 1 && sofun_read_str(&reader, &key))
		return entry_read(context, key);
	return sofun_fail(context, "the payload must be a key, or an array of one");
}
