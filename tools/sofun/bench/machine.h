/* What figures of this machine are worth: is it quiet, what is the disk. */
#ifndef SOFUN_BENCH_MACHINE_H
#define SOFUN_BENCH_MACHINE_H

#include "bench/bench.h"

/* Fills in cores, file system, the p50 of fdatasync and the speed of one core alone. False: told. */
bool machine_look(struct bench *bench);

/* Do all cores together, each for itself, spin as fast as one alone did? These machines are shared: two busy cores are
 * sometimes worth one, unseen by the guest. */
bool machine_quiet(struct bench *bench);

/* Bytes that the device has written, once all that was waiting is. Others' are in it, so that it is true on a quiet machine
 * only; but /proc/PID/io is not true at all where the page cache has large folios: there 4 KiB written into a folio of
 * 1 MiB count as 1 MiB (Linux 6.18, ext4: 200 synced overwrites counted 210 MB, and the disk wrote 2.6). Negative: unknown. */
double machine_disk_bytes(const struct bench *bench);

#endif
