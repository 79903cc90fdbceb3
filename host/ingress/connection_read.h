/* The reading half of a connection, for connection.c and large.c only. [loop thread] */
#ifndef HOST_INGRESS_CONNECTION_READ_H
#define HOST_INGRESS_CONNECTION_READ_H

#include "ingress/connection.h"

/* The event: one read call, and the frames that are whole. */
void connection_read_ready(int fd, short what, void *connection);

/* Frames that had been received and had to wait. */
void connection_parse_waiting(struct connection *connection);

/* Tells the peer why nothing more is taken from it, and begins the end. */
void connection_refuse(struct connection *connection, const struct error *error);

/* True: the next frame may be taken. */
bool connection_may_parse(const struct connection *connection);

/* Decides what it waits for next, or closes it: behind this it may be gone. */
void connection_settle(struct connection *connection);

#endif
