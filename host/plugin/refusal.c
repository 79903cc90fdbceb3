#include "plugin/refusal.h"

#include <string.h>

static void text_clean(char *text) {
	bool utf8 = bytes_utf8(bytes_text(text));
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte < 0x20 || byte == 0x7f)
			*text = ' ';
		else if (byte > 0x7f && !utf8)
			*text = '?';
	}
}

void refusal_clean(struct error *error) {
	text_clean(error->message);
	text_clean(error->found);
	text_clean(error->expected);
	text_clean(error->hint);
}

void refusal_write(struct buf *line, const struct error *error) {
	buf_printf(line, "%s\t%s\t%s\t%s", error->message, error->found, error->expected, error->hint);
}

/* The text up to the next tab; moves *line behind it. */
static int part_take(const char **line, const char **ret_part) {
	size_t size = strcspn(*line, "\t");
	*ret_part = *line;
	*line += size + ((*line)[size] == '\t');
	return (int)size;
}

void refusal_read(const char *line, struct error *ret_error) {
	const char *part;
	int size = part_take(&line, &part);
	error_set(ret_error, ERROR_REFUSED, "%.*s", size, part);
	size = part_take(&line, &part);
	error_found(ret_error, "%.*s", size, part);
	size = part_take(&line, &part);
	error_expected(ret_error, "%.*s", size, part);
	size = part_take(&line, &part);
	error_hint(ret_error, "%.*s", size, part);
}
