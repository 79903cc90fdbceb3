#include "flow/message.h"

#include "base/check.h"

static size_t route_bytes(uint8_t flags) {
	if ((flags & MESSAGE_ROUTE) == 0)
		return 0;
	return MESSAGE_ROUTE_BYTES + ((flags & MESSAGE_KEYED) != 0 ? sizeof(struct message_keyed) : 0);
}

uint32_t message_measure(struct message_parts *parts) {
	check(parts->id.size <= UINT8_MAX && parts->caller_id.size <= UINT8_MAX && parts->type.size <= UINT8_MAX);
	struct message_head *head = &parts->head;
	head->id_size = (uint8_t)parts->id.size;
	head->caller_id_size = (uint8_t)parts->caller_id.size;
	head->type_size = (uint8_t)parts->type.size;
	head->payload_size = (uint32_t)parts->payload.size;
	head->side = 0;
	head->operation = MESSAGE_ORDINARY;
	memset(head->reserved, 0, sizeof head->reserved);
	if (parts->route != NULL)
		head->flags |= parts->route->has_key ? MESSAGE_ROUTE | MESSAGE_KEYED : MESSAGE_ROUTE;
	size_t size = sizeof *head + route_bytes(head->flags) + parts->id.size + parts->caller_id.size + parts->type.size +
		parts->payload.size;
	head->size = (uint32_t)((size + 7) & ~(size_t)7);
	return head->size;
}

static uint8_t *part_put(uint8_t *at, struct bytes part) {
	bytes_copy(at, part.data, part.size);
	return at + part.size;
}

void message_put(uint8_t *at, const struct message_parts *parts) {
	uint8_t *end = at + parts->head.size;
	memset(end - 8, 0, 8);
	memcpy(at, &parts->head, sizeof parts->head);
	at += sizeof parts->head;
	if (parts->route != NULL) {
		memcpy(at, parts->route, MESSAGE_ROUTE_BYTES);
		at += MESSAGE_ROUTE_BYTES;
	}
	if ((parts->head.flags & MESSAGE_KEYED) != 0) {
		memcpy(at, &parts->route->keyed, sizeof parts->route->keyed);
		at += sizeof parts->route->keyed;
	}
	at = part_put(at, parts->id);
	at = part_put(at, parts->caller_id);
	at = part_put(at, parts->type);
	at = part_put(at, parts->payload);
	check(at <= end);
}

const uint8_t *message_route_read(const uint8_t *at, uint8_t flags, struct message_route *ret_route) {
	*ret_route = (struct message_route){.has_key = (flags & MESSAGE_KEYED) != 0, .colour = flags & MESSAGE_COLOUR};
	memcpy(ret_route, at, MESSAGE_ROUTE_BYTES);
	at += MESSAGE_ROUTE_BYTES;
	if (!ret_route->has_key)
		return at;
	memcpy(&ret_route->keyed, at, sizeof ret_route->keyed);
	return at + sizeof ret_route->keyed;
}

bool message_run_valid(struct bytes run, uint64_t *ret_count) {
	uint64_t count = 0;
	size_t at = 0;
	while (at < run.size) {
		struct message_head head;
		if (run.size - at < sizeof head)
			return false;
		memcpy(&head, run.data + at, sizeof head);
		size_t parts = sizeof head + route_bytes(head.flags) + (size_t)head.id_size + head.caller_id_size +
			head.type_size + head.payload_size;
		if (head.size % 8 != 0 || head.size < parts || head.size - parts >= 8 || head.size > run.size - at)
			return false;
		at += head.size;
		count++;
	}
	*ret_count = count;
	return true;
}
