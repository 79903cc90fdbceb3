#include "client/http_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define LENGTH_UNKNOWN SIZE_MAX

struct head {
	int status;
	bool chunked;
	size_t length; /* of the body; LENGTH_UNKNOWN: until close */
	size_t size;   /* of the head itself */
};

/* The line at the front without its end; moves *rest behind it. False if its end has not come. */
static bool line_take(struct bytes *rest, struct bytes *ret_line) {
	const uint8_t *end = memchr(rest->data, '\n', rest->size);
	if (end == NULL)
		return false;
	size_t size = (size_t)(end - rest->data);
	*ret_line = bytes_of(rest->data, size > 0 && end[-1] == '\r' ? size - 1 : size);
	*rest = bytes_of(end + 1, rest->size - size - 1);
	return true;
}

/* The header's value if the line is that header. */
static bool header_is(struct bytes line, const char *name, char *ret_value, size_t size) {
	size_t length = strlen(name);
	if (line.size <= length || line.data[length] != ':' || strncasecmp((const char *)line.data, name, length) != 0)
		return false;
	size_t at = length + 1;
	while (at < line.size && line.data[at] == ' ')
		at++;
	snprintf(ret_value, size, "%.*s", (int)(line.size - at), (const char *)line.data + at);
	return true;
}

static bool head_header(struct head *head, struct bytes line) {
	char value[64];
	if (header_is(line, "Transfer-Encoding", value, sizeof value))
		head->chunked = strcasecmp(value, "chunked") == 0;
	if (header_is(line, "Content-Length", value, sizeof value)) {
		char *end;
		head->length = strtoull(value, &end, 10);
		return *end == '\0' && end != value;
	}
	return true;
}

static bool status_line(struct bytes line, int *ret_status) {
	char text[64];
	snprintf(text, sizeof text, "%.*s", (int)line.size, (const char *)line.data);
	return sscanf(text, "HTTP/1.%*1[01] %3d", ret_status) == 1 && *ret_status >= 100;
}

static enum http_reading head_read(struct bytes received, struct head *head) {
	*head = (struct head){.length = LENGTH_UNKNOWN};
	struct bytes rest = received, line;
	if (!line_take(&rest, &line))
		return received.size > HTTP_HEAD_BYTES_MAX ? HTTP_READING_BAD : HTTP_READING_MORE;
	if (!status_line(line, &head->status))
		return HTTP_READING_BAD;
	while (line_take(&rest, &line)) {
		if (line.size == 0) {
			head->size = received.size - rest.size;
			if (head->status == 204 || head->status == 304)
				head->length = 0;
			return HTTP_READING_DONE;
		}
		if (!head_header(head, line))
			return HTTP_READING_BAD;
	}
	return received.size > HTTP_HEAD_BYTES_MAX ? HTTP_READING_BAD : HTTP_READING_MORE;
}

static enum http_reading chunks_read(struct bytes rest, struct buf *ret_body) {
	struct bytes line;
	while (line_take(&rest, &line)) {
		char text[32], *end;
		snprintf(text, sizeof text, "%.*s", (int)line.size, (const char *)line.data);
		unsigned long long size = strtoull(text, &end, 16);
		if (end == text || (*end != '\0' && *end != ';'))
			return HTTP_READING_BAD;
		if (size == 0)
			return HTTP_READING_DONE;
		if (size >= rest.size)
			return HTTP_READING_MORE;
		buf_append(ret_body, rest.data, (size_t)size);
		rest = bytes_of(rest.data + size, rest.size - (size_t)size);
		if (!line_take(&rest, &line))
			return HTTP_READING_MORE;
		if (line.size != 0)
			return HTTP_READING_BAD;
	}
	return HTTP_READING_MORE;
}

enum http_reading http_read(struct bytes received, bool closed, int *ret_status, struct buf *ret_body) {
	struct head head;
	enum http_reading reading = head_read(received, &head);
	if (reading != HTTP_READING_DONE)
		return closed ? HTTP_READING_BAD : reading;
	*ret_status = head.status;
	struct bytes rest = bytes_of(received.data + head.size, received.size - head.size);
	buf_reset(ret_body);
	if (head.chunked) {
		reading = chunks_read(rest, ret_body);
		return closed && reading == HTTP_READING_MORE ? HTTP_READING_BAD : reading;
	}
	if (head.length == LENGTH_UNKNOWN && !closed)
		return HTTP_READING_MORE;
	if (head.length != LENGTH_UNKNOWN && rest.size < head.length)
		return closed ? HTTP_READING_BAD : HTTP_READING_MORE;
	buf_append(ret_body, rest.data, head.length == LENGTH_UNKNOWN ? rest.size : head.length);
	return HTTP_READING_DONE;
}
