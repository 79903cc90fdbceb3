/* The host table: what a plugin may call. Everything it asks for stays in the invocation until the call returns. */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "flow/entries/header.h"
#include "flow/entries/host_api_entries.h"
#include "flow/instance/record.h"
#include "flow/invocation/host_api_inside.h"
#include "flow/operation/effects.h"
#include "flow/timer/effects.h"
#include "plugin/image.h"
#include "sofun/list.h"
#include "sofun/operation.h"
#include "sofun/timer.h"
#include "state/key.h"
#include "wire/cursor.h"

static struct bytes borrowed(sofun_bytes bytes) {
	return bytes_of(bytes.data, bytes.size);
}

/* ---- arguments ---- */

int payload_check(const struct invocation *invocation, struct bytes payload, uint64_t size_max) {
	if (payload.size > size_max)
		return SOFUN_TOO_LARGE;
	if (cursor_is_scalar(payload))
		return SOFUN_OK;
	switch (cursor_check(payload, invocation->flow->config->nesting)) {
	case CURSOR_GOOD:
		return SOFUN_OK;
	case CURSOR_DEEP:
		return SOFUN_TOO_DEEP;
	default:
		return SOFUN_BAD_ARGUMENT;
	}
}

int effect_account(struct invocation *invocation, size_t bytes) {
	if (bytes > INVOCATION_BYTES_MAX - invocation->bytes)
		return SOFUN_TOO_LARGE;
	invocation->bytes += bytes;
	return SOFUN_OK;
}

bool invocation_account(struct invocation *invocation, size_t bytes) {
	return effect_account(invocation, bytes) == SOFUN_OK;
}

bool kind_fits(uint32_t kind, uint8_t lead) {
	switch (kind) {
	case SOFUN_INT:
		return lead <= 0x7f || lead >= 0xe0 || (lead >= 0xcc && lead <= 0xd3);
	case SOFUN_FLOAT:
		return lead == 0xca || lead == 0xcb;
	case SOFUN_STR:
		return (lead >= 0xa0 && lead <= 0xbf) || (lead >= 0xd9 && lead <= 0xdb);
	case SOFUN_BOOL:
		return lead == 0xc2 || lead == 0xc3;
	case SOFUN_KIND_TABLE:
	case SOFUN_KIND_LIST:
		return false; /* their entries have functions of their own */
	default:
		return true;
	}
}

/* ---- names ---- */

static struct name_cache *name_cache_at(struct name_cache *cache, struct bytes name) {
	return &cache[((uintptr_t)name.data >> 3 ^ name.size) % NAME_CACHE_SLOTS];
}

static bool name_cache_hit(const struct name_cache *slot, struct bytes name, uint64_t generation) {
	return slot->data == name.data && slot->size == name.size && slot->generation == generation &&
		bytes_same((const uint8_t *)slot->name, name.data, name.size);
}

static void name_cache_fill(struct name_cache *slot, struct bytes name, uint64_t generation, uint32_t number) {
	slot->data = name.data;
	slot->size = (uint32_t)name.size;
	slot->generation = generation;
	slot->number = number;
	memcpy(slot->name, name.data, name.size);
}

static uint16_t type_resolve(struct invocation *invocation, struct bytes name) {
	if (name.size == 0 || name.size > sizeof invocation->type_names[0].name)
		return 0;
	struct name_cache *slot = name_cache_at(invocation->type_names, name);
	uint64_t generation = invocation->view->generation;
	if (!name_cache_hit(slot, name, generation))
		name_cache_fill(slot, name, generation, view_type(invocation->view, name));
	return (uint16_t)slot->number;
}

static bool egress_name_valid(struct bytes name) {
	if (name.size == 0 || name.size > EGRESS_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		uint8_t byte = name.data[i];
		bool good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
			(i > 0 && (byte == '_' || byte == '.' || byte == '-'));
		if (!good)
			return false;
	}
	return true;
}

static int egress_resolve(struct invocation *invocation, struct bytes name) {
	if (!egress_name_valid(name))
		return -1;
	struct name_cache *slot = name_cache_at(invocation->egress_names, name);
	if (!name_cache_hit(slot, name, 1)) {
		int index = flow_egress(invocation->flow, name);
		if (index < 0)
			return -1;
		name_cache_fill(slot, name, 1, (uint32_t)index);
	}
	return (int)slot->number;
}

/* ---- state ---- */

static bool value_valid(const struct invocation *invocation, uint32_t value) {
	return invocation->binding != NULL && value < invocation->version->value_count &&
		value < invocation->instance->value_count;
}

/* A table or a list. */
static bool value_many(const struct invocation *invocation, uint32_t value) {
	return invocation->version->function->values[value].kind >= SOFUN_KIND_TABLE;
}

int large_read(struct invocation *invocation, uint32_t value, sofun_bytes *ret_msgpack) {
	struct buf *cold = &invocation->cold[value];
	uint64_t bit = UINT64_C(1) << value;
	const struct instance *instance = invocation->instance;
	if ((invocation->cold_read & bit) == 0) {
		struct key key = key_large_value(instance_id_bytes(instance), (uint8_t)value);
		buf_reset(cold);
		int found = store_get(invocation->flow->store, instance->type, key_bytes(&key), cold, &invocation->store_error);
		if (found == 0)
			error_set(&invocation->store_error, ERROR_STORE_FAILED, "a large value of %s is not in the store",
				invocation->binding->name);
		if (found != 1)
			return SOFUN_STORE;
		invocation->cold_read |= bit;
	}
	*ret_msgpack = (sofun_bytes){.data = cold->data, .size = cold->size};
	return SOFUN_OK;
}

static int api_state_get(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	struct invocation *invocation = invocation_of(context);
	if (!value_valid(invocation, value))
		return invocation->binding == NULL ? SOFUN_NOT_ALLOWED : SOFUN_BAD_ARGUMENT;
	struct bytes bytes;
	if ((invocation->changed & UINT64_C(1) << value) != 0) {
		bytes = bytes_buf(&invocation->values[value]);
	} else {
		const struct slot *slot = &invocation->instance->slots[value];
		if (slot_cold(slot))
			return large_read(invocation, value, ret_msgpack);
		bytes = slot_bytes(slot);
	}
	if ((bytes.size == 0 || entries_header_is(bytes)) && value_many(invocation, value))
		return SOFUN_BAD_ARGUMENT;
	*ret_msgpack = (sofun_bytes){.data = bytes.size == 0 ? NULL : bytes.data, .size = bytes.size};
	return SOFUN_OK;
}

int value_change(struct invocation *invocation, uint32_t value, struct bytes msgpack) {
	struct buf *buf = &invocation->values[value];
	if (msgpack.data >= buf->data && msgpack.data < buf->data + buf->capacity && msgpack.size > 0 && buf->data != NULL)
		memmove(buf->data, msgpack.data, msgpack.size); /* a view of the value itself */
	else if (msgpack.size > 0)
		bytes_copy((buf->size = 0, buf_reserve(buf, msgpack.size)), msgpack.data, msgpack.size);
	buf->size = msgpack.size;
	invocation->changed |= UINT64_C(1) << value;
	invocation->carried &= ~(UINT64_C(1) << value);
	return SOFUN_OK;
}

int value_set(struct invocation *invocation, uint32_t value, struct bytes msgpack) {
	int status = payload_check(invocation, msgpack, invocation->flow->config->value_bytes);
	if (status == SOFUN_OK && msgpack.size > SLOT_INLINE_BYTES)
		status = effect_account(invocation, msgpack.size);
	return status != SOFUN_OK ? status : value_change(invocation, value, msgpack);
}

static int api_state_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	struct invocation *invocation = invocation_of(context);
	if (!value_valid(invocation, value))
		return invocation->binding == NULL ? SOFUN_NOT_ALLOWED : SOFUN_BAD_ARGUMENT;
	if (invocation->expiring)
		return SOFUN_NOT_ALLOWED;
	if (msgpack.size == 0 || !kind_fits(invocation->version->function->values[value].kind, msgpack.data[0]))
		return SOFUN_BAD_ARGUMENT;
	return value_set(invocation, value, borrowed(msgpack));
}

static int api_state_clear(sofun_context *context, uint32_t value) {
	struct invocation *invocation = invocation_of(context);
	if (!value_valid(invocation, value))
		return invocation->binding == NULL ? SOFUN_NOT_ALLOWED : SOFUN_BAD_ARGUMENT;
	if (invocation->expiring)
		return SOFUN_NOT_ALLOWED;
	if (value_many(invocation, value))
		return SOFUN_BAD_ARGUMENT;
	return value_change(invocation, value, bytes_of(NULL, 0));
}

/* ---- effects ---- */

static void stray_add(
	struct invocation *invocation, struct bytes to, struct bytes id, struct bytes type, struct bytes payload) {
	struct stray stray = {
		.to_size = (uint32_t)to.size,
		.id_size = (uint32_t)id.size,
		.type_size = (uint32_t)type.size,
		.payload_size = (uint32_t)payload.size,
	};
	buf_append(&invocation->strays, &stray, sizeof stray);
	buf_append_bytes(&invocation->strays, to);
	buf_append_bytes(&invocation->strays, id);
	buf_append_bytes(&invocation->strays, type);
	buf_append_bytes(&invocation->strays, payload);
	invocation->stray_count++;
}

static void send_add(
	struct invocation *invocation, uint16_t number, struct bytes id, struct bytes type, struct bytes payload) {
	uint16_t caller_type = 0;
	struct bytes caller_id = {0};
	if (invocation->binding != NULL) {
		caller_type = invocation->binding->number;
		caller_id = instance_id_bytes(invocation->instance);
	}
	uint32_t hash = flow_hash(invocation->flow, number, id);
	uint32_t size = message_size(id.size + caller_id.size + type.size + payload.size);
	uint8_t *at = buf_reserve(&invocation->sends, size);
	invocation->sends.size += size;
	memset(at + size - 8, 0, 8);
	/* Straight to where it stays, field by field: a copy of what was just put together waits for all of it. */
	*(struct message_head *)(void *)at = (struct message_head){
		.size = size,
		.hash = hash,
		.type = number,
		.caller_type = caller_type,
		.id_size = (uint8_t)id.size,
		.caller_id_size = (uint8_t)caller_id.size,
		.type_size = (uint8_t)type.size,
		.payload_size = (uint32_t)payload.size,
	};
	at += sizeof(struct message_head);
	bytes_copy(at, id.data, id.size);
	bytes_copy(at += id.size, caller_id.data, caller_id.size);
	bytes_copy(at += caller_id.size, type.data, type.size);
	bytes_copy(at + type.size, payload.data, payload.size);
}

int invocation_send_check(struct invocation *invocation, const sofun_address *to, sofun_bytes type, sofun_bytes payload,
	uint16_t *ret_number) {
	if (to->id.size == 0 || to->id.size > ID_BYTES_MAX || to->type.size == 0 || to->type.size > 127 ||
		type.size > UINT8_MAX)
		return SOFUN_BAD_ARGUMENT;
	if (invocation->send_count + invocation->stray_count >= INVOCATION_SENDS_MAX)
		return SOFUN_TOO_LARGE;
	int status = payload_check(invocation, borrowed(payload), invocation->flow->config->message_bytes);
	if (status == SOFUN_OK)
		status = effect_account(invocation, sizeof(struct message_head) + to->id.size + type.size + payload.size);
	if (status != SOFUN_OK)
		return status;
	*ret_number = type_resolve(invocation, borrowed(to->type));
	if (*ret_number == 0)
		stray_add(invocation, borrowed(to->type), borrowed(to->id), borrowed(type), borrowed(payload));
	else
		invocation->send_count++;
	return SOFUN_OK;
}

static int api_send(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload) {
	struct invocation *invocation = invocation_of(context);
	uint16_t number;
	int status = invocation_send_check(invocation, to, type, payload, &number);
	if (status == SOFUN_OK && number != 0)
		send_add(invocation, number, borrowed(to->id), borrowed(type), borrowed(payload));
	return status;
}

static int api_reply(sofun_context *context, sofun_bytes type, sofun_bytes payload) {
	struct invocation *invocation = invocation_of(context);
	if (invocation->binding == NULL || invocation->expiring)
		return SOFUN_NOT_ALLOWED;
	if (type.size > UINT8_MAX)
		return SOFUN_BAD_ARGUMENT;
	int status = payload_check(invocation, borrowed(payload), invocation->flow->config->message_bytes);
	if (status != SOFUN_OK)
		return status;
	invocation->replied = true;
	buf_reset(&invocation->reply);
	bytes_copy(buf_reserve(&invocation->reply, payload.size), payload.data, payload.size);
	invocation->reply.size = payload.size;
	buf_reset(&invocation->reply_type);
	buf_append(&invocation->reply_type, type.data, type.size);
	return SOFUN_OK;
}

static int api_emit(sofun_context *context, sofun_bytes egress, sofun_bytes payload) {
	struct invocation *invocation = invocation_of(context);
	if (invocation->binding == NULL)
		return SOFUN_NOT_ALLOWED;
	int status = payload_check(invocation, borrowed(payload), invocation->flow->config->message_bytes);
	if (status == SOFUN_OK)
		status = effect_account(invocation, payload.size + 32);
	if (status != SOFUN_OK)
		return status;
	int index = egress_resolve(invocation, borrowed(egress));
	if (index < 0)
		return SOFUN_BAD_ARGUMENT;
	uint32_t head[2] = {(uint32_t)index, 0};
	size_t place = invocation->emits.size;
	buf_append(&invocation->emits, head, sizeof head);
	emission_put(&invocation->emits, invocation->time_ms, bytes_text(invocation->binding->name),
		instance_id_bytes(invocation->instance), borrowed(payload));
	head[1] = (uint32_t)(invocation->emits.size - place - sizeof head);
	memcpy(invocation->emits.data + place, head, sizeof head);
	return SOFUN_OK;
}

static void api_fail(sofun_context *context, sofun_bytes text) {
	struct invocation *invocation = invocation_of(context);
	buf_reset(&invocation->failure);
	size_t size = text.size < ERROR_MESSAGE_BYTES * 8 ? text.size : ERROR_MESSAGE_BYTES * 8;
	buf_append(&invocation->failure, text.data, size);
}

/* ---- builders, time, log, extensions ---- */

static int api_buf_reserve(sofun_context *context, sofun_buf *buf, size_t extra) {
	(void)context;
	if (extra > INVOCATION_BYTES_MAX || buf->size > INVOCATION_BYTES_MAX - extra)
		return SOFUN_TOO_LARGE;
	size_t need = buf->size + extra;
	if (need <= buf->capacity)
		return SOFUN_OK;
	size_t capacity = need < 256 ? 256 : need + need / 2;
	uint8_t *data = realloc(buf->data, capacity);
	check_memory(data);
	buf->data = data;
	buf->capacity = capacity;
	return SOFUN_OK;
}

static sofun_buf *api_buf(sofun_context *context) {
	struct invocation *invocation = invocation_of(context);
	if (invocation->buf_count == INVOCATION_BUFS_MAX)
		return NULL;
	sofun_buf *buf = &invocation->bufs[invocation->buf_count++];
	buf->size = 0;
	return buf;
}

static uint64_t api_time_ms(sofun_context *context) {
	return invocation_of(context)->time_ms;
}

static void api_log(const sofun_host *host, sofun_context *context, int level, sofun_bytes text) {
	static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
	(void)host;
	enum log_level log = level >= SOFUN_LOG_DEBUG && level <= SOFUN_LOG_ERROR ? levels[level] : LOG_INFO;
	int size = text.size > 1024 ? 1024 : (int)text.size;
	const struct invocation *invocation = context != NULL ? invocation_of(context) : NULL;
	if (invocation == NULL) /* init and fini have none */
		log_event(log, "plugin", "text=\"%.*s\"", size, (const char *)text.data);
	else if (invocation->binding == NULL)
		log_event(log, "plugin", "plugin=%s version=%s text=\"%.*s\"", invocation->image->name,
			invocation->image->version, size, (const char *)text.data);
	else
		log_event(log, "plugin", "plugin=%s version=%s function=%s id=\"%.*s\" text=\"%.*s\"", invocation->image->name,
			invocation->image->version, invocation->binding->name, (int)invocation->instance->id_size,
			(const char *)instance_id(invocation->instance), size, (const char *)text.data);
}

static const void *api_extension(const sofun_host *host, const char *id) {
	(void)host;
	if (strcmp(id, SOFUN_TABLES) == 0)
		return tables_api_table();
	if (strcmp(id, SOFUN_LISTS) == 0)
		return lists_api_table();
	if (strcmp(id, SOFUN_TIMER) == 0)
		return timer_api_table();
	return strcmp(id, SOFUN_OPERATION) == 0 ? operation_api_table() : NULL;
}

void host_api_fill(sofun_host *ret_table) {
	*ret_table = (sofun_host){
		.size = sizeof *ret_table,
		.abi_major = SOFUN_ABI_MAJOR,
		.abi_minor = SOFUN_ABI_MINOR,
		.extension = api_extension,
		.log = api_log,
		.state_get = api_state_get,
		.state_set = api_state_set,
		.state_clear = api_state_clear,
		.send = api_send,
		.reply = api_reply,
		.emit = api_emit,
		.fail = api_fail,
		.buf = api_buf,
		.buf_reserve = api_buf_reserve,
		.time_ms = api_time_ms,
	};
}
