/* Members of a JSON body: each is taken if it is there and fits, else the error says what was found, what is expected and
 * what to do. Pure. */
#ifndef HOST_CONTROL_HTTP_BODY_H
#define HOST_CONTROL_HTTP_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What was found, as compact JSON that is cut; NULL: nothing. */
void body_found(struct error *error, const json_t *value);

/* An integer from least to most; absent: unchanged. */
bool body_number(
	const json_t *body, const char *key, uint64_t least, uint64_t most, uint64_t *number, struct error *error);

/* true or false; absent: false. */
bool body_flag(const json_t *body, const char *key, bool *ret_flag, struct error *error);

#endif
