/* sofund --verify: reads a store from end to end and compares its parts. Nothing is changed, so it works on what a
 * running recovery would refuse, and goes on behind the first finding. One thread; the store is not open. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/reclaim.h"
#include "state/store_inside.h"

enum { LINE_BYTES = 1600 };

/* A database or an egress log that row 'B' or 'E' of the runtime database names. */
struct known {
	struct buf name; /* of an egress */
	uint32_t number; /* of a database */
	uint64_t epoch;  /* of a database's checkpoint */
	struct egress_row row;
	uint64_t end; /* of an egress: the log's, then the journal's */
};

struct verify {
	const struct store_options *options;
	void (*line)(void *arg, const char *text);
	void *arg;
	uint64_t findings;
	uint8_t id[STORE_ID_BYTES];
	struct checkpoint_row checkpoint;
	struct known *databases;
	size_t database_count;
	struct known *egresses;
	size_t egress_count;
	uint64_t rows; /* of the database being read */
};

static void say(struct verify *verify, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct verify *verify, const char *format, ...) {
	char text[LINE_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	verify->line(verify->arg, text);
}

static void finding(struct verify *verify, const struct error *error) {
	char text[LINE_BYTES];
	error_line(error, text, sizeof text);
	verify->findings++;
	say(verify, "FOUND: %s", text);
}

static struct known *known_add(struct known **knowns, size_t *count) {
	*knowns = realloc(*knowns, (*count + 1) * sizeof **knowns);
	check_memory(*knowns);
	(*knowns)[*count] = (struct known){0};
	return &(*knowns)[(*count)++];
}

static bool damaged(struct error *error, const char *path, struct bytes key, const char *what) {
	error_set(error, ERROR_STORE_FAILED, "%s: %s, row of %zu bytes that begins with %02x", path, what, key.size,
		key.size > 0 ? key.data[0] : 0);
	error_hint(error, "restore the data directory from a backup");
	return false;
}

/* ---- databases ---- */

static bool database_note(struct verify *verify, struct bytes key, struct bytes value) {
	struct database_row row;
	if (!database_row_take(key, value, &row))
		return false;
	struct known *known = known_add(&verify->databases, &verify->database_count);
	known->number = row.number;
	known->epoch = row.epoch;
	buf_append_bytes(&known->name, row.name);
	*buf_reserve(&known->name, 1) = '\0';
	return true;
}

static bool runtime_row(
	struct verify *verify, const char *path, struct bytes key, struct bytes value, struct error *error) {
	struct known *known;
	struct dropped_row dropped;
	struct removals removals;
	uint32_t number;
	switch (key.data[0]) {
	case KEY_DROPPED:
		return dropped_row_take(value, &dropped) || damaged(error, path, key, "damaged row");
	case KEY_FORMAT:
		return format_check(path, value, NULL, REDO_RUNTIME, "runtime", error);
	case KEY_CHECKPOINT:
		return checkpoint_row_take(value, &verify->checkpoint) || damaged(error, path, key, "damaged checkpoint");
	case KEY_DATABASE:
		return database_note(verify, key, value) || damaged(error, path, key, "damaged row");
	case KEY_REMOVALS:
		return removals_row_take(key, value, &number, &removals) || damaged(error, path, key, "damaged row");
	case KEY_EGRESS:
		known = known_add(&verify->egresses, &verify->egress_count);
		buf_append(&known->name, key.data + 1, key.size - 1);
		return egress_row_take(value, &known->row) || damaged(error, path, key, "damaged row");
	case KEY_LAYOUT:
	case KEY_NUMBERS:
	case KEY_TYPE:
	case KEY_TTL:
	case KEY_VERDICT:
	case KEY_PRODUCER:
	case KEY_ACKED:
	case KEY_INCARNATIONS:
	case KEY_SINK:
	case KEY_QUEUE_HEAD:
	case KEY_QUEUE_RUN:
	case KEY_DEAD:
	case KEY_SCHEMA:
	case KEY_TIMER:
	case KEY_SWEEP:
	case KEY_TOKEN:
	case KEY_OPERATION:
	case KEY_KEYED:
	case KEY_KEYED_ANSWER:
	case KEY_WAKE:
	case KEY_SHARE:
		return true;
	}
	return damaged(error, path, key, "a kind of row that is not known");
}

/* 'M' id_size id generation key */
static bool entry_key_good(struct bytes key) {
	enum { BEFORE_ID = 2, GENERATION_BYTES = 8 };
	return key.size > BEFORE_ID && key.size > BEFORE_ID + (size_t)key.data[1] + GENERATION_BYTES;
}

static bool type_row(
	struct verify *verify, const char *path, struct bytes key, struct bytes value, struct error *error) {
	struct checkpoint_row row;
	switch (key.data[0]) {
	case KEY_FORMAT:
		return format_check(path, value, verify->id, 0, NULL, error);
	case KEY_CHECKPOINT:
		return checkpoint_row_take(value, &row) || damaged(error, path, key, "damaged checkpoint");
	case KEY_ENTRY:
		return entry_key_good(key) || damaged(error, path, key, "damaged key of an entry");
	case KEY_INSTANCE:
	case KEY_LARGE_VALUE:
		return true;
	}
	return damaged(error, path, key, "a kind of row that is not known");
}

/* Every row, with its checksums. */
static void database_scan(struct verify *verify, struct kv *kv, const char *path,
	bool (*row)(struct verify *verify, const char *path, struct bytes key, struct bytes value, struct error *error)) {
	struct error error;
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	verify->rows = 0;
	for (cursor->ops->seek(cursor, bytes_of(NULL, 0)); cursor->ops->valid(cursor); cursor->ops->next(cursor)) {
		struct bytes key = cursor->ops->key(cursor);
		verify->rows++;
		if (key.size == 0)
			damaged(&error, path, key, "an empty key");
		else if (row(verify, path, key, cursor->ops->value(cursor), &error))
			continue;
		finding(verify, &error);
	}
	if (!cursor->ops->status(cursor, &error))
		finding(verify, &error);
	cursor->ops->close(cursor);
}

static int format_get(struct kv *kv, struct buf *ret_value, struct error *error) {
	struct key key = key_of(KEY_FORMAT);
	return kv->ops->get(kv, key_bytes(&key), ret_value, error);
}

/* Without it there is nothing to compare with. */
static bool runtime_verify(struct verify *verify, struct error *error) {
	char *path = path_of(verify->options->dir, "runtime", bytes_of(NULL, 0));
	struct kv *kv = verify->options->factory->open(verify->options->factory, path, false, error);
	struct buf value = {0};
	struct format_row row;
	int found = kv == NULL ? -1 : format_get(kv, &value, error);
	if (found == 0)
		error_set(error, ERROR_REFUSED, "%s has no format row: it is no database of sofun", path);
	error_found(error, "no row 'F'");
	error_advise(error, "a database of sofun", "name the data directory of a host with --verify DIR");
	bool good = found == 1 && format_check(path, bytes_buf(&value), NULL, REDO_RUNTIME, "runtime", error) &&
		format_row_take(bytes_buf(&value), &row);
	if (good) {
		memcpy(verify->id, row.store_id, STORE_ID_BYTES);
		database_scan(verify, kv, path, runtime_row);
		say(verify, "runtime: %llu rows, checkpoint of epoch %llu", (unsigned long long)verify->rows,
			(unsigned long long)verify->checkpoint.epoch);
	}
	if (kv != NULL)
		kv->ops->close(kv);
	buf_finish(&value);
	free(path);
	return good;
}

/* A folder that no row names holds the beginning of a first checkpoint, at most: the journal has all of it. */
static bool type_compare(struct kv *kv, const char *path, const struct known *known, struct error *error) {
	struct checkpoint_row checkpoint;
	if (!checkpoint_read(kv, path, &checkpoint, error))
		return false;
	if (checkpoint.epoch >= known->epoch)
		return true;
	error_set(error, ERROR_STORE_FAILED, "%s is older than the store", path);
	error_found(error, "checkpoint of epoch %llu", (unsigned long long)checkpoint.epoch);
	error_expected(error, "at least %llu", (unsigned long long)known->epoch);
	return false;
}

static bool type_begin(
	struct verify *verify, struct kv *kv, const char *path, const struct known *known, struct error *error) {
	struct buf value = {0};
	int found = format_get(kv, &value, error);
	if (found == 0)
		error_set(error, ERROR_STORE_FAILED, "%s has no format row", path);
	bool good = found == 1 &&
		format_check(path, bytes_buf(&value), verify->id, known->number, (const char *)known->name.data, error) &&
		type_compare(kv, path, known, error);
	buf_finish(&value);
	return good;
}

static void type_verify(struct verify *verify, const struct known *known) {
	struct error error;
	char *path = path_of(verify->options->dir, "types", bytes_buf(&known->name));
	struct kv *kv = verify->options->factory->open(verify->options->factory, path, false, &error);
	if (kv == NULL || !type_begin(verify, kv, path, known, &error))
		finding(verify, &error);
	if (kv != NULL) {
		database_scan(verify, kv, path, type_row);
		say(verify, "type %u %s: %llu rows", known->number, (const char *)known->name.data,
			(unsigned long long)verify->rows);
		kv->ops->close(kv);
	}
	free(path);
}

static void types_verify(struct verify *verify) {
	for (size_t i = 0; i < verify->database_count; i++)
		type_verify(verify, &verify->databases[i]);
}

/* ---- egress logs ---- */

static bool record_count(void *arg, uint64_t offset, struct bytes record) {
	(void)offset;
	(void)record;
	++*(uint64_t *)arg;
	return true;
}

static bool egress_verify(struct verify *verify, struct known *known, struct error *error) {
	char *dir = path_of(verify->options->dir, "egress", bytes_buf(&known->name));
	struct egress_log_options options = {.disk = verify->options->disk,
		.dir = dir,
		.name = bytes_buf(&known->name),
		.segment_bytes = EGRESS_SEGMENT_BYTES,
		.readonly = true};
	memcpy(options.store_id, verify->id, STORE_ID_BYTES);
	struct egress_log *log = egress_log_open(&options, &known->row, error);
	free(dir);
	uint64_t count = 0;
	uint64_t next;
	bool good = log != NULL && egress_log_read(log, 0, record_count, &count, &next, error);
	egress_log_close(log);
	if (good)
		say(verify, "egress %.*s: %llu records up to offset %llu", (int)known->name.size,
			(const char *)known->name.data, (unsigned long long)count, (unsigned long long)next);
	return good;
}

static void egresses_verify(struct verify *verify) {
	struct error error;
	for (size_t i = 0; i < verify->egress_count; i++) {
		verify->egresses[i].end = verify->egresses[i].row.end;
		if (!egress_verify(verify, &verify->egresses[i], &error))
			finding(verify, &error);
	}
}

/* ---- journal ---- */

static struct known *egress_known(struct verify *verify, struct bytes name) {
	for (size_t i = 0; i < verify->egress_count; i++)
		if (bytes_equal(bytes_buf(&verify->egresses[i].name), name))
			return &verify->egresses[i];
	struct known *known = known_add(&verify->egresses, &verify->egress_count);
	buf_append_bytes(&known->name, name);
	return known;
}

/* Records of an egress follow each other without a hole, whether the log has them already or not. */
static bool egress_follows(struct verify *verify, const struct redo_op *op) {
	struct known *known = egress_known(verify, op->key);
	if (op->offset == known->end)
		known->end++;
	return op->offset < known->end;
}

static bool journal_record(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error) {
	struct verify *verify = arg;
	(void)time_ms;
	struct redo_op op;
	struct redo_reader reader;
	redo_reader_init(&reader, body);
	while (reader.rest.size > 0) {
		if (redo_next(&reader, &op) && (op.kind != REDO_EGRESS || egress_follows(verify, &op)))
			continue;
		error_set(error, ERROR_STORE_FAILED, "the journal's record of epoch %llu does not fit what came before it",
			(unsigned long long)epoch);
		finding(verify, error);
		break;
	}
	return true;
}

static bool journal_reaches(struct verify *verify, const struct journal_end *end, struct error *error) {
	say(verify, "journal: epochs %llu to %llu, %llu bytes%s", (unsigned long long)end->first_epoch,
		(unsigned long long)end->epoch, (unsigned long long)end->bytes,
		end->torn ? ", torn behind (normal after a kill)" : "");
	if (end->epoch == 0 || end->epoch >= verify->checkpoint.epoch)
		return true;
	error_set(error, ERROR_STORE_FAILED, "the journal ends before the last checkpoint");
	error_found(error, "epoch %llu", (unsigned long long)end->epoch);
	error_expected(error, "at least %llu", (unsigned long long)verify->checkpoint.epoch);
	return false;
}

static void journal_verify(struct verify *verify) {
	struct error error;
	struct journal_end end = {0};
	char *dir = path_of(verify->options->dir, "journal", bytes_of(NULL, 0));
	struct journal_options options = {
		.disk = verify->options->disk, .dir = dir, .segment_bytes = verify->options->segment_bytes};
	memcpy(options.store_id, verify->id, STORE_ID_BYTES);
	struct journal *journal = journal_open(&options, &error);
	free(dir);
	bool good = journal != NULL &&
		journal_recover(journal, verify->checkpoint.epoch, true, journal_record, verify, &end, &error) &&
		journal_reaches(verify, &end, &error);
	if (!good)
		finding(verify, &error);
	if (journal != NULL)
		journal_close(journal);
}

static void known_finish(struct known *knowns, size_t count) {
	for (size_t i = 0; i < count; i++)
		buf_finish(&knowns[i].name);
	free(knowns);
}

bool store_verify(
	const struct store_options *options, void (*line)(void *arg, const char *text), void *arg, struct error *error) {
	struct verify verify = {.options = options, .line = line, .arg = arg};
	bool read = runtime_verify(&verify, error);
	if (read) {
		types_verify(&verify);
		egresses_verify(&verify);
		journal_verify(&verify);
	}
	known_finish(verify.databases, verify.database_count);
	known_finish(verify.egresses, verify.egress_count);
	options->factory->close(options->factory);
	if (!read || verify.findings == 0)
		return read;
	error_set(error, ERROR_STORE_FAILED, "%llu findings in %s", (unsigned long long)verify.findings, options->dir);
	error_hint(error, "restore the data directory from a backup");
	return false;
}
