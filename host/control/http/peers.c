#include "control/http/peers.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "config/config.h"
#include "control/control.h"
#include "control/http/page.h"

enum {
	PEER_BUCKETS = 4096,
	LOOK_MS = 250,           /* how often deadlines are looked at */
	LINGER_MS = 2000,        /* a refused client may send on for so long */
	LINGERING_MAX = 256,     /* so many at once; others are closed at once */
	DISCARD_BYTES = 64 << 10 /* of one read */
};

struct peer {
	LIST_ENTRY(peer) link;
	struct peers *peers;
	struct bufferevent *bufferevent;
	struct evhttp_connection *connection; /* NULL: evhttp has not begun with it */
	void (*closed)(struct evhttp_connection *connection, void *arg);
	void *arg;
	uint64_t began_ms; /* of the request that arrives; 0: none does */
	uint64_t received; /* of that request */
	size_t held;       /* in its buffer */
	size_t unread;     /* answers that are not with the client */
	uint64_t read_ms;  /* when it last took some, or the first stood there */
	bool answering;
	const char *refused; /* why it is to be closed */
};
LIST_HEAD(peer_list, peer);

/* The socket of a connection that evhttp has closed. */
struct lingering {
	LIST_ENTRY(lingering) link;
	struct peers *peers;
	struct event *readable;
	uint64_t until_ms;
	int fd;
};
LIST_HEAD(lingering_list, lingering);

struct peers {
	const struct config *config;
	struct event_base *base;
	struct event *look;
	struct event *now; /* something cannot wait for the next look */
	struct peer_list buckets[PEER_BUCKETS];
	struct lingering_list lingering;
	size_t count;
	size_t lingering_count;
	size_t held;   /* bytes of unfinished requests */
	size_t unread; /* bytes of answers */
};

static struct peer_list *bucket_of(struct peers *peers, const struct bufferevent *bufferevent) {
	return &peers->buckets[((uintptr_t)bufferevent >> 6) % PEER_BUCKETS];
}

static struct peer *peer_find(struct peers *peers, const struct bufferevent *bufferevent) {
	struct peer *peer;
	LIST_FOREACH(peer, bucket_of(peers, bufferevent), link)
	if (peer->bufferevent == bufferevent)
		return peer;
	check_failed(__FILE__, __LINE__, "every connection is watched");
}

static void peer_destroy(struct peer *peer) {
	LIST_REMOVE(peer, link);
	peer->peers->count--;
	peer->peers->held -= peer->held;
	peer->peers->unread -= peer->unread;
	free(peer);
}

/* ---- lingering ---- */

static void linger_end(struct lingering *lingering) {
	LIST_REMOVE(lingering, link);
	lingering->peers->lingering_count--;
	event_free(lingering->readable);
	close(lingering->fd);
	free(lingering);
}

static void discard(evutil_socket_t fd, short what, void *arg) {
	(void)what;
	static char bytes[DISCARD_BYTES]; /* nobody reads them */
	if (read(fd, bytes, sizeof bytes) <= 0)
		linger_end(arg);
}

/* evhttp will close the connection behind what it writes now, and whatever the client still sends is read and thrown away for a
 * while: a socket that is closed with bytes unread takes the answer back. */
static void linger_begin(struct peers *peers, struct bufferevent *bufferevent) {
	int fd = peers->lingering_count >= LINGERING_MAX ? -1 : fcntl(bufferevent_getfd(bufferevent), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	struct lingering *lingering = check_alloc(1, sizeof *lingering);
	lingering->peers = peers;
	lingering->fd = fd;
	lingering->until_ms = monotonic_ms() + LINGER_MS;
	lingering->readable = event_new(peers->base, fd, EV_READ | EV_PERSIST, discard, lingering);
	check_memory(lingering->readable);
	LIST_INSERT_HEAD(&peers->lingering, lingering, link);
	peers->lingering_count++;
}

/* evhttp reads its descriptor until it closes it; from then on the other one is read. */
static void linger_look(struct peers *peers, uint64_t now_ms) {
	struct lingering *next;
	for (struct lingering *one = LIST_FIRST(&peers->lingering); one != NULL; one = next) {
		next = LIST_NEXT(one, link);
		if (now_ms >= one->until_ms)
			linger_end(one);
		else if (event_pending(one->readable, EV_READ, NULL) == 0)
			check(event_add(one->readable, NULL) == 0);
	}
}

/* ---- what arrives ---- */

static void peer_refuse(struct peer *peer, const char *why) {
	if (peer->refused != NULL)
		return;
	peer->refused = why;
	event_active(peer->peers->now, EV_TIMEOUT, 0);
}

static void arrived(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg) {
	struct peer *peer = arg;
	struct peers *peers = peer->peers;
	(void)input;
	peers->held -= peer->held;
	peer->held = info->orig_size + info->n_added - info->n_deleted;
	peers->held += peer->held;
	if (info->n_added == 0 || peer->answering)
		return;
	if (peer->began_ms == 0) {
		peer->began_ms = monotonic_ms();
		peer->received = 0;
	}
	peer->received += info->n_added;
	if (peer->held > PEER_SHARE_BYTES && peers->held > peers->config->memory_bytes / PEERS_MEMORY_PART)
		peer_refuse(peer, "too many unfinished requests fill the memory");
}

static void written(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg) {
	struct peer *peer = arg;
	if (page_refused(output, info, peer->peers->config))
		linger_begin(peer->peers, peer->bufferevent);
	if (peer->unread == 0 || info->n_deleted > 0)
		peer->read_ms = monotonic_ms();
	peer->peers->unread -= peer->unread;
	peer->unread = evbuffer_get_length(output);
	peer->peers->unread += peer->unread;
}

/* Who has kept others' memory for a while, and takes nothing. */
static bool does_not_read(const struct peer *peer, uint64_t now_ms) {
	return peer->peers->unread > peer->peers->config->memory_bytes / PEERS_MEMORY_PART &&
		peer->unread > PEER_SHARE_BYTES && now_ms - peer->read_ms > PEER_READ_MS;
}

/* The client is told, where nothing else was begun, and the socket is shut: evhttp finds its end. */
static void peer_close(struct peer *peer) {
	static const char answer[] =
		"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
		"{\"error\":{\"code\":\"timeout\",\"message\":\"the request did not arrive in time, or "
		"too many are unfinished\",\"hint\":\"send it in one go\"}}\n";
	int fd = bufferevent_getfd(peer->bufferevent);
	log_event(
		LOG_INFO, "request_cut", "received=%llu reason=\"%s\"", (unsigned long long)peer->received, peer->refused);
	if (peer->unread == 0 && bufferevent_openssl_get_ssl(peer->bufferevent) == NULL) {
		ssize_t sent = send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)sent; /* whoever does not keep to the rules may miss it */
	}
	shutdown(fd, SHUT_RDWR);
	peer->began_ms = 0;
}

static void peer_look(struct peer *peer, uint64_t now_ms) {
	uint64_t given_ms = PEER_REQUEST_MS + peer->received / PEER_BYTES_PER_MS;
	if (peer->began_ms != 0 && now_ms - peer->began_ms > given_ms)
		peer->refused = "it does not arrive in time";
	if (does_not_read(peer, now_ms))
		peer->refused = "unread answers fill the memory, and it takes nothing";
	if (peer->refused == NULL)
		return;
	peer_close(peer);
	peer->refused = NULL;
}

static void look(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct peers *peers = arg;
	uint64_t now_ms = monotonic_ms();
	for (size_t i = 0; i < PEER_BUCKETS; i++) {
		struct peer *peer;
		LIST_FOREACH(peer, &peers->buckets[i], link)
		peer_look(peer, now_ms);
	}
	linger_look(peers, now_ms);
}

/* ---- from evhttp's beginning to its end ---- */

static void connection_closed(struct evhttp_connection *connection, void *arg) {
	struct peer *peer = arg;
	void (*closed)(struct evhttp_connection *, void *) = peer->closed;
	void *closed_arg = peer->arg;
	peer_destroy(peer);
	if (closed != NULL)
		closed(connection, closed_arg);
}

/* By now evhttp has the connection: its callbacks' argument is its own object, the only way to it before a request. */
static void adopt(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct peer *peer = arg;
	bufferevent_event_cb ended;
	void *connection;
	bufferevent_getcb(peer->bufferevent, NULL, NULL, &ended, &connection);
	struct bufferevent *bufferevent = peer->bufferevent;
	if (ended == NULL) {
		evbuffer_remove_cb(bufferevent_get_input(bufferevent), arrived, peer);
		evbuffer_remove_cb(bufferevent_get_output(bufferevent), written, peer);
		peer_destroy(peer); /* evhttp has dropped it at once */
	} else {
		peer->connection = connection;
		check(evhttp_connection_get_bufferevent(connection) == bufferevent);
		evhttp_connection_set_closecb(connection, connection_closed, peer);
	}
	bufferevent_decref(bufferevent);
}

void peers_add(struct peers *peers, struct bufferevent *bufferevent) {
	const struct timeval at_once = {0};
	struct peer *peer = check_alloc(1, sizeof *peer);
	peer->peers = peers;
	peer->bufferevent = bufferevent;
	LIST_INSERT_HEAD(bucket_of(peers, bufferevent), peer, link);
	peers->count++;
	check(evbuffer_add_cb(bufferevent_get_input(bufferevent), arrived, peer) != NULL);
	check(evbuffer_add_cb(bufferevent_get_output(bufferevent), written, peer) != NULL);
	bufferevent_incref(bufferevent);
	check(event_base_once(peers->base, -1, EV_TIMEOUT, adopt, peer, &at_once) == 0);
}

bool peers_full(const struct peers *peers) {
	return peers->count >= PEERS_MAX;
}

/* A request may be whole before adopt has run. */
static struct peer *peer_of(struct peers *peers, struct evhttp_connection *connection) {
	return peer_find(peers, evhttp_connection_get_bufferevent(connection));
}

void peer_asked(struct peers *peers, struct evhttp_connection *connection) {
	struct peer *peer = peer_of(peers, connection);
	peer->answering = true;
	peer->began_ms = 0;
}

void peer_answered(struct peers *peers, struct evhttp_connection *connection) {
	struct peer *peer = peer_of(peers, connection);
	peer->answering = false;
	peer->began_ms = peer->held > 0 ? monotonic_ms() : 0; /* the next one has come behind it */
	peer->received = peer->held;
}

void peer_on_close(struct peers *peers, struct evhttp_connection *connection,
	void (*closed)(struct evhttp_connection *connection, void *arg), void *arg) {
	struct peer *peer = peer_of(peers, connection);
	peer->closed = closed;
	peer->arg = arg;
}

/* ---- life ---- */

struct peers *peers_create(struct event_base *base, const struct config *config) {
	const struct timeval period = {.tv_usec = LOOK_MS * 1000};
	struct peers *peers = check_alloc(1, sizeof *peers);
	peers->base = base;
	peers->config = config;
	peers->look = event_new(base, -1, EV_PERSIST, look, peers);
	peers->now = event_new(base, -1, 0, look, peers);
	check_memory(peers->look);
	check_memory(peers->now);
	check(event_add(peers->look, &period) == 0);
	return peers;
}

void peers_destroy(struct peers *peers) {
	if (peers == NULL)
		return;
	while (!LIST_EMPTY(&peers->lingering))
		linger_end(LIST_FIRST(&peers->lingering));
	check(peers->count == 0);
	event_free(peers->look);
	event_free(peers->now);
	free(peers);
}
