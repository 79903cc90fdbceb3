/* libFuzzer target: any bytes as a MessagePack value and as JSON text. Whatever is taken must survive the way there and
 * back. Kept inputs: corpus/value. */
#include "base/check.h"
#include "wire/cursor.h"
#include "wire/json.h"

enum { NESTING = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* value → JSON → text → value: the second time nothing changes any more (json.h: bin that is UTF-8, floats of 32 bits). */
static void value_run(struct bytes value) {
	struct error error = {0};
	json_t *json = json_from_value(value, NESTING, &error);
	check((json != NULL) == (error.code == ERROR_NONE));
	check((json != NULL) == (cursor_check(value, NESTING) == CURSOR_GOOD));
	if (json == NULL)
		return;
	struct buf text = {0}, back = {0}, again = {0};
	json_to_text(json, &text);
	check(json_text_to_value(bytes_buf(&text), NESTING, &back, &error));
	json_t *second = json_from_value(bytes_buf(&back), NESTING, &error);
	check(second != NULL && json_equal(json, second));
	check(json_to_value(second, NESTING, &again, &error) && bytes_equal(bytes_buf(&back), bytes_buf(&again)));
	json_decref(json);
	json_decref(second);
	buf_finish(&text);
	buf_finish(&back);
	buf_finish(&again);
}

static void text_run(struct bytes text) {
	struct error error = {0};
	struct buf value = {0}, id = {0};
	bool good = json_text_to_value(text, NESTING, &value, &error);
	check(good == (error.code == ERROR_NONE) && (good || value.size == 0));
	if (good)
		value_run(bytes_buf(&value));
	json_t *json = json_from_text(text, &error);
	if (json != NULL && json_to_bytes(json, &id, &error)) {
		struct buf back = {0};
		json_t *bytes = json_from_bytes(bytes_buf(&id));
		check(json_to_bytes(bytes, &back, &error) && bytes_equal(bytes_buf(&back), bytes_buf(&id)));
		json_decref(bytes);
		buf_finish(&back);
	}
	json_decref(json);
	buf_finish(&value);
	buf_finish(&id);
}

static void words_run(struct bytes words) {
	struct error error;
	error_set(&error, ERROR_BAD_REQUEST, "%.*s", (int)words.size, words.size == 0 ? "" : (const char *)words.data);
	json_decref(json_from_error(&error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	value_run(bytes_of(data, size));
	text_run(bytes_of(data, size));
	words_run(bytes_of(data, size));
	return 0;
}
