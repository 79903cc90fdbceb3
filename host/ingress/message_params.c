#include "ingress/message_params.h"

#include "ingress/params.h"
#include "state/key.h"

enum { TO, ID, PAYLOAD, TYPE, KEY, TIMEOUT, FIELDS };

enum { NAME_BYTES_MAX = 255 }; /* of a function type or payload type: a name, not a text */

static const struct param_field fields[FIELDS] = {
	[TO] = {PARAM_NAMED("to"), .kinds = PARAM_STR, .expected = "a str, \"namespace/name\""},
	[ID] = {PARAM_NAMED("id"), .kinds = PARAM_STR | PARAM_BIN, .expected = "a str or bin of 1 to 255 bytes"},
	[PAYLOAD] = {PARAM_NAMED("payload"), .kinds = PARAM_ANY, .expected = "any value"},
	[TYPE] = {PARAM_NAMED("type"), .kinds = PARAM_STR, .optional = true, .expected = "a str"},
	[KEY] = {PARAM_NAMED("key"), .kinds = PARAM_STR | PARAM_BIN, .optional = true, .expected = "a str or bin"},
	[TIMEOUT] = {PARAM_NAMED("timeout_ms"), .kinds = PARAM_UINT, .optional = true,
		.expected = "an integer of at least 1"},
};

static bool to_check(const struct param *to, struct error *error) {
	if (!param_name_check(&fields[TO], to, 0, NAME_BYTES_MAX, error))
		return false;
	struct bytes name = to->item.bytes;
	const uint8_t *slash = name.size == 0 ? NULL : memchr(name.data, '/', name.size);
	if (slash != NULL && slash > name.data && slash + 1 < name.data + name.size)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "`to` is not the name of a function type");
	error_found_text(error, name.data, name.size);
	return error_advise(error, "namespace/name", "`sofun status` lists the function types");
}

static bool id_check(const struct param *id, struct error *error) {
	struct bytes bytes = id->item.bytes;
	if (id->item.kind == CURSOR_STR && !bytes_utf8(bytes)) {
		error_set(error, ERROR_BAD_UTF8, "`id` is a str that is not UTF-8");
		error_found(error, "a str of %zu bytes that are no UTF-8", bytes.size);
		return error_advise(error, "UTF-8, or a bin", "send other bytes as a bin");
	}
	if (bytes.size >= 1 && bytes.size <= ID_BYTES_MAX)
		return true;
	error_set(error, ERROR_BAD_ID, "`id` is %s", bytes.size == 0 ? "empty" : "too long");
	error_found(error, "%zu bytes", bytes.size);
	error_expected(error, "1 to %d bytes", ID_BYTES_MAX);
	error_hint(error, "a longer name is better hashed, or goes into the payload");
	return false;
}

static bool payload_check(const struct param *payload, const struct config *config, struct error *error) {
	if (payload->object.size <= config->message_bytes)
		return true;
	error_set(error, ERROR_TOO_LARGE, "`payload` is too large");
	error_found(error, "%zu bytes", payload->object.size);
	error_expected(error, "at most %llu", (unsigned long long)config->message_bytes);
	error_hint(error, "raise limits.message_bytes, or send it in pieces");
	return false;
}

static bool key_check(const struct param *key, struct error *error) {
	if (!key->given || (key->item.bytes.size >= 1 && key->item.bytes.size <= KEYED_KEY_BYTES_MAX))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "`key` is %s", key->item.bytes.size == 0 ? "empty" : "too long");
	error_found(error, "%zu bytes", key->item.bytes.size);
	error_expected(error, "1 to %d bytes", KEYED_KEY_BYTES_MAX);
	error_hint(error, "a UUID will do; without a key nothing is remembered");
	return false;
}

static bool timeout_check(const struct param *timeout, struct error *error) {
	if (!timeout->given || timeout->item.uint >= 1)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "`timeout_ms` is out of range");
	error_found(error, "0");
	return error_advise(
		error, "at least 1", "leave it out for the setting call.timeout_ms; send does not wait for a reply");
}

bool message_params_read(const struct rpc_frame *frame, const struct config *config, struct engine_message *ret_message,
	uint64_t *ret_timeout_ms, struct error *error) {
	struct param params[FIELDS];
	size_t count = ret_timeout_ms == NULL ? TIMEOUT : FIELDS;
	if (!params_read(frame->map, config->nesting, fields, count, params, error) || !to_check(&params[TO], error) ||
		!id_check(&params[ID], error) || !payload_check(&params[PAYLOAD], config, error) ||
		!key_check(&params[KEY], error))
		return false;
	struct bytes type = {0};
	if (params[TYPE].given) {
		if (!param_name_check(&fields[TYPE], &params[TYPE], 0, NAME_BYTES_MAX, error))
			return false;
		type = params[TYPE].item.bytes;
	}
	if (ret_timeout_ms != NULL) {
		if (!timeout_check(&params[TIMEOUT], error))
			return false;
		*ret_timeout_ms = params[TIMEOUT].given ? params[TIMEOUT].item.uint : config->call_timeout_ms;
	}
	*ret_message = (struct engine_message){
		.to = params[TO].item.bytes,
		.id = params[ID].item.bytes,
		.type = type,
		.payload = params[PAYLOAD].object,
		.key = params[KEY].given ? params[KEY].item.bytes : bytes_of(NULL, 0),
		.content = bytes_text("rpc"),
		.body = params[PAYLOAD].object,
	};
	return true;
}
