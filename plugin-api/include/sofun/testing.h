/* Tests for plugins, without a host and without a process: a fake host that loads one plugin, runs its functions and
 * routers on messages, keeps their state in memory, and holds what they caused where a test can look. For test programs,
 * never for plugins. Link libsofun-testing: pkg-config sofun-testing, or the CMake target sofun::testing.
 *
 *   sofun_test *test = sofun_test_open("./counter.so");
 *   SOFUN_EXPECT_OK(test, sofun_test_call(test, "demo/counter", "ada", "5"));
 *   SOFUN_EXPECT_REPLY(test, "5");
 *   SOFUN_EXPECT_STATE(test, "demo/counter", "ada", "count", "5");
 *   sofun_test_close(test);
 *
 * It is stricter than a host: each view is an allocation of its own that ends when the contract says so, and builders
 * move whenever they grow, so that a pointer kept too long shows under valgrind or a sanitizer. As in a host, what a
 * callback caused is thrown away if it returns other than 0. One thread.
 *
 * Payloads are JSON text, or bytes of MessagePack. JSON maps to MessagePack as in the host's HTTP: {"base64":"..."} is
 * binary. Expectations compare what a value means: the order of a map's keys does not matter, 1 is not 1.0.
 */
#ifndef SOFUN_TESTING_H
#define SOFUN_TESTING_H

#include <stdint.h>

#include "effects.h"
#include "list.h"
#include "operation.h"
#include "plugin.h"
#include "timer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sofun_test sofun_test;

/* ---- a plugin under test ---- */

/* Loads the built file and calls its init. What goes wrong ends the program with a line on stderr. */
sofun_test *sofun_test_open(const char *file);

/* The same with a plugin whose sources are linked into the test program: sofun_test_of(&sofun_plugin_descriptor). */
sofun_test *sofun_test_of(const sofun_plugin *plugin);

/* Calls its fini, and frees all that the test holds. */
void sofun_test_close(sofun_test *test);

const sofun_plugin *sofun_test_plugin(const sofun_test *test);

/* What happens when an expectation fails: the text is "FILE:LINE: expected ..., found ...". Default: it is printed to
 * stderr, and the program ends with 1. A handler that returns ends the program, too. */
void sofun_test_on_failure(sofun_test *test, void (*handler)(const char *text));

/* ---- what the host says, before a callback ---- */

/* Of time_ms(); 1700000000000 at first. What has ended by then ends ahead of the next message to its instance. */
void sofun_test_time(sofun_test *test, uint64_t time_ms);
void sofun_test_value_bytes_max(sofun_test *test, size_t bytes); /* largest state value; 1 MiB at first */
void sofun_test_operations_max(sofun_test *test, size_t count);  /* under way at once; 1000 at first */
void sofun_test_extension(sofun_test *test, const char *id, const void *table); /* one; both must outlive the test */

/* ---- callbacks: each returns what the plugin returned ---- */

/* One message from outside, at the first attempt. json NULL: nil. */
int sofun_test_call(sofun_test *test, const char *type, const char *id, const char *json);

typedef struct sofun_test_message {
	const char *type; /* of the instance that it is for; the plugin must declare it */
	sofun_bytes id;
	sofun_bytes payload;     /* one MessagePack object */
	const char *caller_type; /* NULL: from outside */
	sofun_bytes caller_id;
	uint32_t attempt; /* 0 means 1 */
} sofun_test_message;

int sofun_test_invoke(sofun_test *test, const sofun_test_message *message);

/* One record through every router of the ingress, as a host would give it: text, or one MessagePack object. The first
 * result that is not 0, else 0. */
int sofun_test_route(sofun_test *test, const char *ingress, sofun_bytes record);

/* Delivers what was sent to functions of this plugin, and results that the plugin's own means have brought, until nothing is
 * left; ends early with the result of one that fails. What was sent to other types stays where it is, and what was sent to an
 * instance that waits for an operation. */
int sofun_test_deliver(sofun_test *test);

/* ---- operations: each stands from the end of the callback that started it until on_result returned 0 ---- */

typedef struct sofun_test_operation {
	uint64_t operation; /* what start gave */
	sofun_bytes type;   /* of the instance that started it */
	sofun_bytes id;
	sofun_bytes metadata;
	uint32_t flags; /* SOFUN_OPERATION_... */
} sofun_test_operation;

/* Those under way, oldest first. Views are valid until the next callback. */
size_t sofun_test_operation_count(const sofun_test *test);
const sofun_test_operation *sofun_test_operation_at(const sofun_test *test, size_t index);

/* Calls work for the oldest operation that waits for it, and tells on_result what came of it. What on_result returned; 0 if work
 * returned SOFUN_WORK_LATER. If on_result fails the operation stands on, for sofun_test_deliver to try again. */
int sofun_test_work(sofun_test *test);

/* Tells on_result instead: SOFUN_RESULT_SUCCESS with JSON (NULL: nil), SOFUN_RESULT_FAILURE with a text, SOFUN_RESULT_UNKNOWN
 * with NULL, as after a restart. What it returned. */
int sofun_test_result(sofun_test *test, uint64_t operation, uint32_t status, const char *text);

/* Moves time on, and delivers what timers send until then, each at its due time; ends early with the result of a function
 * that fails. What timers send to other types stands as SOFUN_TEST_SEND.
 *
 * Instances and values that end until then end, each in its millisecond, by the times that the plugin declares: on_expire is called,
 * and if it returns 0 the instance has no state any more. Else the instance stands on, with attempt one higher at the next call; a
 * fake host never gives up. Time counts from the last callback that succeeded, or from sofun_test_state_put. */
int sofun_test_advance(sofun_test *test, uint64_t ms);

/* ---- state of another version, and its migration ---- */

/* Gives an instance a value as a version of that schema left it: the function's own schema, or one that it declares as an
 * earlier one. An instance has one schema: values of another that were put before are gone. */
void sofun_test_state_put(
	sofun_test *test, const char *type, const char *id, uint32_t schema, const char *value, const char *json);

/* Migrates the instance from the schema that it has, by the function's migrate. What that returned; if it is 0 the
 * instance has the new values, and sofun_test_state knows them by the names of the new schema. */
int sofun_test_migrate(sofun_test *test, const char *type, const char *id, uint32_t to);

/* ---- what came of it ---- */

enum { SOFUN_TEST_SEND, SOFUN_TEST_EMIT, SOFUN_TEST_REPLY, SOFUN_TEST_TIMER, SOFUN_TEST_OPERATION };

typedef struct sofun_test_effect {
	int kind;
	sofun_bytes from_type; /* of the instance that caused it; empty: a router */
	sofun_bytes from_id;
	sofun_bytes name; /* send, timer: the target's type; emit: the egress */
	sofun_bytes id;   /* send, timer: the target's id */
	sofun_bytes payload;
	sofun_bytes token;  /* timer: empty if it has none */
	uint64_t due_ms;    /* timer */
	uint64_t operation; /* operation: what start gave; payload is its metadata */
	uint32_t flags;     /* operation: SOFUN_OPERATION_... */
} sofun_test_effect;

/* Effects that stand, oldest first; a timer stands until it is due or cancelled. Views are valid until the next callback,
 * expectation or clear. Clear takes all but the timers. */
size_t sofun_test_effect_count(const sofun_test *test);
const sofun_test_effect *sofun_test_effect_at(const sofun_test *test, size_t index);
void sofun_test_effects_clear(sofun_test *test);

/* The text of the last callback's fail(); "" if it told none. */
const char *sofun_test_failure(const sofun_test *test);

/* The lines of log() so far. */
size_t sofun_test_log_count(const sofun_test *test);
const char *sofun_test_log_line(const sofun_test *test, size_t index);

/* The value's MessagePack; {NULL, 0} if it is unset, or if there is no such instance. */
sofun_bytes sofun_test_state(const sofun_test *test, const char *type, sofun_bytes id, const char *value);

/* The same read as an integer; 0 if unset. */
int64_t sofun_test_state_int(const sofun_test *test, const char *type, const char *id, const char *value);

/* An entry of a table, an item of a list; {NULL, 0} if there is none. */
sofun_bytes sofun_test_entry(
	const sofun_test *test, const char *type, const char *id, const char *table, sofun_bytes key);
sofun_bytes sofun_test_item(const sofun_test *test, const char *type, const char *id, const char *list, uint64_t index);

/* How many entries a table has, or items a list. */
size_t sofun_test_entry_count(const sofun_test *test, const char *type, const char *id, const char *value);

/* The instances that got a message, in that order. */
size_t sofun_test_instance_count(const sofun_test *test);
sofun_bytes sofun_test_instance_id(const sofun_test *test, size_t index);

/* ---- JSON and MessagePack ---- */

/* JSON text, put together as by printf, as MessagePack that lives until sofun_test_close. Text that is no JSON ends the
 * program. */
sofun_bytes sofun_test_json(sofun_test *test, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* MessagePack as JSON text, the keys of maps sorted; lives until sofun_test_close. */
const char *sofun_test_text(sofun_test *test, sofun_bytes msgpack);

/* ---- expectations: each takes the oldest effect that stands and is no timer, or looks at timers or state ---- */

#define SOFUN_EXPECT_OK(test, result) sofun_test_expect_ok(test, result, __FILE__, __LINE__)
#define SOFUN_EXPECT_FAILURE(test, result, text) sofun_test_expect_failure(test, result, text, __FILE__, __LINE__)
#define SOFUN_EXPECT_REPLY(test, json) sofun_test_expect_reply(test, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_SEND(test, type, id, json) sofun_test_expect_send(test, type, id, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_EMIT(test, egress, json) sofun_test_expect_emit(test, egress, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_OPERATION(test, json) sofun_test_expect_operation(test, json, __FILE__, __LINE__)
/* A timer is due in so many milliseconds, with that message; it stands on, until sofun_test_advance. json NULL: there is no timer
 * for that address. */
#define SOFUN_EXPECT_TIMER(test, type, id, in_ms, json) \
	sofun_test_expect_timer(test, type, id, in_ms, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_NOTHING(test) sofun_test_expect_nothing(test, __FILE__, __LINE__)
/* json NULL: the value is unset. */
#define SOFUN_EXPECT_STATE(test, type, id, value, json) \
	sofun_test_expect_state(test, type, id, value, json, __FILE__, __LINE__)

/* One entry of a table, one item of a list; json NULL: there is none. And how many there are. key is text as it is, no JSON;
 * of another key (sofun_table_key_int) sofun_test_entry has the entry. */
#define SOFUN_EXPECT_ENTRY(test, type, id, table, key, json) \
	sofun_test_expect_entry(test, type, id, table, key, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_ITEM(test, type, id, list, index, json) \
	sofun_test_expect_item(test, type, id, list, index, json, __FILE__, __LINE__)
#define SOFUN_EXPECT_COUNT(test, type, id, value, count) \
	sofun_test_expect_count(test, type, id, value, count, __FILE__, __LINE__)

void sofun_test_expect_entry(sofun_test *test, const char *type, const char *id, const char *table, const char *key,
	const char *json, const char *file, int line);
void sofun_test_expect_item(sofun_test *test, const char *type, const char *id, const char *list, uint64_t index,
	const char *json, const char *file, int line);
void sofun_test_expect_count(
	sofun_test *test, const char *type, const char *id, const char *value, size_t count, const char *file, int line);
void sofun_test_expect_ok(sofun_test *test, int result, const char *file, int line);
void sofun_test_expect_failure(sofun_test *test, int result, const char *text, const char *file, int line);
void sofun_test_expect_reply(sofun_test *test, const char *json, const char *file, int line);
void sofun_test_expect_send(
	sofun_test *test, const char *type, const char *id, const char *json, const char *file, int line);
void sofun_test_expect_emit(sofun_test *test, const char *egress, const char *json, const char *file, int line);
void sofun_test_expect_operation(sofun_test *test, const char *json, const char *file, int line);
void sofun_test_expect_timer(
	sofun_test *test, const char *type, const char *id, uint64_t in_ms, const char *json, const char *file, int line);
void sofun_test_expect_nothing(sofun_test *test, const char *file, int line);
void sofun_test_expect_state(sofun_test *test, const char *type, const char *id, const char *value, const char *json,
	const char *file, int line);

#ifdef __cplusplus
}
#endif

#endif
