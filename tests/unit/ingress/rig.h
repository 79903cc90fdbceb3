/* A data server on a socket in a directory of its own, with a fake engine, and clients; all on this thread. */
#ifndef TESTS_INGRESS_RIG_H
#define TESTS_INGRESS_RIG_H

#include <event2/event.h>

#include "fake_engine.h"
#include "flow/request/request.h"
#include "ingress/data_server.h"

struct rig {
	struct config config;
	struct event_base *base;
	struct engine *engine;
	struct requests *requests;
	struct data_server *server;
	char folder[64];
	char path[96];
};

/* As sofund's defaults; change rig.config before rig_start. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig);
void rig_finish(struct rig *rig);

/* One turn of the loop, which waits for at most 10 ms. */
void rig_turn(struct rig *rig);

/* Turns until the condition holds; fails the test after 10 s. */
#define rig_until(rig, condition) \
	do { \
		uint64_t rig_until_end = rig_now_ms() + 10000; \
		while (!(condition)) { \
			ck_assert_msg(rig_now_ms() < rig_until_end, "waited in vain for %s", #condition); \
			rig_turn(rig); \
		} \
	} while (0)
uint64_t rig_now_ms(void);

/* The i-th request that reached the engine, once it has. */
struct fake_request *rig_request(struct rig *rig, size_t i);
void rig_answer(struct rig *rig, const struct engine_answer *answer);

/* ---- a client ---- */

struct client {
	struct rig *rig;
	int fd;
	struct buf received;
	bool ended;  /* the server has closed, or shut down its side */
	size_t sent; /* for the test to count */
	bool broken; /* by a reset */
};

void client_open(struct client *client, struct rig *rig);
void client_close(struct client *client);

/* All of it, however often the loop has to turn for that. */
void client_send(struct client *client, struct bytes bytes);

/* Takes what is there; false if nothing was. */
bool client_receive(struct client *client);

/* The next answer: [1,msgid,error,result], each as one object. Views are valid until the next one. */
struct reply {
	uint32_t msgid;
	struct bytes error;
	struct bytes result;
};
struct reply client_reply(struct client *client);

/* The next answer is an error of that code for this msgid. */
void client_error_is(struct client *client, uint32_t msgid, const char *code);

/* The next answer is this result for this msgid. */
void client_result_is(struct client *client, uint32_t msgid, struct bytes result);

/* The server ends the connection, and nothing more comes before that. */
void client_ends(struct client *client);

/* The member of a map with str keys; an empty view if there is none. */
struct bytes map_member(struct bytes map, const char *key);

#endif
