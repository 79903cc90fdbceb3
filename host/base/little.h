/* Little-endian fixed-width integers, as in every on-disk format of ours that is not a key. */
#ifndef HOST_BASE_LITTLE_H
#define HOST_BASE_LITTLE_H

#include <stdint.h>

static inline void little_u32_put(uint8_t *at, uint32_t value) {
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline void little_u64_put(uint8_t *at, uint64_t value) {
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint32_t little_u32(const uint8_t *at) {
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t little_u64(const uint8_t *at) {
	return (uint64_t)little_u32(at) | (uint64_t)little_u32(at + 4) << 32;
}

#endif
