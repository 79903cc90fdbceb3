#include "egress/acked.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "egress/hub_inside.h"
#include "wire/cursor.h"
#include "wire/pack.h"

/* An acknowledgement that waits for its row. */
struct advance {
	STAILQ_ENTRY(advance) link; /* until the position is known */
	struct acked *acked;
	uint64_t next;
	uint64_t token; /* of who asked */
};
STAILQ_HEAD(advances, advance);

struct acked {
	LIST_ENTRY(acked) link;
	struct egress_hub *hub;
	size_t references; /* the holder, each acknowledgement under way, a read of the row */
	bool known;
	uint64_t next;
	struct acked_holder *holder;
	struct advances waiting; /* for the row */
	struct buf row;          /* as it was read */
	struct error error;
	uint8_t egress_size;
	uint8_t name_size;
	uint8_t names[];
};

/* ---- rows ---- */

struct key acked_key(struct bytes egress, struct bytes name) {
	struct key key = key_of(KEY_ACKED);
	key_u8(&key, (uint8_t)egress.size);
	key_append(&key, egress);
	key_append(&key, name);
	return key;
}

void acked_put(struct buf *value, uint64_t next, uint64_t time_ms) {
	pack_array(value, 2);
	pack_uint(value, next);
	pack_uint(value, time_ms);
}

bool acked_take(struct bytes value, uint64_t *ret_next) {
	struct cursor cursor = cursor_of(value);
	uint32_t count;
	uint64_t time_ms;
	return cursor_read_array(&cursor, &count) && count == 2 && cursor_read_uint(&cursor, ret_next) &&
		cursor_read_uint(&cursor, &time_ms) && cursor_at_end(&cursor);
}

/* ---- the names that are in use ---- */

static struct bytes acked_egress(const struct acked *acked) {
	return bytes_of(acked->names, acked->egress_size);
}

static struct bytes acked_name(const struct acked *acked) {
	return bytes_of(acked->names + acked->egress_size, acked->name_size);
}

static struct acked_list *bucket_of(struct egress_hub *hub, struct bytes egress, struct bytes name) {
	uint64_t hash = hash_mix(hash_bytes(1, egress.data, egress.size), hash_bytes(2, name.data, name.size));
	return &hub->acked[hash % ACKED_BUCKETS];
}

static struct acked *acked_find(struct egress_hub *hub, struct bytes egress, struct bytes name) {
	struct acked *acked;
	LIST_FOREACH(acked, bucket_of(hub, egress, name), link) {
		if (bytes_equal(acked_egress(acked), egress) && bytes_equal(acked_name(acked), name))
			return acked;
	}
	return NULL;
}

static struct acked *acked_get(struct egress_hub *hub, struct bytes egress, struct bytes name) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	check(egress.size <= EGRESS_NAME_MAX && name.size > 0 && name.size <= SUBSCRIBER_NAME_MAX);
	struct acked *acked = acked_find(hub, egress, name);
	if (acked == NULL) {
		acked = check_alloc(1, sizeof *acked + egress.size + name.size);
		acked->hub = hub;
		STAILQ_INIT(&acked->waiting);
		acked->egress_size = (uint8_t)egress.size;
		acked->name_size = (uint8_t)name.size;
		memcpy(acked->names, egress.data, egress.size);
		memcpy(acked->names + egress.size, name.data, name.size);
		LIST_INSERT_HEAD(bucket_of(hub, egress, name), acked, link);
	}
	acked->references++;
	return acked;
}

static void acked_put_back(struct acked *acked) {
	check(acked->references > 0);
	if (--acked->references > 0)
		return;
	LIST_REMOVE(acked, link);
	buf_finish(&acked->row);
	free(acked);
}

bool acked_known(struct egress_hub *hub, struct bytes egress, struct bytes name, uint64_t *ret_next) {
	const struct acked *acked = acked_find(hub, egress, name);
	if (acked == NULL || !acked->known)
		return false;
	*ret_next = acked->next;
	return true;
}

void acked_hold(
	struct egress_hub *hub, struct acked_holder *holder, struct bytes egress, struct bytes name, uint64_t next) {
	check(holder->acked == NULL);
	struct acked *acked = acked_get(hub, egress, name);
	struct acked_holder *older = acked->holder;
	acked->holder = holder;
	acked->known = true;
	acked->next = next;
	holder->acked = acked;
	if (older == NULL)
		return;
	older->acked = NULL;
	acked_put_back(acked);
	older->lost(older);
}

void acked_release(struct acked_holder *holder) {
	struct acked *acked = holder->acked;
	if (acked == NULL)
		return;
	acked->holder = NULL;
	holder->acked = NULL;
	acked_put_back(acked);
}

/* ---- acknowledgements ---- */

static void advance_answer(struct advance *advance, const struct engine_answer *answer) {
	struct engine_answer out = *answer;
	struct acked *acked = advance->acked;
	out.token = advance->token;
	out.number = advance->next;
	if (answer->code == ERROR_NONE && acked->holder != NULL)
		acked->holder->advanced(acked->holder, advance->next);
	request_answer(acked->hub->options.requests, &out);
	free(advance);
	acked_put_back(acked);
}

static void advance_refuse(struct advance *advance, const struct error *error) {
	advance_answer(advance, &(struct engine_answer){.code = error->code, .error = error});
}

static void advance_committed(void *arg, const struct engine_answer *answer) {
	advance_answer(arg, answer);
}

static void advance_commit(struct advance *advance) {
	struct acked *acked = advance->acked;
	const struct egress_hub_options *options = &acked->hub->options;
	if (acked->hub->stopped) {
		advance_answer(advance, &(struct engine_answer){.code = ERROR_STOPPING});
		return;
	}
	uint64_t end = store_egress_end(options->store, acked_egress(acked));
	if (advance->next > end) {
		struct error error;
		error_set(&error, ERROR_CONFLICT, "`next` is beyond the end of the egress");
		error_found(&error, "%llu", (unsigned long long)advance->next);
		error_expected(&error, "at most %llu", (unsigned long long)end);
		error_hint(&error, "acknowledge what came; behind a restored store, subscribe with from=acked");
		advance_refuse(advance, &error);
		return;
	}
	if (acked->next > advance->next)
		advance->next = acked->next;
	acked->next = advance->next;
	struct key key = acked_key(acked_egress(acked), acked_name(acked));
	struct buf value = {0};
	acked_put(&value, advance->next, engine_time_ms(options->engine));
	const struct engine_row row = {.key = key_bytes(&key), .value = bytes_buf(&value)};
	engine_commit_rows(options->engine, request_open(options->requests, advance_committed, advance), &row, 1);
	buf_finish(&value);
}

static void row_read(void *arg, struct store *store) {
	struct acked *acked = arg;
	struct key key = acked_key(acked_egress(acked), acked_name(acked));
	buf_reset(&acked->row);
	acked->error.code = ERROR_NONE;
	(void)store_get(store, REDO_RUNTIME, key_bytes(&key), &acked->row, &acked->error);
}

static void row_known(void *arg) {
	struct acked *acked = arg;
	struct advance *advance;
	struct error *error = &acked->error;
	uint64_t next = 0;
	if (error->code == ERROR_NONE && acked->row.size > 0 && !acked_take(bytes_buf(&acked->row), &next))
		error_set(error, ERROR_STORE_FAILED, "the row of a subscriber is malformed: run sofund --verify");
	if (error->code == ERROR_NONE && !acked->known) { /* else somebody has subscribed meanwhile */
		acked->known = true;
		acked->next = next;
	}
	while ((advance = STAILQ_FIRST(&acked->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&acked->waiting, link);
		if (acked->known)
			advance_commit(advance);
		else
			advance_refuse(advance, error);
	}
	acked_put_back(acked);
}

void acked_advance(struct egress_hub *hub, struct bytes egress, struct bytes name, uint64_t next, uint64_t token) {
	struct acked *acked = acked_get(hub, egress, name);
	struct advance *advance = check_alloc(1, sizeof *advance);
	*advance = (struct advance){.acked = acked, .next = next, .token = token};
	if (acked->known) {
		advance_commit(advance);
		return;
	}
	bool first = STAILQ_EMPTY(&acked->waiting);
	STAILQ_INSERT_TAIL(&acked->waiting, advance, link);
	if (!first)
		return;
	acked->references++;
	engine_read(hub->options.engine, row_read, row_known, acked);
}
