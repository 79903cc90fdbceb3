/* When state of a function type ends by itself, by HTTP: who has which word on it, and what the command sets. */
#include <stdlib.h>

#include "base/check.h"
#include "control/handlers.h"
#include "flow/request/answer_error.h"
#include "wire/json.h"

/* "ns/name" of the path; the caller's. */
static struct buf type_name(const struct exchange *exchange) {
	struct buf name = {0};
	buf_append_bytes(&name, exchange_param(exchange, 0));
	buf_append_u8(&name, '/');
	buf_append_bytes(&name, exchange_param(exchange, 1));
	return name;
}

/* ---- show ---- */

static json_t *word_json(uint64_t ms) {
	return ms == TTL_UNSET ? json_null() : json_integer((json_int_t)ms);
}

static void term_add(void *arg, const struct registry_ttl_shown *shown) {
	json_t *document = arg;
	json_t *term =
		json_pack("{s:I, s:I, s:o, s:o, s:o}", "ms", (json_int_t)shown->ms, "plugin", (json_int_t)shown->declared_ms,
			"settings", word_json(shown->settings_ms), "command", word_json(shown->command_ms), "since_ms",
			shown->since_ms == 0 ? json_null() : json_integer((json_int_t)shown->since_ms));
	if (shown->kind == TTL_IDLE) {
		json_object_set_new(document, ttl_kind_name(shown->kind), term);
		return;
	}
	json_t *values = json_object_get(document, "values");
	json_t *name = json_stringn((const char *)shown->value.data, shown->value.size);
	json_t *value = json_object_get(values, json_string_value(name));
	if (value == NULL) {
		value = json_object();
		json_object_set_new(values, json_string_value(name), value);
	}
	json_object_set_new(value, ttl_kind_name(shown->kind), term);
	json_decref(name);
}

static void answer(struct exchange *exchange) {
	const struct registry *registry = exchange->control->registry;
	struct buf name = type_name(exchange);
	json_t *document = json_pack("{s:o, s:{}}", "type", json_from_words(bytes_buf(&name)), "values");
	if (registry_ttl_each(registry, bytes_buf(&name), term_add, document)) {
		json_object_set_new(document, "filing", json_boolean(registry_ttl_files(registry, bytes_buf(&name))));
		exchange_json(exchange, 200, document);
	} else {
		struct error error;
		json_decref(document);
		answer_error(&(struct engine_answer){.code = ERROR_UNKNOWN_TYPE, .type = bytes_buf(&name)}, &error);
		error_hint(&error, "GET /v1/plugins lists the function types");
		exchange_error(exchange, &error);
	}
	buf_finish(&name);
}

void handle_ttl_show(struct exchange *exchange) {
	answer(exchange);
}

/* ---- set ---- */

struct order {
	struct registry_ttl_order order;
	struct registry_ttl_term *terms;
	size_t capacity;
	struct error *error;
};

#define EXAMPLE "{\"idle_ttl_ms\": 600000}, or {\"values\": {\"NAME\": {\"expire_after_write_ms\": 60000}}}"

static bool refuse(struct error *error, const char *what, const json_t *found, const char *expected) {
	char *text = json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY);
	error_set(error, ERROR_BAD_REQUEST, "%s", what);
	error_found_text(error, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
	free(text);
	return error_advise(error, expected, "send " EXAMPLE);
}

static bool term_take(struct order *order, struct bytes value, enum ttl_kind kind, const json_t *word) {
	bool number =
		json_is_integer(word) && json_integer_value(word) >= 0 && (uint64_t)json_integer_value(word) <= TTL_MS_MAX;
	if (!number && !json_is_null(word))
		return refuse(order->error, "a time does not fit", word,
			"milliseconds from 0 (never) to 3155760000000, or null: the command says nothing of it");
	if (order->order.count == order->capacity) {
		order->capacity = order->capacity == 0 ? 8 : order->capacity * 2;
		order->terms = realloc(order->terms, order->capacity * sizeof *order->terms);
		check_memory(order->terms);
	}
	order->terms[order->order.count++] = (struct registry_ttl_term){
		.value = value, .kind = kind, .ms = number ? (uint64_t)json_integer_value(word) : TTL_UNSET};
	return true;
}

static bool value_take(struct order *order, const char *name, json_t *words) {
	const char *key;
	json_t *word;
	if (!json_is_object(words))
		return refuse(order->error, "what is said of a value is no object", words, "an object of its times");
	json_object_foreach(words, key, word) {
		enum ttl_kind kind = strcmp(key, ttl_kind_name(TTL_AFTER_WRITE)) == 0 ? TTL_AFTER_WRITE : TTL_AFTER_INVOKE;
		if (strcmp(key, ttl_kind_name(kind)) != 0)
			return refuse(order->error, "a value has no time of that name", words,
				"expire_after_write_ms, expire_after_invoke_ms");
		if (!term_take(order, bytes_text(name), kind, word))
			return false;
	}
	return true;
}

static bool order_take(struct order *order, json_t *body) {
	const char *name;
	json_t *words;
	json_t *idle = json_object_get(body, ttl_kind_name(TTL_IDLE)), *values = json_object_get(body, "values");
	json_t *clear = json_object_get(body, "clear");
	if (clear != NULL && !json_is_boolean(clear))
		return refuse(order->error, "clear is no boolean", clear, "true or false");
	if (values != NULL && !json_is_object(values))
		return refuse(order->error, "values is no object", values, "an object of values by their names");
	order->order.clear = json_is_true(clear);
	if (idle != NULL && !term_take(order, bytes_of(NULL, 0), TTL_IDLE, idle))
		return false;
	json_object_foreach(values, name, words) {
		if (!value_take(order, name, words))
			return false;
	}
	if (order->order.count > 0 || order->order.clear)
		return true;
	return refuse(order->error, "nothing is asked for", body, "idle_ttl_ms, values or clear");
}

static void ttl_done(void *arg, const struct error *error) {
	struct exchange *exchange = arg;
	if (error != NULL)
		exchange_error(exchange, error);
	else
		answer(exchange);
}

void handle_ttl_set(struct exchange *exchange) {
	struct error error;
	json_t *body = exchange_body_object(exchange, "idle_ttl_ms,values,clear");
	if (body == NULL)
		return;
	struct order order = {.error = &error};
	struct buf name = type_name(exchange);
	bool good = order_take(&order, body);
	order.order.terms = order.terms;
	if (!good ||
		!registry_ttl_set(exchange->control->registry, bytes_buf(&name), &order.order, ttl_done, exchange, &error))
		exchange_error(exchange, &error);
	free(order.terms);
	buf_finish(&name);
	json_decref(body);
}
