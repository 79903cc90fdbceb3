#include "door/door.h"

#include "base/log.h"

static bool is_set(const char *text) {
	return text != NULL && text[0] != '\0';
}

static bool pair_check(const struct config *config, struct error *error) {
	if (is_set(config->tls_certificate) == is_set(config->tls_key))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "tls.certificate and tls.key go together");
	error_found(error, "%s alone", is_set(config->tls_key) ? "tls.key" : "tls.certificate");
	return error_advise(error, "both, or neither", "tls.key is the key of tls.certificate; give the other one, too");
}

static bool listener_check(const struct config *config, const char *setting, const char *listen, struct error *error) {
	bool loopback;
	bool tls = is_set(config->tls_certificate), tokens = is_set(config->auth_tokens);
	if (!listen_tcp_loopback(listen, &loopback, error))
		return false;
	if (loopback || (tls && tokens))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "%s: %.200s can be reached from other machines, and %s", setting, listen,
		tls          ? "no token is asked for"
			: tokens ? "tokens would pass unencrypted"
					 : "there is neither encryption nor a token");
	error_found(error, "%s",
		tls          ? "no auth.tokens"
			: tokens ? "no tls.certificate"
					 : "no tls.certificate and no auth.tokens");
	error_expected(error, "tls.certificate, tls.key and auth.tokens, or an address of this machine only");
	error_hint(error, "set them, or listen on tcp:127.0.0.1:PORT and put a proxy in front");
	return false;
}

static bool files_read(struct doors *doors, const struct config *config, struct error *error) {
	if (is_set(config->tls_certificate)) {
		doors->tls = tls_create(config->tls_certificate, config->tls_key, error);
		if (doors->tls == NULL)
			return false;
	}
	if (is_set(config->auth_tokens)) {
		doors->access = access_create(config->auth_tokens, error);
		if (doors->access == NULL)
			return false;
	}
	return true;
}

static bool listeners_check(const struct config *config, struct error *error) {
	if (!pair_check(config, error))
		return false;
	for (size_t i = 0; i < config->listen_data.count; i++)
		if (!listener_check(config, "listen.data", config->listen_data.items[i], error))
			return false;
	for (size_t i = 0; i < config->listen_http.count; i++)
		if (!listener_check(config, "listen.http", config->listen_http.items[i], error))
			return false;
	return true;
}

bool doors_check(const struct config *config, struct error *error) {
	struct doors doors = {0};
	bool good = listeners_check(config, error) && files_read(&doors, config, error);
	doors_close(&doors);
	return good;
}

static bool listeners_open(struct doors *doors, const struct config *config, struct error *error) {
	for (size_t i = 0; i < config->listen_data.count; i++)
		if (!listen_tcp_open(config->listen_data.items[i], false, &doors->sockets, error))
			return false;
	for (size_t i = 0; i < config->listen_http.count; i++)
		if (!listen_tcp_open(config->listen_http.items[i], true, &doors->sockets, error))
			return false;
	return true;
}

bool doors_open(struct doors *doors, const struct config *config, struct error *error) {
	*doors = (struct doors){0};
	if (files_read(doors, config, error) && listeners_open(doors, config, error))
		return true;
	doors_close(doors);
	return false;
}

void doors_close(struct doors *doors) {
	listen_sockets_close(&doors->sockets);
	tls_destroy(doors->tls);
	access_destroy(doors->access);
	*doors = (struct doors){0};
}

static void reload_log(const char *what, bool good, const struct error *error) {
	char line[sizeof *error];
	if (good) {
		log_event(LOG_INFO, "secrets_read", "what=%s", what);
		return;
	}
	error_line(error, line, sizeof line);
	log_event(LOG_ERROR, "secrets_refused", "what=%s reason=\"%s\"", what, line);
}

void doors_reload(struct doors *doors) {
	struct error error;
	if (doors->tls != NULL) {
		bool good = tls_reload(doors->tls, &error);
		reload_log("tls", good, &error);
	}
	if (doors->access != NULL) {
		bool good = access_reload(doors->access, &error);
		reload_log("tokens", good, &error);
	}
}
