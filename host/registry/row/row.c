#include "registry/row/row.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

bool row_malformed(struct error *error, char kind) {
	error_set(error, ERROR_STORE_FAILED, "a row '%c' of the runtime database is malformed", kind);
	error_hint(error, "run `sofund --verify` on the data directory");
	return false;
}

bool row_read_text(struct cursor *cursor, char *text, size_t room) {
	struct bytes bytes;
	if (!cursor_read_str(cursor, &bytes) || bytes.size >= room)
		return false;
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return true;
}

bool row_read_new_text(struct cursor *cursor, char **place) {
	struct bytes bytes;
	if (!cursor_read_str(cursor, &bytes))
		return false;
	char *text = check_alloc(bytes.size + 1, 1);
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	free(*place);
	*place = text;
	return true;
}
