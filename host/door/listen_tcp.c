#include "door/listen_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* "tcp:HOST:PORT" or "tcp:[HOST]:PORT", as the configuration has checked it. */
static void split(const char *listen, char host[256], char port[8]) {
	const char *colon = strrchr(listen, ':');
	check(strncmp(listen, "tcp:", 4) == 0 && colon > listen + 4);
	snprintf(port, 8, "%s", colon + 1);
	const char *start = listen + 4;
	size_t size = (size_t)(colon - start);
	if (size >= 2 && start[0] == '[' && start[size - 1] == ']') {
		start++;
		size -= 2;
	}
	snprintf(host, 256, "%.*s", (int)size, start);
}

static struct addrinfo *resolve(const char *listen, struct error *error) {
	char host[256], port[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	split(listen, host, port);
	int result = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &found);
	if (result == 0)
		return found;
	error_set(error, ERROR_BAD_REQUEST, "cannot listen on %.200s: %s", listen, gai_strerror(result));
	error_found(error, "%s", gai_strerror(result));
	error_advise(error, "an address of this machine, like tcp:127.0.0.1:8080, tcp:[::1]:8080 or tcp:*:8080",
		"ip address shows the addresses of this machine");
	return NULL;
}

static bool is_loopback(const struct sockaddr *address) {
	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

bool listen_tcp_loopback(const char *listen, bool *ret_loopback, struct error *error) {
	struct addrinfo *found = resolve(listen, error);
	if (found == NULL)
		return false;
	*ret_loopback = true;
	for (const struct addrinfo *one = found; one != NULL; one = one->ai_next)
		*ret_loopback = *ret_loopback && is_loopback(one->ai_addr);
	freeaddrinfo(found);
	return true;
}

static void address_print(int fd, char *text, size_t size) {
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	char host[64] = "?", port[8] = "?";
	check(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	getnameinfo(
		(struct sockaddr *)&address, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(text, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* -1 and errno. A restarted host takes its address over from connections that still end. */
static int socket_open(const struct addrinfo *one) {
	const int yes = 1;
	int fd = socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
		(one->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0) &&
		bind(fd, one->ai_addr, one->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int system = errno;
	close(fd);
	errno = system;
	return -1;
}

bool listen_tcp_open(const char *listen, bool http, struct listen_sockets *sockets, struct error *error) {
	struct addrinfo *found = resolve(listen, error);
	if (found == NULL)
		return false;
	size_t before = sockets->count;
	int system = EADDRNOTAVAIL;
	for (const struct addrinfo *one = found; one != NULL && sockets->count < LISTEN_SOCKETS_MAX; one = one->ai_next) {
		struct listen_socket *socket = &sockets->items[sockets->count];
		int fd = socket_open(one);
		if (fd < 0) {
			/* A machine may know an address family by name and not have it. */
			if (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
				system = errno;
			continue;
		}
		*socket = (struct listen_socket){.fd = fd, .http = http};
		address_print(fd, socket->address, sizeof socket->address);
		sockets->count++;
	}
	freeaddrinfo(found);
	if (sockets->count > before && system == EADDRNOTAVAIL)
		return true;
	error_system(error, ERROR_BAD_REQUEST, system, "cannot listen on %.200s", listen);
	return error_advise(error, "an address and port that are free, and that this user may have",
		"choose another port, or end what listens there (ss -ltnp shows it)");
}

void listen_sockets_close(struct listen_sockets *sockets) {
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].fd >= 0)
			close(sockets->items[i].fd);
	sockets->count = 0;
}
