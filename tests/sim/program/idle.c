/* The function type "sim/idle": its instances and one of its values end by themselves, and look whether they do so in time. */
#include "base/check.h"
#include "base/hash.h"
#include "node_entries.h"
#include "program_inside.h"
#include "terms.h"

enum { IDLE_COUNT, IDLE_LAST, IDLE_BLIP, IDLE_MARKS };

static const sofun_value idle_values[] = {
	{.name = "count", .kind = SOFUN_INT}, {.name = "last", .kind = SOFUN_INT}, /* the time of the last message */
	{.name = "blip", .kind = SOFUN_INT, .expire_after_write_ms = 1},
	{.name = "marks", .kind = SOFUN_KIND_TABLE}, /* one for each message */
};

/* When what the id had at from_ms ended, by its own times only. */
static uint64_t idle_ended_ms(
	sofun_context *context, const sofun_address *self, enum terms_way way, uint64_t from_ms, uint64_t now_ms) {
	return program_hooks.ended(
		program_hooks.arg, context, (int)way, bytes_of(self->id.data, self->id.size), from_ms, now_ms);
}

static int idle_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	uint64_t now_ms = context->host->time_ms(context);
	uint64_t last_ms = program_value_uint(context, IDLE_LAST);
	if (last_ms != 0 && idle_ended_ms(context, &message->self, TERMS_IDLE, last_ms, now_ms) != UINT64_MAX)
		program_violation("an instance was idle for too long and is still there", last_ms, now_ms);
	bool blips = last_ms != 0 && idle_ended_ms(context, &message->self, TERMS_BLIP, last_ms, now_ms) == UINT64_MAX;
	if (blips != (program_value_uint(context, IDLE_BLIP) != 0))
		program_violation("a value that expires", last_ms, now_ms);
	if (!node_entries_mark(context, IDLE_MARKS, program_value_uint(context, IDLE_COUNT)))
		return 1;
	program_value_set(context, IDLE_COUNT, program_value_uint(context, IDLE_COUNT) + 1);
	program_value_set(context, IDLE_LAST, now_ms);
	program_value_set(context, IDLE_BLIP, 1);
	program_inside();
	return 0;
}

static int idle_expire(sofun_context *context, void *plugin_data, const sofun_expiry *expiry) {
	(void)plugin_data;
	uint64_t now_ms = context->host->time_ms(context);
	uint64_t last_ms = expiry->last_touch_ms;
	uint64_t ended_ms = idle_ended_ms(context, &expiry->self, TERMS_IDLE, last_ms, now_ms);
	if (ended_ms == UINT64_MAX || last_ms != program_value_uint(context, IDLE_LAST))
		program_violation("an instance expired early", last_ms, now_ms);
	uint64_t marks = node_entries_count(context, IDLE_MARKS);
	if (marks == UINT64_MAX)
		return 1;
	if (marks != program_value_uint(context, IDLE_COUNT))
		program_violation("entries of an instance that expires", program_value_uint(context, IDLE_COUNT), marks);
	/* as it was at its end; only if that is not known any more it may have lost what ended since */
	uint64_t blip_ms = idle_ended_ms(context, &expiry->self, TERMS_BLIP, last_ms, now_ms);
	bool blips = program_value_uint(context, IDLE_BLIP) != 0;
	if (blips && blip_ms <= ended_ms)
		program_violation("a value that had ended before its instance", blip_ms, ended_ms);
	if (!blips && blip_ms > now_ms)
		program_violation("a value that has not ended is not there at the end of its instance", blip_ms, now_ms);
	program_emit(context, "idle", program_value_uint(context, IDLE_COUNT));
	const uint8_t zero = 0; /* in MessagePack */
	check(context->host->state_set(context, IDLE_COUNT, (sofun_bytes){&zero, 1}) == SOFUN_NOT_ALLOWED);
	program_inside();
	return expiry->attempt <= hash_mix(expiry->last_touch_ms, expiry->self.id.data[1]) % 3 ? 1 : 0;
}

const sofun_function idle_function = {
	.size = sizeof idle_function,
	.schema = 1,
	.type = "sim/idle",
	.values = idle_values,
	.value_count = sizeof idle_values / sizeof *idle_values,
	.invoke = idle_invoke,
	.on_expire = idle_expire,
};
