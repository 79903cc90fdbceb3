#include "line.h"

enum { COUNT_DIGITS_MAX = 18 /* what an int64_t surely holds */ };

static sofun_bytes rest_from(sofun_bytes text, size_t at) {
	return sofun_bytes_of(text.data + at, text.size - at);
}

/* Takes the words off the front, if they are there. */
static bool take(sofun_bytes *text, const char *words) {
	const size_t size = strlen(words);
	if (text->size < size || memcmp(text->data, words, size) != 0)
		return false;
	*text = rest_from(*text, size);
	return true;
}

/* What stands before the first space, which stays; the whole text if there is none. */
static sofun_bytes take_word(sofun_bytes *text) {
	const uint8_t *space = text->size > 0 ? memchr(text->data, ' ', text->size) : NULL;
	const size_t size = space == NULL ? text->size : (size_t)(space - text->data);
	const sofun_bytes word = sofun_bytes_of(text->data, size);
	*text = rest_from(*text, size);
	return word;
}

/* Decimal digits; *ret_digits is 0 if there are none or too many. */
static int64_t take_number(sofun_bytes *text, int *ret_digits) {
	int64_t number = 0;
	int digits = 0;
	while (text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
		if (++digits <= COUNT_DIGITS_MAX)
			number = number * 10 + (text->data[0] - '0');
		*text = rest_from(*text, 1);
	}
	*ret_digits = digits <= COUNT_DIGITS_MAX ? digits : 0;
	return number;
}

static bool is_sshd(sofun_bytes tag) {
	int digits;
	return take(&tag, "sshd[") && (take_number(&tag, &digits), digits > 0) && take(&tag, "]:") && tag.size == 0;
}

/* Moves *line to sshd's message; false if the line is another program's, or nobody's. */
static bool take_tag(sofun_bytes *line) {
	while (line->size > 0) {
		const sofun_bytes word = take_word(line);
		if (word.size > 0 && word.data[word.size - 1] == ':')
			return is_sshd(word) && take(line, " ");
		(void)take(line, " ");
	}
	return false;
}

/* How many messages this one stands for; 0: none that could be counted. */
static int64_t take_repeat(sofun_bytes *message) {
	sofun_bytes rest = *message;
	int digits;
	if (!take(&rest, "message repeated "))
		return 1;
	const int64_t count = take_number(&rest, &digits);
	if (digits == 0 || !take(&rest, " times: [ "))
		return 0;
	if (rest.size > 0 && rest.data[rest.size - 1] == ']')
		rest.size--;
	*message = rest;
	return count;
}

/* Where the last " from " begins; text.size if there is none. */
static size_t last_from(sofun_bytes text) {
	static const char word[] = " from ";
	const size_t size = sizeof word - 1;
	for (size_t at = text.size < size ? 0 : text.size - size + 1; at > 0; at--) {
		if (memcmp(text.data + at - 1, word, size) == 0)
			return at - 1;
	}
	return text.size;
}

/* What stands between " for" and the last " from ", without the word for an unknown name. A relay that makes one space
 * of several leaves nothing at all of an empty name. */
static sofun_bytes user_of(sofun_bytes between) {
	sofun_bytes rest = between;
	if (take(&rest, " invalid user") && (rest.size == 0 || rest.data[0] == ' '))
		between = rest;
	(void)take(&between, " ");
	return between;
}

bool line_read(sofun_bytes line, struct failure *ret_failure) {
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	sofun_bytes message = line;
	if (!take_tag(&message))
		return false;
	const int64_t count = take_repeat(&message);
	if (count == 0 || !take(&message, "Failed ") || take_word(&message).size == 0 || !take(&message, " for"))
		return false;
	if (message.size == 0 || message.data[0] != ' ')
		return false;
	const size_t from = last_from(message);
	if (from == message.size)
		return false;
	sofun_bytes behind = rest_from(message, from + strlen(" from "));
	ret_failure->source = take_word(&behind);
	ret_failure->user = user_of(sofun_bytes_of(message.data, from));
	ret_failure->time = sofun_bytes_of(line.data, line.size < LINE_TIME_BYTES ? line.size : LINE_TIME_BYTES);
	ret_failure->count = count;
	return ret_failure->source.size > 0;
}
