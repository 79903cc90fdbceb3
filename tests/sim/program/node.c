/* The function type "sim/node": what happens at each message, and in which order. */
#include "base/check.h"
#include "base/hash.h"
#include "program_inside.h"

/* However often it is tried: on the next version it must come out as if nothing had been. */
static bool version_fails(const struct program_version *version, uint64_t number) {
	return version->broken && hash_mix(number, 79) % 6 == 0;
}

void node_version_check(sofun_context *context, const struct program_version *version, uint64_t birth_epoch) {
	uint64_t before = program_value_uint(context, VALUE_VERSION);
	if (version->generation < before)
		program_violation("an address went back to an old version", before, version->generation);
	if (program_hooks.judge != NULL && !program_hooks.judge(program_hooks.arg, version->generation, birth_epoch))
		program_violation(
			"a message came to another version than its fence says: epoch, version", birth_epoch, version->generation);
	program_value_set(context, VALUE_VERSION, version->generation);
}

/* A message that is no child of another does nothing but what its name says, though it may fail a few times. */
static struct deed deed_of_payload(const struct node_payload *payload) {
	struct deed deed = deed_of(payload->number, (uint32_t)payload->depth);
	if (payload->depth >= DEPTH_CANCEL)
		deed = (struct deed){.fail_times = deed.fail_times % FAILS_ALWAYS};
	return deed;
}

/* False: the store could not be read. */
static bool payload_act(sofun_context *context, const struct node_payload *payload, const struct deed *deed) {
	if (payload->party == PARTY_KEYED) {
		node_keyed_go_on(context, payload->number, payload->order);
		return true;
	}
	switch (payload->depth) {
	case DEPTH_NEVER:
		program_violation("a timer that was cancelled came", payload->number, payload->number);
		return true;
	case DEPTH_NOTHING:
		return true;
	case DEPTH_CANCEL:
		return node_alarm_cancel(context, payload->number);
	default:
		return node_children_send(context, payload, deed) && node_timers_act(context, payload->number, deed);
	}
}

int node_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	const struct program_version *version = plugin_data;
	struct node_payload payload;
	node_version_check(context, version, program_birth_of(message->self.id, message->payload));
	node_payload_read(message->payload, &payload);
	struct deed deed = deed_of_payload(&payload);
	if (program_hooks.entered != NULL)
		program_hooks.entered(program_hooks.arg, message, version->generation, deed.poison);
	if (message->attempt > PROGRAM_ATTEMPTS)
		program_violation("an attempt too many", PROGRAM_ATTEMPTS, message->attempt);
	node_waiting_check(context);
	if (!node_count_more(context, program_schema(version)))
		return 1;
	node_order_check(context, payload.party, payload.order);
	if (!payload_act(context, &payload, &deed))
		return 1;
	if (deed.idles)
		node_idle_send(context, payload.number);
	if (deed.emits)
		program_emit(context, "sim", payload.number);
	if (payload.depth < DEPTH_CANCEL)
		node_operations_start(context, payload.number);
	program_inside();
	if (version_fails(version, payload.number))
		return 1;
	return message->attempt <= deed.fail_times ? 1 : 0; /* after all of the above: none of it may happen then */
}

const sofun_function program_function = {
	.size = sizeof program_function,
	.schema = 1,
	.type = "sim/node",
	.values = node_values,
	.value_count = PROGRAM_VALUES,
	.invoke = node_invoke,
	.work = node_work,
	.on_result = node_result,
};
