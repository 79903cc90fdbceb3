#include "base/mutant.h"

#ifdef SOFUN_MUTANTS

#include <string.h>

static enum mutant planted = MUTANT_NONE;

bool mutant_plant(const char *name) {
	static const char *const names[] = {
		[MUTANT_DROP_MESSAGE] = "drop_message",
		[MUTANT_ACK_BEFORE_SYNC] = "ack_before_sync",
		[MUTANT_SKIP_DEDUPE] = "skip_dedupe",
		[MUTANT_NO_SYNC] = "no_sync",
		[MUTANT_NAIVE_TRIM] = "naive_trim",
	};
	for (enum mutant mutant = MUTANT_DROP_MESSAGE; mutant <= MUTANT_NAIVE_TRIM; mutant++) {
		if (strcmp(names[mutant], name) == 0) {
			planted = mutant;
			return true;
		}
	}
	return false;
}

bool mutant_is(enum mutant mutant) {
	return planted == mutant;
}

#else

/* A translation unit is never empty. */
typedef int mutant_nothing;

#endif
