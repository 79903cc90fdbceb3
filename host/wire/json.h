/* MessagePack as JSON and back, as INTERFACE "JSON" has it; not for the message path. Any thread.
 *
 *   MessagePack                        JSON
 *   nil, bool, finite float            null, true/false, real
 *   integers -2^63 .. 2^63-1           integer
 *   str, and bin that is UTF-8         string
 *   bin that is not UTF-8              {"base64":"…"}
 *   array                              array
 *   map whose keys are strings here    object, in order
 *   any other map                      {"map":[[key,value],…]}     (and one with a key twice, or with NUL in a key)
 *   all else                           {"msgpack":"…base64…"}      (uint over 2^63-1, NaN, infinities, ext, str not UTF-8)
 *
 * An object whose only key is "base64", "msgpack" or "map" is always such an escape: read, it must be a good one (else
 * bad_request, with the way to write it as data); a map that would look like one is written as {"map":[[key,value]]}.
 * So every value survives the way there and back, but for two things that JSON text cannot say: bin that is UTF-8
 * comes back as str, and a float of 32 bits as one of 64. */
#ifndef HOST_WIRE_JSON_H
#define HOST_WIRE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* One MessagePack object as JSON; the caller's reference. NULL: bad_request (not one object) or too_deep. */
json_t *json_from_value(struct bytes value, uint32_t nesting, struct error *error);

/* Appends the JSON as one MessagePack object; nesting counts maps and arrays of the value, not those of the escapes.
 * False (bad_request, too_deep, bad_utf8): the buffer is as it was. */
bool json_to_value(const json_t *json, uint32_t nesting, struct buf *value, struct error *error);

/* JSON text to one MessagePack object, as json_to_value; bad_utf8, or bad_request with line and column, if it is not
 * JSON. Any JSON value will do, not only objects; a key given twice is refused. */
bool json_text_to_value(struct bytes text, uint32_t nesting, struct buf *value, struct error *error);

/* JSON text to JSON, by the same rules: for bodies of the control plane. NULL: bad_utf8, bad_request, too_deep. */
json_t *json_from_text(struct bytes text, struct error *error);

/* Appends the JSON as compact text. */
void json_to_text(const json_t *json, struct buf *text);

/* An id or other bytes: a string if UTF-8, else {"base64":"…"}. */
json_t *json_from_bytes(struct bytes bytes);

/* The same back: appends the bytes; bad_id if it is neither. */
bool json_to_bytes(const json_t *json, struct buf *bytes, struct error *error);

/* A string for people: what is not UTF-8 in it becomes '?'. */
json_t *json_from_words(struct bytes text);

/* {"code","message"} and found, expected, hint as far as they are set. */
json_t *json_from_error(const struct error *error);

#endif
