#include <dlfcn.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "fake_inside.h"

static bool text_equal(struct bytes bytes, const char *text) {
	return bytes_equal(bytes, bytes_text(text));
}

/* ---- the plugin ---- */

struct fake *fake_create(const char *name) {
	char path[4096];
	char error[256] = "";
	struct fake *fake = check_alloc(1, sizeof *fake);
	(void)snprintf(path, sizeof path, "%s/%s", TEST_BUILD_DIR, name);
	fake->host = fake_table;
	fake->value_bytes_max = 1 << 20;
	fake->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (fake->library == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror());
		abort();
	}
	fake->plugin = dlsym(fake->library, SOFUN_DESCRIPTOR_SYMBOL);
	check(fake->plugin != NULL && fake->plugin->magic == SOFUN_MAGIC && fake->plugin->size == sizeof(sofun_plugin));
	if (fake->plugin->init != NULL)
		check(fake->plugin->init(&fake->host, &fake->plugin_data, error, sizeof error) == 0);
	return fake;
}

const sofun_plugin *fake_plugin(const struct fake *fake) {
	return fake->plugin;
}

void fake_value_bytes_max(struct fake *fake, size_t bytes) {
	fake->value_bytes_max = bytes;
}

void fake_extension(struct fake *fake, const char *id, const void *table) {
	fake->extension_id = id;
	fake->extension = table;
}

static void effects_cut(struct fake *fake, size_t count) {
	while (fake->effect_count > count) {
		struct fake_effect *effect = &fake->effects[--fake->effect_count];
		buf_finish(&effect->from_type);
		buf_finish(&effect->from_id);
		buf_finish(&effect->name);
		buf_finish(&effect->id);
		buf_finish(&effect->payload);
	}
}

void fake_effects_clear(struct fake *fake) {
	effects_cut(fake, 0);
}

void fake_destroy(struct fake *fake) {
	effects_cut(fake, 0);
	free(fake->effects);
	for (size_t i = 0; i < fake->instance_count; i++) {
		for (size_t k = 0; k < FAKE_VALUES_MAX; k++)
			buf_finish(&fake->instances[i]->values[k]);
		buf_finish(&fake->instances[i]->id);
		free(fake->instances[i]);
	}
	free(fake->instances);
	buf_finish(&fake->text);
	if (fake->plugin->fini != NULL)
		fake->plugin->fini(fake->plugin_data);
	(void)dlclose(fake->library);
	free(fake);
}

/* ---- instances ---- */

static const sofun_function *function_find(const struct fake *fake, struct bytes type) {
	for (const sofun_function *const *at = fake->plugin->functions; at != NULL && *at != NULL; at++) {
		if (text_equal(type, (*at)->type))
			return *at;
	}
	return NULL;
}

static struct fake_instance *instance_find(const struct fake *fake, const sofun_function *function, struct bytes id) {
	for (size_t i = fake->instance_count; i > 0; i--) {
		struct fake_instance *instance = fake->instances[i - 1];
		if (instance->function == function && bytes_equal(bytes_buf(&instance->id), id))
			return instance;
	}
	return NULL;
}

static struct fake_instance *instance_get(struct fake *fake, const sofun_function *function, struct bytes id) {
	struct fake_instance *instance = instance_find(fake, function, id);
	if (instance != NULL)
		return instance;
	instance = check_alloc(1, sizeof *instance);
	instance->function = function;
	buf_append_bytes(&instance->id, id);
	fake->instances = realloc(fake->instances, (fake->instance_count + 1) * sizeof *fake->instances);
	check_memory(fake->instances);
	fake->instances[fake->instance_count++] = instance;
	return instance;
}

/* ---- callbacks ---- */

static void call_begin(struct fake *fake, struct fake_call *call, struct fake_instance *instance) {
	memset(call, 0, sizeof *call);
	call->context.host = &fake->host;
	call->fake = fake;
	call->instance = instance;
	call->effects_before = fake->effect_count;
	buf_reset(&fake->text);
}

/* Keeps or throws away. */
static void call_end(struct fake_call *call, bool keep) {
	for (size_t i = 0; i < FAKE_VALUES_MAX; i++) {
		if (!call->changed[i] || !keep) {
			buf_finish(&call->values[i]);
			continue;
		}
		buf_finish(&call->instance->values[i]);
		call->instance->values[i] = call->values[i];
	}
	if (!keep)
		effects_cut(call->fake, call->effects_before);
	for (size_t i = 0; i < call->buf_count; i++)
		free(call->bufs[i].data);
}

int fake_invoke(struct fake *fake, const char *type, struct bytes id, struct bytes payload, const char *caller_type,
	struct bytes caller_id, uint32_t attempt) {
	const sofun_function *function = function_find(fake, bytes_text(type));
	check(function != NULL);
	struct fake_call call;
	call_begin(fake, &call, instance_get(fake, function, id));
	sofun_message message = {.size = sizeof message, .attempt = attempt, .payload = bytes_to(payload)};
	message.self = (sofun_address){bytes_to(bytes_text(type)), bytes_to(id)};
	if (caller_type != NULL)
		message.caller = (sofun_address){bytes_to(bytes_text(caller_type)), bytes_to(caller_id)};
	call.message = &message;
	const int result = function->invoke(&call.context, fake->plugin_data, &message);
	call_end(&call, result == 0);
	return result;
}

int fake_call(struct fake *fake, const char *type, const char *id, struct bytes payload) {
	return fake_invoke(fake, type, bytes_text(id), payload, NULL, bytes_of(NULL, 0), 1);
}

int fake_route(struct fake *fake, const char *ingress, struct bytes record) {
	int first = 0;
	for (const sofun_router *const *at = fake->plugin->routers; at != NULL && *at != NULL; at++) {
		if (strcmp((*at)->ingress, ingress) != 0)
			continue;
		struct fake_call call;
		call_begin(fake, &call, NULL);
		const sofun_record told = {
			.size = sizeof told, .ingress = bytes_to(bytes_text(ingress)), .data = bytes_to(record)};
		const int result = (*at)->route(&call.context, fake->plugin_data, &told);
		call_end(&call, result == 0);
		if (first == 0)
			first = result;
	}
	return first;
}

/* Takes the effect out of the list, in order. */
static struct fake_effect effect_take(struct fake *fake, size_t index) {
	const struct fake_effect effect = fake->effects[index];
	fake->effect_count--;
	memmove(&fake->effects[index], &fake->effects[index + 1], (fake->effect_count - index) * sizeof effect);
	return effect;
}

int fake_deliver(struct fake *fake) {
	for (size_t i = 0; i < fake->effect_count;) {
		const struct fake_effect *next = &fake->effects[i];
		if (next->kind != FAKE_SEND || function_find(fake, bytes_buf(&next->name)) == NULL) {
			i++;
			continue;
		}
		struct fake_effect send = effect_take(fake, i);
		const bool inside = send.from_type.size > 0;
		buf_append_u8(&send.name, 0);
		buf_append_u8(&send.from_type, 0);
		const int result = fake_invoke(fake, (const char *)send.name.data, bytes_buf(&send.id),
			bytes_buf(&send.payload), inside ? (const char *)send.from_type.data : NULL, bytes_buf(&send.from_id), 1);
		buf_finish(&send.from_type);
		buf_finish(&send.from_id);
		buf_finish(&send.name);
		buf_finish(&send.id);
		buf_finish(&send.payload);
		if (result != 0)
			return result;
	}
	return 0;
}

/* ---- looking ---- */

size_t fake_effect_count(const struct fake *fake) {
	return fake->effect_count;
}

const struct fake_effect *fake_effect(const struct fake *fake, size_t index) {
	check(index < fake->effect_count);
	return &fake->effects[index];
}

const char *fake_text(const struct fake *fake) {
	return fake->text.size == 0 ? "" : (const char *)fake->text.data;
}

size_t fake_log_lines(const struct fake *fake) {
	return fake->log_lines;
}

struct bytes fake_state(const struct fake *fake, const char *type, struct bytes id, const char *value) {
	const sofun_function *function = function_find(fake, bytes_text(type));
	check(function != NULL);
	const struct fake_instance *instance = instance_find(fake, function, id);
	for (uint32_t i = 0; instance != NULL && i < function->value_count; i++) {
		if (strcmp(function->values[i].name, value) == 0)
			return bytes_buf(&instance->values[i]);
	}
	return bytes_of(NULL, 0);
}

int64_t fake_state_int(const struct fake *fake, const char *type, const char *id, const char *value) {
	const struct bytes msgpack = fake_state(fake, type, bytes_text(id), value);
	int64_t number = 0;
	msgpack_unpacked object;
	size_t at = 0;
	if (msgpack.size == 0)
		return 0;
	msgpack_unpacked_init(&object);
	check(msgpack_unpack_next(&object, (const char *)msgpack.data, msgpack.size, &at) == MSGPACK_UNPACK_SUCCESS);
	check(object.data.type == MSGPACK_OBJECT_POSITIVE_INTEGER || object.data.type == MSGPACK_OBJECT_NEGATIVE_INTEGER);
	number = object.data.via.i64;
	msgpack_unpacked_destroy(&object);
	return number;
}

size_t fake_instance_count(const struct fake *fake) {
	return fake->instance_count;
}

struct bytes fake_instance_id(const struct fake *fake, size_t index) {
	check(index < fake->instance_count);
	return bytes_buf(&fake->instances[index]->id);
}
