/* What figures of this machine are worth: is it quiet, what is the disk. */
#ifndef SOFUN_BENCH_MACHINE_H
#define SOFUN_BENCH_MACHINE_H

#include "bench.h"

/* Fills in cores, file system, the p50 of fdatasync and the speed of one core alone. False: told. */
bool machine_look(struct bench *bench);

/* Do all cores together, each for itself, spin as fast as one alone did? These machines are shared: two busy cores are
 * sometimes worth one, unseen by the guest. */
bool machine_quiet(struct bench *bench);

#endif
