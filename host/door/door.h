/* A door: where connections come in, and what who comes there must show. [loop thread] */
#ifndef HOST_DOOR_DOOR_H
#define HOST_DOOR_DOOR_H

#include "config/config.h"
#include "door/access.h"
#include "door/listen_tcp.h"
#include "door/tls.h"

/* All doors on the network share their certificate and their tokens. */
struct doors {
	struct listen_sockets sockets;
	struct tls *tls;       /* NULL: plain */
	struct access *access; /* NULL: no token is asked for */
};

enum {
	/* Whoever connects has shown who it is by then: TLS is agreed on, a token is shown where one is asked for. */
	DOOR_GREETING_MS = 10000,
};

/* What the settings say of the network fits together: beyond this machine there must be a certificate and tokens. Reads
 * their files. ERROR_BAD_REQUEST with the remedy. */
bool doors_check(const struct config *config, struct error *error);

/* Opens the listeners and reads certificate and tokens. On false nothing is left open. */
bool doors_open(struct doors *doors, const struct config *config, struct error *error);
void doors_close(struct doors *doors);

/* Reads certificate and tokens again; each that is wrong stays as it was, and the log says so. */
void doors_reload(struct doors *doors);

#endif
