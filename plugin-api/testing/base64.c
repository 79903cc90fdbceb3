#include <stdlib.h>

#include "inside.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(sofun_bytes bytes, struct piece *text) {
	for (size_t i = 0; i < bytes.size; i += 3) {
		const size_t left = bytes.size - i;
		const uint32_t three = (uint32_t)bytes.data[i] << 16 | (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
			(left > 2 ? bytes.data[i + 2] : 0);
		const char four[4] = {digits[three >> 18], digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
			left > 2 ? digits[three & 63] : '='};
		piece_append(text, four, sizeof four);
	}
}

bool base64_read(sofun_bytes text, struct piece *ret_bytes) {
	uint32_t bits = 0;
	unsigned held = 0;
	if (text.size % 4 != 0)
		return false;
	while (text.size > 0 && text.data[text.size - 1] == '=' && text.size % 4 != 2)
		text.size--;
	for (size_t i = 0; i < text.size; i++) {
		const char *digit = text.data[i] == 0 ? NULL : strchr(digits, text.data[i]);
		if (digit == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(digit - digits);
		held += 6;
		if (held >= 8) {
			held -= 8;
			const uint8_t byte = (uint8_t)(bits >> held);
			piece_append(ret_bytes, &byte, 1);
		}
	}
	return true;
}
