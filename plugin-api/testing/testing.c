/* A test's begin and end, what it is told beforehand, and what it can look at afterwards. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "inside.h"

sofun_test *sofun_test_of(const sofun_plugin *plugin) {
	char error[256] = "";
	if (plugin->magic != SOFUN_MAGIC || plugin->abi_major != SOFUN_ABI_MAJOR || plugin->abi_minor > SOFUN_ABI_MINOR)
		test_stop("no plugin of ABI %d.%d or older: it says %d.%d", SOFUN_ABI_MAJOR, SOFUN_ABI_MINOR, plugin->abi_major,
			plugin->abi_minor);
	sofun_test *test = memory_take(sizeof *test);
	test->host = host_table;
	test->plugin = plugin;
	test->time_ms = 1700000000000u;
	test->value_bytes_max = 1 << 20;
	test->operations_max = 1000;
	if (plugin->init != NULL && plugin->init(&test->host, &test->plugin_data, error, sizeof error) != 0)
		test_stop("init of %s: %s", plugin->name, error);
	return test;
}

sofun_test *sofun_test_open(const char *file) {
	char path[4096];
	(void)snprintf(
		path, sizeof path, "%s%s", strchr(file, '/') == NULL ? "./" : "", file); /* not along the library path */
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		test_stop("%s", dlerror());
	const sofun_plugin *plugin = dlsym(library, SOFUN_DESCRIPTOR_SYMBOL);
	if (plugin == NULL)
		test_stop("%s has no symbol " SOFUN_DESCRIPTOR_SYMBOL ": SOFUN_PLUGIN makes it", file);
	sofun_test *test = sofun_test_of(plugin);
	test->library = library;
	return test;
}

static void instance_finish(struct instance *instance) {
	for (size_t i = 0; i < VALUES_MAX; i++) {
		piece_finish(&instance->values[i]);
		entries_finish(&instance->many[i]);
	}
	piece_finish(&instance->id);
	free(instance);
}

void sofun_test_close(sofun_test *test) {
	if (test->plugin->fini != NULL)
		test->plugin->fini(test->plugin_data);
	if (test->library != NULL)
		(void)dlclose(test->library);
	operations_finish(test);
	effects_cut(test, 0);
	free(test->effects);
	for (size_t i = 0; i < test->instance_count; i++)
		instance_finish(test->instances[i]);
	free(test->instances);
	for (size_t i = 0; i < test->log_count; i++)
		free(test->log_lines[i]);
	free(test->log_lines);
	for (size_t i = 0; i < test->kept_count; i++)
		free(test->kept[i]);
	free(test->kept);
	piece_finish(&test->failure);
	free(test);
}

const sofun_plugin *sofun_test_plugin(const sofun_test *test) {
	return test->plugin;
}

void sofun_test_on_failure(sofun_test *test, void (*handler)(const char *text)) {
	test->on_failure = handler;
}

void sofun_test_time(sofun_test *test, uint64_t time_ms) {
	test->time_ms = time_ms;
}

void sofun_test_value_bytes_max(sofun_test *test, size_t bytes) {
	test->value_bytes_max = bytes;
}

void sofun_test_extension(sofun_test *test, const char *id, const void *table) {
	test->extension_id = id;
	test->extension = table;
}

size_t sofun_test_effect_count(const sofun_test *test) {
	return test->effect_count;
}

const sofun_test_effect *sofun_test_effect_at(const sofun_test *test, size_t index) {
	if (index >= test->effect_count)
		test_stop("there is no effect %zu: %zu stand", index, test->effect_count);
	return &test->effects[index]->seen;
}

void sofun_test_effects_clear(sofun_test *test) {
	for (size_t i = 0; i < test->effect_count;)
		if (test->effects[i]->seen.kind == SOFUN_TEST_TIMER)
			i++;
		else
			effect_finish(effect_take(test, i));
}

const char *sofun_test_failure(const sofun_test *test) {
	return test->failure.size == 0 ? "" : (const char *)test->failure.data;
}

size_t sofun_test_log_count(const sofun_test *test) {
	return test->log_count;
}

const char *sofun_test_log_line(const sofun_test *test, size_t index) {
	if (index >= test->log_count)
		test_stop("there is no log line %zu: there are %zu", index, test->log_count);
	return test->log_lines[index];
}

size_t sofun_test_instance_count(const sofun_test *test) {
	return test->instance_count;
}

sofun_bytes sofun_test_instance_id(const sofun_test *test, size_t index) {
	if (index >= test->instance_count)
		test_stop("there is no instance %zu: there are %zu", index, test->instance_count);
	return piece_bytes(&test->instances[index]->id);
}
