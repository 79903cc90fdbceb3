#include "door/tls.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"

struct tls {
	char *certificate;
	char *key;
	SSL_CTX *context;
};

static bool tls_refuse(const char *setting, const char *path, const char *hint, struct error *error) {
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	error_set(error, ERROR_BAD_REQUEST, "%s: %.300s cannot be used", setting, path);
	error_found(error, "%.200s", reason == NULL ? "what OpenSSL does not explain" : reason);
	error_advise(error, "a certificate, and the key that belongs to it", hint);
	ERR_clear_error();
	return false;
}

static bool context_load(SSL_CTX *context, const struct tls *tls, struct error *error) {
	if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1)
		return tls_refuse("tls.certificate", tls->certificate, "it must be a PEM file that this user may read", error);
	if (SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1)
		return tls_refuse(
			"tls.key", tls->key, "it must be the PEM file of the certificate's key, without passphrase", error);
	return true;
}

bool tls_reload(struct tls *tls, struct error *error) {
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	check_memory(context);
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	/* What is unsent may move in memory and grow between two tries. */
	SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	if (!context_load(context, tls, error)) {
		SSL_CTX_free(context);
		return false;
	}
	SSL_CTX_free(tls->context);
	tls->context = context;
	return true;
}

struct tls *tls_create(const char *certificate, const char *key, struct error *error) {
	struct tls *tls = check_alloc(1, sizeof *tls);
	tls->certificate = check_strdup(certificate);
	tls->key = check_strdup(key);
	if (tls_reload(tls, error))
		return tls;
	tls_destroy(tls);
	return NULL;
}

void tls_destroy(struct tls *tls) {
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	free(tls->certificate);
	free(tls->key);
	free(tls);
}

SSL *tls_session(const struct tls *tls) {
	SSL *session = SSL_new(tls->context);
	check_memory(session);
	return session;
}
