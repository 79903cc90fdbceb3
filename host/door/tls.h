/* The host's certificate and key for its TCP listeners; TLS 1.2 and 1.3. [loop thread] */
#ifndef HOST_DOOR_TLS_H
#define HOST_DOOR_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/error.h"

struct tls;

/* PEM files: the certificate with its chain, and its key. NULL: one cannot be read, or they do not belong together. */
struct tls *tls_create(const char *certificate, const char *key, struct error *error);
void tls_destroy(struct tls *tls); /* NULL is fine; open connections keep what they use */

/* Reads the files again: connections from now on use them. False: they are wrong, and what was read before stays. */
bool tls_reload(struct tls *tls, struct error *error);

/* For one connection that is being accepted. The caller's to free. */
SSL *tls_session(const struct tls *tls);

#endif
