/* Where a reader begins: what the store knows of the egress, of the name and of the incarnations, put together.
 * [loop thread], but for place_read. */
#include <stdlib.h>

#include "base/check.h"
#include "egress/acked.h"
#include "egress/hub_inside.h"
#include "egress/incarnation.h"
#include "flow/request/answer_error.h"

struct egress_finding {
	struct egress_hub *hub;
	void (*found)(void *arg, const struct egress_found *found); /* NULL: nobody wants to know any more */
	void *arg;
	enum egress_from from;
	uint64_t offset;
	uint64_t incarnation;
	/* as the reader thread saw it */
	uint64_t start;
	uint64_t end;
	struct buf acked_row;
	struct buf incarnations_row;

	struct incarnations incarnations;
	struct egress_found result;
	struct buf egress;
	struct buf name;
};

static void finding_end(struct egress_finding *finding) {
	if (finding->found != NULL)
		finding->found(finding->arg, &finding->result);
	buf_finish(&finding->acked_row);
	buf_finish(&finding->incarnations_row);
	buf_finish(&finding->egress);
	buf_finish(&finding->name);
	free(finding);
}

static void place_read(void *arg, struct store *store) {
	struct egress_finding *finding = arg;
	struct bytes egress = bytes_buf(&finding->egress);
	struct error *error = &finding->result.error;
	struct key key = incarnation_key(egress);
	if (store_get(store, REDO_RUNTIME, key_bytes(&key), &finding->incarnations_row, error) < 0)
		return;
	if (finding->name.size > 0) {
		key = acked_key(egress, bytes_buf(&finding->name));
		if (store_get(store, REDO_RUNTIME, key_bytes(&key), &finding->acked_row, error) < 0)
			return;
	}
	finding->end = store_egress_end(store, egress);
	finding->start = store_egress_start(store, egress);
}

static bool rows_take(struct egress_finding *finding, uint64_t *ret_acked) {
	struct error *error = &finding->result.error;
	*ret_acked = 0;
	if (error->code != ERROR_NONE)
		return false;
	if (finding->incarnations_row.size > 0 &&
		!incarnations_take(bytes_buf(&finding->incarnations_row), &finding->incarnations))
		return error_set(error, ERROR_STORE_FAILED, "the row of an egress is malformed: run sofund --verify");
	if (finding->acked_row.size > 0 && !acked_take(bytes_buf(&finding->acked_row), ret_acked))
		return error_set(error, ERROR_STORE_FAILED, "the row of a subscriber is malformed: run sofund --verify");
	if (finding->name.size > 0)
		(void)acked_known(finding->hub, bytes_buf(&finding->egress), bytes_buf(&finding->name), ret_acked);
	return true;
}

/* An offset that lies before what is still there is no fault of the reader's: it is told what it missed. */
static void place_choose(struct egress_finding *finding, uint64_t acked) {
	struct egress_found *result = &finding->result;
	uint64_t asked = finding->from == EGRESS_ACKED ? acked : finding->offset;
	uint64_t incarnation = finding->from == EGRESS_OFFSET ? finding->incarnation : 0;
	switch (finding->from) {
	case EGRESS_EARLIEST:
		result->next = finding->start;
		break;
	case EGRESS_LATEST:
		result->next = finding->end;
		break;
	default:
		result->forked = !incarnations_continue(
			&finding->incarnations, incarnation, asked, finding->start, finding->end, &result->next);
		if (!result->forked)
			result->next = asked;
		break;
	}
}

static void row_committed(void *arg, const struct engine_answer *answer) {
	struct egress_finding *finding = arg;
	if (answer->code != ERROR_NONE)
		answer_error(answer, &finding->result.error);
	finding_end(finding);
}

static void row_commit(struct egress_finding *finding) {
	const struct egress_hub_options *options = &finding->hub->options;
	struct key key = incarnation_key(bytes_buf(&finding->egress));
	struct buf value = {0};
	incarnations_put(&value, &finding->incarnations);
	const struct engine_row row = {.key = key_bytes(&key), .value = bytes_buf(&value)};
	engine_commit_rows(options->engine, request_open(options->requests, row_committed, finding), &row, 1);
	buf_finish(&value);
}

static void place_known(void *arg) {
	struct egress_finding *finding = arg;
	struct egress_hub *hub = finding->hub;
	uint64_t acked;
	if (finding->found == NULL || !rows_take(finding, &acked)) {
		finding_end(finding);
		return;
	}
	if (hub->stopped) {
		answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, &finding->result.error);
		finding_end(finding);
		return;
	}
	struct incarnations *incarnations = &finding->incarnations;
	bool changed = incarnations_begin(incarnations, hub->incarnation, egress_origin(hub, bytes_buf(&finding->egress)));
	finding->result.incarnation = incarnations->entries[incarnations->count - 1].id;
	place_choose(finding, acked);
	if (changed)
		row_commit(finding);
	else
		finding_end(finding);
}

struct egress_finding *egress_find(struct egress_hub *hub, const struct egress_request *request,
	void (*found)(void *arg, const struct egress_found *found), void *arg) {
	CHECK_OBJECT(hub, EGRESS_HUB_MAGIC);
	check(request->from != EGRESS_ACKED || request->name.size > 0);
	struct egress_finding *finding = check_alloc(1, sizeof *finding);
	*finding = (struct egress_finding){
		.hub = hub,
		.found = found,
		.arg = arg,
		.from = request->from,
		.offset = request->offset,
		.incarnation = request->incarnation,
	};
	buf_append_bytes(&finding->egress, request->egress);
	buf_append_bytes(&finding->name, request->name);
	engine_read(hub->options.engine, place_read, place_known, finding);
	return finding;
}

void egress_find_cancel(struct egress_finding *finding) {
	finding->found = NULL;
}
