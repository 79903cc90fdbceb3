#include "supervisor/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* A path, or a name in the abstract space behind '@'. */
static bool address_make(const char *name, struct notify *notify) {
	const size_t size = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof notify->address.sun_path)
		return false;
	notify->address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(notify->address.sun_path, name, size);
	if (name[0] == '@')
		notify->address.sun_path[0] = '\0';
	notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
	return true;
}

/* 0: no watchdog, or one for another process. */
static uint64_t watchdog_read(void) {
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (interval == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(interval, NULL, 10) / 1000;
}

void notify_open(struct notify *ret_notify) {
	const char *name = getenv("NOTIFY_SOCKET");
	*ret_notify = (struct notify){.socket = -1};
	if (name == NULL)
		return;
	if (address_make(name, ret_notify)) {
		ret_notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		ret_notify->watchdog_ms = watchdog_read();
	}
	if (ret_notify->socket < 0)
		log_event(LOG_WARN, "notify_failed", "socket=\"%s\"", name);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *notify) {
	if (notify->socket >= 0)
		close(notify->socket);
	notify->socket = -1;
}

void notify_send(const struct notify *notify, const char *words) {
	if (notify->socket < 0)
		return;
	const ssize_t sent = sendto(notify->socket, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&notify->address, notify->address_size);
	if (sent < 0)
		log_event(LOG_WARN, "notify_failed", "words=\"%s\" reason=\"%s\"", words, strerror(errno));
}
