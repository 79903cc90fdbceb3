/* A round of work inside the host, driven by the plugin bench. No client is in the way; one call now and then beside the
 * load tells the latency. */
#ifndef SOFUN_BENCH_ROUND_H
#define SOFUN_BENCH_ROUND_H

#include "bench/host.h"

/* So many messages are sent in a round: about a second's work. */
uint64_t round_messages(const struct bench *bench);

/* Where a round's seeds begin; every round has its own. */
uint64_t round_seed(uint32_t round);

/* From the first send until all is handled and durable; then what is written back behind it is waited for, too, since it is
 * the round's cost. calls: how many messages are counted for each that a driver sends. The host says that it handled them,
 * and that none died, or there is no figure. False: told. */
bool round_run(struct bench_host *host, const struct load *load, uint64_t calls, struct figures *figures);

/* As many messages as make nearly all of the ids exist. */
bool round_warm(struct bench_host *host, const char *target, uint64_t ids);

#endif
