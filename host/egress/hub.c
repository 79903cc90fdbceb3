#include "egress/hub.h"

#include <stdlib.h>

#include "base/check.h"
#include "egress/hub_inside.h"
#include "egress/incarnation.h"
#include "egress/record.h"

/* ---- life ---- */

static void origin_note(void *arg, struct bytes name, uint64_t start, uint64_t end) {
	(void)start;
	struct egress_hub *hub = arg;
	hub->origins = realloc(hub->origins, (hub->origin_count + 1) * sizeof *hub->origins);
	check_memory(hub->origins);
	struct egress_origin *origin = &hub->origins[hub->origin_count++];
	*origin = (struct egress_origin){.end = end};
	buf_append_bytes(&origin->name, name);
}

struct egress_hub *egress_hub_create(const struct egress_hub_options *options) {
	struct egress_hub *hub = check_alloc(1, sizeof *hub);
	hub->magic = EGRESS_HUB_MAGIC;
	hub->options = *options;
	hub->incarnation = incarnation_new(options->epoch);
	LIST_INIT(&hub->feeds);
	for (size_t i = 0; i < ACKED_BUCKETS; i++)
		LIST_INIT(&hub->acked[i]);
	store_egress_names(options->store, origin_note, hub);
	return hub;
}

void egress_hub_stop(struct egress_hub *hub) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	hub->stopped = true;
}

static void feed_destroy(struct egress_feed *feed) {
	check(feed->readers == 0 && !feed->busy);
	LIST_REMOVE(feed, link);
	buf_finish(&feed->batch.maps);
	free(feed->batch.places);
	free(feed);
}

void egress_hub_destroy(struct egress_hub *hub) {
	if (hub == NULL)
		return;
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	while (!LIST_EMPTY(&hub->feeds))
		feed_destroy(LIST_FIRST(&hub->feeds));
	for (size_t i = 0; i < ACKED_BUCKETS; i++)
		check(LIST_EMPTY(&hub->acked[i]));
	for (size_t i = 0; i < hub->origin_count; i++)
		buf_finish(&hub->origins[i].name);
	free(hub->origins);
	hub->magic = 0;
	free(hub);
}

uint64_t egress_origin(const struct egress_hub *hub, struct bytes egress) {
	for (size_t i = 0; i < hub->origin_count; i++)
		if (bytes_equal(bytes_buf(&hub->origins[i].name), egress))
			return hub->origins[i].end;
	return 0;
}

bool egress_known(struct egress_hub *hub, struct bytes egress, struct error *error) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	const struct egress_hub_options *options = &hub->options;
	if (store_egress_end(options->store, egress) > 0 ||
		(options->declared != NULL && options->declared(options->declared_arg, egress)))
		return true;
	error_set(error, ERROR_UNKNOWN_EGRESS, "this egress was never used, and no live plugin declares it");
	error_found_text(error, egress.data, egress.size);
	return error_advise(error, "an egress that was used, or that a live plugin declares",
		"GET /v1/egresses lists them; `sofun inspect FILE` those of a plugin");
}

/* ---- feeds ---- */

static struct bytes feed_name(const struct egress_feed *feed) {
	return bytes_of(feed->name, feed->name_size);
}

size_t egress_readers_count(const struct egress_hub *hub, struct bytes egress) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	const struct egress_feed *feed;
	LIST_FOREACH(feed, &hub->feeds, link) {
		if (bytes_equal(feed_name(feed), egress))
			return feed->readers;
	}
	return 0;
}

static struct egress_feed *feed_get(struct egress_hub *hub, struct bytes name) {
	struct egress_feed *feed;
	LIST_FOREACH(feed, &hub->feeds, link) {
		if (bytes_equal(feed_name(feed), name))
			return feed;
	}
	if (LIST_EMPTY(&hub->feeds))
		engine_egress_watch(hub->options.engine, true); /* before the end is asked for: no growth is missed */
	feed = check_alloc(1, sizeof *feed + name.size);
	feed->hub = hub;
	TAILQ_INIT(&feed->hungry);
	TAILQ_INIT(&feed->idle);
	feed->name_size = name.size;
	memcpy(feed->name, name.data, name.size);
	feed->end = store_egress_end(hub->options.store, name);
	LIST_INSERT_HEAD(&hub->feeds, feed, link);
	return feed;
}

static void feed_leave(struct egress_feed *feed) {
	struct egress_hub *hub = feed->hub;
	if (feed->readers > 0 || feed->busy)
		return;
	feed_destroy(feed);
	if (LIST_EMPTY(&hub->feeds))
		engine_egress_watch(hub->options.engine, false);
}

/* ---- one read: on the reader thread, then on the loop ---- */

static bool record_collect(void *arg, uint64_t offset, struct bytes record) {
	struct egress_feed *feed = arg;
	struct egress_batch *batch = &feed->batch;
	if (batch->count > 0 && offset != batch->first + batch->count)
		return false; /* retention has passed the reader meanwhile */
	if (batch->count + 1 >= batch->capacity) {
		batch->capacity = batch->capacity == 0 ? 64 : batch->capacity * 2;
		batch->places = realloc(batch->places, batch->capacity * sizeof *batch->places);
		check_memory(batch->places);
	}
	if (batch->count == 0)
		batch->first = offset;
	batch->places[batch->count] = batch->maps.size;
	if (!record_pack(&batch->maps, record)) {
		error_set(&feed->error, ERROR_STORE_FAILED, "record %llu of the egress is not as the host writes it",
			(unsigned long long)offset);
		error_hint(&feed->error, "stop the host and run sofund --verify on its data directory");
		return false;
	}
	batch->places[++batch->count] = batch->maps.size;
	return batch->count < BATCH_RECORDS_MAX && batch->maps.size < BATCH_BYTES_MAX;
}

static void feed_read(void *arg, struct store *store) {
	struct egress_feed *feed = arg;
	uint64_t next;
	feed->error.code = ERROR_NONE;
	feed->batch.count = 0;
	buf_reset(&feed->batch.maps);
	(void)store_egress_read(store, feed_name(feed), feed->from, record_collect, feed, &next, &feed->error);
	feed->start = store_egress_start(store, feed_name(feed));
}

static void feed_next(struct egress_feed *feed);

static void reader_enlist(struct egress_reader *reader) {
	struct egress_feed *feed = reader->feed;
	reader->list = reader->next < feed->end ? &feed->hungry : &feed->idle;
	TAILQ_INSERT_TAIL(reader->list, reader, link);
}

/* What retention took from it is behind it now. */
static void reader_skip(struct egress_reader *reader, uint64_t to) {
	reader->skipped += to - reader->next;
	reader->next = to;
}

static void reader_serve(struct egress_feed *feed, struct egress_reader *reader) {
	const struct egress_batch *batch = &feed->batch;
	if (feed->error.code != ERROR_NONE && batch->count == 0) {
		reader->failed(reader, &feed->error);
		return;
	}
	/* Retention may have gone on behind the read: what was read counts. */
	uint64_t start = batch->count > 0 && batch->first < feed->start ? batch->first : feed->start;
	if (reader->next < start)
		reader_skip(reader, start);
	if (batch->count > 0 && reader->next >= batch->first && reader->next < batch->first + batch->count)
		reader->ready(reader, batch, (size_t)(reader->next - batch->first));
	else
		reader_enlist(reader);
}

static void feed_done(void *arg) {
	struct egress_feed *feed = arg;
	struct egress_readers served = TAILQ_HEAD_INITIALIZER(served);
	struct egress_reader *reader;
	TAILQ_FOREACH(reader, &feed->hungry, link) {
		reader->list = &served;
	}
	TAILQ_CONCAT(&served, &feed->hungry, link);
	while ((reader = TAILQ_FIRST(&served)) != NULL) {
		TAILQ_REMOVE(&served, reader, link);
		reader->list = NULL;
		reader_serve(feed, reader); /* it may close itself or others: busy keeps the feed */
	}
	feed->busy = false;
	if (feed->batch.maps.capacity > BATCH_BYTES_MAX || TAILQ_EMPTY(&feed->hungry))
		buf_finish(&feed->batch.maps);
	feed_next(feed);
	feed_leave(feed);
}

/* Who has waited longest says from where. */
static void feed_next(struct egress_feed *feed) {
	struct egress_reader *reader = TAILQ_FIRST(&feed->hungry);
	if (reader == NULL || feed->busy || feed->hub->stopped)
		return;
	feed->busy = true;
	feed->from = reader->next;
	engine_read_applied(feed->hub->options.engine, feed_read, feed_done, feed);
}

void egress_hub_look(struct egress_hub *hub) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	struct egress_feed *feed;
	if (!engine_egress_grown(hub->options.engine))
		return;
	LIST_FOREACH(feed, &hub->feeds, link) {
		uint64_t end = store_egress_end(hub->options.store, feed_name(feed));
		if (end == feed->end)
			continue;
		feed->end = end;
		struct egress_reader *reader;
		TAILQ_FOREACH(reader, &feed->idle, link) {
			reader->list = &feed->hungry;
		}
		TAILQ_CONCAT(&feed->hungry, &feed->idle, link);
		feed_next(feed);
	}
}

/* ---- readers ---- */

void egress_reader_open(struct egress_hub *hub, struct egress_reader *reader, struct bytes egress, uint64_t next) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	check(reader->feed == NULL && reader->ready != NULL && reader->failed != NULL);
	reader->feed = feed_get(hub, egress);
	reader->feed->readers++;
	reader->next = next;
	reader->skipped = 0;
	reader->list = NULL;
}

void egress_reader_want(struct egress_reader *reader) {
	check(reader->feed != NULL);
	if (reader->list != NULL)
		return;
	reader_enlist(reader);
	feed_next(reader->feed);
}

void egress_reader_close(struct egress_reader *reader) {
	struct egress_feed *feed = reader->feed;
	if (feed == NULL)
		return;
	if (reader->list != NULL)
		TAILQ_REMOVE(reader->list, reader, link);
	reader->list = NULL;
	reader->feed = NULL;
	feed->readers--;
	feed_leave(feed);
}
