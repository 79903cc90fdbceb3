/* Who may do what. On a Unix socket the kernel says who connects, and that user may do everything. On TCP a bearer token
 * says it: the file of auth.tokens holds, a line each, a name, a token (or sha256: and the 64 hex digits of its hash) and
 * its rights:
 *
 *     # name    token                                rights
 *     billing   5dW0f1…                              call,ingest
 *     grafana   sha256:9f86d081884c7d659a2f…          metrics
 *
 * Without such a file everyone who can connect has every right that a network door gives. [loop thread] */
#ifndef HOST_DOOR_ACCESS_H
#define HOST_DOOR_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
	RIGHT_CALL = 1,      /* call and send functions */
	RIGHT_INGEST = 2,    /* records of producers */
	RIGHT_SUBSCRIBE = 4, /* records of egresses, and their acknowledgement */
	RIGHT_METRICS = 8,
	RIGHT_CONTROL = 16, /* everything else: never by the network */
	RIGHTS_NETWORK = RIGHT_CALL | RIGHT_INGEST | RIGHT_SUBSCRIBE | RIGHT_METRICS,
	RIGHTS_ALL = RIGHTS_NETWORK | RIGHT_CONTROL,

	ACCESS_HASH_BYTES = 32,
	ACCESS_FILE_BYTES_MAX = 1 << 20, /* ten thousand lines: more belongs into a proxy with a directory behind it */
	ACCESS_TOKEN_BYTES_MIN = 16,     /* below it a token can be guessed */
};

struct access;

/* NULL: the file cannot be read, is readable by others, or a line of it is wrong (file, line and remedy are in the error). */
struct access *access_create(const char *path, struct error *error);
void access_destroy(struct access *access); /* NULL is fine */

/* Reads the file again. False: it is wrong, and what was read before stays. */
bool access_reload(struct access *access, struct error *error);

/* What a connection has shown; zero: nothing yet. */
struct access_pass {
	uint8_t hash[ACCESS_HASH_BYTES];
	bool shown;
	uint64_t generation; /* of the file that `rights` come from */
	uint32_t rights;
};

/* Takes a token; access_rights says what it is worth. */
void access_show(struct access_pass *pass, struct bytes token);

/* The rights of the pass by the file as it was read last: a token that was taken out of it has none from then on. */
uint32_t access_rights(const struct access *access, struct access_pass *pass);

/* "call, metrics" for messages; at most 64 bytes with its end. */
void rights_words(uint32_t rights, char *words, size_t size);

/* ERROR_FORBIDDEN, for a peer that lacks a right; tokens: whether tokens are asked for at all. */
void access_refuse(uint32_t right, bool tokens, struct error *error);

/* The process at the other end of a Unix socket is of this user, or root's. ERROR_FORBIDDEN. */
bool access_peer(int fd, struct error *error);

#endif
