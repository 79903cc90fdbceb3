/* What fake_host.c and fake_table.c share. No other code should include this file. */
#ifndef TEST_FAKE_INSIDE_H
#define TEST_FAKE_INSIDE_H

#include "fake_host.h"

enum { FAKE_VALUES_MAX = 64, FAKE_BUFS_MAX = 16 };

struct fake_instance {
	const sofun_function *function;
	struct buf id;
	struct buf values[FAKE_VALUES_MAX]; /* empty: unset */
};

/* What the context of a callback is, behind the pointer that the plugin knows. */
struct fake_call {
	sofun_context context; /* first: the plugin's view */
	struct fake *fake;
	const sofun_message *message;   /* NULL in a router */
	struct fake_instance *instance; /* NULL in a router */
	struct buf values[FAKE_VALUES_MAX];
	bool changed[FAKE_VALUES_MAX];
	sofun_buf bufs[FAKE_BUFS_MAX];
	size_t buf_count;
	size_t effects_before;
};

struct fake {
	void *library;
	const sofun_plugin *plugin;
	void *plugin_data;
	sofun_host host;
	struct fake_instance **instances;
	size_t instance_count;
	struct fake_effect *effects;
	size_t effect_count;
	size_t effect_capacity;
	struct buf text;
	size_t log_lines;
	size_t value_bytes_max;
	const char *extension_id;
	const void *extension;
};

/* The functions of the host, as a plugin gets them. */
extern const sofun_host fake_table;

static inline struct bytes bytes_from(sofun_bytes bytes) {
	return bytes_of(bytes.data, bytes.size);
}

static inline sofun_bytes bytes_to(struct bytes bytes) {
	return (sofun_bytes){bytes.data, bytes.size};
}

#endif
