#include "wire/json_escape.h"

#include "base/check.h"
#include "wire/base64.h"

static const char *const names[] = {
	[JSON_ESCAPE_NONE] = "",
	[JSON_ESCAPE_BASE64] = "base64",
	[JSON_ESCAPE_MSGPACK] = "msgpack",
	[JSON_ESCAPE_MAP] = "map",
};

enum json_escape json_escape_named(const char *key, size_t size) {
	for (enum json_escape escape = JSON_ESCAPE_BASE64; escape <= JSON_ESCAPE_MAP; escape++)
		if (bytes_equal(bytes_of(key, size), bytes_text(names[escape])))
			return escape;
	return JSON_ESCAPE_NONE;
}

enum json_escape json_escape_of(const json_t *object, const json_t **ret_content) {
	if (!json_is_object(object) || json_object_size(object) != 1)
		return JSON_ESCAPE_NONE;
	void *only = json_object_iter((json_t *)object);
	*ret_content = json_object_iter_value(only);
	return json_escape_named(json_object_iter_key(only), json_object_iter_key_len(only));
}

json_t *json_escape_bytes(enum json_escape escape, struct bytes bytes) {
	struct buf text = {0};
	base64_write(bytes, &text);
	json_t *content = json_stringn_nocheck(text.size == 0 ? "" : (const char *)text.data, text.size);
	check_memory(content);
	buf_finish(&text);
	json_t *object = json_object();
	check_memory(object);
	check(json_object_set_new_nocheck(object, names[escape], content) == 0);
	return object;
}
