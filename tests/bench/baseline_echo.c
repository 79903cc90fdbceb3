/* Baseline: a server that speaks the same framing as sofund and does nothing else, without any code of sofun. It answers
 * each MessagePack-RPC request [0, id, method, params] with [1, id, nil, {"payload": 1}]: what remains of a call's cost is
 * the client's, the sockets' and the framing's. One thread, epoll, one send for all that one read brought.
 *
 *   baseline_echo SOCKET [FILE]
 *
 * With FILE, each turn writes a block of that file and syncs it before the answers leave: what is left for any server whose
 * answers are durable, however little it does.
 *
 * Says "ready" when it listens; ends at the end of stdin. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 1 << 18,
	ANSWER_BYTES = 32,
	EVENTS = 64,
	BLOCK_BYTES = 4096,
	FILE_BLOCKS = 1024, /* written before: overwriting syncs faster than growing */
	BACKLOG = 256,
};

struct peer {
	int socket;
	size_t received;
	size_t unsent;
	uint8_t in[BUFFER_BYTES];
	uint8_t out[BUFFER_BYTES];
};

static int epoll;
static int file = -1; /* none: nothing is synced */

static void fail(const char *what) {
	fprintf(stderr, "baseline_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t big_endian(const uint8_t *at, size_t size) {
	uint64_t number = 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | at[i];
	return number;
}

/* One item: how long its head with its content is, and how many items belong to it. 0: not all there. */
static size_t item_size(const uint8_t *at, size_t left, uint64_t *ret_children) {
	static const uint8_t fixed[32] = {[0x00] = 1,
		[0x02] = 1,
		[0x03] = 1,
		[0x0a] = 5,
		[0x0b] = 9,
		[0x0c] = 2,
		[0x0d] = 3,
		[0x0e] = 5,
		[0x0f] = 9,
		[0x10] = 2,
		[0x11] = 3,
		[0x12] = 5,
		[0x13] = 9,
		[0x14] = 3,
		[0x15] = 4,
		[0x16] = 6,
		[0x17] = 10,
		[0x18] = 18};
	const uint8_t byte = at[0];
	*ret_children = 0;
	if (byte <= 0x7f || byte >= 0xe0)
		return 1;
	if (byte <= 0x8f)
		return *ret_children = 2u * (byte & 15), 1;
	if (byte <= 0x9f)
		return *ret_children = byte & 15, 1;
	if (byte <= 0xbf)
		return 1u + (byte & 31);
	if (fixed[byte - 0xc0] != 0)
		return fixed[byte - 0xc0];
	const bool is_bytes = (byte >= 0xc4 && byte <= 0xc6) || (byte >= 0xd9 && byte <= 0xdb);
	const size_t width = is_bytes ? (size_t)1 << (byte <= 0xc6 ? byte - 0xc4 : byte - 0xd9) : byte & 1 ? 4 : 2;
	if (left < 1 + width)
		return 0;
	const uint64_t number = big_endian(at + 1, width);
	if (is_bytes)
		return 1 + width + number;
	*ret_children = byte >= 0xde ? 2 * number : number;
	return 1 + width;
}

/* The size of the object at the front, 0 if it is not whole. */
static size_t object_size(const uint8_t *at, size_t left) {
	size_t size = 0;
	for (uint64_t items = 1; items > 0; items--) {
		uint64_t children;
		const size_t step = size < left ? item_size(at + size, left - size, &children) : 0;
		if (step == 0)
			return 0;
		size += step;
		items += children;
	}
	return size <= left ? size : 0;
}

/* [1, the request's id as it came, nil, {"payload": 1}] */
static size_t answer_write(const uint8_t *request, uint8_t *out) {
	static const uint8_t rest[] = {0xc0, 0x81, 0xa7, 'p', 'a', 'y', 'l', 'o', 'a', 'd', 1};
	uint64_t none;
	const size_t id_size = item_size(request + 2, 9, &none);
	out[0] = 0x94;
	out[1] = 1;
	memcpy(out + 2, request + 2, id_size);
	memcpy(out + 2 + id_size, rest, sizeof rest);
	return 2 + id_size + sizeof rest;
}

static void answers_send(struct peer *peer) {
	size_t sent = 0;
	while (sent < peer->unsent) {
		const ssize_t size = send(peer->socket, peer->out + sent, peer->unsent - sent, MSG_NOSIGNAL);
		if (size <= 0)
			break; /* the socket blocks, so this is its end: epoll tells */
		sent += (size_t)size;
	}
	peer->unsent = 0;
}

static void requests_answer(struct peer *peer) {
	size_t at = 0;
	for (size_t size; (size = object_size(peer->in + at, peer->received - at)) > 0; at += size) {
		if (peer->unsent + ANSWER_BYTES > sizeof peer->out)
			answers_send(peer);
		peer->unsent += answer_write(peer->in + at, peer->out + peer->unsent);
	}
	memmove(peer->in, peer->in + at, peer->received - at);
	peer->received -= at;
}

static void file_make(const char *path) {
	static const uint8_t zeros[BLOCK_BYTES];
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; file >= 0 && i < FILE_BLOCKS; i++)
		if (write(file, zeros, sizeof zeros) != sizeof zeros)
			fail(path);
	if (file < 0 || fsync(file) != 0)
		fail(path);
}

static void turn_sync(void) {
	static uint8_t block[BLOCK_BYTES];
	static off_t turn;
	block[0]++;
	if (pwrite(file, block, sizeof block, turn++ % FILE_BLOCKS * BLOCK_BYTES) != sizeof block || fdatasync(file) != 0)
		fail("sync");
}

static void peer_add(int listener) {
	struct peer *peer = calloc(1, sizeof *peer);
	if (peer == NULL || (peer->socket = accept(listener, NULL, NULL)) < 0)
		fail("no connection");
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->socket, &event) != 0)
		fail("epoll");
}

/* False: it is gone. */
static bool peer_serve(struct peer *peer) {
	const ssize_t size = recv(peer->socket, peer->in + peer->received, sizeof peer->in - peer->received, MSG_DONTWAIT);
	if (size > 0) {
		peer->received += (size_t)size;
		requests_answer(peer);
	} else if (size == 0 || errno != EAGAIN) {
		close(peer->socket);
		free(peer);
		return false;
	}
	return true;
}

/* What epoll told of is served, then synced, then answered. */
static void turn(struct peer **peers, int count) {
	bool any = false;
	for (int i = 0; i < count; i++) {
		if (!peer_serve(peers[i]))
			peers[i] = NULL;
		else if (file < 0)
			answers_send(peers[i]);
		else
			any |= peers[i]->unsent > 0;
	}
	if (!any)
		return;
	turn_sync();
	for (int i = 0; i < count; i++)
		if (peers[i] != NULL)
			answers_send(peers[i]);
}

static int listen_at(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 || strlen(path) >= sizeof address.sun_path)
		fail("no socket");
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, BACKLOG) != 0)
		fail(path);
	return listener;
}

int main(int argc, char **argv) {
	if (argc != 2 && argc != 3)
		return fputs("usage: baseline_echo SOCKET [FILE]\n", stderr), 2;
	if (argc == 3)
		file_make(argv[2]);
	int listener = listen_at(argv[1]), input = STDIN_FILENO;
	struct epoll_event events[EVENTS] = {
		{.events = EPOLLIN, .data.ptr = &listener}, {.events = EPOLLIN, .data.ptr = &input}};
	epoll = epoll_create1(0);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]) != 0 ||
		epoll_ctl(epoll, EPOLL_CTL_ADD, input, &events[1]) != 0)
		fail("epoll");
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct peer *peers[EVENTS];
		int peer_count = 0;
		const int count = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &input)
				return 0;
			if (events[i].data.ptr == &listener)
				peer_add(listener);
			else
				peers[peer_count++] = events[i].data.ptr;
		}
		turn(peers, peer_count);
	}
}
