/* Bytes of one connection, plain or through TLS, as read and send give them. [loop thread] */
#ifndef HOST_DOOR_TRANSPORT_H
#define HOST_DOOR_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls;
struct ssl_st;

struct transport {
	int fd;
	struct ssl_st *session; /* NULL: plain */
	bool full;              /* what TLS itself has to say waits until the socket takes more */
};

/* Takes the socket (non-blocking). tls may be NULL. */
void transport_init(struct transport *transport, int fd, const struct tls *tls);

/* Frees the session and closes the socket. */
void transport_finish(struct transport *transport);

/* As read: 0 is the end, -1 with errno EAGAIN is nothing for now, any other -1 is the end of the connection. */
ssize_t transport_read(struct transport *transport, void *bytes, size_t size);

/* As send. */
ssize_t transport_write(struct transport *transport, const void *bytes, size_t size);

/* Bytes have come that the socket will not announce again: read on as soon as there is room. */
bool transport_holds(const struct transport *transport);

/* The peer may send; for a plain connection from the beginning, else once TLS is agreed on. */
bool transport_ready(const struct transport *transport);

/* Nothing more will be sent. */
void transport_shut(struct transport *transport);

#endif
