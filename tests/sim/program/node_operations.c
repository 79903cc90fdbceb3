/* The operations of the simulated program: what they are follows from the number of the message that starts them, but for how
 * they end: that is a matter of who crashes when. Each result counts once, whatever it says. */
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "program_inside.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { OPERATIONS_MOST = 2 };

struct plan {
	bool waits;
	bool outside;
	bool later; /* work hands it on */
	bool fails;
	uint32_t fail_times; /* attempts of on_result that fail */
	uint32_t bytes;      /* of metadata: more than memory has room for, now and then */
};

static struct plan plan_of(uint64_t number, uint32_t index) {
	uint64_t bits = hash_mix(number, 300 + index);
	struct plan plan = {.waits = bits % 2 == 0, .outside = (bits >> 8) % 4 == 0, .later = (bits >> 16) % 6 == 0};
	plan.fails = (bits >> 24) % 3 == 0;
	plan.fail_times = (bits >> 32) % 4 == 0 ? (uint32_t)(bits >> 40) % 4 : 0;
	plan.bytes = (bits >> 48) % 3 == 0 ? (uint32_t)(bits >> 50) % 700 : 0;
	return plan;
}

uint32_t node_operations_of(uint64_t number) {
	uint64_t bits = hash_mix(number, 299);
	return bits % 6 == 0 ? 1 + (uint32_t)(bits >> 8) % OPERATIONS_MOST : 0;
}

/* Metadata: [number, index, life, filling]. */
struct metadata {
	uint64_t number;
	uint64_t index;
	uint64_t life;
};

static void metadata_read(sofun_bytes bytes, struct metadata *ret_metadata) {
	uint32_t fields;
	struct bytes filling;
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	check(cursor_read_array(&cursor, &fields) && fields == 4 && cursor_read_uint(&cursor, &ret_metadata->number) &&
		cursor_read_uint(&cursor, &ret_metadata->index) && cursor_read_uint(&cursor, &ret_metadata->life) &&
		cursor_read_bin(&cursor, &filling) && cursor_at_end(&cursor));
	if (filling.size != plan_of(ret_metadata->number, (uint32_t)ret_metadata->index).bytes)
		program_violation("the metadata of an operation", ret_metadata->number, filling.size);
}

static void operation_start(sofun_context *context, uint64_t number, uint32_t index) {
	static const uint8_t filling[1024];
	struct plan plan = plan_of(number, index);
	struct buf metadata = {0};
	program_did(COMMAND_OPERATION);
	uint64_t id;
	uint32_t flags = (plan.waits ? SOFUN_OPERATION_WAIT : 0u) | (plan.outside ? SOFUN_OPERATION_OUTSIDE : 0u);
	pack_array(&metadata, 4);
	pack_uint(&metadata, number);
	pack_uint(&metadata, index);
	pack_uint(&metadata, program_hooks.life);
	pack_bin(&metadata, bytes_of(filling, plan.bytes));
	check(sofun_operation_of(context->host)->start(context, flags, (sofun_bytes){metadata.data, metadata.size}, &id) ==
		SOFUN_OK);
	buf_finish(&metadata);
	if (plan.outside && program_hooks.outside != NULL)
		program_hooks.outside(program_hooks.arg, id); /* it may be complete before it is durable, or never come to be */
	if (plan.waits)
		program_value_set(context, VALUE_WAITING, program_value_uint(context, VALUE_WAITING) + 1);
}

void node_operations_start(sofun_context *context, uint64_t number) {
	for (uint32_t i = 0; i < node_operations_of(number); i++)
		operation_start(context, number, i);
}

void node_waiting_check(sofun_context *context) {
	uint64_t waiting = program_value_uint(context, VALUE_WAITING);
	if (waiting != 0)
		program_violation("a message was handled while its address waits for operations", waiting, 0);
}

int node_work(sofun_work *work, void *plugin_data) {
	struct metadata metadata;
	(void)plugin_data;
	metadata_read(work->metadata, &metadata);
	struct plan plan = plan_of(metadata.number, (uint32_t)metadata.index);
	if (metadata.life != program_hooks.life)
		program_violation(
			"work was run in another life than its operation was started in", metadata.life, metadata.number);
	if (program_hooks.working != NULL)
		program_hooks.working(program_hooks.arg, work->id);
	if (plan.later) {
		program_hooks.outside(program_hooks.arg, work->id);
		return SOFUN_WORK_LATER;
	}
	if (plan.fails) {
		work->fail(work, (sofun_bytes){(const uint8_t *)"no", 2});
		return 1;
	}
	struct buf result = {0};
	pack_uint(&result, metadata.number);
	check(work->result(work, (sofun_bytes){result.data, result.size}) == SOFUN_OK);
	buf_finish(&result);
	return 0;
}

/* What is brought from outside is brought as nil. */
static void status_check(const sofun_result *result, const struct metadata *metadata, const struct plan *plan) {
	bool elsewhere = plan->outside || plan->later;
	if (result->status == SOFUN_RESULT_UNKNOWN && metadata->life == program_hooks.life)
		program_violation("a result is unknown without a crash", metadata->number, metadata->life);
	if (result->status == SOFUN_RESULT_SUCCESS && (elsewhere ? result->result.size != 1 : plan->fails))
		program_violation("an operation that should not succeed did", metadata->number, result->result.size);
	if (result->status == SOFUN_RESULT_FAILURE && !elsewhere &&
		(!plan->fails || result->text.size != 2 || memcmp(result->text.data, "no", 2) != 0))
		program_violation("an operation that should not fail did", metadata->number, result->text.size);
}

int node_result(sofun_context *context, void *plugin_data, const sofun_result *result) {
	const struct program_version *version = plugin_data;
	struct metadata metadata;
	metadata_read(result->metadata, &metadata);
	struct plan plan = plan_of(metadata.number, (uint32_t)metadata.index);
	status_check(result, &metadata, &plan);
	program_did(result->status == SOFUN_RESULT_SUCCESS ? COMMAND_SUCCESS
			: result->status == SOFUN_RESULT_FAILURE   ? COMMAND_FAILURE
													   : COMMAND_UNKNOWN);
	node_version_check(context, version, program_birth_of(result->self.id, (sofun_bytes){NULL, 0}));
	if (!node_count_more(context, program_schema(version)))
		return 1;
	if (plan.waits) {
		uint64_t waiting = program_value_uint(context, VALUE_WAITING);
		if (waiting == 0)
			program_violation("a second result of an operation", metadata.number, result->id);
		program_value_set(context, VALUE_WAITING, waiting - 1);
	}
	program_inside();
	return result->attempt <= plan.fail_times ? 1 : 0;
}
