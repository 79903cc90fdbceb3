/* Random MessagePack values from a seed, in every encoding that the format has, the longer than needed included. */
#ifndef TESTS_WIRE_RANDOM_VALUE_H
#define TESTS_WIRE_RANDOM_VALUE_H

#include <stdint.h>

#include "base/bytes.h"

struct random {
	uint64_t state;
};

uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit);

/* Appends one object of at most `nesting` levels. */
void random_value(struct random *random, uint32_t nesting, struct buf *value);

/* What a value becomes on its way through JSON: shortest forms, bin that is UTF-8 as str, floats of 64 bits; what travels
 * as {"msgpack"} stays byte by byte. */
void value_normalise(struct bytes value, struct buf *normal);

#endif
