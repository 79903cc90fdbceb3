/* Ingress: records of a producer, routed on the shard of (ingress, producer). Position and messages are one effect
 * (rule 25); dedupe is against what was accepted, the answer is what is durable (rule 9). */
#include <stdlib.h>

#include "base/check.h"
#include "base/mutant.h"
#include "flow/dead/letter.h"
#include "flow/invocation/enter.h"
#include "flow/route/record_form.h"
#include "flow/shard.h"
#include "plugin/image.h"
#include "wire/cursor.h"

/* ---- one record ---- */

/* The reason is in the invocation. */
static void record_dead(struct shard *shard, struct bytes ingress, struct bytes producer, struct bytes object,
	uint32_t attempts, const struct image *image, const char *code) {
	struct invocation *invocation = shard->invocation;
	struct buf to = {0};
	buf_printf(&to, "ingress/%.*s", (int)ingress.size, (const char *)ingress.data);
	if (invocation->failure.size == 0)
		buf_printf(&invocation->failure, "the router failed and gave no reason");
	struct dead_letter letter = {
		.to = bytes_buf(&to),
		.id = producer,
		.code = bytes_text(code),
		.reason = bytes_buf(&invocation->failure),
		.attempts = attempts,
		.plugin = bytes_text(image->name),
		.version = bytes_text(image->version),
		.time_ms = shard->epoch_time_ms,
		.payload = object,
	};
	effects_dead(shard, &letter, NULL, ERROR_FUNCTION_FAILED);
	buf_finish(&to);
}

/* All routers of the ingress, all or none; the one that failed, NULL if none. */
static const struct route *routers_enter(
	struct shard *shard, struct bytes ingress, sofun_record *record, struct bytes object) {
	const struct view *view = shard->view;
	invocation_begin(shard->invocation, view, NULL, NULL, NULL, shard->epoch_time_ms);
	for (size_t i = 0; i < view->route_count; i++) {
		const struct route *route = &view->routes[i];
		if (!bytes_equal(bytes_text(route->ingress), ingress) ||
			!route_has(route, bytes_of(record->producer.data, record->producer.size)))
			continue;
		struct bytes data;
		struct error error;
		if (!record_form(
				route->format, route->wanted, object, shard->flow->config->nesting, &shard->record, &data, &error)) {
			buf_printf(&shard->invocation->failure, "%s", error.message);
			return route;
		}
		record->data = (sofun_bytes){data.data, data.size};
		if (enter_router(shard, route, record) != 0)
			return route;
	}
	return NULL;
}

/* False: it became a dead letter. */
static bool record_route(struct shard *shard, const struct input *input, struct bytes ingress, struct bytes producer,
	uint64_t sequence, struct bytes object) {
	sofun_record record = {
		.size = sizeof record,
		.ingress = {ingress.data, ingress.size},
		.producer = {producer.data, producer.size},
		.sequence = sequence,
	};
	const struct route *failed = NULL;
	uint32_t attempts = 0;
	do {
		failed = routers_enter(shard, ingress, &record, object);
		attempts++;
	} while (failed != NULL && attempts < shard->flow->config->retry_attempts);
	shard_touch(shard); /* the epoch may have been cut while a router ran */
	if (failed != NULL) {
		record_dead(shard, ingress, producer, object, attempts, failed->image, "router_failed");
		note_end(shard->note);
		return false;
	}
	struct cause cause = {.colour = input->colour};
	effects_apply(shard, &cause);
	note_end(shard->note);
	return true;
}

/* TRIAL_HOLD: the whole input waits with it. */
static enum trial_answer record_trial(
	struct shard *shard, struct bytes ingress, struct bytes producer, uint64_t sequence, struct bytes object) {
	struct bytes text;
	if (__builtin_expect(shard->trial.count == 0, 1))
		return TRIAL_FREE;
	struct cursor cursor = cursor_of(object);
	if (!cursor_read_text_or_bin(&cursor, &text))
		text = object;
	return trial_of_record(shard, ingress, producer, sequence, object, text);
}

/* It is convicted: no router sees it any more. */
static void record_crashed(struct shard *shard, struct bytes ingress, struct bytes producer, struct bytes object) {
	const struct view *view = shard->view;
	const struct image *image = NULL;
	for (size_t i = 0; i < view->route_count && image == NULL; i++)
		if (bytes_equal(bytes_text(view->routes[i].ingress), ingress))
			image = view->routes[i].image;
	check(image != NULL); /* route_ingest has seen a route */
	trial_reason(shard, &shard->invocation->failure);
	record_dead(shard, ingress, producer, object, 0, image, "crashed");
	trial_sentenced(shard);
}

/* ---- a batch ---- */

static void ingest_answer(
	struct shard *shard, const struct input *input, enum error_code code, uint64_t durable, uint64_t accepted) {
	struct engine_answer answer = {.token = input->token, .code = code, .number = durable, .accepted = accepted};
	if (code == ERROR_UNKNOWN_INGRESS)
		answer.type = bytes_of(input + 1, input->ingress_size); /* what was found */
	if (code == ERROR_NONE)
		answer.accepted = shard->record_dead;
	output_put(&shard->outputs, &answer);
	shard->record_dead = 0;
	shard->record_index = 0;
	shard->record_offset = 0;
}

/* False if the batch is refused as a whole, and was answered. */
static bool batch_admit(struct shard *shard, const struct input *input, struct producer *producer) {
	if (input->count == 0) {
		ingest_answer(shard, input, ERROR_NONE, producer->accepted, producer->accepted);
		return false;
	}
	if (input->session < producer->session) {
		ingest_answer(shard, input, ERROR_PRODUCER_BUSY, producer->accepted, producer->accepted);
		return false;
	}
	if (input->first > producer->accepted + 1) {
		ingest_answer(shard, input, ERROR_GAP, producer->accepted, producer->accepted);
		return false;
	}
	producer->session = input->session;
	return true;
}

bool route_ingest(struct shard *shard, const struct input *input, int *budget) {
	const uint8_t *body = (const uint8_t *)(input + 1);
	struct bytes ingress = bytes_of(body, input->ingress_size);
	struct bytes name = bytes_of(body + input->ingress_size, input->producer_size);
	struct bytes records = bytes_of(name.data + name.size, (size_t)input->body_size);
	struct error error;
	shard_touch(shard);
	struct producer *producer = producer_get(shard, ingress, name, &error);
	if (producer == NULL) {
		shard_store_error(shard, &error);
		return false;
	}
	/* In the middle of a batch, too: its routers may have gone since it began, and the rest would be accepted for nobody. */
	if (!view_ingress(shard->view, ingress, name)) {
		ingest_answer(shard, input, ERROR_UNKNOWN_INGRESS, 0, 0);
		return true;
	}
	if (shard->record_index == 0 && !batch_admit(shard, input, producer))
		return true;
	struct cursor cursor = {.at = records.data + shard->record_offset, .end = records.data + records.size};
	while (shard->record_index < input->count) {
		if (*budget <= 0 || !shard_epoch_open(shard))
			return false;
		struct bytes object;
		check(cursor_take(&cursor, CURSOR_NESTING_MAX, &object) == CURSOR_GOOD);
		uint64_t sequence = input->first + shard->record_index;
		if (sequence > producer->accepted || mutant_is(MUTANT_SKIP_DEDUPE)) {
			enum trial_answer trial = record_trial(shard, ingress, name, sequence, object);
			if (trial == TRIAL_HOLD)
				return false;
			if (trial == TRIAL_DEAD)
				record_crashed(shard, ingress, name, object);
			if (trial == TRIAL_DEAD || !record_route(shard, input, ingress, name, sequence, object))
				shard->record_dead++;
			producer->accepted = sequence;
			producer_touch(shard, producer);
			shard->counts.records++;
			shard->epoch_messages++;
			shard->epoch_bytes += 8;
		}
		shard->record_index++;
		shard->record_offset = (size_t)(cursor.at - records.data);
		(*budget)--;
	}
	ingest_answer(shard, input, ERROR_NONE, producer->accepted, producer->accepted);
	return true;
}

void route_again(
	struct shard *shard, const struct input *input, struct bytes ingress, struct bytes producer, struct bytes object) {
	(void)record_route(shard, input, ingress, producer, 0, object); /* its number is not known any more */
}
