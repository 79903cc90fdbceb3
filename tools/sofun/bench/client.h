/* A client that makes load over Unix sockets and costs little: frames are stamped from a template, written as many at once
 * as there are, and all connections are served by one epoll loop. Client and host share the cores. */
#ifndef SOFUN_BENCH_CLIENT_H
#define SOFUN_BENCH_CLIENT_H

#include "base/bytes.h"
#include "bench/bench.h"
#include "bench/samples.h"

/* Appends one whole request frame with that msgid to out. `connection` counts from 0, `number` counts the requests of one
 * connection. */
typedef void request_write(void *arg, uint32_t connection, uint64_t number, uint32_t msgid, struct buf *out);

/* Told of every answer as it is read: when its request was sent, or due, and when it came. Those of one read come together. */
typedef void answer_seen(void *arg, uint64_t due_ns, uint64_t now_ns);

struct client_plan {
	const char *socket;
	uint32_t connections;
	uint32_t in_flight;   /* of each connection */
	uint64_t rate;        /* requests a second, whether answered or not; 0: as soon as one is answered */
	uint32_t duration_ms; /* of sending; what is in flight then is waited for, and not counted */
	request_write *write;
	void *arg;
	answer_seen *seen; /* NULL: nobody looks */
	void *seen_arg;
};

struct client_result {
	uint64_t answered; /* within the duration */
	double seconds;    /* that was */
	uint64_t late;     /* at a rate: due within the duration, and answered only after it */
	struct histogram
		latency; /* at a rate: from when a request was due, so that a stall counts for all that it delayed */
};

/* False: told. */
bool client_run(const struct invocation *run, const struct client_plan *plan, struct client_result *ret_result);

/* ---- request_write for calls ---- */

enum { CALL_BYTES_MAX = 192 };

/* A call of a function with a 16-byte id, drawn evenly from `ids`. */
struct calls {
	uint8_t bytes[CALL_BYTES_MAX];
	size_t size;
	size_t id_at;
	uint64_t ids;
	uint64_t random;
};

/* payload: one MessagePack object. */
void calls_init(struct calls *calls, const char *type, struct bytes payload, uint64_t ids);

/* arg: a struct calls. */
void calls_write(void *arg, uint32_t connection, uint64_t number, uint32_t msgid, struct buf *out);

/* The index as 16 hexadecimal digits: an id of plugins/bench. */
enum { BENCH_ID_BYTES = 16 };
void bench_id_write(uint64_t index, uint8_t *id);

/* The next of evenly drawn indices below ids. */
uint64_t bench_index_draw(uint64_t *random, uint64_t ids);

#endif
