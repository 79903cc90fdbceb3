/* Expectations: what was caused and kept, against JSON text. */
#include <stdio.h>
#include <stdlib.h>

#include "inside.h"

/* ---- JSON that lives as long as the test ---- */

static sofun_bytes text_msgpack(sofun_test *test, const char *json) {
	struct piece msgpack = {0};
	const char *why;
	if (!json_read(json, &msgpack, &why))
		test_stop("this is no JSON: %s: %s", why, json);
	test_keep(test, msgpack.data);
	return piece_bytes(&msgpack);
}

sofun_bytes sofun_test_json(sofun_test *test, const char *format, ...) {
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	const int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (size < 0)
		test_stop("a format that cannot be printed: %s", format);
	char *json = memory_take((size_t)size + 1);
	(void)vsnprintf(json, (size_t)size + 1, format, again);
	va_end(again);
	const sofun_bytes msgpack = text_msgpack(test, json);
	free(json);
	return msgpack;
}

const char *sofun_test_text(sofun_test *test, sofun_bytes msgpack) {
	struct piece text = {0};
	sofun_reader whole = sofun_reader_of(msgpack), reader = whole;
	if (msgpack.size == 0)
		return "unset";
	if (!sofun_skip(&whole) || !sofun_read_done(&whole))
		return "bytes that are no MessagePack object";
	json_write(&reader, &text);
	piece_append(&text, "", 1);
	test_keep(test, text.data);
	return (const char *)text.data;
}

/* The text as json_write would put it. */
static const char *text_canonical(sofun_test *test, const char *json) {
	return sofun_test_text(test, text_msgpack(test, json));
}

/* ---- failing ---- */

__attribute__((format(printf, 4, 5), noreturn)) static void expectation_fail(
	sofun_test *test, const char *file, int line, const char *format, ...) {
	char text[4096];
	int size = snprintf(text, sizeof text, "%s:%d: ", file, line);
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
	va_end(arguments);
	if (test->on_failure != NULL)
		test->on_failure(text);
	else
		(void)fprintf(stderr, "%s\n", text);
	exit(EXIT_FAILURE);
}

/* ---- effects as text ---- */

/* "send to TYPE ID: JSON"; lives as long as the test. */
static const char *effect_text(sofun_test *test, const sofun_test_effect *effect) {
	char room[512];
	const char *json = sofun_test_text(test, effect->payload);
	if (effect->kind == SOFUN_TEST_REPLY)
		(void)snprintf(room, sizeof room, "reply: ");
	else if (effect->kind == SOFUN_TEST_OPERATION)
		(void)snprintf(room, sizeof room, "operation: ");
	else if (effect->kind == SOFUN_TEST_EMIT)
		(void)snprintf(room, sizeof room, "emit to %.*s: ", (int)effect->name.size, (const char *)effect->name.data);
	else
		(void)snprintf(room, sizeof room, "%s to %.*s %.*s: ", effect->kind == SOFUN_TEST_TIMER ? "timer" : "send",
			(int)effect->name.size, (const char *)effect->name.data, (int)effect->id.size,
			(const char *)effect->id.data);
	char *text = memory_take(strlen(room) + strlen(json) + 1);
	test_keep(test, text);
	return strcat(strcpy(text, room), json);
}

/* The oldest effect that is no timer: those stand until they are due. effect_count: there is none. */
static size_t effect_oldest(const sofun_test *test) {
	size_t i = 0;
	while (i < test->effect_count && test->effects[i]->seen.kind == SOFUN_TEST_TIMER)
		i++;
	return i;
}

/* Takes the oldest effect, which must be this one. */
static void effect_expect(sofun_test *test, const sofun_test_effect *wanted, const char *file, int line) {
	const char *expected = effect_text(test, wanted);
	const size_t index = effect_oldest(test);
	if (index == test->effect_count)
		expectation_fail(test, file, line, "expected %s; found nothing", expected);
	const sofun_test_effect *oldest = &test->effects[index]->seen;
	const char *found = effect_text(test, oldest);
	if (strcmp(found, expected) != 0 || !sofun_bytes_equal(oldest->id, wanted->id))
		expectation_fail(test, file, line, "expected %s; found %s", expected, found);
	effect_finish(effect_take(test, index));
}

void sofun_test_expect_reply(sofun_test *test, const char *json, const char *file, int line) {
	const sofun_test_effect wanted = {.kind = SOFUN_TEST_REPLY, .payload = text_msgpack(test, json)};
	effect_expect(test, &wanted, file, line);
}

void sofun_test_expect_emit(sofun_test *test, const char *egress, const char *json, const char *file, int line) {
	const sofun_test_effect wanted = {
		.kind = SOFUN_TEST_EMIT, .name = sofun_text(egress), .payload = text_msgpack(test, json)};
	effect_expect(test, &wanted, file, line);
}

void sofun_test_expect_send(
	sofun_test *test, const char *type, const char *id, const char *json, const char *file, int line) {
	const sofun_test_effect wanted = {
		.kind = SOFUN_TEST_SEND, .name = sofun_text(type), .id = sofun_text(id), .payload = text_msgpack(test, json)};
	effect_expect(test, &wanted, file, line);
}

void sofun_test_expect_operation(sofun_test *test, const char *json, const char *file, int line) {
	const sofun_test_effect wanted = {.kind = SOFUN_TEST_OPERATION, .payload = text_msgpack(test, json)};
	effect_expect(test, &wanted, file, line);
}

void sofun_test_expect_nothing(sofun_test *test, const char *file, int line) {
	const size_t index = effect_oldest(test);
	if (index < test->effect_count)
		expectation_fail(
			test, file, line, "expected nothing more; found %s", effect_text(test, &test->effects[index]->seen));
}

/* "timer to TYPE ID: JSON in N ms"; lives as long as the test. */
static const char *timer_text(sofun_test *test, const sofun_test_effect *timer) {
	char room[4096];
	(void)snprintf(room, sizeof room, "%s in %llu ms", effect_text(test, timer),
		(unsigned long long)(timer->due_ms - test->time_ms));
	char *text = memory_take(strlen(room) + 1);
	test_keep(test, text);
	return strcpy(text, room);
}

void sofun_test_expect_timer(
	sofun_test *test, const char *type, const char *id, uint64_t in_ms, const char *json, const char *file, int line) {
	const sofun_test_effect wanted = {.kind = SOFUN_TEST_TIMER,
		.name = sofun_text(type),
		.id = sofun_text(id),
		.payload = json == NULL ? sofun_bytes_of(NULL, 0) : text_msgpack(test, json),
		.due_ms = test->time_ms + in_ms};
	const char *expected = json == NULL ? "no timer" : timer_text(test, &wanted);
	const char *found = "no timer";
	for (size_t i = 0; i < test->effect_count; i++) {
		const sofun_test_effect *seen = &test->effects[i]->seen;
		if (seen->kind == SOFUN_TEST_TIMER && sofun_bytes_equal(seen->name, wanted.name) &&
			sofun_bytes_equal(seen->id, wanted.id) && strcmp(found = timer_text(test, seen), expected) == 0)
			return;
	}
	if (strcmp(found, expected) != 0)
		expectation_fail(test, file, line, "expected %s; found %s", expected, found);
}

/* ---- results and state ---- */

void sofun_test_expect_ok(sofun_test *test, int result, const char *file, int line) {
	if (result != 0)
		expectation_fail(test, file, line, "expected success; it returned %d: %s", result, sofun_test_failure(test));
}

void sofun_test_expect_failure(sofun_test *test, int result, const char *text, const char *file, int line) {
	if (result == 0)
		expectation_fail(test, file, line, "expected the failure \"%s\"; it succeeded", text);
	if (strcmp(sofun_test_failure(test), text) != 0)
		expectation_fail(test, file, line, "expected the failure \"%s\"; found \"%s\"", text, sofun_test_failure(test));
}

void sofun_test_expect_state(sofun_test *test, const char *type, const char *id, const char *value, const char *json,
	const char *file, int line) {
	const char *found = sofun_test_text(test, sofun_test_state(test, type, sofun_text(id), value));
	const char *expected = json == NULL ? "unset" : text_canonical(test, json);
	if (strcmp(found, expected) != 0)
		expectation_fail(test, file, line, "expected %s of %s %s to be %s; found %s", value, type, id, expected, found);
}

void sofun_test_expect_entry(sofun_test *test, const char *type, const char *id, const char *table, const char *key,
	const char *json, const char *file, int line) {
	const sofun_bytes entry = sofun_test_entry(test, type, id, table, sofun_text(key));
	const char *found = entry.size == 0 ? "none" : sofun_test_text(test, entry);
	const char *expected = json == NULL ? "none" : text_canonical(test, json);
	if (strcmp(found, expected) != 0)
		expectation_fail(test, file, line, "expected entry %s of %s of %s %s to be %s; found %s", key, table, type, id,
			expected, found);
}

void sofun_test_expect_item(sofun_test *test, const char *type, const char *id, const char *list, uint64_t index,
	const char *json, const char *file, int line) {
	const sofun_bytes item = sofun_test_item(test, type, id, list, index);
	const char *found = item.size == 0 ? "none" : sofun_test_text(test, item);
	const char *expected = json == NULL ? "none" : text_canonical(test, json);
	if (strcmp(found, expected) != 0)
		expectation_fail(test, file, line, "expected item %llu of %s of %s %s to be %s; found %s",
			(unsigned long long)index, list, type, id, expected, found);
}

void sofun_test_expect_count(
	sofun_test *test, const char *type, const char *id, const char *value, size_t count, const char *file, int line) {
	const size_t found = sofun_test_entry_count(test, type, id, value);
	if (found != count)
		expectation_fail(
			test, file, line, "expected %s of %s %s to have %zu entries; found %zu", value, type, id, count, found);
}
