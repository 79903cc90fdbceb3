#include "flow/request/request.h"

#include <stdlib.h>

#include "base/check.h"

/* token = slot index in the low half, the slot's generation in the high half */
struct request {
	request_answered *answered; /* NULL: free */
	void *arg;
	uint32_t generation;
	uint32_t next_free;
};

struct requests {
	struct request *slots;
	uint32_t count;
	uint32_t capacity;
	uint32_t first_free; /* UINT32_MAX: none */
	size_t open;
};

struct requests *requests_create(void) {
	struct requests *requests = check_alloc(1, sizeof *requests);
	requests->first_free = UINT32_MAX;
	return requests;
}

void requests_destroy(struct requests *requests) {
	if (requests == NULL)
		return;
	free(requests->slots);
	free(requests);
}

static uint32_t slot_take(struct requests *requests) {
	if (requests->first_free != UINT32_MAX) {
		uint32_t index = requests->first_free;
		requests->first_free = requests->slots[index].next_free;
		return index;
	}
	if (requests->count == requests->capacity) {
		requests->capacity = requests->capacity == 0 ? 64 : requests->capacity * 2;
		requests->slots = realloc(requests->slots, requests->capacity * sizeof *requests->slots);
		check_memory(requests->slots);
	}
	requests->slots[requests->count] = (struct request){.generation = 1};
	return requests->count++;
}

uint64_t request_open(struct requests *requests, request_answered *answered, void *arg) {
	check(answered != NULL);
	uint32_t index = slot_take(requests);
	struct request *slot = &requests->slots[index];
	slot->answered = answered;
	slot->arg = arg;
	requests->open++;
	return (uint64_t)slot->generation << 32 | index;
}

static struct request *slot_find(struct requests *requests, uint64_t token) {
	uint32_t index = (uint32_t)token;
	if (index >= requests->count)
		return NULL;
	struct request *slot = &requests->slots[index];
	return slot->answered != NULL && slot->generation == token >> 32 ? slot : NULL;
}

static void slot_free(struct requests *requests, struct request *slot) {
	slot->answered = NULL;
	slot->generation++;
	slot->next_free = requests->first_free;
	requests->first_free = (uint32_t)(slot - requests->slots);
	requests->open--;
}

void request_cancel(struct requests *requests, uint64_t token) {
	struct request *slot = slot_find(requests, token);
	if (slot != NULL)
		slot_free(requests, slot);
}

void request_answer(void *arg, const struct engine_answer *answer) {
	struct requests *requests = arg;
	struct request *slot = slot_find(requests, answer->token);
	if (slot == NULL)
		return;
	request_answered *answered = slot->answered;
	void *answered_arg = slot->arg;
	slot_free(requests, slot);
	answered(answered_arg, answer);
}

void requests_refuse(struct requests *requests, enum error_code code, const char *text) {
	for (uint32_t i = 0; i < requests->count; i++) {
		const struct engine_answer answer = {
			.token = (uint64_t)requests->slots[i].generation << 32 | i,
			.code = code,
			.payload = bytes_text(text),
		};
		request_answer(requests, &answer);
	}
}

size_t requests_open(const struct requests *requests) {
	return requests->open;
}
