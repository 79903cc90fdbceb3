#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct bytes bytes, struct buf *text) {
	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t left = bytes.size - i;
		uint32_t group = (uint32_t)bytes.data[i] << 16;
		if (left > 1)
			group |= (uint32_t)bytes.data[i + 1] << 8;
		if (left > 2)
			group |= bytes.data[i + 2];
		char quad[4] = {
			alphabet[group >> 18], alphabet[group >> 12 & 63], alphabet[group >> 6 & 63], alphabet[group & 63]};
		if (left < 3)
			quad[3] = '=';
		if (left < 2)
			quad[2] = '=';
		buf_append(text, quad, sizeof quad);
	}
}

/* 0 to 63; -1 if it is no digit. */
static int digit_value(uint8_t digit) {
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Four digits, the last `padding` of them '='; false if one is wrong or the bits that padding leaves over are not 0. */
static bool group_read(const uint8_t *quad, size_t padding, uint32_t *ret_group) {
	uint32_t group = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? digit_value(quad[i]) : 0;
		if (value < 0)
			return false;
		group = group << 6 | (uint32_t)value;
	}
	*ret_group = group;
	return (group & ((1u << (8 * padding)) - 1)) == 0;
}

static size_t padding_count(struct bytes text) {
	if (text.size == 0 || text.data[text.size - 1] != '=')
		return 0;
	return text.data[text.size - 2] == '=' ? 2 : 1;
}

bool base64_read(struct bytes text, struct buf *bytes) {
	if (text.size % 4 != 0)
		return false;
	size_t before = bytes->size;
	size_t padding = padding_count(text);
	for (size_t i = 0; i < text.size; i += 4) {
		uint32_t group;
		size_t absent = i + 4 == text.size ? padding : 0;
		if (!group_read(text.data + i, absent, &group)) {
			bytes->size = before;
			return false;
		}
		uint8_t three[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
		buf_append(bytes, three, 3 - absent);
	}
	return true;
}
