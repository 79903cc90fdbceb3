#include "flow/message.h"

#include "base/check.h"

uint32_t message_measure(struct message_parts *parts) {
	check(parts->id.size <= UINT8_MAX && parts->caller_id.size <= UINT8_MAX && parts->type.size <= UINT8_MAX);
	struct message_head *head = &parts->head;
	head->id_size = (uint8_t)parts->id.size;
	head->caller_id_size = (uint8_t)parts->caller_id.size;
	head->type_size = (uint8_t)parts->type.size;
	head->payload_size = (uint32_t)parts->payload.size;
	head->reserved = 0;
	if (parts->route != NULL)
		head->flags |= MESSAGE_ROUTE;
	size_t size = sizeof *head + (parts->route != NULL ? sizeof *parts->route : 0) + parts->id.size +
		parts->caller_id.size + parts->type.size + parts->payload.size;
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
		memcpy(at, parts->route, sizeof *parts->route);
		at += sizeof *parts->route;
	}
	at = part_put(at, parts->id);
	at = part_put(at, parts->caller_id);
	at = part_put(at, parts->type);
	at = part_put(at, parts->payload);
	check(at <= end);
}

bool message_run_valid(struct bytes run, uint64_t *ret_count) {
	uint64_t count = 0;
	size_t at = 0;
	while (at < run.size) {
		struct message_head head;
		if (run.size - at < sizeof head)
			return false;
		memcpy(&head, run.data + at, sizeof head);
		size_t parts = sizeof head + ((head.flags & MESSAGE_ROUTE) != 0 ? sizeof(struct message_route) : 0) +
			(size_t)head.id_size + head.caller_id_size + head.type_size + head.payload_size;
		if (head.size % 8 != 0 || head.size < parts || head.size - parts >= 8 || head.size > run.size - at)
			return false;
		at += head.size;
		count++;
	}
	*ret_count = count;
	return true;
}
