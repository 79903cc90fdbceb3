/* From a worker's end to a row of the crash table: who did it, as far as that can be known. [supervisor] */
#ifndef HOST_SUPERVISOR_INQUEST_H
#define HOST_SUPERVISOR_INQUEST_H

#include "supervisor/crash.h"

/* status: as of waitpid, of a worker that did not end as it wanted to. time_ms: now, since 1970. table: what was known
 * before. */
void inquest(int status, const struct fault *fault, const struct notes *notes, const struct crash_table *table,
	uint64_t time_ms, struct crash_row *ret_death);

#endif
