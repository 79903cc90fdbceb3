#include "door/access.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

struct grant {
	uint8_t hash[ACCESS_HASH_BYTES];
	uint32_t rights;
};

struct access {
	char *path;
	uint64_t generation;
	struct grant *grants;
	size_t count;
};

static const struct {
	uint32_t right;
	const char *word;
} right_words[] = {
	{RIGHT_CALL, "call"},
	{RIGHT_INGEST, "ingest"},
	{RIGHT_SUBSCRIBE, "subscribe"},
	{RIGHT_METRICS, "metrics"},
	{RIGHT_CONTROL, "control"},
};

enum { RIGHT_WORDS = sizeof right_words / sizeof right_words[0] };

void rights_words(uint32_t rights, char *words, size_t size) {
	size_t used = 0;
	words[0] = '\0';
	for (size_t i = 0; i < RIGHT_WORDS; i++)
		if ((rights & right_words[i].right) != 0 && used < size)
			used += (size_t)snprintf(words + used, size - used, "%s%s", used > 0 ? ", " : "", right_words[i].word);
}

/* ---- the file ---- */

struct reading {
	const char *path;
	unsigned line;
	struct grant *grants;
	size_t count;
	struct error *error;
};

static bool line_refuse(const struct reading *reading, const char *message, const char *expected) {
	error_set(reading->error, ERROR_BAD_REQUEST, "%.300s:%u: %s", reading->path, reading->line, message);
	error_found(reading->error, "another line"); /* not which: it may be a secret */
	error_expected(reading->error, "%s", expected);
	error_hint(
		reading->error, "a line is: NAME TOKEN RIGHT[,RIGHT...]; a token may be made by: openssl rand -base64 24");
	return false;
}

/* The next word of the line; empty at its end. */
static struct bytes word_take(struct bytes *line) {
	size_t start = 0, end;
	while (start < line->size && (line->data[start] == ' ' || line->data[start] == '\t' || line->data[start] == '\r'))
		start++;
	for (end = start; end < line->size && line->data[end] > ' ';)
		end++;
	struct bytes word = bytes_of(line->data + start, end - start);
	*line = bytes_of(line->data + end, line->size - end);
	return word;
}

static bool rights_parse(struct reading *reading, struct bytes words, uint32_t *ret_rights) {
	*ret_rights = 0;
	for (size_t at = 0; at < words.size;) {
		const uint8_t *comma = memchr(words.data + at, ',', words.size - at);
		size_t end = comma == NULL ? words.size : (size_t)(comma - words.data);
		struct bytes word = bytes_of(words.data + at, end - at);
		uint32_t found = 0;
		for (size_t i = 0; i < RIGHT_WORDS; i++)
			if (bytes_equal(word, bytes_text(right_words[i].word)))
				found = right_words[i].right & RIGHTS_NETWORK;
		if (found == 0)
			return line_refuse(reading, "an unknown right", "call, ingest, subscribe or metrics, with commas");
		*ret_rights |= found;
		at = end + 1;
	}
	return *ret_rights != 0 || line_refuse(reading, "no right is given", "call, ingest, subscribe or metrics");
}

static int hex_value(uint8_t digit) {
	return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool hash_parse(struct reading *reading, struct bytes token, uint8_t *hash) {
	static const char prefix[] = "sha256:";
	const size_t size = sizeof prefix - 1;
	if (token.size < size || memcmp(token.data, prefix, size) != 0) {
		if (token.size < ACCESS_TOKEN_BYTES_MIN)
			return line_refuse(reading, "the token is too short to be safe", "at least 16 characters");
		SHA256(token.data, token.size, hash);
		return true;
	}
	if (token.size != size + 2 * (size_t)ACCESS_HASH_BYTES)
		return line_refuse(reading, "a hash of another length", "sha256: and 64 hexadecimal digits");
	for (size_t i = 0; i < ACCESS_HASH_BYTES; i++) {
		int high = hex_value(token.data[size + 2 * i]), low = hex_value(token.data[size + 2 * i + 1]);
		if (high < 0 || low < 0)
			return line_refuse(reading, "a hash that is not hexadecimal", "sha256: and 64 digits 0-9 a-f");
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool line_parse(struct reading *reading, struct bytes line) {
	struct bytes name = word_take(&line);
	if (name.size == 0 || name.data[0] == '#')
		return true;
	struct bytes token = word_take(&line), rights = word_take(&line);
	if (rights.size == 0 || word_take(&line).size > 0)
		return line_refuse(reading, "not three words", "NAME TOKEN RIGHTS");
	struct grant grant;
	if (!hash_parse(reading, token, grant.hash) || !rights_parse(reading, rights, &grant.rights))
		return false;
	reading->grants = realloc(reading->grants, (reading->count + 1) * sizeof grant);
	check_memory(reading->grants);
	reading->grants[reading->count++] = grant;
	return true;
}

static bool file_parse(struct reading *reading, struct bytes text) {
	while (text.size > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data);
		reading->line++;
		if (!line_parse(reading, bytes_of(text.data, size)))
			return false;
		size_t whole = size + (end != NULL);
		text = bytes_of(text.data + whole, text.size - whole);
	}
	if (reading->count > 0)
		return true;
	return line_refuse(reading, "no token is in the file", "at least one line");
}

static bool mode_check(int fd, const char *path, struct error *error) {
	struct stat status;
	if (fstat(fd, &status) != 0) {
		error_system(error, ERROR_BAD_REQUEST, errno, "cannot look at %.300s", path);
		return error_advise(error, "a file that this user may read", "set another file with auth.tokens");
	}
	if ((status.st_mode & 0077) == 0 && S_ISREG(status.st_mode) && status.st_size <= ACCESS_FILE_BYTES_MAX)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "auth.tokens: %.300s is no file of secrets", path);
	error_found(error, "mode %03o, %lld bytes", (unsigned)status.st_mode & 0777, (long long)status.st_size);
	error_expected(error, "a file that its owner alone may read, of at most %d bytes", ACCESS_FILE_BYTES_MAX);
	error_hint(error, "chmod 600 %.200s", path);
	return false;
}

static bool file_read(const char *path, struct buf *text, struct error *error) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		error_system(error, ERROR_BAD_REQUEST, errno, "auth.tokens: cannot read %.300s", path);
		error_advise(error, "a file that this user may read", "make the file, or set another with auth.tokens");
		return false;
	}
	bool good = mode_check(fd, path, error);
	ssize_t size = 1;
	while (good && size > 0) {
		size = read(fd, buf_reserve(text, 4096), 4096);
		if (size < 0) {
			good = error_system(error, ERROR_BAD_REQUEST, errno, "auth.tokens: cannot read %.300s", path);
			error_advise(error, "a file that can be read to its end", "see what the disk says, or set another file");
		} else {
			text->size += (size_t)size;
		}
	}
	close(fd);
	return good;
}

bool access_reload(struct access *access, struct error *error) {
	struct buf text = {0};
	struct reading reading = {.path = access->path, .error = error};
	bool good = file_read(access->path, &text, error) && file_parse(&reading, bytes_buf(&text));
	if (text.data != NULL)
		OPENSSL_cleanse(text.data, text.capacity);
	buf_finish(&text);
	if (!good) {
		free(reading.grants);
		return false;
	}
	free(access->grants);
	access->grants = reading.grants;
	access->count = reading.count;
	access->generation++;
	return true;
}

struct access *access_create(const char *path, struct error *error) {
	struct access *access = check_alloc(1, sizeof *access);
	access->path = check_strdup(path);
	if (access_reload(access, error))
		return access;
	access_destroy(access);
	return NULL;
}

void access_destroy(struct access *access) {
	if (access == NULL)
		return;
	free(access->grants);
	free(access->path);
	free(access);
}

/* ---- who comes ---- */

void access_show(struct access_pass *pass, struct bytes token) {
	*pass = (struct access_pass){.shown = true};
	SHA256(token.data, token.size, pass->hash);
}

uint32_t access_rights(const struct access *access, struct access_pass *pass) {
	if (access == NULL)
		return RIGHTS_NETWORK;
	if (!pass->shown)
		return 0;
	if (pass->generation == access->generation)
		return pass->rights;
	pass->generation = access->generation;
	pass->rights = 0;
	for (size_t i = 0; i < access->count; i++) /* all of them, so that the time says nothing of the place */
		if (CRYPTO_memcmp(access->grants[i].hash, pass->hash, ACCESS_HASH_BYTES) == 0)
			pass->rights = access->grants[i].rights;
	return pass->rights;
}

void access_refuse(uint32_t right, bool tokens, struct error *error) {
	char words[64];
	rights_words(right, words, sizeof words);
	error_set(error, ERROR_FORBIDDEN, "this needs a right that the connection does not have");
	error_found(error, "%s", tokens ? "a token without it, or none" : "a door without it");
	error_expected(error, "the right %s", words);
	if (right == RIGHT_CONTROL)
		error_hint(
			error, "control is on the Unix socket <data>/control.sock only; the network serves functions and metrics");
	else if (tokens)
		error_hint(error, "show a token that has it: Authorization: Bearer TOKEN, or the method auth");
	else
		error_hint(error, "ask on another door");
}

bool access_peer(int fd, struct error *error) {
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid()))
		return true;
	error_set(error, ERROR_FORBIDDEN, "this user may not use the host");
	error_found(error, "uid %ld", (long)(int)peer.uid);
	error_expected(error, "uid 0 or %ld", (long)geteuid());
	error_hint(error, "run it as that user, or ask for a TCP listener and a token");
	return false;
}
