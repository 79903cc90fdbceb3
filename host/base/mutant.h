/* Mistakes that the tests must catch, built in with -DSOFUN_MUTANTS=ON and planted by `sofund --mutant NAME`. In every
 * other build mutant_is() is false at compile time. */
#ifndef HOST_BASE_MUTANT_H
#define HOST_BASE_MUTANT_H

#include <stdbool.h>

enum mutant {
	MUTANT_NONE,
	MUTANT_DROP_MESSAGE,    /* a message that crosses shards is lost now and then */
	MUTANT_ACK_BEFORE_SYNC, /* answers leave when their epoch is written, not when it is synced */
	MUTANT_SKIP_DEDUPE,     /* a record that comes twice counts twice */
	MUTANT_NO_SYNC,         /* fdatasync does nothing */
	MUTANT_NAIVE_TRIM,      /* a checkpoint does not flush the databases (rule 1) */
};

#ifdef SOFUN_MUTANTS
/* False: there is no mutant of that name. Before any thread is started. */
bool mutant_plant(const char *name);
bool mutant_is(enum mutant mutant);
#else
static inline bool mutant_is(enum mutant mutant) {
	(void)mutant;
	return false;
}
#endif

#endif
