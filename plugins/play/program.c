#include "program.h"

/* A key of a map, and how its value is read into the struct that the map fills; false: the value is not what it must
 * be. */
struct key {
	const char *name;
	bool (*read)(sofun_reader *reader, void *target);
	const char *must_be;
};

static const struct key *key_find(const struct key *keys, sofun_bytes name) {
	for (; keys->name != NULL; keys++) {
		if (sofun_bytes_are(name, keys->name))
			return keys;
	}
	return NULL;
}

/* `pairs` pairs of a map into target; keys ends with a NULL name. */
static int pairs_read(
	sofun_context *context, sofun_reader *reader, uint32_t pairs, const struct key *keys, void *target) {
	const size_t shown_max = 64;
	for (; pairs > 0; pairs--) {
		sofun_bytes name;
		if (!sofun_read_str(reader, &name))
			return sofun_fail(context, "every key must be a string");
		const struct key *key = key_find(keys, name);
		const size_t shown = name.size < shown_max ? name.size : shown_max;
		if (key == NULL)
			return sofun_fail(context, "unknown key '%.*s'", (int)shown, (const char *)name.data);
		if (!key->read(reader, target))
			return sofun_fail(context, "%s must be %s", key->name, key->must_be);
	}
	return 0;
}

/* ---- one send: {id, msg, after_ms?, token?} ---- */

static bool read_id(sofun_reader *reader, void *target) {
	struct program_send *send = target;
	return sofun_read_str_or_bin(reader, &send->id) && send->id.size >= 1 && send->id.size <= 255;
}

static bool read_msg(sofun_reader *reader, void *target) {
	struct program_send *send = target;
	const sofun_kind kind = sofun_read_kind(reader);
	return (kind == SOFUN_IS_MAP || kind == SOFUN_IS_NIL) && sofun_read_raw(reader, &send->msg);
}

static bool read_after(sofun_reader *reader, void *target) {
	struct program_send *send = target;
	send->delayed = true;
	return sofun_read_uint(reader, &send->after_ms);
}

static bool read_token(sofun_reader *reader, void *target) {
	struct program_send *send = target;
	send->delayed = true;
	return sofun_read_raw(reader, &send->token);
}

static const struct key record_keys[] = {
	{"id", read_id, "a string or binary of 1 to 255 bytes"},
	{"msg", read_msg, "a map or nil"},
	{NULL, NULL, NULL},
};

static const struct key send_keys[] = {
	{"id", read_id, "a string or binary of 1 to 255 bytes"},
	{"msg", read_msg, "a map or nil"},
	{"after_ms", read_after, "an integer from 0 on"},
	{"token", read_token, "a value"},
	{NULL, NULL, NULL},
};

static int send_read(
	sofun_context *context, sofun_reader *reader, const struct key *keys, struct program_send *ret_send) {
	uint32_t pairs;
	memset(ret_send, 0, sizeof *ret_send);
	if (!sofun_read_map(reader, &pairs))
		return sofun_fail(context, "what names id and msg must be a map");
	if (pairs_read(context, reader, pairs, keys, ret_send) != 0)
		return SOFUN_FAILED;
	if (ret_send->id.size == 0 || ret_send->msg.size == 0)
		return sofun_fail(context, "id and msg must both be there");
	return 0;
}

int program_send_next(sofun_context *context, sofun_reader *sends, struct program_send *ret_send) {
	return send_read(context, sends, send_keys, ret_send);
}

int program_record(sofun_context *context, sofun_bytes record, struct program_send *ret_send) {
	sofun_reader reader = sofun_reader_of(record);
	return send_read(context, &reader, record_keys, ret_send);
}

/* ---- the emit: {egress, payload} ---- */

static bool read_emit(sofun_reader *reader, void *target) {
	struct program *program = target;
	uint32_t pairs;
	if (!sofun_read_map(reader, &pairs) || pairs != 2)
		return false;
	for (; pairs > 0; pairs--) {
		sofun_bytes name;
		if (!sofun_read_str(reader, &name))
			return false;
		const bool is_egress = sofun_bytes_are(name, "egress");
		if (is_egress ? !sofun_read_str(reader, &program->emit_egress)
					  : !sofun_bytes_are(name, "payload") || !sofun_read_raw(reader, &program->emit_payload))
			return false;
	}
	program->has_emit = true;
	return program->emit_egress.size > 0 && program->emit_payload.size > 0;
}

/* ---- the other keys ---- */

static bool read_add(sofun_reader *reader, void *target) {
	struct program *program = target;
	program->has_add = true;
	return sofun_read_int(reader, &program->add);
}

/* Each send is judged later, by program_read, which can tell what is wrong with it. */
static bool read_sends(sofun_reader *reader, void *target) {
	struct program *program = target;
	sofun_bytes whole;
	sofun_reader peek = *reader;
	if (!sofun_read_array(&peek, &program->send_count) || !sofun_read_raw(reader, &whole))
		return false;
	program->sends = peek;
	return true;
}

static bool read_cancel(sofun_reader *reader, void *target) {
	struct program *program = target;
	return sofun_read_raw(reader, &program->cancel);
}

static bool read_reply(sofun_reader *reader, void *target) {
	struct program *program = target;
	return sofun_read_bool(reader, &program->reply);
}

static bool read_fail(sofun_reader *reader, void *target) {
	struct program *program = target;
	program->has_fail = true;
	return sofun_read_str(reader, &program->fail);
}

static bool read_fail_times(sofun_reader *reader, void *target) {
	struct program *program = target;
	program->has_fail_times = true;
	return sofun_read_uint(reader, &program->fail_times);
}

static bool read_crash(sofun_reader *reader, void *target) {
	static const char *const words[] = {
		[CRASH_SEGV] = "segv", [CRASH_ABORT] = "abort", [CRASH_LOOP] = "loop", [CRASH_STACK] = "stack"};
	struct program *program = target;
	sofun_bytes word;
	if (!sofun_read_str(reader, &word))
		return false;
	for (int kind = CRASH_SEGV; kind <= CRASH_STACK; kind++) {
		if (sofun_bytes_are(word, words[kind]))
			program->crash = (enum program_crash)kind;
	}
	return program->crash != CRASH_NONE;
}

static const struct key program_keys[] = {
	{"add", read_add, "an integer within 64 bits (signed)"},
	{"send", read_sends, "an array of {id, msg}"},
	{"cancel", read_cancel, "a token"},
	{"emit", read_emit, "{egress, payload}"},
	{"reply", read_reply, "true or false"},
	{"fail", read_fail, "a text"},
	{"fail_times", read_fail_times, "an integer from 0 on"},
	{"crash", read_crash, "segv, abort, loop or stack"},
	{NULL, NULL, NULL},
};

/* The number in front, if another instance of play sent this. */
static bool number_take(const sofun_message *message, sofun_reader *reader, uint32_t *pairs, uint64_t *ret_number) {
	sofun_reader at = *reader;
	uint64_t key;
	if (*pairs == 0 || !sofun_bytes_are(message->caller.type, PLAY_TYPE))
		return false;
	if (!sofun_read_uint(&at, &key) || key != PROGRAM_NUMBER_KEY || !sofun_read_uint(&at, ret_number))
		return false;
	*reader = at;
	*pairs -= 1;
	return true;
}

static int sends_judge(sofun_context *context, struct program *program) {
	sofun_reader sends = program->sends;
	for (uint32_t i = 0; i < program->send_count; i++) {
		struct program_send send;
		if (program_send_next(context, &sends, &send) != 0)
			return SOFUN_FAILED;
	}
	return 0;
}

int program_read(sofun_context *context, const sofun_message *message, struct program *ret_program) {
	memset(ret_program, 0, sizeof *ret_program);
	sofun_reader reader = sofun_reader_of(message->payload);
	uint32_t pairs;
	if (sofun_read_nil(&reader))
		return 0;
	if (!sofun_read_map(&reader, &pairs))
		return sofun_fail(context, "the payload must be a map");
	(void)number_take(message, &reader, &pairs, &ret_program->number);
	if (pairs_read(context, &reader, pairs, program_keys, ret_program) != 0)
		return SOFUN_FAILED;
	return sends_judge(context, ret_program);
}
