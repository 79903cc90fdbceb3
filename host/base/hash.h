/* Seeded 64-bit hash (the "address hash" of FORMAT.md, version 1). Little-endian machines give the same value
 * everywhere; the seed is stored, so that a store hashes alike for its whole life. */
#ifndef HOST_BASE_HASH_H
#define HOST_BASE_HASH_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define HASH_K0 0x9e3779b97f4a7c15u
#define HASH_K1 0xe7037ed1a0b428dbu

static inline uint64_t hash_mix(uint64_t a, uint64_t b) {
	uint64_t x = a ^ b;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 29;
	x *= HASH_K0;
	return x ^ (x >> 32);
}

static inline uint64_t hash_bytes(uint64_t seed, const void *data, size_t size) {
	const uint8_t *at = data;
	uint64_t state = seed ^ (size * HASH_K1);
	for (; size >= 8; at += 8, size -= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		state = hash_mix(state, word) + HASH_K1;
	}
	uint64_t last = 0;
	for (size_t i = 0; i < size; i++)
		last |= (uint64_t)at[i] << (8 * i);
	return hash_mix(state, last);
}

#endif
