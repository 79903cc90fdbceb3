#include "control/http/page.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "config/config.h"
#include "wire/json.h"

enum { PAGE_BYTES_MAX = 1024 }; /* evhttp's pages are below 400 bytes */

/* The status of a whole page of evhttp's, else 0. We never send text/html ourselves. */
static int page_status(const char *text) {
	static const char start[] = "HTTP/1.", end[] = "</BODY></HTML>\n";
	size_t size = strlen(text);
	if (size < sizeof start + sizeof end || strncmp(text, start, sizeof start - 1) != 0 ||
		strcmp(text + size - (sizeof end - 1), end) != 0 || strstr(text, "Content-Type: text/html\r\n") == NULL)
		return 0;
	const char *blank = strchr(text, ' ');
	return blank == NULL ? 0 : atoi(blank + 1);
}

/* Gives the status line that goes with the error. */
static const char *page_error(int status, const struct config *config, struct error *error) {
	switch (status) {
	case 413:
		error_set(error, ERROR_TOO_LARGE, "the body is too large");
		error_found(error, "more bytes than that");
		error_expected(error, "at most %llu bytes", (unsigned long long)config->frame_bytes);
		error_hint(error, "the limit is the setting limits.frame_bytes");
		return "413 Request Entity Too Large";
	case 501:
		error_set(error, ERROR_BAD_REQUEST, "the request's method is not known");
		error_found(error, "a method that HTTP does not have, or that is not served");
		error_advise(error, "GET, POST or DELETE", "GET /v1 lists what there is");
		return "405 Method Not Allowed";
	default:
		error_set(error, ERROR_BAD_REQUEST, "the request is not HTTP that can be read here");
		error_found(error, "what libevent refuses with status %d", status);
		error_advise(error, "a request line and headers of HTTP/1.1",
			"curl --unix-socket <data>/control.sock http://./v1/status");
		return "400 Bad Request";
	}
}

static void page_replace(struct evbuffer *output, int status, const struct config *config) {
	struct error error;
	struct buf text = {0};
	const char *line = page_error(status, config, &error);
	json_t *body = json_pack("{s:o}", "error", json_from_error(&error));
	check_memory(body);
	json_to_text(body, &text);
	json_decref(body);
	buf_append_u8(&text, '\n');
	if (evbuffer_drain(output, evbuffer_get_length(output)) != 0) {
		evbuffer_unfreeze(output, 1); /* plain bufferevents guard the front of what they write from others */
		check(evbuffer_drain(output, evbuffer_get_length(output)) == 0);
		evbuffer_freeze(output, 1);
	}
	check(evbuffer_add_printf(output,
			  "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
			  "Connection: close\r\n\r\n",
			  line, text.size) > 0);
	check(evbuffer_add(output, text.data, text.size) == 0);
	buf_finish(&text);
}

bool page_refused(struct evbuffer *output, const struct evbuffer_cb_info *info, const struct config *config) {
	char text[PAGE_BYTES_MAX + 1];
	size_t size = evbuffer_get_length(output);
	if (info->n_added == 0 || info->orig_size + info->n_added != size || size > PAGE_BYTES_MAX)
		return false;
	ev_ssize_t got = evbuffer_copyout(output, text, size);
	text[got > 0 ? (size_t)got : 0] = '\0';
	int status = page_status(text);
	if (status != 0)
		page_replace(output, status, config);
	return status != 0;
}
