/* A plugin of the first day: uses everything that the headers of ABI 1.0 offer, and is compiled against those only. */
#include <sofun/sofun.h>

SOFUN_FUNCTION(veteran, "frozen/veteran", 1,
	SOFUN_VALUE(count, INT),
	SOFUN_VALUE(share, FLOAT),
	SOFUN_VALUE(note, STR),
	SOFUN_VALUE(even, BOOL),
	SOFUN_VALUE(raw, RAW));
SOFUN_ROUTER(lines, "frozen", "line");

struct data {
	uint32_t calls;
};

static int init(const sofun_host *host, void **ret_plugin_data, char *error, size_t error_size) {
	static struct data data;
	if (host->size < sizeof(sofun_host) || host->abi_major != SOFUN_ABI_MAJOR) {
		(void)snprintf(error, error_size, "a host of %u bytes", host->size);
		return SOFUN_FAILED;
	}
	data.calls = 0;
	*ret_plugin_data = &data;
	return 0;
}

static void fini(void *plugin_data) {
	struct data *data = (struct data *)plugin_data;
	data->calls = 0;
}

SOFUN_PLUGIN_WITH("veteran", "1.0.0", init, fini,
	SOFUN_WITH_FUNCTION(veteran),
	SOFUN_WITH_ROUTER(lines),
	SOFUN_WITH_EGRESS("frozen"));

/* A text made in a builder of the host. */
static int note_keep(sofun_context *context, int64_t count) {
	char text[64];
	const int size = snprintf(text, sizeof text, "%lld messages", (long long)count);
	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_str(&writer, sofun_bytes_of(text, (size_t)size));
	sofun_bytes msgpack;
	const int status = sofun_written(&writer, &msgpack);
	return status == SOFUN_OK ? sofun_set_raw(context, veteran_note, msgpack) : status;
}

static int number_keep(sofun_context *context, const sofun_message *message, int64_t number) {
	int64_t count = 0;
	uint8_t room[SOFUN_INT_BYTES_MAX];
	int status = sofun_get_int(context, veteran_count, &count);
	count += number;
	if (status == SOFUN_OK)
		status = sofun_set_int(context, veteran_count, count);
	if (status == SOFUN_OK)
		status = sofun_set_float(context, veteran_share, (double)count / 2);
	if (status == SOFUN_OK)
		status = sofun_set_bool(context, veteran_even, count % 2 == 0);
	if (status == SOFUN_OK)
		status = note_keep(context, count);
	if (status == SOFUN_OK)
		status = sofun_set_raw(context, veteran_raw, message->payload);
	if (status == SOFUN_OK)
		status = sofun_emit(context, "frozen", sofun_bytes_of(room, sofun_put_int(room, count)));
	return status == SOFUN_OK ? sofun_reply_int(context, count) : status;
}

static int veteran_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	((struct data *)plugin_data)->calls++;
	sofun_reader reader = sofun_reader_of(message->payload);
	sofun_bytes word;
	int64_t number = 0;
	int status;
	if (context->host->time_ms(context) == 0 || context->host->extension(context->host, "none/1") != NULL)
		return sofun_fail(context, "a host without time, or with too much");
	if (sofun_read_int(&reader, &number))
		status = number_keep(context, message, number);
	else if (sofun_read_nil(&reader))
		status = sofun_clear(context, veteran_raw);
	else if (sofun_read_str(&reader, &word) && sofun_bytes_are(word, "again"))
		status = sofun_send_int(context, "frozen/veteran", message->self.id, 1);
	else
		return sofun_fail(context, "not a number: %d", (int)sofun_read_kind(&reader));
	if (status != SOFUN_OK)
		return sofun_fail(context, "%s", sofun_status_text(status));
	sofun_log(context, SOFUN_LOG_DEBUG, "attempt %u", message->attempt);
	return 0;
}

static int lines_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	((struct data *)plugin_data)->calls++;
	if (record->data.size == 0)
		return sofun_fail_text(context, sofun_text("empty"));
	const int status = sofun_send_int(context, "frozen/veteran", record->data, 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "%s", sofun_status_text(status));
}
