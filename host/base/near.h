/* Which of some names was probably meant by one that is not among them: a slip of the finger away, no more. */
#ifndef HOST_BASE_NEAR_H
#define HOST_BASE_NEAR_H

#include <stddef.h>

#include "base/bytes.h"

enum { NEAR_NAME_BYTES = 128 }; /* longer names are neither looked for nor offered */

/* Insertions, removals, replacements and swaps of neighbours that make one name of the other; both shorter than
 * NEAR_NAME_BYTES. */
size_t near_distance(const char *a, const char *b);

/* Where the nearest name so far is kept, while names are offered one by one. */
struct near {
	char wanted[NEAR_NAME_BYTES]; /* empty: too long to be looked for */
	char best[NEAR_NAME_BYTES];   /* empty: none is near enough */
	size_t distance;              /* of the best; one more than is near enough, as long as there is none */
};

struct near near_begin(struct bytes wanted);
void near_offer(struct near *near, const char *name);

/* "did you mean NAME? ", or "" where none is near: what a hint begins with. */
enum { NEAR_QUESTION_BYTES = NEAR_NAME_BYTES + 16 };
const char *near_question(const struct near *near, char room[NEAR_QUESTION_BYTES]);

#endif
