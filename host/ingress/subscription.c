#include "ingress/subscription.h"

#include <stdlib.h>

#include "base/check.h"
#include "egress/acked.h"
#include "egress/record.h"
#include "ingress/connection.h"
#include "wire/pack.h"

struct subscription {
	struct connection *connection;
	TAILQ_ENTRY(subscription) link; /* of subscriptions.running or .paused */
	bool paused;
	uint64_t number;
	uint32_t window;
	struct egress_finding *finding; /* while it is being opened */
	uint64_t token;                 /* of the request that opens it */
	struct egress_reader reader;
	struct acked_holder holder; /* named */
	uint64_t base;              /* named: the window begins here */
	struct buf egress;
	struct buf name; /* empty: not named */
};

#define SUBSCRIPTION_OF(member, pointer) \
	((struct subscription *)(void *)((char *)(pointer)-offsetof(struct subscription, member)))

void subscriptions_init(struct subscriptions *subscriptions) {
	TAILQ_INIT(&subscriptions->running);
	TAILQ_INIT(&subscriptions->paused);
}

static struct subscription_list *subscription_place(struct subscription *subscription) {
	struct subscriptions *all = &subscription->connection->subscriptions;
	return subscription->paused ? &all->paused : &all->running;
}

static void pause_set(struct subscription *subscription, bool paused) {
	if (paused == subscription->paused)
		return;
	TAILQ_REMOVE(subscription_place(subscription), subscription, link);
	subscription->paused = paused;
	TAILQ_INSERT_TAIL(subscription_place(subscription), subscription, link);
}

static void subscription_destroy(struct subscription *subscription) {
	if (subscription->finding != NULL)
		egress_find_cancel(subscription->finding);
	egress_reader_close(&subscription->reader);
	acked_release(&subscription->holder);
	TAILQ_REMOVE(subscription_place(subscription), subscription, link);
	subscription->connection->subscriptions.count--;
	buf_finish(&subscription->egress);
	buf_finish(&subscription->name);
	free(subscription);
}

/* ---- records ---- */

/* Records that may leave before one is acknowledged. */
static uint64_t window_left(const struct subscription *subscription) {
	if (subscription->name.size == 0)
		return subscription->window; /* nobody acknowledges: it only bounds a frame */
	uint64_t sent = subscription->reader.next - subscription->base;
	return sent >= subscription->window ? 0 : subscription->window - sent;
}

static bool output_full(const struct connection *connection) {
	return connection_unsent(connection) >= SUBSCRIPTION_OUTPUT_BYTES;
}

/* Asks for more, unless it has to wait. */
static void subscription_go(struct subscription *subscription) {
	if (subscription->reader.feed == NULL || window_left(subscription) == 0)
		return;
	bool full = output_full(subscription->connection);
	pause_set(subscription, full);
	if (!full)
		egress_reader_want(&subscription->reader);
}

/* How many of the batch fit, the first always. */
static size_t records_fit(const struct subscription *subscription, const struct egress_batch *batch, size_t i) {
	size_t room = SUBSCRIPTION_OUTPUT_BYTES - connection_unsent(subscription->connection);
	uint64_t most = window_left(subscription);
	size_t count = 1;
	while (count < most && i + count < batch->count && batch->places[i + count + 1] - batch->places[i] <= room)
		count++;
	return count;
}

/* [2, method, [ and the one map's header */
static void notification_open(struct buf *out, const char *method, uint32_t pairs) {
	pack_array(out, 3);
	pack_uint(out, 2);
	pack_text(out, method);
	pack_array(out, 1);
	pack_map(out, pairs);
}

static void records_write(struct subscription *subscription, const struct egress_batch *batch, size_t i, size_t count) {
	struct buf *out = &subscription->connection->output;
	uint64_t skipped = subscription->reader.skipped;
	notification_open(out, "records", skipped > 0 ? 4 : 3);
	pack_text(out, "subscription");
	pack_uint(out, subscription->number);
	if (skipped > 0) {
		pack_text(out, "skipped");
		pack_uint(out, skipped);
	}
	pack_text(out, "first");
	pack_uint(out, subscription->reader.next);
	pack_text(out, "records");
	pack_array(out, (uint32_t)count);
	size_t from = i;
	if (skipped > 0)
		record_pack_skipped(out, egress_batch_map(batch, from++), skipped);
	pack_raw(out, bytes_of(batch->maps.data + batch->places[from], batch->places[i + count] - batch->places[from]));
}

static void records_ready(struct egress_reader *reader, const struct egress_batch *batch, size_t i) {
	struct subscription *subscription = SUBSCRIPTION_OF(reader, reader);
	struct connection *connection = subscription->connection;
	subscription->base += reader->skipped; /* what is gone needs no acknowledgement */
	if (output_full(connection)) {         /* by others of this connection */
		pause_set(subscription, true);
		return;
	}
	size_t count = records_fit(subscription, batch, i);
	records_write(subscription, batch, i, count);
	reader->next += count;
	reader->skipped = 0;
	connection_due(connection);
	subscription_go(subscription);
}

static void ended_write(struct subscription *subscription, const struct error *error) {
	struct buf *out = &subscription->connection->output;
	const char *const parts[][2] = {{"code", error_code_name(error->code)}, {"message", error->message},
		{"found", error->found}, {"expected", error->expected}, {"hint", error->hint}};
	const size_t count = sizeof parts / sizeof parts[0];
	uint32_t given = 0;
	for (size_t i = 0; i < count; i++)
		given += parts[i][1][0] != '\0';
	notification_open(out, "ended", 1 + given);
	pack_text(out, "subscription");
	pack_uint(out, subscription->number);
	for (size_t i = 0; i < count; i++) {
		if (parts[i][1][0] == '\0')
			continue;
		pack_text(out, parts[i][0]);
		pack_str_clean(out, bytes_text(parts[i][1]));
	}
	connection_due(subscription->connection);
}

static void subscription_end(struct subscription *subscription, const struct error *error) {
	ended_write(subscription, error);
	subscription_destroy(subscription);
}

static void records_failed(struct egress_reader *reader, const struct error *error) {
	subscription_end(SUBSCRIPTION_OF(reader, reader), error);
}

void subscriptions_resume(struct connection *connection) {
	struct subscription_list *paused = &connection->subscriptions.paused;
	struct subscription *subscription;
	if (connection_unsent(connection) > SUBSCRIPTION_OUTPUT_BYTES / 2)
		return;
	while ((subscription = TAILQ_FIRST(paused)) != NULL) {
		pause_set(subscription, false);
		egress_reader_want(&subscription->reader);
	}
}

/* ---- names ---- */

static void window_refill(struct acked_holder *holder, uint64_t next) {
	struct subscription *subscription = SUBSCRIPTION_OF(holder, holder);
	uint64_t sent = subscription->reader.next;
	uint64_t base = next < sent ? next : sent; /* an acknowledgement of more than it was sent asks for no more */
	if (base > subscription->base)
		subscription->base = base;
	subscription_go(subscription);
}

static void name_lost(struct acked_holder *holder) {
	struct error error;
	error_set(&error, ERROR_CONFLICT, "a younger connection subscribes by this name");
	error_found(&error, "another connection of the same name");
	error_advise(&error, "one connection a name", "use a name of your own for each subscriber");
	subscription_end(SUBSCRIPTION_OF(holder, holder), &error);
}

/* ---- opening ---- */

static void answer_failed(struct subscription *subscription, const struct error *error) {
	const struct engine_answer answer = {.token = subscription->token, .code = error->code, .error = error};
	request_answer(subscription->connection->server->requests, &answer);
}

static void answer_opened(struct subscription *subscription, const struct egress_found *found) {
	struct buf result = {0};
	pack_map(&result, found->forked ? 4 : 3);
	pack_text(&result, "subscription");
	pack_uint(&result, subscription->number);
	pack_text(&result, "next");
	pack_uint(&result, found->next);
	pack_text(&result, "incarnation");
	pack_uint(&result, found->incarnation);
	if (found->forked) {
		pack_text(&result, "forked");
		pack_uint(&result, found->next);
	}
	const struct engine_answer answer = {.token = subscription->token, .payload = bytes_buf(&result)};
	request_answer(subscription->connection->server->requests, &answer);
	buf_finish(&result);
}

static void place_found(void *arg, const struct egress_found *found) {
	struct subscription *subscription = arg;
	struct egress_hub *hub = subscription->connection->server->hub;
	struct bytes egress = bytes_buf(&subscription->egress);
	subscription->finding = NULL;
	if (found->error.code != ERROR_NONE) {
		answer_failed(subscription, &found->error);
		subscription_destroy(subscription);
		return;
	}
	answer_opened(subscription, found);
	egress_reader_open(hub, &subscription->reader, egress, found->next);
	subscription->base = found->next;
	if (subscription->name.size > 0)
		acked_hold(hub, &subscription->holder, egress, bytes_buf(&subscription->name), found->next);
	subscription_go(subscription);
}

static void opened_write(struct buf *out, const struct engine_answer *answer) {
	pack_raw(out, answer->payload);
}

void subscription_create(
	struct connection *connection, const struct rpc_frame *frame, const struct subscription_options *options) {
	struct subscription *subscription = check_alloc(1, sizeof *subscription);
	struct subscriptions *all = &connection->subscriptions;
	subscription->connection = connection;
	subscription->number = ++all->last;
	subscription->window = options->window;
	subscription->reader.ready = records_ready;
	subscription->reader.failed = records_failed;
	subscription->holder.advanced = window_refill;
	subscription->holder.lost = name_lost;
	buf_append_bytes(&subscription->egress, options->place.egress);
	buf_append_bytes(&subscription->name, options->place.name);
	TAILQ_INSERT_TAIL(&all->running, subscription, link);
	all->count++;
	subscription->token = pending_open(connection, frame, opened_write)->token;
	subscription->finding = egress_find(connection->server->hub, &options->place, place_found, subscription);
}

void subscriptions_destroy(struct connection *connection) {
	struct subscription *subscription;
	while ((subscription = TAILQ_FIRST(&connection->subscriptions.running)) != NULL)
		subscription_destroy(subscription);
	while ((subscription = TAILQ_FIRST(&connection->subscriptions.paused)) != NULL)
		subscription_destroy(subscription);
}
