/* The worker: the host proper, from the store to the sockets, in a process of its own under the supervisor. The order of
 * start and stop, and nothing else; what each part is: ARCHITECTURE.md. Used by main.c. */
#ifndef HOST_WORKER_H
#define HOST_WORKER_H

#include "base/error.h"
#include "config/config.h"
#include "state/store.h"
#include "supervisor/supervisor.h"

struct config_live;
struct doors;

/* Serves until SIGTERM, SIGINT or the store's failure; the exit code. REQUIRES the lock of the data directory. settings:
 * those of config, which they change. doors: those to the network, whose sockets it takes over. */
int worker_main(
	const struct config *config, struct config_live *settings, struct doors *doors, const struct seat *seat);

/* readonly: LevelDB cannot open a database without writing to it, so shadows are opened. */
struct store_options store_options_of(const struct config *config, bool readonly);

/* Says the error on stderr; gives the code back. */
int complain(const struct error *error, int code);

#endif
