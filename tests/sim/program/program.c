#include "program_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "flow/message.h"
#include "wire/cursor.h"
#include "wire/pack.h"

struct program_hooks program_hooks;

void program_id(char id[8], uint32_t instance) {
	snprintf(id, 8, "i%02u", instance);
}

void program_violation(const char *what, uint64_t a, uint64_t b) {
	if (program_hooks.violations++ == 0)
		snprintf(program_hooks.what, sizeof program_hooks.what, "%s: %llu after %llu", what, (unsigned long long)b,
			(unsigned long long)a);
}

/* The head stands before the id and the route. */
uint64_t program_birth_of(sofun_bytes id, sofun_bytes payload) {
	enum { ROUTE_BYTES = 16 };
	static const size_t routes[] = {0, ROUTE_BYTES, ROUTE_BYTES + sizeof(struct message_keyed)};
	static const uint8_t flags[] = {0, MESSAGE_ROUTE, MESSAGE_ROUTE | MESSAGE_KEYED};
	for (int i = 0; i < 3; i++) {
		struct message_head head;
		memcpy(&head, id.data - routes[i] - sizeof head, sizeof head);
		bool fits = payload.data == NULL ? head.operation != MESSAGE_ORDINARY && head.operation <= MESSAGE_WAITS
										 : head.payload_size == payload.size;
		if (fits && head.id_size == id.size && (head.flags & (MESSAGE_ROUTE | MESSAGE_KEYED)) == flags[i])
			return head.birth_epoch;
	}
	check(false);
	return 0;
}

uint64_t program_value_uint(sofun_context *context, uint32_t value) {
	sofun_bytes bytes;
	uint64_t number = 0;
	check(context->host->state_get(context, value, &bytes) == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	check(bytes.size == 0 || cursor_read_uint(&cursor, &number));
	return number;
}

void program_value_set(sofun_context *context, uint32_t value, uint64_t number) {
	struct buf packed = {0};
	pack_uint(&packed, number);
	check(context->host->state_set(context, value, (sofun_bytes){packed.data, packed.size}) == SOFUN_OK);
	buf_finish(&packed);
}

void program_emit(sofun_context *context, const char *egress, uint64_t number) {
	program_did(COMMAND_EMIT);
	struct buf payload = {0};
	pack_uint(&payload, number);
	check(context->host->emit(context, (sofun_bytes){(const uint8_t *)egress, strlen(egress)},
			  (sofun_bytes){payload.data, payload.size}) == SOFUN_OK);
	buf_finish(&payload);
}

const char *program_command_name(enum program_command command) {
	static const char *const names[PROGRAM_COMMANDS] = {
		[COMMAND_INCREMENT] = "increments",
		[COMMAND_SEND] = "sends",
		[COMMAND_SEND_AFTER] = "sends after a time",
		[COMMAND_SEND_UNDER_TOKEN] = "sends under a token",
		[COMMAND_CANCEL] = "cancellations",
		[COMMAND_OPERATION] = "operations",
		[COMMAND_SUCCESS] = "that succeeded",
		[COMMAND_FAILURE] = "that failed",
		[COMMAND_UNKNOWN] = "of unknown end",
		[COMMAND_EMIT] = "egress records",
		[COMMAND_TABLE_SET] = "entries set",
		[COMMAND_TABLE_REMOVE] = "entries removed",
		[COMMAND_TABLE_CLEAR] = "tables cleared",
		[COMMAND_LIST_APPEND] = "items appended",
		[COMMAND_LIST_DROP] = "items dropped",
		[COMMAND_LIST_CLEAR] = "lists cleared",
	};
	return names[command];
}

void program_did(enum program_command command) {
	program_hooks.commands[command]++;
}

void program_inside(void) {
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
}
