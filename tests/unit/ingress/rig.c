#include "rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/listen.h"
#include "wire/cursor.h"

void rig_init(struct rig *rig) {
	*rig = (struct rig){.config = {.message_bytes = 1 << 20,
							.frame_bytes = 1 << 24,
							.nesting = 64,
							.call_timeout_ms = 30000,
							.memory_bytes = 256 << 20}};
}

void rig_start(struct rig *rig) {
	struct error error;
	strcpy(rig->folder, "/tmp/sofun-ingress-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof rig->path, "%s/data.sock", rig->folder);
	rig->base = event_base_new();
	rig->engine = fake_engine_create();
	rig->requests = requests_create();
	int fd = listen_unix(rig->path, &error);
	ck_assert_msg(fd >= 0, "%s", error.message);
	rig->server = data_server_create(rig->base, &rig->config, rig->engine, rig->requests, fd);
}

void rig_finish(struct rig *rig) {
	data_server_destroy(rig->server);
	ck_assert_uint_eq(requests_open(rig->requests), 0);
	requests_destroy(rig->requests);
	fake_engine_destroy(rig->engine);
	event_base_free(rig->base);
	listen_unlink(rig->path);
	ck_assert_int_eq(rmdir(rig->folder), 0);
}

void rig_turn(struct rig *rig) {
	struct timeval wait = {.tv_usec = 10000};
	event_base_loopexit(rig->base, &wait);
	ck_assert_int_ge(event_base_loop(rig->base, EVLOOP_ONCE), 0);
}

uint64_t rig_now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct fake_request *rig_request(struct rig *rig, size_t i) {
	rig_until(rig, rig->engine->count > i);
	return &rig->engine->requests[i];
}

void rig_answer(struct rig *rig, const struct engine_answer *answer) {
	request_answer(rig->requests, answer);
}

void client_open(struct client *client, struct rig *rig) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*client = (struct client){.rig = rig, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	strcpy(address.sun_path, rig->path);
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
}

void client_close(struct client *client) {
	close(client->fd);
	buf_finish(&client->received);
}

void client_send(struct client *client, struct bytes bytes) {
	uint64_t end = rig_now_ms() + 10000;
	while (bytes.size > 0) {
		ssize_t size = send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
		ck_assert_msg(size > 0 || errno == EAGAIN, "send: %s", strerror(errno));
		ck_assert(rig_now_ms() < end);
		if (size > 0)
			bytes = bytes_of(bytes.data + size, bytes.size - (size_t)size);
		else
			rig_turn(client->rig);
	}
}

bool client_receive(struct client *client) {
	ssize_t size = recv(client->fd, buf_reserve(&client->received, 65536), 65536, 0);
	if (size > 0)
		client->received.size += (size_t)size;
	client->broken |= size < 0 && errno != EAGAIN;
	client->ended |= size == 0 || client->broken;
	return size > 0;
}

static bool reply_whole(struct client *client) {
	while (client_receive(client))
		continue;
	struct cursor cursor = cursor_of(bytes_buf(&client->received));
	return cursor_skip(&cursor, CURSOR_NESTING_MAX) == CURSOR_GOOD;
}

struct reply client_reply(struct client *client) {
	static struct buf last; /* the answer that is handed out */
	struct reply reply;
	uint32_t count;
	uint64_t type, msgid;
	rig_until(client->rig, reply_whole(client));
	struct cursor cursor = cursor_of(bytes_buf(&client->received));
	ck_assert_int_eq(cursor_skip(&cursor, CURSOR_NESTING_MAX), CURSOR_GOOD);
	struct bytes rest = cursor_left(&cursor);
	buf_reset(&last);
	buf_append(&last, client->received.data, client->received.size - rest.size);
	memmove(client->received.data, rest.data, rest.size);
	client->received.size = rest.size;
	cursor = cursor_of(bytes_buf(&last));
	ck_assert(cursor_read_array(&cursor, &count) && count == 4);
	ck_assert(cursor_read_uint(&cursor, &type) && type == 1);
	ck_assert(cursor_read_uint(&cursor, &msgid) && msgid <= UINT32_MAX);
	reply.msgid = (uint32_t)msgid;
	ck_assert_int_eq(cursor_take(&cursor, CURSOR_NESTING_MAX, &reply.error), CURSOR_GOOD);
	ck_assert_int_eq(cursor_take(&cursor, CURSOR_NESTING_MAX, &reply.result), CURSOR_GOOD);
	return reply;
}

struct bytes map_member(struct bytes map, const char *key) {
	struct cursor cursor = cursor_of(map);
	uint32_t pairs;
	ck_assert(cursor_read_map(&cursor, &pairs));
	for (uint32_t i = 0; i < pairs; i++) {
		struct bytes name, value;
		ck_assert(cursor_read_str(&cursor, &name));
		ck_assert_int_eq(cursor_take(&cursor, CURSOR_NESTING_MAX, &value), CURSOR_GOOD);
		if (bytes_equal(name, bytes_text(key)))
			return value;
	}
	return (struct bytes){0};
}

void client_error_is(struct client *client, uint32_t msgid, const char *code) {
	struct reply reply = client_reply(client);
	struct cursor cursor = cursor_of(map_member(reply.error, "code"));
	struct bytes found, message;
	ck_assert(cursor_read_str(&cursor, &found));
	ck_assert_msg(
		bytes_equal(found, bytes_text(code)), "%.*s instead of %s", (int)found.size, (const char *)found.data, code);
	cursor = cursor_of(map_member(reply.error, "message"));
	ck_assert(cursor_read_str(&cursor, &message) && message.size > 0);
	ck_assert_uint_eq(reply.msgid, msgid);
	ck_assert(bytes_equal(reply.result, bytes_of("\xc0", 1)));
}

void client_result_is(struct client *client, uint32_t msgid, struct bytes result) {
	struct reply reply = client_reply(client);
	ck_assert_uint_eq(reply.msgid, msgid);
	ck_assert(bytes_equal(reply.error, bytes_of("\xc0", 1)));
	ck_assert(bytes_equal(reply.result, result));
}

void client_ends(struct client *client) {
	rig_until(client->rig, !client_receive(client) && client->ended);
	ck_assert_uint_eq(client->received.size, 0);
	ck_assert(!client->broken);
}
