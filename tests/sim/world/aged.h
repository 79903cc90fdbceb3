/* Data directories of older hosts. */
#ifndef TESTS_SIM_AGED_H
#define TESTS_SIM_AGED_H

#include "flow/engine/engine.h"

/* The host that ran last was one whose sweeps stood among the delayed messages (flow/FORMAT.md, "Timers"): they do now. An epoch
 * of its own. REQUIRES: created, and not started yet. */
bool aged_sweeps(struct engine *engine, struct error *error);

#endif
