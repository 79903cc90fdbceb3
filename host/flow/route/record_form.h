/* A record in the form in which its router wants it. A router declares one of three (plugin-api, router.h); sofun.yaml may say
 * that the producers of its ingress send another (ingresses.<name>.format), and then the host translates:
 *
 *   comes as   is                                        line wants         json wants           msgpack wants
 *   line       a str or bin: the line                    itself             a JSON string        a str
 *   json       a str or bin with JSON text, or a value   a JSON string's    itself, or the       the value
 *                                                        content            value as text
 *   msgpack    any one object                            a str's or bin's   it as JSON text      itself
 *                                                        content
 *
 * JSON and MessagePack by wire/json.h. Only a shard calls this. */
#ifndef HOST_FLOW_ROUTE_RECORD_FORM_H
#define HOST_FLOW_ROUTE_RECORD_FORM_H

#include "config/config.h"

/* *ret_data views the object or scratch, which is overwritten. False: the record is not in the form in which it was to come, or
 * has none that the router could take; *error says what. */
bool record_form(enum record_format comes, enum record_format wanted, struct bytes object, uint32_t nesting,
	struct buf *scratch, struct bytes *ret_data, struct error *error);

#endif
