/* What the functions of this plugin share: numbers and ids that are a function of a seed alone. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <sofun/sofun.h>

enum {
	ID_BYTES = 16,
	COUNTERS = 1000, /* that alarms ring at */
};

/* splitmix64: the n-th number of a stream is a function of seed + n, so that a driver has nothing to remember. Different for
 * different x. */
static inline uint64_t mix(uint64_t x) {
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The index as 16 hexadecimal digits, so that a person can name an instance. */
static inline void id_write(uint64_t index, uint8_t *id) {
	for (int i = ID_BYTES - 1; i >= 0; i--) {
		id[i] = (uint8_t) "0123456789abcdef"[index & 15];
		index >>= 4;
	}
}

/* One of ids (at most 2^32), evenly. */
static inline uint64_t index_of(uint64_t random, uint64_t ids) {
	return ((random >> 32) * ids) >> 32;
}

/* Something to go on from: a number that depends on the id's first bytes. */
static inline uint64_t id_number(sofun_bytes id) {
	uint64_t words[ID_BYTES / sizeof(uint64_t)] = {id.size};
	memcpy(words, id.data, id.size < ID_BYTES ? id.size : ID_BYTES);
	return words[0] + words[1] * 31;
}

#endif
