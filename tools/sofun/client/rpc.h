/* A MessagePack-RPC client over the host's Unix data socket. Requests are queued and answered in any order; sending and
 * receiving go on side by side, since a host that is not read from stops reading (INVARIANTS 27). */
#ifndef SOFUN_RPC_H
#define SOFUN_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "command.h"

struct rpc {
	int socket;
	struct buf received;
	size_t received_start;
	struct buf queued;
	size_t queued_start;
};

/* One answer; the views are valid until the next rpc_exchange. */
struct rpc_answer {
	uint64_t id;
	struct bytes error; /* one MessagePack object; data NULL: none */
	struct bytes result;
};

enum rpc_result { RPC_OK, RPC_LOST, RPC_TIMEOUT };

/* 0, or -errno. */
int rpc_open(struct rpc *rpc, const char *path);

void rpc_close(struct rpc *rpc);

/* Queues [0, id, method, [params]]: begins it; the caller packs the params map behind it into rpc->queued. */
void rpc_begin(struct rpc *rpc, uint32_t id, const char *method);

/* Bytes that are queued and not sent. */
static inline size_t rpc_unsent(const struct rpc *rpc) {
	return rpc->queued.size - rpc->queued_start;
}

/* Sends and receives what goes now, waiting until something did or the deadline (DEADLINE_NONE: for ever). RPC_LOST:
 * the connection is gone, with a text in problem (of at least 256 bytes). */
enum rpc_result rpc_exchange(struct rpc *rpc, uint64_t deadline_ms, char *problem);

/* A whole frame from the host: an answer, or a notification [2, method, [params]] with method.data set. */
struct rpc_frame {
	struct rpc_answer answer;
	struct bytes method;
	struct bytes params; /* the one map */
};

/* The next frame that is whole; false: there is none. The views are valid until the next rpc_exchange. */
bool rpc_frame_take(struct rpc *rpc, struct rpc_frame *ret_frame, bool *ret_broken);

/* The next answer that is whole; false: there is none. Notifications are passed over. What is no answer at all:
 * *ret_broken. */
bool rpc_answer_take(struct rpc *rpc, struct rpc_answer *ret_answer, bool *ret_broken);

/* How long an answer is waited for. */
struct rpc_patience {
	uint64_t limit_ms;                          /* 0: for ever */
	uint64_t slow_ms;                           /* after so long, once: */
	void (*slow)(const struct invocation *run); /* NULL: nothing */
};

/* One request and its answer on a connection of its own: rpc_begin(&rpc, 0, method), with the given params. EXIT_OK:
 * the result as JSON, which the caller owns; else it is told as the user reads it. */
int rpc_call(const struct invocation *run, const char *method, struct bytes params, const struct rpc_patience *patience,
	json_t **ret_result);

/* As fail_host, with an error as it came over the wire. */
int rpc_fail(const struct invocation *run, struct bytes error);

#endif
