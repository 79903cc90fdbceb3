/* Reads an HTTP/1.1 answer from bytes that come in pieces. */
#ifndef SOFUN_HTTP_READER_H
#define SOFUN_HTTP_READER_H

#include <stdbool.h>

#include "base/bytes.h"

enum http_reading { HTTP_READING_MORE, HTTP_READING_DONE, HTTP_READING_BAD };

enum {
	HTTP_HEAD_BYTES_MAX = 65536, /* a head beyond this is no answer of ours */
};

/* Looks at all that has come so far; closed says that no more will come. DONE gives the status and appends the body. */
enum http_reading http_read(struct bytes received, bool closed, int *ret_status, struct buf *ret_body);

#endif
