/* What an instance of "sim/node" sends, at once and delayed, what it takes back, and the order that it sees. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "program_inside.h"
#include "sofun/timer.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { REGRET_MS = 300, TOKEN_BYTES = 32 };

/* ---- payloads and addresses ---- */

static void payload_put(struct buf *payload, const struct node_payload *message) {
	pack_array(payload, 4);
	pack_uint(payload, message->number);
	pack_uint(payload, message->depth);
	pack_uint(payload, message->party);
	pack_uint(payload, message->order);
}

void node_payload_read(sofun_bytes payload, struct node_payload *ret_message) {
	uint32_t fields;
	struct cursor cursor = cursor_of(bytes_of(payload.data, payload.size));
	check(cursor_read_array(&cursor, &fields) && fields == 4 && cursor_read_uint(&cursor, &ret_message->number) &&
		cursor_read_uint(&cursor, &ret_message->depth) && cursor_read_uint(&cursor, &ret_message->party) &&
		cursor_read_uint(&cursor, &ret_message->order));
}

static sofun_bytes text_of(const char *text) {
	return (sofun_bytes){(const uint8_t *)text, strlen(text)};
}

/* [id] backs the address. */
static sofun_address address_of(const char *type, uint32_t instance, char id[8]) {
	program_id(id, instance);
	return (sofun_address){.type = text_of(type), .id = text_of(id)};
}

/* ---- the order of a sender's messages ---- */

/* Two arrays of these: what was sent, and what was seen. A slot is a producer's, or of all instances whose numbers are the same
 * modulo SLOTS. What is sent to one of a slot is numbered in one row: it rises for each of them. What was seen is known of the last
 * one that came: in a run of few instances each has its own slot. */
enum { SLOTS = 24 };
struct slot {
	uint16_t unused;
	uint16_t party;
	uint32_t order;
};
struct slots {
	struct slot slots[SLOTS + PROGRAM_PRODUCERS];
};

static struct slot *slot_of(struct slots *slots, uint64_t party) {
	check(party < PROGRAM_PRODUCERS || party >= PARTY_INSTANCE);
	return &slots->slots[party < PROGRAM_PRODUCERS ? SLOTS + party : (party - PARTY_INSTANCE) % SLOTS];
}

static void slots_get(sofun_context *context, uint32_t value, struct slots *ret_slots) {
	sofun_bytes bytes;
	memset(ret_slots, 0, sizeof *ret_slots);
	check(context->host->state_get(context, value, &bytes) == SOFUN_OK);
	if (bytes.size == 0)
		return;
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	struct bytes bin;
	check(cursor_read_bin(&cursor, &bin) && bin.size == sizeof *ret_slots);
	memcpy(ret_slots, bin.data, bin.size);
}

static void slots_set(sofun_context *context, uint32_t value, const struct slots *slots) {
	struct buf buf = {0};
	pack_bin(&buf, bytes_of(slots, sizeof *slots));
	check(context->host->state_set(context, value, (sofun_bytes){buf.data, buf.size}) == SOFUN_OK);
	buf_finish(&buf);
}

static uint64_t order_next(struct slots *sent, uint32_t instance) {
	return ++slot_of(sent, PARTY_INSTANCE + instance)->order;
}

void node_order_check(sofun_context *context, uint64_t party, uint64_t order) {
	struct slots seen;
	if (party == PARTY_KEYED)
		return;
	if (party == PARTY_TIMER) {
		if (context->host->time_ms(context) < order)
			program_violation("a timer was early", order, context->host->time_ms(context));
		return;
	}
	slots_get(context, VALUE_SEEN, &seen);
	struct slot *slot = slot_of(&seen, party);
	if (slot->party == party && order <= slot->order)
		program_violation("order of a sender's messages", slot->order, order);
	*slot = (struct slot){.party = (uint16_t)party, .order = (uint32_t)order};
	slots_set(context, VALUE_SEEN, &seen);
}

/* ---- at once ---- */

void node_send(sofun_context *context, const struct node_payload *message) {
	char id[8];
	struct buf payload = {0};
	sofun_address to = address_of("sim/node", deed_instance(message->number), id);
	program_did(COMMAND_SEND);
	payload_put(&payload, message);
	check(context->host->send(context, &to, (sofun_bytes){NULL, 0}, (sofun_bytes){payload.data, payload.size}) ==
		SOFUN_OK);
	buf_finish(&payload);
}

void node_idle_send(sofun_context *context, uint64_t number) {
	char id[8];
	const uint8_t nil = 0xc0;
	sofun_address to = address_of("sim/idle", deed_instance(number) % (program_hooks.instances * 7 / 24), id);
	program_did(COMMAND_SEND);
	check(context->host->send(context, &to, (sofun_bytes){NULL, 0}, (sofun_bytes){&nil, 1}) == SOFUN_OK);
}

/* ---- delayed ---- */

static const sofun_timer *timer_of(sofun_context *context) {
	const sofun_timer *timer = context->host->extension(context->host, SOFUN_TIMER);
	check(timer != NULL);
	return timer;
}

/* The order says when it is due, for who sees it earlier. Token "": none. */
static bool send_after(sofun_context *context, uint64_t number, uint64_t depth, uint64_t delay_ms, const char *token) {
	char id[8];
	struct buf payload = {0};
	const struct node_payload message = {
		.number = number,
		.depth = depth,
		.party = PARTY_TIMER,
		.order = context->host->time_ms(context) + delay_ms,
	};
	sofun_address to = address_of("sim/node", deed_instance(number), id);
	program_did(token[0] == '\0' ? COMMAND_SEND_AFTER : COMMAND_SEND_UNDER_TOKEN);
	payload_put(&payload, &message);
	int status = timer_of(context)->send_after(
		context, delay_ms, text_of(token), &to, (sofun_bytes){NULL, 0}, (sofun_bytes){payload.data, payload.size});
	buf_finish(&payload);
	check(status == SOFUN_OK || status == SOFUN_STORE);
	return status == SOFUN_OK;
}

static bool cancel(sofun_context *context, const char *token, int expected) {
	int found;
	program_did(COMMAND_CANCEL);
	int status = timer_of(context)->cancel(context, text_of(token), &found);
	check(status == SOFUN_OK || status == SOFUN_STORE);
	if (status == SOFUN_OK && found != expected)
		program_violation("a cancellation found", (uint64_t)expected, (uint64_t)found);
	return status == SOFUN_OK;
}

/* A timer that never comes, and the message to itself that cancels it. */
static bool alarm_set(sofun_context *context, uint64_t number) {
	char token[TOKEN_BYTES];
	struct slots sent;
	uint32_t self = deed_instance(number);
	snprintf(token, sizeof token, "a%llx", (unsigned long long)number);
	if (!send_after(context, number, DEPTH_NEVER, PROGRAM_ALARM_MS, token))
		return false;
	slots_get(context, VALUE_SENT, &sent);
	const struct node_payload message = {number, DEPTH_CANCEL, PARTY_INSTANCE + self, order_next(&sent, self)};
	node_send(context, &message);
	slots_set(context, VALUE_SENT, &sent);
	return true;
}

bool node_alarm_cancel(sofun_context *context, uint64_t number) {
	char token[TOKEN_BYTES];
	snprintf(token, sizeof token, "a%llx", (unsigned long long)number);
	return cancel(context, token, 1);
}

static bool regret(sofun_context *context, uint64_t number) {
	char token[TOKEN_BYTES];
	snprintf(token, sizeof token, "r%llx", (unsigned long long)number);
	return send_after(context, number, DEPTH_NEVER, REGRET_MS, token) && cancel(context, token, 1) &&
		cancel(context, token, 0) && send_after(context, number, DEPTH_NOTHING, REGRET_MS, token);
}

bool node_timers_act(sofun_context *context, uint64_t number, const struct deed *deed) {
	return (!deed->alarms || alarm_set(context, number)) && (!deed->regrets || regret(context, number));
}

/* ---- what a message leads to ---- */

bool node_children_send(sofun_context *context, const struct node_payload *parent, const struct deed *deed) {
	struct slots sent;
	uint32_t self = deed_instance(parent->number);
	slots_get(context, VALUE_SENT, &sent);
	for (uint32_t child = 0; child < deed->children; child++) {
		uint64_t number = deed_child(parent->number, child);
		if (deed->delay_ms == 0) {
			const struct node_payload message = {
				number, parent->depth + 1, PARTY_INSTANCE + self, order_next(&sent, deed_instance(number))};
			node_send(context, &message);
		} else if (!send_after(context, number, parent->depth + 1, deed->delay_ms + child * 7, "")) {
			return false;
		}
	}
	slots_set(context, VALUE_SENT, &sent);
	return true;
}

void program_keyed_payload(struct buf *payload, uint64_t number, uint32_t hops) {
	const struct node_payload message = {number, PROGRAM_DEPTH, PARTY_KEYED, hops};
	payload_put(payload, &message);
}

void node_keyed_go_on(sofun_context *context, uint64_t number, uint64_t hops) {
	if (hops > 0) {
		const struct node_payload message = {deed_child(number, 0), PROGRAM_DEPTH, PARTY_KEYED, hops - 1};
		node_send(context, &message);
		return;
	}
	struct buf packed = {0};
	pack_uint(&packed, number);
	check(context->host->reply(context, (sofun_bytes){NULL, 0}, (sofun_bytes){packed.data, packed.size}) == SOFUN_OK);
	buf_finish(&packed);
}
