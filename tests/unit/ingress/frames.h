/* Frames as a client writes them. */
#ifndef TESTS_INGRESS_FRAMES_H
#define TESTS_INGRESS_FRAMES_H

#include "base/bytes.h"

/* Appends [0,msgid,method,[ and the header of a map; its pairs are the caller's. */
void frame_open(struct buf *frame, uint32_t msgid, const char *method, uint32_t pairs);

/* Appends a request whose map is written as text: to=a/b id='x' payload=#01c0 … Each word is key=value; a value is 'str',
 * a decimal integer, or # and hex digits of MessagePack. */
void frame_text(struct buf *frame, uint32_t msgid, const char *method, const char *text);

/* Appends an ingest, msgid 9, of `count` records of 1,000 bytes (1,003 with their headers). */
void frame_large(struct buf *frame, uint32_t count);

#endif
