/* The clients that send records, batch by batch, some of them twice; each start of the host ends their connections. */
#include <stdio.h>

#include "world_inside.h"

enum { BATCH_MAX = 8, IN_FLIGHT_MAX = 3, NAME_BYTES = 16 };

static void producer_name(char name[NAME_BYTES], uint32_t index) {
	snprintf(name, NAME_BYTES, "p%u", index);
}

/* TOKEN_PRODUCERS + ((session * 2 + position) * PROGRAM_PRODUCERS + index) */
static uint64_t token_of(const struct world *world, uint32_t index, bool position) {
	return TOKEN_PRODUCERS + (world->session * 2 + (position ? 1 : 0)) * PROGRAM_PRODUCERS + index;
}

void producers_disconnect(struct world *world) {
	for (int i = 0; i < PROGRAM_PRODUCERS; i++) {
		world->producers[i].next = 0;
		world->producers[i].in_flight = 0;
	}
}

void producers_answered(struct world *world, const struct engine_answer *answer) {
	uint64_t rest = answer->token - TOKEN_PRODUCERS;
	struct producer_client *producer = &world->producers[rest % PROGRAM_PRODUCERS];
	bool position = rest / PROGRAM_PRODUCERS % 2 == 1;
	producer->in_flight--;
	if (answer->code == ERROR_UNKNOWN_INGRESS && world->asked_early) {
		producer->next = 0; /* asked before the plugin was there */
		return;
	}
	if (answer->code != ERROR_NONE) {
		world_wrong(world, "an ingest was answered with an error", answer->code, ERROR_NONE);
		return;
	}
	if (answer->number < producer->durable)
		world_wrong(world, "a durable position went back", answer->number, producer->durable);
	producer->durable = answer->number;
	if (position)
		producer->next = answer->number + 1;
}

static void position_ask(struct world *world, uint32_t index) {
	char name[NAME_BYTES];
	producer_name(name, index);
	engine_ingest(world->engine, token_of(world, index, true), world->session, bytes_text("sim"), bytes_text(name), 1,
		0, bytes_of(NULL, 0));
	world->producers[index].in_flight++;
}

static void records_send(struct world *world, uint32_t index) {
	struct producer_client *producer = &world->producers[index];
	uint64_t left = world->options->records + 1 - producer->next;
	uint64_t count = 1 + world_below(world, BATCH_MAX);
	if (count > left)
		count = left;
	if (count == 0)
		return;
	/* now and then from further back: what was accepted must not count twice */
	uint64_t back = world_below(world, 8) == 0 ? world_below(world, 6) : 0;
	uint64_t first = producer->next > back ? producer->next - back : 1;
	uint64_t end = producer->next + count;
	struct buf records = {0};
	for (uint64_t sequence = first; sequence < end; sequence++)
		program_record(&records, index, sequence);
	char name[NAME_BYTES];
	producer_name(name, index);
	engine_ingest(world->engine, token_of(world, index, false), world->session, bytes_text("sim"), bytes_text(name),
		first, (uint32_t)(end - first), bytes_buf(&records));
	producer->next = end;
	producer->in_flight++;
	buf_finish(&records);
}

void producers_step(struct world *world) {
	uint32_t index = (uint32_t)world_below(world, PROGRAM_PRODUCERS);
	const struct producer_client *producer = &world->producers[index];
	if (world->parked && world_below(world, 4) != 0)
		return; /* no router yet: now and then somebody tries all the same */
	world->asked_early |= world->parked;
	if (producer->in_flight >= IN_FLIGHT_MAX || (producer->next == 0 && producer->in_flight > 0))
		return;
	if (producer->next == 0)
		position_ask(world, index);
	else
		records_send(world, index);
}

bool producers_done(const struct world *world) {
	for (int i = 0; i < PROGRAM_PRODUCERS; i++) {
		if (world->producers[i].durable < world->options->records)
			return false;
	}
	return true;
}
