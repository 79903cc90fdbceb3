/* Who waits, as the rest of the host asks for it. [loop thread] */
#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/engine/inside.h"

void engine_survey(struct engine *engine, uint64_t token) {
	struct surveys *surveys = &engine->flow.surveys;
	pthread_mutex_lock(&surveys->mutex);
	const struct survey_token one = {atomic_load(&surveys->asked) + 1, token};
	buf_append(&surveys->tokens, &one, sizeof one);
	pthread_mutex_unlock(&surveys->mutex);
	atomic_store_explicit(&surveys->asked, one.serial, memory_order_release);
	park_wake(&engine->flow.committer_park);
}

static void list_tell(const struct engine *engine, const struct survey_list *list, uint32_t shard, uint32_t image,
	void (*each)(void *arg, const struct engine_wait *wait), void *arg) {
	for (size_t i = 0; i < list->shown; i++) {
		const struct survey_address *address = &list->addresses[i];
		if (address->image != image || address->type >= engine->view->binding_count)
			continue; /* of a type whose first fence has not been told here yet */
		const struct engine_wait wait = {
			.reason = address->reason,
			.type = address->type == 0 ? "" : engine->view->bindings[address->type].name,
			.id = bytes_of(address->id, address->id_size),
			.since_ms = address->since_ms,
			.messages = address->messages,
			.shard = shard,
		};
		each(arg, &wait);
	}
}

uint64_t engine_waits_each(
	struct engine *engine, uint32_t image, void (*each)(void *arg, const struct engine_wait *wait), void *arg) {
	struct flow *flow = &engine->flow;
	uint64_t addresses = 0;
	pthread_mutex_lock(&flow->surveys.mutex);
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct survey *survey = flow->shards[i]->survey;
		if (survey == NULL || image == NOTE_IMAGE_NONE)
			continue;
		for (size_t k = 0; k < survey->image_count; k++)
			addresses += survey->images[k].image == image ? survey->images[k].addresses : 0;
		list_tell(engine, &survey->leaving, i, image, each, arg);
		list_tell(engine, &survey->others, i, image, each, arg);
	}
	pthread_mutex_unlock(&flow->surveys.mutex);
	return addresses;
}

void engine_timers(struct engine *engine, struct engine_timers *ret_timers) {
	struct flow *flow = &engine->flow;
	*ret_timers = (struct engine_timers){.next_ms = UINT64_MAX};
	pthread_mutex_lock(&flow->surveys.mutex);
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct survey *survey = flow->shards[i]->survey;
		const struct survey_timers unknown = {0}, *timers = survey == NULL ? &unknown : &survey->timers;
		ret_timers->pending += timers->count;
		ret_timers->more |= !timers->whole;
		if (timers->next_ms < ret_timers->next_ms)
			ret_timers->next_ms = timers->next_ms;
	}
	pthread_mutex_unlock(&flow->surveys.mutex);
}

void engine_left_add(struct engine *engine, uint16_t type, uint8_t side, uint64_t *left) {
	for (uint32_t shard = 0; shard < engine->flow.shards_count; shard++)
		for (uint8_t other = 0; other < MESSAGE_SIDES; other++)
			left[shard] += other != side ? owed_of(&engine->flow, type, shard, other) : 0;
}

uint32_t engine_shards(const struct engine *engine) {
	return engine->flow.shards_count;
}

void engine_behind_add(struct engine *engine, uint64_t generation, uint64_t *behind) {
	for (uint32_t i = 0; i < engine->flow.shards_count; i++)
		behind[i] += atomic_load(&engine->flow.shards[i]->view_generation) < generation;
}
