#include "flow/trial/trial.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/shard.h"
#include "plugin/image.h"
#include "supervisor/crash.h"

/* ---- who is suspected ---- */

/* Records have no address that would say which shard routes them: each shard keeps those suspects. */
static bool suspect_mine(const struct shard *shard, const struct crash_row *row, uint16_t type) {
	const struct flow *flow = shard->flow;
	if (row->kind == NOTE_ROUTER)
		return true;
	return type != 0 && message_shard(flow_hash(flow, type, crash_row_id(row)), flow->shards_count) == shard->index;
}

void trial_open(struct shard *shard) {
	struct crash_table *table = crash_current();
	struct trial *trial = &shard->trial;
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		struct crash_row *row = &table->rows[i];
		uint16_t type = row->kind == NOTE_ROUTER ? 0 : view_type(shard->view, bytes_text(row->name));
		if ((!crash_row_is(row, CRASH_SUSPECT) && !crash_row_is(row, CRASH_CONVICTED)) ||
			!suspect_mine(shard, row, type))
			continue;
		if (trial->suspects == NULL)
			trial->suspects = check_alloc(CRASH_ROWS_MAX, sizeof *trial->suspects);
		trial->suspects[trial->count++] = (struct suspect){.row = row, .type = type};
	}
}

void trial_close(struct shard *shard) {
	free(shard->trial.suspects);
}

static void suspect_end(struct suspect *suspect, enum crash_outcome outcome) {
	const struct crash_row *row = suspect->row;
	log_event(LOG_INFO, "suspect", "verdict=%s plugin=%s version=%s %s=%s id=\"%.*s\" payload=%016llx",
		crash_outcome_name(outcome), row->plugin, row->version, suspect->type == 0 ? "ingress" : "function", row->name,
		(int)row->id_size, (const char *)row->id, (unsigned long long)row->payload_hash);
	crash_turn(suspect->row, outcome);
	suspect->row = NULL;
}

/* ---- the dead letter ---- */

/* The head of what waits for the suspect's address; NULL: nothing does. */
static struct wait *suspect_wait(struct shard *shard, const struct suspect *suspect) {
	struct bytes id = crash_row_id(suspect->row);
	struct instance *instance = cache_find(&shard->cache, flow_hash(shard->flow, suspect->type, id), suspect->type, id);
	return instance == NULL ? NULL : instance_wait(instance);
}

/* An epoch in which nothing else happened is nobody else's wish. */
static void commit_want(struct shard *shard, uint64_t epoch) {
	if (atomic_load(&shard->wants) >= epoch)
		return;
	atomic_store(&shard->wants, epoch);
	park_wake(&shard->flow->committer_park);
}

void trial_sentenced(struct shard *shard) {
	shard->trial.asked->dead_epoch = shard->epoch;
}

/* True while its dead letter could be lost with the process: nothing behind it is run, or an equal that dies, too, would
 * bring the convicted one back for ever. Ends the suspect, and what waited for that, once it is durable. */
static bool sentence_open(struct shard *shard, struct suspect *suspect) {
	if (suspect->row == NULL || suspect->dead_epoch == 0)
		return false;
	if (suspect->dead_epoch > atomic_load(&shard->flow->durable)) {
		commit_want(shard, suspect->dead_epoch);
		return true;
	}
	struct wait *wait = suspect->type == 0 ? NULL : suspect_wait(shard, suspect);
	if (wait != NULL && wait->due_ms == UINT64_MAX)
		retry_due(shard, wait, 0);
	suspect_end(suspect, CRASH_DEAD);
	return false;
}

/* ---- may it run? ---- */

/* What is asked for; a record has two forms, of which the router was given one. */
struct asked {
	uint64_t hash;
	uint64_t hash_text;
	uint64_t
		place; /* which of its equals it is; 0: an instance ends once, whether a sweep or a message finds it idle */
};

static bool asked_equals(const struct asked *asked, const struct suspect *suspect) {
	return asked->hash == suspect->row->payload_hash || asked->hash_text == suspect->row->payload_hash;
}

static enum trial_answer tried(struct shard *shard, struct suspect *suspect, const struct asked *asked) {
	struct trial *trial = &shard->trial;
	if (trial->running && trial->on == suspect) {
		bool equal = asked_equals(asked, suspect);
		trial->itself = equal && crash_row_is(suspect->row, CRASH_SUSPECT); /* an equal's life acquits no convict */
		shard->note->place = asked->place;
		shard->note->alone = equal ? 1 + (uint64_t)(suspect->row - crash_current()->rows) : NOTE_ALONE_OTHER;
		return TRIAL_FREE;
	}
	suspect->waits = true;
	if (trial->waiting_us == 0)
		trial->waiting_us = monotonic_us();
	return TRIAL_HOLD;
}

/* A record's suspicion may have ended on another shard. */
static bool suspect_open(const struct suspect *suspect) {
	return suspect->row != NULL && suspect->dead_epoch == 0 &&
		(crash_row_is(suspect->row, CRASH_SUSPECT) || crash_row_is(suspect->row, CRASH_CONVICTED));
}

/* A verdict is for one message; its equals are tried as suspects are, since they die as it did. */
static bool convicted(struct shard *shard, struct suspect *suspect, const struct asked *asked) {
	if (!suspect_open(suspect) || !crash_row_is(suspect->row, CRASH_CONVICTED) || !asked_equals(asked, suspect) ||
		asked->place != suspect->row->place)
		return false;
	shard->trial.asked = suspect;
	return true;
}

static bool suspected(const struct suspect *suspect, const struct asked *asked) {
	return suspect_open(suspect) && (crash_row_is(suspect->row, CRASH_SUSPECT) || asked_equals(asked, suspect));
}

static bool address_is(const struct suspect *suspect, const struct image *image, uint16_t type, struct bytes id) {
	return suspect->row != NULL && suspect->type == type && bytes_equal(crash_row_id(suspect->row), id) &&
		memcmp(suspect->row->hash, image->hash, HASH_BYTES) == 0;
}

bool trial_suspects(const struct shard *shard, const struct image *image, uint16_t type, struct bytes id) {
	for (size_t i = 0; i < shard->trial.count; i++) {
		const struct suspect *suspect = &shard->trial.suspects[i];
		if (suspect_open(suspect) && address_is(suspect, image, type, id))
			return true;
	}
	return false;
}

/* among: the suspects of the address, NULL at its end. A verdict comes before any trial: what is convicted is not run. */
static enum trial_answer answer(struct shard *shard, struct suspect *const *among, const struct asked *asked) {
	for (size_t i = 0; among[i] != NULL; i++) {
		if (sentence_open(shard, among[i]))
			return TRIAL_HOLD;
		if (convicted(shard, among[i], asked))
			return TRIAL_DEAD;
	}
	for (size_t i = 0; among[i] != NULL; i++) {
		if (suspected(among[i], asked))
			return tried(shard, among[i], asked);
	}
	return TRIAL_FREE;
}

enum trial_answer trial_of_message(struct shard *shard, const struct image *image, const struct message *message) {
	struct suspect *among[CRASH_ROWS_MAX + 1];
	size_t count = 0;
	for (size_t i = 0; i < shard->trial.count; i++) {
		struct suspect *suspect = &shard->trial.suspects[i];
		if (address_is(suspect, image, message->head->type, message->id))
			among[count++] = suspect;
	}
	among[count] = NULL;
	if (count == 0)
		return TRIAL_FREE;
	const uint64_t hash = fault_payload_hash(message->payload);
	const uint64_t place = (message->head->flags & MESSAGE_SWEEP) != 0 ? 0 : message->head->birth_epoch;
	return answer(shard, among, &(struct asked){hash, hash, place});
}

enum trial_answer trial_of_record(struct shard *shard, struct bytes ingress, struct bytes producer, uint64_t sequence,
	struct bytes object, struct bytes text) {
	struct suspect *among[CRASH_ROWS_MAX + 1];
	size_t count = 0;
	for (size_t i = 0; i < shard->trial.count; i++) {
		struct suspect *suspect = &shard->trial.suspects[i];
		if (suspect->row != NULL && suspect->type == 0 && bytes_equal(bytes_text(suspect->row->name), ingress) &&
			bytes_equal(crash_row_id(suspect->row), producer))
			among[count++] = suspect;
	}
	among[count] = NULL;
	return answer(shard, among, &(struct asked){fault_payload_hash(object), fault_payload_hash(text), sequence});
}

void trial_reason(const struct shard *shard, struct buf *text) {
	const struct crash_row *row = shard->trial.asked->row;
	buf_reset(text);
	buf_printf(text, "it ended the host %llu times, %llu of them when nothing else ran: %s",
		(unsigned long long)row->count, (unsigned long long)row->alone, row->cause);
}

/* ---- standing still ---- */

bool trial_stands_still(struct shard *shard) {
	const struct flow *flow = shard->flow;
	if (__builtin_expect(atomic_load_explicit(&flow->trial_shard, memory_order_acquire) == 0, 1))
		return false;
	atomic_store_explicit(
		&shard->trial_seen, atomic_load_explicit(&flow->trial_serial, memory_order_acquire), memory_order_release);
	return true;
}

static void shards_wake(const struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++)
		park_wake(&flow->shards[i]->park);
}

static bool shards_still(const struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->trial_seen, memory_order_acquire) !=
			atomic_load_explicit(&flow->trial_serial, memory_order_relaxed))
			return false;
	}
	return true;
}

/* What happened up to the epoch is to be durable, whether anything happened in it or not. */
static void commit_ask(struct shard *shard, uint64_t epoch, enum trial_state state) {
	shard->trial.epoch = epoch;
	shard->trial.state = state;
	atomic_store(&shard->wants, epoch);
	park_wake(&shard->flow->committer_park);
}

/* ---- the trial ---- */

static struct suspect *suspect_waiting(struct trial *trial) {
	for (size_t i = 0; i < trial->count; i++) {
		if (suspect_open(&trial->suspects[i]) && trial->suspects[i].waits)
			return &trial->suspects[i];
	}
	return NULL;
}

static bool shard_dry(const struct shard *shard) {
	for (uint32_t source = 0; source < shard->flow->shards_count; source++) {
		if (!queue_empty(shard_channel(shard->flow, source, shard->index)))
			return false;
	}
	return true;
}

static bool trial_begin(struct shard *shard) {
	struct flow *flow = shard->flow;
	struct trial *trial = &shard->trial;
	struct suspect *suspect = suspect_waiting(trial);
	uint32_t nobody = 0;
	if (suspect == NULL) {
		trial->waiting_us = 0;
		return false;
	}
	if (!shard_dry(shard) && monotonic_us() - trial->waiting_us < TRIAL_PATIENCE_US)
		return false;
	if (!atomic_compare_exchange_strong(&flow->trial_shard, &nobody, shard->index + 1))
		return false; /* another shard's suspect is tried: its end wakes this one */
	atomic_fetch_add(&flow->trial_serial, 1);
	trial->on = suspect;
	trial->state = TRIAL_GATHER;
	shards_wake(flow);
	return true;
}

static void trial_end(struct shard *shard) {
	struct trial *trial = &shard->trial;
	trial->state = TRIAL_NONE;
	trial->on = NULL;
	atomic_store(&shard->flow->trial_shard, 0);
	shards_wake(shard->flow);
}

static uint64_t shard_done(const struct shard *shard) {
	return shard->counts.handled + shard->counts.records + shard->counts.expired;
}

/* All other shards stand still, and all that was done is durable: nothing else can die of what follows, or be lost by it. */
static void suspect_run(struct shard *shard) {
	struct trial *trial = &shard->trial;
	uint64_t handled = shard_done(shard);
	trial->running = true;
	trial->itself = false;
	if (trial->on->type == 0) {
		shard_input_step(shard);
	} else {
		struct wait *wait = suspect_wait(shard, trial->on);
		if (wait != NULL)
			dispatch_waiting(shard, wait);
	}
	trial->running = false;
	trial->on->waits = false;         /* until more of it is held */
	if (shard_done(shard) == handled) /* it failed, or went elsewhere: no verdict */
		trial->itself = false;
	commit_ask(shard, shard->epoch, TRIAL_SETTLE);
}

/* It ran alone, and what it did is durable. */
static void suspect_judge(struct shard *shard) {
	struct trial *trial = &shard->trial;
	struct suspect *suspect = trial->on;
	shard->note->alone = 0;
	if (suspect->dead_epoch == 0 && (trial->itself || ++suspect->others >= TRIAL_OTHERS_MAX))
		suspect_end(suspect, CRASH_CLEARED);
	trial_end(shard);
}

/* Dead letters that are durable by now; and forgets who is no suspect any more. */
static void suspects_look(struct shard *shard) {
	struct trial *trial = &shard->trial;
	size_t left = 0;
	for (size_t i = 0; i < trial->count; i++) {
		struct suspect *suspect = &trial->suspects[i];
		if (sentence_open(shard, suspect) || suspect_open(suspect))
			trial->suspects[left++] = *suspect;
	}
	trial->count = left;
}

/* Asks again while it is not. */
static bool trial_durable(struct shard *shard) {
	uint64_t epoch = shard->trial.epoch;
	if (atomic_load(&shard->flow->durable) >= epoch)
		return true;
	commit_want(shard, epoch);
	return false;
}

bool trial_step(struct shard *shard, int *budget) {
	struct trial *trial = &shard->trial;
	(void)budget;
	if (trial->count == 0 && trial->state == TRIAL_NONE)
		return false;
	bool durable = trial_durable(shard);
	switch (trial->state) {
	case TRIAL_NONE:
		suspects_look(shard);
		return trial->waiting_us != 0 && trial_begin(shard);
	case TRIAL_GATHER:
		if (!shards_still(shard->flow))
			return false;
		commit_ask(shard, atomic_load(&shard->flow->cut) + 1, TRIAL_COMMIT); /* no shard's open epoch is later */
		return true;
	case TRIAL_COMMIT:
		if (durable)
			suspect_run(shard);
		return durable;
	case TRIAL_SETTLE:
		if (durable)
			suspect_judge(shard);
		return durable;
	}
	return false;
}

uint64_t trial_idle_us(const struct shard *shard) {
	const struct trial *trial = &shard->trial;
	if (trial->state != TRIAL_NONE)
		return TRIAL_LOOK_US;
	for (size_t i = 0; i < trial->count; i++)
		if (trial->suspects[i].dead_epoch != 0)
			return TRIAL_LOOK_US;
	return trial->waiting_us != 0 ? TRIAL_LOOK_US : UINT64_MAX;
}
