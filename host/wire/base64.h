/* Base64 as of RFC 4648 section 4, with padding. Any thread. */
#ifndef HOST_WIRE_BASE64_H
#define HOST_WIRE_BASE64_H

#include <stdbool.h>

#include "base/bytes.h"

void base64_write(struct bytes bytes, struct buf *text);

/* Strict: the alphabet of section 4, whole groups of four, padding only at the end, unused bits zero. False: it is
 * not; `bytes` is as it was. */
bool base64_read(struct bytes text, struct buf *bytes);

#endif
