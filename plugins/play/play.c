/* The bundled plugin `play`: instances that do what their messages tell them. Tests of a host are written with it. */
#include <sofun/sofun.h>

#include "crash.h"
#include "numbers.h"
#include "program.h"

/* The same source is built a second time as a newer version of itself. */
#ifndef SOFUN_PLUGIN_VERSION
#define SOFUN_PLUGIN_VERSION "1.0.0"
#endif

SOFUN_FUNCTION(play, PLAY_TYPE, 1,
	SOFUN_VALUE(count, INT),
	SOFUN_VALUE(gaps, INT),
	SOFUN_VALUE(sent, RAW),  /* id of a target -> number of the last immediate send to it */
	SOFUN_VALUE(seen, RAW)); /* id of a sender -> number of the last message from it */
SOFUN_ROUTER(records, "play", "msgpack");
SOFUN_PLUGIN("play", SOFUN_PLUGIN_VERSION,
	SOFUN_WITH_FUNCTION(play),
	SOFUN_WITH_ROUTER(records),
	SOFUN_WITH_EGRESS("play"));

/* Counts the message if its number does not follow the last one from the same sender. */
static int number_judge(sofun_context *context, sofun_bytes sender, uint64_t number) {
	struct numbers seen;
	int result = numbers_load(context, play_seen, 1, &seen);
	if (result == 0) {
		uint64_t *last = numbers_of(&seen, sender);
		int64_t gaps = 0;
		if (number != *last + 1) {
			int status = sofun_get_int(context, play_gaps, &gaps);
			if (status == SOFUN_OK)
				status = sofun_set_int(context, play_gaps, gaps + 1);
			if (status != SOFUN_OK)
				result = sofun_fail(context, "gaps could not be kept: %s", sofun_status_text(status));
		}
		*last = number;
		if (result == 0)
			result = numbers_store(context, play_seen, &seen);
	}
	numbers_finish(&seen);
	return result;
}

/* True, and the reason told, if this attempt has to fail. */
static bool fail_asked(sofun_context *context, const sofun_message *message, const struct program *program) {
	if (program->has_fail_times ? message->attempt > program->fail_times : !program->has_fail)
		return false;
	if (program->has_fail)
		(void)sofun_fail_text(context, program->fail);
	else
		(void)sofun_fail(
			context, "attempt %u of %llu that fail as told", message->attempt, (unsigned long long)program->fail_times);
	return true;
}

static int add(sofun_context *context, const struct program *program, int64_t *ret_count) {
	int64_t count;
	int status = sofun_get_int(context, play_count, &count);
	if (status != SOFUN_OK)
		return sofun_fail(context, "count could not be read: %s", sofun_status_text(status));
	if (__builtin_add_overflow(count, program->add, ret_count))
		return sofun_fail(
			context, "overflow: %lld + %lld is beyond 64 bits", (long long)count, (long long)program->add);
	status = program->has_add ? sofun_set_int(context, play_count, *ret_count) : SOFUN_OK;
	return status == SOFUN_OK ? 0 : sofun_fail(context, "count could not be kept: %s", sofun_status_text(status));
}

/* msg, with its number as a first pair, to the instance. */
static int send_numbered(
	sofun_context *context, sofun_writer *writer, const struct program_send *send, uint64_t number) {
	sofun_reader msg = sofun_reader_of(send->msg);
	uint32_t pairs = 0;
	if (!sofun_read_nil(&msg))
		(void)sofun_read_map(&msg, &pairs); /* one of both: program_read has looked */
	writer->size = 0;
	sofun_write_map(writer, pairs + 1);
	sofun_write_uint(writer, PROGRAM_NUMBER_KEY);
	sofun_write_uint(writer, number);
	sofun_write_raw(writer, sofun_bytes_of(msg.at, sofun_read_left(&msg)));
	sofun_bytes payload;
	int status = sofun_written(writer, &payload);
	if (status == SOFUN_OK)
		status = sofun_send(context, PLAY_TYPE, send->id, payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "send: %s", sofun_status_text(status));
}

/* Delayed messages have no number: which of two is first is the clock's affair. */
static int send_delayed(sofun_context *context, const struct program_send *send) {
	const sofun_timer *timer = sofun_timer_of(context);
	if (timer == NULL)
		return sofun_fail(context, "after_ms, token and cancel need " SOFUN_TIMER ", which this host does not have");
	const sofun_address to = {sofun_text(PLAY_TYPE), send->id};
	const int status = timer->send_after(context, send->after_ms, send->token, &to, sofun_bytes_of(NULL, 0), send->msg);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "send after: %s", sofun_status_text(status));
}

static int cancel_act(sofun_context *context, sofun_bytes token) {
	const sofun_timer *timer = sofun_timer_of(context);
	int found;
	if (timer == NULL)
		return sofun_fail(context, "after_ms, token and cancel need " SOFUN_TIMER ", which this host does not have");
	const int status = timer->cancel(context, token, &found);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "cancel: %s", sofun_status_text(status));
}

static int sends_act(sofun_context *context, const struct program *program) {
	if (program->send_count == 0)
		return 0;
	struct numbers sent;
	int result = numbers_load(context, play_sent, program->send_count, &sent);
	sofun_writer writer = sofun_writer_builder(context);
	sofun_reader sends = program->sends;
	for (uint32_t i = 0; result == 0 && i < program->send_count; i++) {
		struct program_send send;
		result = program_send_next(context, &sends, &send);
		if (result == 0 && send.delayed)
			result = send_delayed(context, &send);
		else if (result == 0)
			result = send_numbered(context, &writer, &send, ++*numbers_of(&sent, send.id));
	}
	if (result == 0)
		result = numbers_store(context, play_sent, &sent);
	numbers_finish(&sent);
	return result;
}

static int emit_act(sofun_context *context, const struct program *program) {
	const int status = context->host->emit(context, program->emit_egress, program->emit_payload);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "emit: %s", sofun_status_text(status));
}

static int reply_act(sofun_context *context, int64_t count) {
	const int status = sofun_reply_int(context, count);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "reply: %s", sofun_status_text(status));
}

static int play_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	struct program program;
	int64_t count = 0;
	if (program_read(context, message, &program) != 0)
		return SOFUN_FAILED;
	if (fail_asked(context, message, &program))
		return SOFUN_FAILED;
	crash(program.crash);
	if (program.number != 0 && number_judge(context, message->caller.id, program.number) != 0)
		return SOFUN_FAILED;
	if ((program.has_add || program.reply) && add(context, &program, &count) != 0)
		return SOFUN_FAILED;
	if (program.cancel.size > 0 && cancel_act(context, program.cancel) != 0)
		return SOFUN_FAILED;
	if (sends_act(context, &program) != 0)
		return SOFUN_FAILED;
	if (program.has_emit && emit_act(context, &program) != 0)
		return SOFUN_FAILED;
	return program.reply ? reply_act(context, count) : 0;
}

static int records_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	struct program_send send;
	if (program_record(context, record->data, &send) != 0)
		return SOFUN_FAILED;
	const int status = sofun_send(context, PLAY_TYPE, send.id, send.msg);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}
