#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define CASTAGNOLI_REVERSED 0x82f63b78u

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void) {
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++)
			value = (value >> 1) ^ ((value & 1) != 0 ? CASTAGNOLI_REVERSED : 0);
		table[i] = value;
	}
}

static uint32_t crc_table(uint32_t crc, const uint8_t *at, size_t size) {
	pthread_once(&table_once, table_fill);
	for (size_t i = 0; i < size; i++)
		crc = table[(crc ^ at[i]) & 0xff] ^ (crc >> 8);
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *at, size_t size) {
	uint64_t state = crc;
	for (; size >= 8; at += 8, size -= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		state = __builtin_ia32_crc32di(state, word);
	}
	crc = (uint32_t)state;
	for (; size > 0; at++, size--)
		crc = __builtin_ia32_crc32qi(crc, *at);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(crc, data, size);
#endif
	return ~crc_table(crc, data, size);
}
