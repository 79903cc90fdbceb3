/* State by HTTP: which instances a function type has, and the values of one. */
#include <stdlib.h>

#include "base/check.h"
#include "base/near.h"
#include "control/handlers.h"
#include "control/operations_json.h"
#include "control/read/entries.h"
#include "control/read/read.h"
#include "flow/instance/record.h"
#include "flow/request/answer_error.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/json.h"

enum { READ_TRIES_MAX = 16 }; /* of an instance with large values that changes meanwhile; each try takes microseconds */

struct state_job {
	struct read_job job;
	uint32_t database;
	struct bytes after; /* list: of the query */
	uint64_t limit;     /* list */
	const char *type;
	const char *version;
	uint64_t schema; /* of the row that is read */
	size_t schema_count;
	struct registry_schema schemas[REGISTRY_SCHEMAS_MAX];
	bool large_read; /* show */
	struct registry_expiry expiry;
	uint64_t now_ms;    /* what has expired by then is not shown */
	json_t *operations; /* show: under way; NULL: none is, or the document has them */
	json_t *tables;     /* show: what they hold, by name */
	json_t *lists;
	struct bytes entries; /* of the query: the one table or list that is asked for */
	bool more;            /* after was given */
	struct near near;     /* to that: of the tables and lists that are there */
};

static void expiry_release(struct read_job *job) {
	registry_expiry_finish(&((struct state_job *)job)->expiry);
}

/* The job for the type that the path names; NULL: it was answered. */
static struct state_job *job_create(struct exchange *exchange) {
	struct registry_type type;
	struct error error;
	struct buf name = {0};
	buf_append_bytes(&name, exchange_param(exchange, 0));
	buf_append_u8(&name, '/');
	buf_append_bytes(&name, exchange_param(exchange, 1));
	bool found = registry_type_find(exchange->control->registry, bytes_buf(&name), &type);
	if (!found)
		answer_error(&(struct engine_answer){.code = ERROR_UNKNOWN_TYPE, .type = bytes_buf(&name)}, &error);
	buf_finish(&name);
	if (!found) {
		error_hint(&error, "GET /v1/plugins lists the function types");
		exchange_error(exchange, &error);
		return NULL;
	}
	struct state_job *state = check_alloc(1, sizeof *state);
	state->job.exchange = exchange;
	state->job.finish = expiry_release;
	state->database = type.number;
	state->type = type.name;
	state->version = type.version;
	state->expiry = type.expiry;
	state->now_ms = engine_time_ms(exchange->control->engine);
	state->schema_count = type.schema_count;
	memcpy(state->schemas, type.schemas, sizeof state->schemas);
	return state;
}

/* ---- expiry ---- */

static uint64_t instance_end_ms(const struct state_job *state, struct bytes id, const struct instance_header *header) {
	return ttl_idle_due_ms(registry_expiry_of(&state->expiry, id), header->last_touch_ms);
}

static uint64_t value_end_ms(const struct state_job *state, struct bytes id, const struct instance_header *header,
	const struct instance_value *value) {
	const struct ttl *ttl = ttl_of_schema(registry_expiry_of(&state->expiry, id), (uint32_t)header->schema);
	return ttl_value_due_ms(ttl, value->number, value->written_ms, header->last_touch_ms);
}

/* All of it: by its own time, or value by value. */
static bool row_expired(const struct state_job *state, struct bytes id, struct bytes row) {
	struct instance_header header;
	struct instance_value value;
	if (registry_expiry_of(&state->expiry, id) == NULL || !instance_header_take(&row, &header))
		return false;
	if (instance_end_ms(state, id, &header) <= state->now_ms)
		return true;
	bool any = row.size > 0;
	while (row.size > 0 && instance_value_take(&row, &value))
		if (value_end_ms(state, id, &header, &value) > state->now_ms)
			return false;
	return any && row.size == 0;
}

/* ---- list ---- */

/* Appends ids up to the limit; true if there are more. */
static bool ids_collect(const struct state_job *state, struct store_cursor *cursor, json_t *list, json_t **next) {
	struct bytes key, value;
	uint64_t count = 0;
	while (store_cursor_next(cursor, &key, &value)) {
		struct bytes id = bytes_of(key.data + 1, key.size - 1);
		if (state->after.size > 0 && bytes_equal(id, state->after))
			continue;
		if (row_expired(state, id, value))
			continue;
		if (count++ == state->limit)
			return true;
		json_array_append_new(list, json_pack("{s:o}", "id", json_from_bytes(id)));
		json_decref(*next);
		*next = json_from_bytes(id);
	}
	return false;
}

static void list_work(struct read_job *job, struct store *store) {
	struct state_job *state = (struct state_job *)job;
	struct key from = key_instance(state->after);
	struct store_cursor *cursor = store_cursor_open(store, state->database, key_bytes(&from), &job->error);
	if (cursor == NULL)
		return;
	json_t *list = json_array(), *next = json_null();
	bool more = ids_collect(state, cursor, list, &next);
	if (!more) {
		json_decref(next);
		next = json_null();
	}
	if (store_cursor_status(cursor, &job->error)) {
		job->body = json_pack("{s:o, s:o}", "instances", list, "next", next);
	} else {
		json_decref(list);
		json_decref(next);
	}
	store_cursor_close(cursor);
}

void handle_state_list(struct exchange *exchange) {
	struct error error;
	uint64_t limit;
	struct bytes after = {0};
	target_query(&exchange->target, "after", &after);
	bool good = read_limit(exchange, &limit, &error);
	if (good && after.size > ID_BYTES_MAX) {
		good = error_set(&error, ERROR_BAD_ID, "after is longer than an id can be");
		error_found(&error, "%zu bytes", after.size);
		error_advise(&error, "at most 255 bytes", "give `next` of the page before, percent-encoded");
	}
	if (!good) {
		exchange_error(exchange, &error);
		return;
	}
	struct state_job *state = job_create(exchange);
	if (state == NULL)
		return;
	state->job.work = list_work;
	state->after = after;
	state->limit = limit;
	read_start(&state->job);
}

/* ---- show ---- */

static json_t *value_name(const struct state_job *state, uint32_t number) {
	for (size_t i = 0; i < state->schema_count; i++)
		if (state->schemas[i].schema == state->schema && number < state->schemas[i].value_count)
			return json_string(state->schemas[i].values[number]);
	return json_sprintf("#%u", number); /* declared by a version that is not known here */
}

static bool value_add(struct state_job *state, json_t *values, uint32_t number, struct bytes msgpack) {
	struct error error;
	json_t *json = json_from_value(msgpack, CURSOR_NESTING_MAX, &error);
	if (json == NULL) {
		read_damaged(&state->job, "a value of the instance");
		return false;
	}
	json_t *name = value_name(state, number);
	json_object_set_new(values, json_string_value(name), json);
	json_decref(name);
	return true;
}

/* 1: added; 0: the large value is not there (the row has changed meanwhile); -1: error. */
static int value_read(
	struct state_job *state, struct store *store, const struct instance_value *value, json_t *values) {
	if (!value->large)
		return value_add(state, values, value->number, value->msgpack) ? 1 : -1;
	state->large_read = true;
	struct buf large = {0};
	struct key key = key_large_value(exchange_param(state->job.exchange, 2), (uint8_t)value->number);
	int found = store_get(store, state->database, key_bytes(&key), &large, &state->job.error);
	if (found == 1 && !value_add(state, values, value->number, bytes_buf(&large)))
		found = -1;
	buf_finish(&large);
	return found;
}

/* A page of a table or list, or its beginning. As value_read. */
static int entries_show(
	struct state_job *state, struct store *store, uint32_t number, const struct entries_header *header) {
	json_t *name = value_name(state, number);
	bool asked = state->entries.size == 0 || bytes_equal(state->entries, bytes_text(json_string_value(name)));
	const struct entries_ask ask = {.database = state->database,
		.id = exchange_param(state->job.exchange, 2),
		.header = header,
		.limit = state->limit,
		.after = state->more ? &state->after : NULL};
	if (!asked)
		near_offer(&state->near, json_string_value(name));
	json_t *page = asked ? read_entries(&state->job, store, &ask) : NULL;
	if (page != NULL)
		json_object_set_new(
			header->kind == SOFUN_KIND_TABLE ? state->tables : state->lists, json_string_value(name), page);
	json_decref(name);
	state->large_read = true; /* rows of their own, too */
	return asked && page == NULL ? -1 : 1;
}

static bool entries_any(const struct state_job *state) {
	return json_object_size(state->tables) + json_object_size(state->lists) > 0;
}

static void entries_set(const struct state_job *state, json_t *document) {
	if (json_object_size(state->tables) > 0)
		json_object_set(document, "tables", state->tables);
	if (json_object_size(state->lists) > 0)
		json_object_set(document, "lists", state->lists);
}

static void document_set(struct state_job *state, uint64_t schema, json_t *values, json_t *expires) {
	state->job.body = json_pack("{s:s, s:o, s:o, s:I, s:o, s:o}", "type", state->type, "id",
		json_from_bytes(exchange_param(state->job.exchange, 2)), "version",
		state->version[0] == '\0' ? json_null() : json_string(state->version), "schema", (json_int_t)schema, "values",
		values, "expires", expires);
	if (state->operations != NULL)
		json_object_set(state->job.body, "operations", state->operations);
	entries_set(state, state->job.body);
}

/* Without its values: one table or list was asked for. */
static void page_set(struct state_job *state, uint64_t schema) {
	state->job.body = json_pack("{s:s, s:o, s:I}", "type", state->type, "id",
		json_from_bytes(exchange_param(state->job.exchange, 2)), "schema", (json_int_t)schema);
	entries_set(state, state->job.body);
}

static void no_entries(struct state_job *state) {
	struct error *error = &state->job.error;
	char room[NEAR_QUESTION_BYTES];
	error_set(error, ERROR_NOT_FOUND, "this instance has nothing in a table or list of that name");
	exchange_found(state->job.exchange, state->entries, error);
	error_expected(error, "the name of a table or list that holds something");
	error_hint(error, "%swithout it, as in `sofun state NAMESPACE/NAME ID`, the answer names those that it has",
		near_question(&state->near, room));
}

static void no_state(struct state_job *state) {
	struct error *error = &state->job.error;
	error_set(error, ERROR_NOT_FOUND, "this instance has no state");
	exchange_found(state->job.exchange, exchange_param(state->job.exchange, 2), error);
	error_advise(error, "the id of an instance with state",
		"GET /v1/state/NAMESPACE/NAME, or `sofun state NAMESPACE/NAME`, lists them");
}

/* As value_read, unless the value has expired; says in `expires` when it will. */
static int value_show(struct state_job *state, struct store *store, const struct instance_header *header,
	const struct instance_value *value, json_t *values, json_t *expires) {
	struct entries_header entries;
	uint64_t due_ms = value_end_ms(state, exchange_param(state->job.exchange, 2), header, value);
	if (due_ms <= state->now_ms)
		return 1;
	if (due_ms != UINT64_MAX) {
		json_t *name = value_name(state, value->number);
		json_object_set_new(expires, json_string_value(name), json_integer((json_int_t)due_ms));
		json_decref(name);
	}
	if (!value->large && entries_header_read(value->msgpack, &entries))
		return entries_show(state, store, value->number, &entries);
	return state->entries.size > 0 ? 1 : value_read(state, store, value, values);
}

/* Reads the values that the row names. 1: the document stands, or an error; 0: the row is out of date. */
static int row_read(struct state_job *state, struct store *store, struct bytes row) {
	struct instance_header header;
	struct instance_value value;
	int found = 1;
	if (!instance_header_take(&row, &header)) {
		read_damaged(&state->job, "the instance");
		return 1;
	}
	uint64_t due_ms = instance_end_ms(state, exchange_param(state->job.exchange, 2), &header);
	if (due_ms <= state->now_ms) {
		no_state(state);
		return 1;
	}
	json_t *values = json_object(), *expires = json_object();
	if (due_ms != UINT64_MAX)
		json_object_set_new(expires, "*", json_integer((json_int_t)due_ms));
	state->schema = header.schema;
	while (found == 1 && row.size > 0) {
		if (!instance_value_take(&row, &value)) {
			read_damaged(&state->job, "a value of the instance");
			found = -1;
		} else {
			found = value_show(state, store, &header, &value, values, expires);
		}
	}
	if (found == 1 && state->entries.size == 0 && (json_object_size(values) > 0 || entries_any(state))) {
		document_set(state, header.schema, values, expires);
		return 1;
	}
	if (found == 1 && entries_any(state))
		page_set(state, header.schema);
	else if (found == 1 && state->entries.size > 0)
		no_entries(state);
	else if (found == 1)
		no_state(state); /* all of it has expired */
	json_decref(values);
	json_decref(expires);
	return found != 0;
}

/* Whether the row of the instance is still as it was: large values stand in rows of their own, so that both together
 * could be of two epochs. */
static bool row_unchanged(struct state_job *state, struct store *store, struct bytes row) {
	if (!state->large_read)
		return true;
	struct buf now = {0};
	struct error error;
	struct key key = key_instance(exchange_param(state->job.exchange, 2));
	int found = store_get(store, state->database, key_bytes(&key), &now, &error);
	bool same = found == 1 && bytes_equal(bytes_buf(&now), row);
	buf_finish(&now);
	return same;
}

static void show_once(struct state_job *state, struct store *store) {
	struct buf row = {0};
	state->tables = json_object();
	state->lists = json_object();
	struct key key = key_instance(exchange_param(state->job.exchange, 2));
	int found = store_get(store, state->database, key_bytes(&key), &row, &state->job.error);
	if (found == 0)
		no_state(state);
	if (found == 1 && row_read(state, store, bytes_buf(&row)) == 1 && state->job.body != NULL &&
		!row_unchanged(state, store, bytes_buf(&row))) {
		json_decref(state->job.body);
		state->job.body = NULL;
	}
	json_decref(state->tables);
	json_decref(state->lists);
	buf_finish(&row);
}

static void show_work(struct read_job *job, struct store *store) {
	for (int i = 0; i < READ_TRIES_MAX && job->body == NULL && job->error.code == ERROR_NONE; i++)
		show_once((struct state_job *)job, store);
	if (job->body == NULL && job->error.code == ERROR_NONE) {
		error_set(&job->error, ERROR_CONFLICT, "the instance changes faster than it can be read");
		error_found(&job->error, "another state at each of %d looks", READ_TRIES_MAX);
		error_advise(&job->error, "two equal looks", "ask again when it has less to do");
	}
	json_decref(((struct state_job *)job)->operations);
}

void handle_state_show(struct exchange *exchange) {
	struct error error;
	struct bytes id = exchange_param(exchange, 2);
	struct bytes entries = {0}, after = {0};
	uint64_t limit = ENTRIES_SHOWN;
	bool named = target_query(&exchange->target, "table", &entries);
	bool more = target_query(&exchange->target, "after", &after);
	if ((named || more) && !read_limit(exchange, &limit, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	if (more && !named) {
		error_set(&error, ERROR_BAD_REQUEST, "`after` goes on in one table or list, and none is named");
		error_found(&error, "`after` alone");
		error_expected(&error, "`table` with its name, too");
		error_hint(&error, "the answer without either names the tables and lists");
		exchange_error(exchange, &error);
		return;
	}
	if (id.size < 1 || id.size > ID_BYTES_MAX) {
		error_set(&error, ERROR_BAD_ID, "the id has no fitting length");
		error_found(&error, "%zu bytes", id.size);
		error_expected(&error, "1 to %d bytes", ID_BYTES_MAX);
		error_hint(&error, "/v1/state/NAMESPACE/NAME/ID, with the id percent-encoded");
		exchange_error(exchange, &error);
		return;
	}
	struct state_job *state = job_create(exchange);
	if (state == NULL)
		return;
	state->operations = operations_of_json(exchange->control->engine, (uint16_t)state->database, id);
	state->job.work = show_work;
	state->entries = entries;
	state->near = near_begin(entries);
	state->after = after;
	state->more = more;
	state->limit = limit;
	read_start(&state->job);
}
