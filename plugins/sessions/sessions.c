/* The bundled plugin `sessions`: one instance for each client of a web server, from its first request until it was idle for
 * half an hour. Then on_expire says what the session was. */
#include <sofun/sofun.h>

/* The usual measure of web statistics. A literal, since idle_ttl_ms is one. */
#define IDLE_MS 1800000

SOFUN_FUNCTION(session, "web/session", 1, SOFUN_VALUE(requests, INT),
	SOFUN_VALUE(bytes, INT), SOFUN_VALUE(first, STR), /* the time of the first request, as the log has it */
	SOFUN_VALUE(last, STR), SOFUN_IDLE_TTL(IDLE_MS), SOFUN_ON_EXPIRE);
SOFUN_ROUTER(lines, "accesslog", "line");
SOFUN_PLUGIN("sessions", "1.0.0",
	SOFUN_WITH_FUNCTION(session),
	SOFUN_WITH_ROUTER(lines),
	SOFUN_WITH_EGRESS("sessions"));

enum { CLIENT_BYTES_MAX = 255 }; /* what an id allows */

/* ---- a line of the log, in common or combined form ---- */

struct request {
	sofun_bytes client; /* the first word */
	sofun_bytes time;   /* between the first [ and the ] behind it */
	int64_t bytes;      /* the second number behind the request; 0 for "-" */
};

/* Up to the byte, which is gone past; false if it is not there. */
static bool take_until(sofun_bytes *rest, char end, sofun_bytes *ret_taken) {
	const uint8_t *found = rest->size == 0 ? NULL : (const uint8_t *)memchr(rest->data, end, rest->size);
	if (found == NULL)
		return false;
	ret_taken->data = rest->data;
	ret_taken->size = (size_t)(found - rest->data);
	rest->data = found + 1;
	rest->size -= ret_taken->size + 1;
	return true;
}

/* The word at the front; the last one ends with the line. */
static sofun_bytes take_word(sofun_bytes *rest) {
	sofun_bytes word;
	if (!take_until(rest, ' ', &word)) {
		word = *rest;
		rest->size = 0;
	}
	return word;
}

/* 0 if it is no number. */
static int64_t number_of(sofun_bytes word) {
	int64_t number = 0;
	for (size_t i = 0; i < word.size; i++) {
		if (word.data[i] < '0' || word.data[i] > '9' || __builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, word.data[i] - '0', &number))
			return 0;
	}
	return number;
}

/* Goes past the request in quotes, whatever is escaped in it. */
static bool skip_quoted(sofun_bytes *rest) {
	sofun_bytes before;
	if (!take_until(rest, '"', &before))
		return false;
	for (; rest->size > 0; rest->data++, rest->size--) {
		if (rest->data[0] == '\\' && rest->size > 1) {
			rest->data++;
			rest->size--;
		} else if (rest->data[0] == '"') {
			rest->data++;
			rest->size--;
			return true;
		}
	}
	return false;
}

static bool request_read(sofun_bytes line, struct request *ret_request) {
	sofun_bytes rest = line, before;
	if (!take_until(&rest, ' ', &ret_request->client) || ret_request->client.size == 0)
		return false;
	if (!take_until(&rest, '[', &before) || !take_until(&rest, ']', &ret_request->time) || !skip_quoted(&rest))
		return false;
	(void)take_word(&rest); /* the space behind the quote */
	(void)take_word(&rest); /* the status */
	ret_request->bytes = number_of(take_word(&rest));
	return true;
}

static int lines_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	struct request request;
	if (!request_read(record->data, &request) || request.client.size > CLIENT_BYTES_MAX || !sofun_is_utf8(request.time))
		return sofun_fail(context, "no line of an access log: CLIENT - - [TIME] \"REQUEST\" STATUS BYTES ...");
	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_array(&writer, 2);
	sofun_write_str(&writer, request.time);
	sofun_write_int(&writer, request.bytes);
	sofun_bytes payload;
	int status = sofun_written(&writer, &payload);
	if (status == SOFUN_OK)
		status = sofun_send(context, "web/session", request.client, payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}

/* ---- a session ---- */

/* requests and bytes grow; false: not kept. */
static int totals_add(sofun_context *context, int64_t bytes) {
	int64_t requests, sum;
	int status = sofun_get_int(context, session_requests, &requests);
	if (status == SOFUN_OK)
		status = sofun_get_int(context, session_bytes, &sum);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, session_requests, requests + 1);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, session_bytes, sum + bytes);
	return status;
}

static int session_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	sofun_reader reader = sofun_reader_of(message->payload);
	uint32_t fields;
	sofun_bytes time, first;
	int64_t bytes;
	if (!sofun_read_array(&reader, &fields) || fields != 2 || !sofun_read_str(&reader, &time) ||
		!sofun_read_int(&reader, &bytes))
		return sofun_fail(context, "the payload must be [time, bytes]");
	int status = totals_add(context, bytes);
	if (status == SOFUN_OK)
		status = sofun_get_str(context, session_first, &first);
	if (status == SOFUN_OK && first.size == 0)
		status = sofun_set_str(context, session_first, time);
	if (status == SOFUN_OK)
		status = sofun_set_str(context, session_last, time);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "the session could not be kept: %s", sofun_status_text(status));
}

/* {client, requests, bytes, first, last} */
static int session_on_expire(sofun_context *context, void *plugin_data, const sofun_expiry *expiry) {
	(void)plugin_data;
	int64_t requests, bytes;
	sofun_bytes first, last, payload;
	int status = sofun_get_int(context, session_requests, &requests);
	if (status == SOFUN_OK)
		status = sofun_get_int(context, session_bytes, &bytes);
	if (status == SOFUN_OK)
		status = sofun_get_str(context, session_first, &first);
	if (status == SOFUN_OK)
		status = sofun_get_str(context, session_last, &last);
	if (status != SOFUN_OK)
		return sofun_fail(context, "the session could not be read: %s", sofun_status_text(status));
	sofun_writer writer = sofun_writer_builder(context);
	sofun_write_map(&writer, 5);
	sofun_write_str(&writer, sofun_text("client"));
	sofun_write_str(&writer, expiry->self.id);
	sofun_write_str(&writer, sofun_text("requests"));
	sofun_write_int(&writer, requests);
	sofun_write_str(&writer, sofun_text("bytes"));
	sofun_write_int(&writer, bytes);
	sofun_write_str(&writer, sofun_text("first"));
	sofun_write_str(&writer, first);
	sofun_write_str(&writer, sofun_text("last"));
	sofun_write_str(&writer, last);
	status = sofun_written(&writer, &payload);
	if (status == SOFUN_OK)
		status = context->host->emit(context, sofun_text("sessions"), payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "the session could not be told: %s", sofun_status_text(status));
}
