/* What the files of the testing library share. No other code should include this file. */
#ifndef SOFUN_TESTING_INSIDE_H
#define SOFUN_TESTING_INSIDE_H

#include "../include/sofun/testing.h"

enum {
	VALUES_MAX = 64,   /* of a function, as function.h says */
	BUILDERS_MAX = 16, /* of a callback, as host.h says */
	NESTING_MAX = 64,  /* a host's default limits, which a plugin should live with */
	MESSAGE_BYTES_MAX = 1 << 20,
	ID_BYTES_MAX = 255,
	TYPE_BYTES_MAX = 127,
	EGRESS_BYTES_MAX = 63,
};

/* ---- memory: what cannot be had ends the program ---- */

/* Bytes that grow. A copy in an allocation of its own size, so that a sanitizer knows its end. */
struct piece {
	uint8_t *data;
	size_t size;
};

void *memory_take(size_t size); /* zeroed */
void *memory_grow(void *data, size_t size);
/* Room for one more than count, of an array that only grows by this. */
void *memory_grow_one(void *items, size_t count, size_t item_bytes);
void piece_append(struct piece *piece, const void *data, size_t size);
void piece_finish(struct piece *piece);

static inline sofun_bytes piece_bytes(const struct piece *piece) {
	return sofun_bytes_of(piece->data, piece->size);
}

/* A text that lives as long as the test. */
void test_keep(sofun_test *test, void *memory);

/* Ends the program: the test itself is wrong. */
__attribute__((format(printf, 1, 2), noreturn)) void test_stop(const char *format, ...);

/* ---- JSON ---- */

/* False and *ret_why if it is no JSON. *ret_msgpack is empty at first. */
bool json_read(const char *json, struct piece *ret_msgpack, const char **ret_why);

/* The object at the reader, which must be whole, keys sorted, behind *text. */
void json_write(sofun_reader *reader, struct piece *text);

void base64_write(sofun_bytes bytes, struct piece *text);
bool base64_read(sofun_bytes text, struct piece *ret_bytes);

/* ---- the fake host ---- */

/* A table in the order of its keys, or a list, whose keys are empty. */
struct pair {
	struct piece key;
	struct piece value;
};
struct entries {
	struct pair *pairs;
	size_t count;
};

struct instance {
	const sofun_function *function;
	uint32_t schema; /* of the values */
	struct piece id;
	struct piece values[VALUES_MAX]; /* empty: unset */
	struct entries many[VALUES_MAX]; /* of values that are tables or lists */
	uint64_t touched_ms;             /* when a message was handled last */
	uint64_t written_ms[VALUES_MAX];
	uint32_t expire_attempts; /* of on_expire that failed */
};

struct effect {
	sofun_test_effect seen; /* views of the pieces */
	struct piece from_type, from_id, name, id, payload, token;
	bool cancelled; /* by the callback that runs now */
};

/* An operation under way. */
struct operation {
	sofun_test_operation seen; /* views of the pieces */
	struct piece type, id, metadata, result;
	uint32_t status;
	uint32_t attempts; /* of on_result that failed */
	bool worked;       /* its work was called */
	bool complete;     /* status and result are there */
};

/* What the context of a callback is, behind the pointer that the plugin knows. */
struct callback {
	sofun_context context; /* first: the plugin's view */
	sofun_test *test;
	const sofun_message *message; /* NULL in a router */
	struct instance *instance;    /* NULL in a router */
	bool expiring;                /* on_expire runs: it reads, sends and emits */
	bool migrating;               /* state_get is of the old values, state_set of the new */
	uint32_t in_count;            /* what state_get knows: the values as the instance has them */
	const sofun_value *in;
	const sofun_value *out; /* what state_set knows; the same but in migrate */
	uint32_t out_count;
	struct piece values[VALUES_MAX];
	bool changed[VALUES_MAX];
	struct piece views[VALUES_MAX]; /* what state_get showed of a value that is not changed yet */
	struct entries many[VALUES_MAX];
	bool many_changed[VALUES_MAX];
	uint32_t carried[VALUES_MAX]; /* in migrate: 1 + the old value that this one takes over; 0: none */
	struct piece entry_key;       /* views, until the next call */
	struct piece entry_value;
	sofun_cursor *cursors;
	size_t entries_written;
	size_t entries_stepped;
	sofun_buf builders[BUILDERS_MAX];
	size_t builder_count;
	size_t effects_before;
	size_t operations;   /* that it started */
	const char *refused; /* the host fails the invocation, for this reason; NULL: it does not */
};

struct sofun_test {
	sofun_host host; /* first: extension() finds the test by it */
	void *library;   /* NULL: linked in */
	const sofun_plugin *plugin;
	void *plugin_data;
	void (*on_failure)(const char *text);
	struct instance **instances;
	size_t instance_count;
	struct effect **effects;
	size_t effect_count;
	size_t effect_capacity;
	struct operation **operations;
	size_t operation_count;
	size_t operations_max;
	uint64_t operation_last;
	struct piece failure; /* ends with a NUL, or is empty */
	char **log_lines;
	size_t log_count;
	void **kept;
	size_t kept_count;
	uint64_t time_ms;
	size_t value_bytes_max;
	const char *extension_id;
	const void *extension;
};

/* The functions of the host, as a plugin gets them. */
extern const sofun_host host_table;
extern const sofun_timer timer_table;
extern const sofun_operation operation_table;

/* SOFUN_OK if it is one MessagePack object of at most so many bytes. */
int object_check(sofun_bytes msgpack, size_t size_max);
struct effect *effect_add(struct callback *callback, int kind, sofun_bytes payload);

/* callback.c */
const sofun_function *function_find(const sofun_test *test, sofun_bytes type); /* NULL: not of this plugin */
struct instance *instance_get(sofun_test *test, const sofun_function *function, sofun_bytes id);
void callback_begin(sofun_test *test, struct callback *callback, struct instance *instance);
int callback_conclude(struct callback *callback, int returned); /* what came of it: kept, or thrown away */
/* A copy that ends with the callback, so that a view kept beyond it shows. */
sofun_bytes lend(struct piece *piece, sofun_bytes bytes);

/* The values of a schema that the function knows; ends the program if it does not. */
const sofun_value *values_of(const sofun_function *function, uint32_t schema, uint32_t *ret_count);

/* ---- expiry.c ---- */

/* Ends what the time has come for of one instance; calls on_expire if that is all of it. What on_expire returned: if it is not 0
 * the instance stands on. */
int expiry_look(sofun_test *test, struct instance *instance);
/* Of which something ends next; NULL: nothing ever does. */
struct instance *expiry_next(const sofun_test *test, uint64_t *ret_due_ms);
void expiry_touch(struct callback *callback);    /* it succeeded, and its changes are still told apart */
void expiry_migrated(struct callback *callback); /* likewise; values of the same name keep their times */

/* operation.c. Those that a callback started, now that it has succeeded. */
void operations_keep(sofun_test *test, size_t effects_before);
void operations_finish(sofun_test *test);
/* True if messages for that instance must wait. */
bool operations_wait(const sofun_test *test, sofun_bytes type, sofun_bytes id);
/* Tells one that is complete; false: none is. */
bool operations_deliver(sofun_test *test, int *ret_result);

extern const sofun_tables tables_table;
extern const sofun_lists lists_table;

/* ---- entries.c ---- */

void entries_finish(struct entries *entries);
sofun_bytes entries_at(const struct entries *entries, sofun_bytes key); /* {NULL, 0}: there is none */
void callback_entries_end(struct callback *callback, bool keep);

/* In migrate a table or list goes from value to value by a token in place of its content. */
void entries_token(uint32_t value, struct piece *view);
bool entries_token_is(sofun_bytes msgpack);
int entries_carry(struct callback *callback, uint32_t to, sofun_bytes token);
void entries_migrate(struct callback *callback); /* it succeeded: what was not carried is gone */

/* Timers that a callback cancelled go, or stand again. */
void timers_settle(sofun_test *test, bool keep);

void effects_cut(sofun_test *test, size_t count);
void effect_finish(struct effect *effect);
struct effect *effect_take(sofun_test *test, size_t index); /* out of the list; the caller's then */

#endif
