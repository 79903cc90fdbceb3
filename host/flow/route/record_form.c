#include "flow/route/record_form.h"

#include "base/check.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

static bool text_of(struct bytes object, struct bytes *ret_text) {
	struct cursor cursor = cursor_of(object);
	return cursor_read_text_or_bin(&cursor, ret_text);
}

static bool line_take(struct bytes object, struct bytes *ret_line, struct error *error) {
	if (text_of(object, ret_line))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "a line is a str or bin");
	error_found(error, "another MessagePack type");
	return error_advise(error, "a str or bin", "send lines, or say in ingresses.<name>.format what is sent");
}

static bool text_make(struct bytes object, uint32_t nesting, struct buf *scratch, struct error *error) {
	json_t *json = json_from_value(object, nesting, error);
	if (json == NULL)
		return false;
	json_to_text(json, scratch);
	json_decref(json);
	return true;
}

static bool to_line(enum record_format comes, struct bytes object, uint32_t nesting, struct buf *scratch,
	struct bytes *ret_data, struct error *error) {
	struct bytes text;
	if (comes != FORMAT_JSON || !text_of(object, &text))
		return line_take(object, ret_data, error);
	return json_text_to_value(text, nesting, scratch, error) && line_take(bytes_buf(scratch), ret_data, error);
}

static bool to_json(enum record_format comes, struct bytes object, uint32_t nesting, struct buf *scratch,
	struct bytes *ret_data, struct error *error) {
	if (comes == FORMAT_JSON && text_of(object, ret_data))
		return true;
	if ((comes == FORMAT_LINE && !line_take(object, ret_data, error)) || !text_make(object, nesting, scratch, error))
		return false;
	*ret_data = bytes_buf(scratch);
	return true;
}

static bool to_msgpack(enum record_format comes, struct bytes object, uint32_t nesting, struct buf *scratch,
	struct bytes *ret_data, struct error *error) {
	struct bytes text;
	*ret_data = object;
	if (comes == FORMAT_MSGPACK || (comes == FORMAT_JSON && !text_of(object, &text)))
		return true;
	if (comes == FORMAT_JSON ? !json_text_to_value(text, nesting, scratch, error) : !line_take(object, &text, error))
		return false;
	if (comes == FORMAT_LINE)
		pack_str(scratch, text);
	*ret_data = bytes_buf(scratch);
	return true;
}

bool record_form(enum record_format comes, enum record_format wanted, struct bytes object, uint32_t nesting,
	struct buf *scratch, struct bytes *ret_data, struct error *error) {
	buf_reset(scratch);
	switch (wanted) {
	case FORMAT_LINE:
		return to_line(comes, object, nesting, scratch, ret_data, error);
	case FORMAT_JSON:
		return to_json(comes, object, nesting, scratch, ret_data, error);
	default:
		check(wanted == FORMAT_MSGPACK);
		return to_msgpack(comes, object, nesting, scratch, ret_data, error);
	}
}
