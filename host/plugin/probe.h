/* The probe: a plugin is tried in a child process first, where it may kill, hang or litter as it likes (ABI-NOTES, traps
 * 6 to 10). The child is this program again, with the hidden option `--probe COPY`; it loads the copy, judges its
 * descriptor, calls init and fini, compares threads, unloads, and says on descriptor 3 how far it came:
 *
 *   report  = { "step " NAME LF } ( "good " ("unmapped" | "mapped") | "refused " refusal ) LF
 *   NAME    = "read" | "load" | "init" | "fini" | "threads" | "unload" | "thread-end"
 *
 * A child that ends without a last line died in the step it named last. */
#ifndef HOST_PLUGIN_PROBE_H
#define HOST_PLUGIN_PROBE_H

#include <stdbool.h>

#include "base/error.h"

enum {
	/* Init of a plugin has this long. Seconds, because a busy machine loses whole ones; not minutes, because every
	 * other plugin waits behind it. */
	PROBE_MS_MAX = 10000,
};

/* Called by main before anything else: -1 if this is no probe, else the exit code. */
int probe_main(int argc, char *const argv[]);

/* [stager] Runs the child and waits for it. unmaps: whether dlclose took the plugin away. False: ERROR_REFUSED. */
bool probe_run(const char *image_path, int limit_ms, bool *ret_unmaps, struct error *error);

#endif
