/* One client's connection: receive buffer, frames, answers, its end. Private to host/ingress. [loop thread]
 *
 *   open        reads, parses, answers
 *   finishing   the peer has sent its last byte: what is open is answered, then it is closed
 *   refusing    an unparsable frame came: nothing is parsed any more; what is open is answered, the sending side is shut
 *               down, and what still arrives is thrown away for REFUSED_LINGER_MS, so that the peer reads why it is
 *               refused instead of a reset
 */
#ifndef HOST_INGRESS_CONNECTION_H
#define HOST_INGRESS_CONNECTION_H

#include "base/bytes.h"
#include "door/transport.h"
#include "ingress/pending.h"
#include "ingress/server.h"
#include "ingress/subscription.h"
#include "wire/rpc.h"

enum {
	CONNECTION_MAGIC = 0x636f6e6e,
	/* Requests of one connection without answer; beyond it nothing more is parsed. 300,000 a second at 3 ms; all of them may
	 * be answered at once, with 8 KiB each, say, and that is memory. */
	CONNECTION_PENDING_MAX = 1024,
	REFUSED_LINGER_MS = 1000,
};

/* Unwritten answers above which a connection is not read: its caller does not read either. */
#define OUTPUT_BYTES_MAX MIB(1)
/* Unwritten answers above which it is closed: CONNECTION_PENDING_MAX large replies to a caller that never reads them. */
#define OUTPUT_BYTES_LOST MIB(64)
/* Buffers above this are given back when they are empty. */
#define BUFFER_KEPT_BYTES KIB(64)

enum large_state { LARGE_NOT, LARGE_WAITING, LARGE_ARRIVING }; /* large.h */
enum connection_state { CONNECTION_OPEN, CONNECTION_FINISHING, CONNECTION_REFUSING };

struct connection {
	uint32_t magic; /* CONNECTION_MAGIC */
	enum connection_state state;
	struct data_server *server;
	uint64_t session;
	const struct doors *doors; /* NULL: the Unix socket, whose user may do everything */
	struct access_pass pass;
	struct deadline greeting;
	struct transport transport;
	struct event *read_event;
	struct event *write_event;
	bool reading; /* read_event is added */
	bool writing; /* write_event is added: the socket is full */
	bool shut;    /* the sending side */
	bool lost;    /* to be closed at the end of the turn, answers or not */
	bool is_due;  /* on the server's list */
	bool is_held; /* on the server's list */

	struct rpc_reader reader;
	struct buf input; /* the beginning of a frame, or frames that have to wait */
	struct buf output;
	size_t output_sent; /* of output */
	size_t held_bytes;  /* that the server counts (held.h) */
	uint64_t held_ms;   /* when that last changed */
	struct pending_list pendings;
	uint32_t pending_count;
	struct subscriptions subscriptions;
	struct deadline linger;
	enum large_state large;
	struct deadline stall;

	LIST_ENTRY(connection) link;
	TAILQ_ENTRY(connection) due_link;
	TAILQ_ENTRY(connection) held_link;
	TAILQ_ENTRY(connection) large_link;
};

/* Takes the socket (non-blocking). doors: as in struct connection. */
void connection_create(struct data_server *server, int fd, const struct doors *doors);

/* What it may do now (door/access.h). */
uint32_t connection_rights(struct connection *connection);

/* Cancels what is open, closes the socket, frees. */
void connection_destroy(struct connection *connection);

/* The end of a turn: writes what is there, goes on with frames that had to wait, and closes what is at its end. The
 * connection may be gone behind it. */
void connection_turn(struct connection *connection);

/* Something is to be done for it at the end of this turn. */
void connection_due(struct connection *connection);

static inline size_t connection_unsent(const struct connection *connection) {
	return connection->output.size - connection->output_sent;
}

#endif
