/* What one message tells a `test/play` instance to do, read and judged as a whole before anything is done. */
#ifndef PLAY_PROGRAM_H
#define PLAY_PROGRAM_H

#include <sofun/sofun.h>

/* The type of every instance; also what the caller of a numbered message must be. */
#define PLAY_TYPE "test/play"

/* Where the number of a send travels: the first key of the payload, the integer 0. INTERFACE's keys are strings, so
 * the two cannot collide; from any other caller than test/play the key is refused. */
enum { PROGRAM_NUMBER_KEY = 0 };

enum program_crash { CRASH_NONE, CRASH_SEGV, CRASH_ABORT, CRASH_LOOP, CRASH_STACK };

/* All views reach into the message. What is absent is 0, false or empty. */
struct program {
	uint64_t number; /* of this message among those from its caller to here, from 1; 0: not numbered */
	bool has_fail;
	sofun_bytes fail;
	bool has_fail_times;
	uint64_t fail_times;
	enum program_crash crash;
	bool has_add;
	int64_t add;
	sofun_bytes cancel; /* the token, as it stands; empty: none */
	sofun_reader sends; /* at the first of them; program_send_next takes one */
	uint32_t send_count;
	bool has_emit;
	sofun_bytes emit_egress;
	sofun_bytes emit_payload;
	bool reply;
};

struct program_send {
	sofun_bytes id;
	sofun_bytes msg; /* a map, or nil */
	bool delayed;    /* after_ms or token is there */
	uint64_t after_ms;
	sofun_bytes token; /* as it stands: any MessagePack object; empty: none */
};

/* 0, or SOFUN_FAILED with the reason told to the host. */
int program_read(sofun_context *context, const sofun_message *message, struct program *ret_program);

/* The next send, already found good by program_read; `sends` is the caller's copy of program.sends. */
int program_send_next(sofun_context *context, sofun_reader *sends, struct program_send *ret_send);

/* A record of the ingress: {id, msg}. */
int program_record(sofun_context *context, sofun_bytes record, struct program_send *ret_send);

#endif
