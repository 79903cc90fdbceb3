/* A host for one plugin in a test: loads the built .so as the ABI says, runs its callbacks one at a time, keeps state
 * in memory, and holds what they caused where a test can look. Effects of a callback that fails are thrown away.
 * Strict on purpose: every payload must be one MessagePack object, and every view is a fresh allocation, so that a
 * stale one shows under a sanitizer.
 */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include "base/bytes.h"
#include "sofun/plugin.h"

struct fake;

/* One effect of a callback, in the order caused. */
struct fake_effect {
	enum { FAKE_SEND, FAKE_EMIT, FAKE_REPLY } kind;
	struct buf from_type; /* of the instance that caused it; empty from a router */
	struct buf from_id;
	struct buf name; /* send: the target's type; emit: the egress */
	struct buf id;   /* send: the target's id */
	struct buf payload;
};

/* Loads a file of the build tree, e.g. "lib/sofun/plugins/counter.so"; a failure ends the test program with a text. */
struct fake *fake_create(const char *name);
void fake_destroy(struct fake *fake);

const sofun_plugin *fake_plugin(const struct fake *fake);

/* Settings, before a callback. */
void fake_value_bytes_max(struct fake *fake, size_t bytes);
void fake_extension(struct fake *fake, const char *id, const void *table);

/* One invocation, from outside (caller_type NULL) or from another instance. What it returned. */
int fake_invoke(struct fake *fake, const char *type, struct bytes id, struct bytes payload, const char *caller_type,
	struct bytes caller_id, uint32_t attempt);

/* fake_invoke from outside at the first attempt, with an id in text. */
int fake_call(struct fake *fake, const char *type, const char *id, struct bytes payload);

/* One record through every router of the ingress; the first result that is not 0, else 0. */
int fake_route(struct fake *fake, const char *ingress, struct bytes record);

/* Delivers sends to functions of this plugin until none is left; a failing one stays undelivered and ends it with its
 * result. Sends to other types stay where they are. */
int fake_deliver(struct fake *fake);

/* The effects that stand and were not delivered. */
size_t fake_effect_count(const struct fake *fake);
const struct fake_effect *fake_effect(const struct fake *fake, size_t index);
void fake_effects_clear(struct fake *fake);

/* The text of the last fail(), as a C string; "" if the last callback told none. */
const char *fake_text(const struct fake *fake);
size_t fake_log_lines(const struct fake *fake);

/* The value's MessagePack; {NULL, 0} if unset or if there is no such instance. */
struct bytes fake_state(const struct fake *fake, const char *type, struct bytes id, const char *value);

/* The same read as an integer; 0 if unset. */
int64_t fake_state_int(const struct fake *fake, const char *type, const char *id, const char *value);

/* Every instance with state, in the order of its birth. */
size_t fake_instance_count(const struct fake *fake);
struct bytes fake_instance_id(const struct fake *fake, size_t index);

#endif
