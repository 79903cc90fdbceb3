#include "flow/counts/survey.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/epoch/commit.h"
#include "flow/migration/migrate.h"
#include "plugin/image.h"

void surveys_init(struct surveys *surveys) {
	*surveys = (struct surveys){.answered = 0};
	pthread_mutex_init(&surveys->mutex, NULL);
}

void surveys_finish(struct surveys *surveys) {
	buf_finish(&surveys->tokens);
	pthread_mutex_destroy(&surveys->mutex);
}

/* ---- the lists ---- */

static void image_count(struct survey *survey, uint32_t image) {
	size_t at = 0;
	while (at < survey->image_count && survey->images[at].image != image)
		at++;
	if (at == SURVEY_IMAGES_MAX)
		return;
	if (at == survey->image_count)
		survey->images[survey->image_count++] = (struct survey_image){.image = image};
	survey->images[at].addresses++;
}

/* The place of the youngest: it makes room for an older one. */
static size_t list_youngest(const struct survey_list *list) {
	size_t youngest = 0;
	for (size_t i = 1; i < list->shown; i++)
		if (list->addresses[i].since_ms > list->addresses[youngest].since_ms)
			youngest = i;
	return youngest;
}

static struct survey_address *list_place(struct survey_list *list, uint64_t since_ms, size_t *youngest) {
	if (list->shown < SURVEY_SHOWN_MAX)
		return &list->addresses[list->shown++];
	if (*youngest == SIZE_MAX)
		*youngest = list_youngest(list);
	if (list->addresses[*youngest].since_ms <= since_ms)
		return NULL;
	size_t place = *youngest;
	*youngest = SIZE_MAX;
	return &list->addresses[place];
}

static struct survey_address *list_find(struct survey_list *list, uint16_t type, struct bytes id) {
	for (size_t i = 0; i < list->shown; i++) {
		struct survey_address *address = &list->addresses[i];
		if (address->type == type && bytes_equal(bytes_of(address->id, address->id_size), id))
			return address;
	}
	return NULL;
}

/* One look at a shard. */
struct look {
	struct shard *shard;
	const struct view
		*view; /* what is published: a shard inside a plugin has not adopted the last one yet. It lives until
							  * this shard has, and while it is held it does not */
	struct survey *survey;
	const struct instance *running; /* NULL: no call of a function is under way */
	size_t youngest[2];             /* of `leaving` and of `others`; SIZE_MAX: to be looked for */
};

static void look_add(struct look *look, bool leaves, const struct survey_address *what, struct bytes id) {
	struct survey_list *list = leaves ? &look->survey->leaving : &look->survey->others;
	image_count(look->survey, what->image);
	struct survey_address *address = list_place(list, what->since_ms, &look->youngest[leaves]);
	if (address == NULL)
		return;
	*address = *what;
	address->id_size = (uint8_t)(id.size < sizeof address->id ? id.size : sizeof address->id);
	memcpy(address->id, id.data, address->id_size);
}

/* ---- what waits ---- */

static uint32_t version_note(const struct version *version) {
	return version != NULL && version->image != NULL ? version->image->note : NOTE_IMAGE_NONE;
}

static bool wait_for_results(const struct look *look, const struct wait *wait, const struct message_head *head) {
	const struct shard *shard = look->shard;
	struct message message;
	if (head == NULL)
		return false;
	message_read((const uint8_t *)head, &message);
	return operations_hold(&shard->operations, shard, &look->view->bindings[wait->instance->type], &message);
}

static const char *wait_reason(const struct wait *wait, const struct version *version) {
	if (wait->blocked)
		return "migration";
	if (wait->undecided != 0)
		return "probation"; /* it failed for good under a version that may yet be rolled back (undecided.h) */
	if (version == NULL)
		return "no version";
	if (instance_wait(wait->instance) != wait)
		return "backlog"; /* a result that failed is ahead of it */
	if (wait->due_ms == UINT64_MAX)
		return "suspect"; /* held until it may run alone (flow/trial/) */
	return wait->attempts > 0 || wait->expire_attempts > 0 ? "retry" : "backlog";
}

static void look_wait(struct look *look, const struct wait *wait) {
	const struct binding *binding = &look->view->bindings[wait->instance->type];
	const struct message_head *head = NULL;
	struct bytes id = instance_id_bytes(wait->instance);
	uint64_t birth = queue_ahead(&wait->queue, &head, 1) == 1 ? head->birth_epoch : UINT64_MAX;
	const struct version *version = binding_version(binding, birth, id);
	const struct survey_address what = {
		.reason = wait_for_results(look, wait, head) ? "operation" : wait_reason(wait, version),
		.image = version_note(version),
		.type = wait->instance->type,
		.since_ms = wait->first_failed_ms != 0 ? wait->first_failed_ms : wait->since_ms,
		.messages = wait->queue.tail.number - wait->queue.head.number,
	};
	if (wait->instance != look->running)
		look_add(look, birth < binding->fence, &what, id);
}

/* Those at the head of a queue that a version which leaves is to handle. What others wait for is their turn, no more. */
static void look_queue(struct look *look, const struct queue *queue) {
	const struct message_head *heads[SURVEY_SHOWN_MAX];
	size_t count = queue_ahead(queue, heads, SURVEY_SHOWN_MAX);
	for (size_t i = 0; i < count; i++) {
		struct message message;
		message_read((const uint8_t *)heads[i], &message);
		if (heads[i]->type == 0 || heads[i]->type >= look->view->binding_count)
			continue;
		const struct binding *binding = &look->view->bindings[heads[i]->type];
		if (heads[i]->birth_epoch >= binding->fence)
			continue;
		struct survey_address *known = list_find(&look->survey->leaving, heads[i]->type, message.id);
		const struct survey_address what = {
			.reason = "backlog",
			.image = version_note(binding_version(binding, heads[i]->birth_epoch, message.id)),
			.type = heads[i]->type,
			.messages = 1,
		};
		if (known != NULL)
			known->messages++;
		else
			look_add(look, true, &what, message.id);
	}
}

/* ---- the call that is under way ---- */

/* It began with the turn, or later: not before the last look that saw another one. */
static uint64_t call_since_us(const struct shard *shard, uint64_t entries) {
	const struct survey *survey = shard->survey;
	return entries != survey->entries && survey->seen_us > shard->turn_us ? survey->seen_us : shard->turn_us;
}

static void look_call(struct look *look) {
	const struct shard *shard = look->shard;
	const struct invocation *invocation = shard->invocation;
	uint64_t took_us =
		monotonic_us() - call_since_us(shard, atomic_load_explicit(&shard->note->entries, memory_order_relaxed));
	struct survey_address what = {
		.reason = "running",
		.image = invocation->image != NULL ? invocation->image->note : NOTE_IMAGE_NONE,
		.since_ms = flow_clock_now(&shard->flow->clock) - took_us / 1000,
		.messages = 1,
	};
	struct bytes id = {0};
	if (invocation->binding != NULL) {
		look->running = invocation->instance;
		what.type = invocation->binding->number;
		id = instance_id_bytes(invocation->instance);
	}
	if (took_us >= SURVEY_CALL_US)
		look_add(look, true, &what, id);
}

/* One whose result is not there yet. A call of work may outlast the drain of its version: then it is all that this waits for. */
static void look_operation(void *arg, const struct operation *operation) {
	struct look *look = arg;
	if (operation->done || operation->type >= look->view->binding_count)
		return;
	const struct binding *binding = &look->view->bindings[operation->type];
	struct bytes id = operation_address(operation);
	uint32_t image = version_note(binding_version(binding, operation->birth_epoch, id));
	uint32_t working = NOTE_IMAGE_NONE;
	work_pool_runs(&look->shard->flow->pool, operation->id, &working);
	bool left = working != NOTE_IMAGE_NONE && working != image;
	const struct survey_address what = {
		.reason = "operation",
		.image = left ? working : image,
		.type = operation->type,
		.since_ms = operation->since_ms,
		.messages = 1,
	};
	look_add(look, left || operation->birth_epoch < binding->fence, &what, id);
}

/* Counts what is counted already: of those that wait in the store alone nobody knows how many they are. */
static struct survey_timers look_timers(const struct shard *shard) {
	const struct lane *messages = &shard->timers.messages;
	return (struct survey_timers){
		.count = lane_count(messages), .whole = lane_is_whole(messages), .next_ms = lane_next_ms(messages)};
}

static void survey_take(struct shard *shard, bool calls) {
	struct look look = {.shard = shard,
		.view = atomic_load(&shard->flow->view),
		.survey = shard->survey,
		.youngest = {SIZE_MAX, SIZE_MAX}};
	look.survey->leaving.shown = 0;
	look.survey->others.shown = 0;
	look.survey->image_count = 0;
	look.survey->timers = look_timers(shard);
	if (calls)
		look_call(&look);
	for (size_t i = 0; i < shard->waits.count; i++)
		look_wait(&look, (const struct wait *)(const void *)shard->waits.nodes[i]);
	if (shard->operations.count > 0)
		operations_each(&shard->operations, look_operation, &look);
	for (uint32_t source = 0; source < shard->flow->shards_count; source++)
		look_queue(&look, shard_channel(shard->flow, source, shard->index));
	for (size_t type = 0; type < shard->park_count; type++)
		if (shard->parks[type] != NULL)
			look_queue(&look, shard->parks[type]);
	look.survey->entries = atomic_load_explicit(&shard->note->entries, memory_order_relaxed);
	look.survey->seen_us = monotonic_us();
}

void survey_look(struct shard *shard, bool calls) {
	struct flow *flow = shard->flow;
	uint64_t asked = atomic_load_explicit(&flow->surveys.asked, memory_order_acquire);
	if (atomic_load_explicit(&shard->surveyed, memory_order_relaxed) >= asked)
		return;
	if (pthread_mutex_trylock(&flow->surveys.mutex) != 0)
		return; /* at the next turn: a shard waits for nobody */
	if (shard->survey == NULL)
		shard->survey = check_alloc(1, sizeof *shard->survey);
	survey_take(shard, calls);
	pthread_mutex_unlock(&flow->surveys.mutex);
	atomic_store_explicit(&shard->surveyed, asked, memory_order_release);
	park_wake(&flow->committer_park);
}

/* ---- on behalf of those that stand still ---- */

bool surveys_wanted(const struct committer *committer) {
	const struct surveys *surveys = &committer->flow->surveys;
	return atomic_load_explicit(&surveys->asked, memory_order_acquire) != surveys->answered;
}

static void shard_borrow(struct shard *shard) {
	static const enum hold holds[] = {HOLD_IDLE, HOLD_PLUGIN};
	for (int i = 0; i < 2; i++) {
		if (!hold_borrow(shard, holds[i]))
			continue;
		survey_look(shard, holds[i] == HOLD_PLUGIN);
		atomic_store_explicit(&shard->hold, holds[i], memory_order_release);
		return;
	}
}

static void tokens_answer(struct committer *committer, uint64_t serial) {
	struct surveys *surveys = &committer->flow->surveys;
	struct buf outputs = {0};
	size_t taken = 0;
	pthread_mutex_lock(&surveys->mutex);
	for (; taken < surveys->tokens.size; taken += sizeof(struct survey_token)) {
		struct survey_token one;
		memcpy(&one, surveys->tokens.data + taken, sizeof one);
		if (one.serial > serial)
			break;
		output_put(&outputs, &(struct engine_answer){.token = one.token, .number = one.serial});
	}
	memmove(surveys->tokens.data, surveys->tokens.data + taken, surveys->tokens.size - taken);
	surveys->tokens.size -= taken;
	pthread_mutex_unlock(&surveys->mutex);
	committer_release_now(committer, &outputs);
}

bool surveys_step(struct committer *committer) {
	struct flow *flow = committer->flow;
	if (!surveys_wanted(committer))
		return false;
	uint64_t asked = atomic_load_explicit(&flow->surveys.asked, memory_order_acquire);
	uint64_t least = asked;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->surveyed, memory_order_acquire) < asked)
			shard_borrow(flow->shards[i]);
		uint64_t surveyed = atomic_load_explicit(&flow->shards[i]->surveyed, memory_order_acquire);
		least = surveyed < least ? surveyed : least;
	}
	if (least == flow->surveys.answered)
		return false;
	flow->surveys.answered = least;
	tokens_answer(committer, least);
	return true;
}
