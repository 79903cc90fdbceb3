#include "supervisor/crash.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

const char *crash_outcome_name(enum crash_outcome outcome) {
	static const char *const names[] = {
		[CRASH_UNATTRIBUTED] = "unattributed",
		[CRASH_OUTSIDE] = "outside",
		[CRASH_LOADING] = "loading",
		[CRASH_IMAGE] = "image",
		[CRASH_SUSPECT] = "suspect",
		[CRASH_CONVICTED] = "convicted",
		[CRASH_CLEARED] = "cleared",
		[CRASH_SPARED] = "spared",
		[CRASH_DEAD] = "dead",
	};
	return names[outcome];
}

const char *crash_kind_name(uint32_t kind) {
	switch (kind & ~(uint32_t)NOTE_LEFT) {
	case NOTE_FUNCTION:
		return "function";
	case NOTE_ROUTER:
		return "router";
	case NOTE_MIGRATE:
		return "migrate";
	case NOTE_WORK:
		return "work";
	case NOTE_LOAD:
		return "init";
	case NOTE_FINI:
		return "fini";
	default:
		return "none";
	}
}

static bool key_equal(const struct crash_row *a, const struct crash_row *b) {
	return memcmp(a->hash, b->hash, NOTE_HASH_BYTES) == 0 && a->payload_hash == b->payload_hash &&
		strcmp(a->name, b->name) == 0 && bytes_equal(crash_row_id(a), crash_row_id(b));
}

/* A message whose dead letter is written, or that ran well, starts anew if it dies again: it is judged by itself. */
static bool row_open(const struct crash_row *row, const struct crash_row *death) {
	uint32_t outcome = atomic_load(&row->outcome);
	return outcome == atomic_load(&death->outcome) ||
		(outcome == CRASH_CONVICTED && crash_row_is(death, CRASH_SUSPECT));
}

static bool row_awaited(const struct crash_row *row) {
	return crash_row_is(row, CRASH_SUSPECT) || crash_row_is(row, CRASH_CONVICTED) || crash_row_is(row, CRASH_LOADING);
}

/* Opens a gap at the front; what nobody waits for makes room first. */
static struct crash_row *row_add(struct crash_table *table) {
	uint32_t last = atomic_load(&table->count);
	if (last == CRASH_ROWS_MAX) {
		last--;
		for (uint32_t i = last; i > 0; i--) {
			if (!row_awaited(&table->rows[i])) {
				last = i;
				break;
			}
		}
	} else {
		atomic_store(&table->count, last + 1);
	}
	memmove(&table->rows[1], &table->rows[0], last * sizeof table->rows[0]);
	return &table->rows[0];
}

static struct crash_row *row_to_front(struct crash_table *table, uint32_t index) {
	struct crash_row row = table->rows[index];
	memmove(&table->rows[1], &table->rows[0], index * sizeof table->rows[0]);
	table->rows[0] = row;
	return &table->rows[0];
}

/* An equal of a convict, in an open row, is the one that is judged from now on: if the convict comes after all, it is tried
 * again. Else its deaths would be counted for ever and lead to nothing. */
static void row_count(struct crash_row *row, const struct crash_row *death) {
	bool same = row->place == death->place || death->alone == 0;
	row->count += death->count;
	row->alone = same ? row->alone + death->alone : death->alone;
	row->place = death->alone > 0 ? death->place : row->place;
	row->last_ms = death->last_ms;
	memcpy(row->cause, death->cause, sizeof row->cause);
	if (crash_row_is(row, CRASH_CONVICTED) && !same)
		atomic_store(&row->outcome, CRASH_SUSPECT);
	if (crash_row_is(row, CRASH_SUSPECT) && row->alone >= CRASH_ALONE_CONVICTS)
		atomic_store(&row->outcome, CRASH_CONVICTED);
}

struct crash_row *crash_enter(struct crash_table *table, const struct crash_row *death) {
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		if (!key_equal(&table->rows[i], death) || !row_open(&table->rows[i], death))
			continue;
		struct crash_row *row = row_to_front(table, i);
		row_count(row, death);
		return row;
	}
	struct crash_row *row = row_add(table);
	*row = *death;
	return row;
}

struct crash_row *crash_of_load(struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES]) {
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		struct crash_row *row = &table->rows[i];
		if (crash_row_is(row, CRASH_LOADING) && memcmp(row->hash, hash, NOTE_HASH_BYTES) == 0)
			return row;
	}
	return NULL;
}

uint32_t crash_of_image(const struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES], uint64_t from_ms,
	uint64_t until_ms, const struct crash_row **ret_last) {
	uint64_t messages = 0;
	*ret_last = NULL;
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		const struct crash_row *row = &table->rows[i];
		bool fini = row->kind == NOTE_FINI; /* it is on its way out anyway */
		if (memcmp(row->hash, hash, NOTE_HASH_BYTES) != 0 || fini || crash_row_is(row, CRASH_SPARED) ||
			row->last_ms < from_ms || row->first_ms > until_ms)
			continue;
		bool message = row->name[0] != '\0' && row->kind != NOTE_WORK;
		messages += message ? 1 : row->count;
		if (*ret_last == NULL)
			*ret_last = row;
	}
	return messages < UINT32_MAX ? (uint32_t)messages : UINT32_MAX;
}

/* ---- in the worker ---- */

static struct crash_table own; /* without a supervisor */
static struct crash_table *current = &own;
static int notice = -1;

void crash_open(struct crash_table *table, int notice_fd) {
	current = table;
	notice = notice_fd;
}

struct crash_table *crash_current(void) {
	return current;
}

void crash_turn(struct crash_row *row, enum crash_outcome outcome) {
	const uint64_t one = 1;
	atomic_store(&row->outcome, (uint32_t)outcome);
	if (notice >= 0)
		check(write(notice, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

void crash_spare(struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES]) {
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		struct crash_row *row = &table->rows[i];
		if (memcmp(row->hash, hash, NOTE_HASH_BYTES) == 0 && !crash_row_is(row, CRASH_DEAD) &&
			!crash_row_is(row, CRASH_SPARED))
			crash_turn(row, CRASH_SPARED);
	}
}
