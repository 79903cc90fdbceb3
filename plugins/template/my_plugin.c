/* my-plugin: a plugin to start from. It builds, is tested and runs as it stands; the steps say what to change. */
#include <sofun/sofun.h>

/* Step 1. Say what an instance keeps. There is one instance for each id that someone messages; each keeps these values,
 * durably. Kinds: INT, FLOAT, STR, BOOL, RAW (any MessagePack). What grows is a SOFUN_TABLE(name) or a SOFUN_LIST(name)
 * among them: its entries are read and written one at a time (sofun/table.h, sofun/list.h). Behind the values stands what
 * else it does: SOFUN_IDLE_TTL(ms) ends an instance that nobody messages, SOFUN_WORK and SOFUN_ON_RESULT are for what takes
 * long (sofun/operation.h); sofun/declare.h has them all. A message for later is sofun/timer.h. */
SOFUN_FUNCTION(my_plugin, "demo/my-plugin", 1,
	SOFUN_VALUE(total, INT),
	SOFUN_VALUE(last, STR));

/* Step 2. If records come in by an ingress (`sofun ingest my-plugin FILE`), say in which format; else remove it here and
 * in step 5. */
SOFUN_ROUTER(my_plugin_lines, "my-plugin", "line");

/* Step 3. Say what happens for a message. 0: all of it happens, once. Not 0: nothing of it does, and the host tries again.
 * The payload is MessagePack: {"user": text, "points": integer} here. */
struct order {
	sofun_bytes user;
	int64_t points;
};

static bool order_read(sofun_bytes payload, struct order *ret_order) {
	sofun_reader reader = sofun_reader_of(payload);
	uint32_t pairs;
	bool user = false, points = false;
	if (!sofun_read_map(&reader, &pairs))
		return false;
	for (uint32_t i = 0; i < pairs; i++) {
		sofun_bytes key;
		if (!sofun_read_str(&reader, &key))
			return false;
		if (sofun_bytes_are(key, "user"))
			user = sofun_read_str(&reader, &ret_order->user);
		else if (sofun_bytes_are(key, "points"))
			points = sofun_read_int(&reader, &ret_order->points);
		else
			return false;
	}
	return user && points;
}

static int my_plugin_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	struct order order;
	if (!order_read(message->payload, &order))
		return sofun_fail(context, "the payload must be {user: text, points: integer}");

	int64_t total;
	int status = sofun_get_int(context, my_plugin_total, &total);
	if (status != SOFUN_OK)
		return sofun_fail(context, "total could not be read: %s", sofun_status_text(status));
	total += order.points;
	status = sofun_set_int(context, my_plugin_total, total);
	if (status == SOFUN_OK)
		status = sofun_set_str(context, my_plugin_last, order.user);
	if (status == SOFUN_OK)
		status = sofun_reply_int(context, total);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "refused: %s", sofun_status_text(status));
}

/* Step 4. Say to whom a record goes. Here a line is `ID USER`, and gives USER's order of one point to the instance ID. */
static int my_plugin_lines_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	const uint8_t *space = record->data.size == 0 ? NULL : memchr(record->data.data, ' ', record->data.size);
	if (space == NULL || space == record->data.data)
		return sofun_fail(context, "a line must be: ID USER");
	const size_t id_size = (size_t)(space - record->data.data);

	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_map(&writer, 2);
	sofun_write_text(&writer, "user");
	sofun_write_str(&writer, sofun_bytes_of(space + 1, record->data.size - id_size - 1));
	sofun_write_text(&writer, "points");
	sofun_write_int(&writer, 1);
	sofun_bytes payload;
	int status = sofun_written(&writer, &payload);
	if (status == SOFUN_OK)
		status = sofun_send(context, "demo/my-plugin", sofun_bytes_of(record->data.data, id_size), payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}

/* Step 5. Name the plugin, and raise the version whenever you change it: a host takes a newer one beside the running one.
 * Step 6 is in test_my_plugin.c. */
SOFUN_PLUGIN("my-plugin", "0.1.0",
	SOFUN_WITH_FUNCTION(my_plugin),
	SOFUN_WITH_ROUTER(my_plugin_lines));
