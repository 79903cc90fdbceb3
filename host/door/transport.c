#include "door/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "door/tls.h"

void transport_init(struct transport *transport, int fd, const struct tls *tls) {
	*transport = (struct transport){.fd = fd};
	if (tls == NULL)
		return;
	transport->session = tls_session(tls);
	check(SSL_set_fd(transport->session, fd) == 1);
	SSL_set_accept_state(transport->session);
}

void transport_finish(struct transport *transport) {
	SSL_free(transport->session);
	close(transport->fd);
	*transport = (struct transport){.fd = -1};
}

/* errno for what an SSL call did not do; 0: the peer has sent its last byte. */
static int session_errno(struct transport *transport, int result) {
	switch (SSL_get_error(transport->session, result)) {
	case SSL_ERROR_WANT_READ:
		return EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		transport->full = true;
		return EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return EPROTO;
	}
}

static ssize_t session_read(struct transport *transport, unsigned char *bytes, size_t size) {
	size_t used = 0;
	int system = EAGAIN;
	transport->full = false;
	ERR_clear_error();
	while (used < size) {
		size_t got = 0;
		int result = SSL_read_ex(transport->session, bytes + used, size - used, &got);
		if (result != 1) {
			system = session_errno(transport, result);
			break;
		}
		used += got;
	}
	if (used > 0)
		return (ssize_t)used; /* an end that came behind them comes again */
	errno = system;
	return system == 0 ? 0 : -1;
}

ssize_t transport_read(struct transport *transport, void *bytes, size_t size) {
	if (transport->session != NULL)
		return session_read(transport, bytes, size);
	return read(transport->fd, bytes, size);
}

static ssize_t session_write(struct transport *transport, const unsigned char *bytes, size_t size) {
	size_t used = 0;
	int system = EAGAIN;
	ERR_clear_error();
	while (used < size) {
		size_t put = 0;
		int result = SSL_write_ex(transport->session, bytes + used, size - used, &put);
		if (result != 1) {
			system = session_errno(transport, result);
			break;
		}
		used += put;
	}
	if (used > 0)
		return (ssize_t)used;
	errno = system == 0 ? EPIPE : system;
	return -1;
}

ssize_t transport_write(struct transport *transport, const void *bytes, size_t size) {
	if (transport->session != NULL)
		return session_write(transport, bytes, size);
	return send(transport->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool transport_holds(const struct transport *transport) {
	return transport->session != NULL && SSL_has_pending(transport->session) == 1;
}

bool transport_ready(const struct transport *transport) {
	return transport->session == NULL || SSL_is_init_finished(transport->session);
}

void transport_shut(struct transport *transport) {
	if (transport->session != NULL && transport_ready(transport))
		SSL_shutdown(transport->session);
	ERR_clear_error();
	shutdown(transport->fd, SHUT_WR);
}
