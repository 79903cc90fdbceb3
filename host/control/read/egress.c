/* Records of an egress by HTTP. A page begins at `first` (later than asked for if retention has passed) and `next` is
 * where to go on, also at the end: new records will stand there. */
#include "base/check.h"
#include "control/handlers.h"
#include "control/read/read.h"
#include "egress/record.h"
#include "egress/sinks.h"
#include "wire/json.h"

struct egress_job {
	struct read_job job;
	uint64_t from;
	uint64_t limit;
	uint64_t count;
	uint64_t bytes;
	json_t *records;
	struct buf map; /* of one record */
	bool damaged;
};

static bool record_add(void *arg, uint64_t offset, struct bytes record) {
	struct egress_job *egress = arg;
	if (egress->count > 0 && offset != egress->from + egress->count)
		return false; /* retention has passed the page meanwhile */
	buf_reset(&egress->map);
	if (!record_pack(&egress->map, record)) {
		egress->damaged = true;
		return false;
	}
	if (egress->count == 0)
		egress->from = offset;
	json_array_append_new(egress->records, record_json(offset, bytes_buf(&egress->map)));
	egress->count++;
	egress->bytes += record.size;
	return egress->count < egress->limit && egress->bytes < PAGE_BYTES_MAX;
}

static void page_work(struct read_job *job, struct store *store) {
	struct egress_job *egress = (struct egress_job *)job;
	struct bytes name = exchange_param(job->exchange, 0);
	uint64_t next = egress->from;
	egress->records = json_array();
	bool good = egress->from >= store_egress_end(store, name) ||
		store_egress_read(store, name, egress->from, record_add, egress, &next, &job->error);
	if (good && egress->damaged)
		read_damaged(job, "a record of the egress");
	else if (good)
		job->body = json_pack("{s:O, s:I, s:I}", "records", egress->records, "first", (json_int_t)egress->from, "next",
			(json_int_t)(egress->count == 0 ? egress->from : egress->from + egress->count));
	json_decref(egress->records);
	buf_finish(&egress->map);
}

static bool from_parse(
	const struct exchange *exchange, uint64_t start, uint64_t end, uint64_t *ret_from, struct error *error) {
	struct bytes text = bytes_text("earliest");
	target_query(&exchange->target, "from", &text);
	*ret_from = start;
	if (bytes_equal(text, bytes_text("earliest")))
		return true;
	if (bytes_equal(text, bytes_text("latest"))) {
		*ret_from = end;
		return true;
	}
	if (!target_query_number(&exchange->target, "from", INT64_MAX, ret_from, error)) {
		error_expected(error, "an offset, earliest or latest");
		return false;
	}
	if (*ret_from < start)
		*ret_from = start;
	return true;
}

void handle_egress(struct exchange *exchange) {
	struct control *control = exchange->control;
	struct error error;
	uint64_t from, limit;
	struct bytes name = exchange_param(exchange, 0);
	uint64_t end = store_egress_end(control->store, name);
	if (!egress_known(control->hub, name, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	if (egress_stream_asked(exchange)) {
		egress_stream_start(exchange);
		return;
	}
	if (!read_limit(exchange, &limit, &error) ||
		!from_parse(exchange, store_egress_start(control->store, name), end, &from, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	struct egress_job *egress = check_alloc(1, sizeof *egress);
	egress->job.exchange = exchange;
	egress->job.work = page_work;
	egress->from = from;
	egress->limit = limit;
	read_start(&egress->job);
}

struct egress_list {
	const struct control *control;
	json_t *egresses;
};

static json_t *sink_json(const struct sink_report *report) {
	const struct sink_config *config = report->config;
	bool file = config->file != NULL;
	return json_pack("{s:s, s:I, s:s}", file ? "file" : "command", file ? config->file : config->command, "next",
		(json_int_t)report->next, "state", report->over ? "over" : "running");
}

static void egress_add(void *arg, struct bytes name, uint64_t start, uint64_t end) {
	struct egress_list *list = arg;
	struct sink_report report;
	json_t *egress = json_pack("{s:o, s:I, s:I, s:I}", "egress", json_from_words(name), "first", (json_int_t)start,
		"next", (json_int_t)end, "readers", (json_int_t)egress_readers_count(list->control->hub, name));
	if (sinks_find(list->control->sinks, name, &report))
		json_object_set_new(egress, "sink", sink_json(&report));
	json_array_append_new(list->egresses, egress);
}

void handle_egress_list(struct exchange *exchange) {
	struct egress_list list = {.control = exchange->control, .egresses = json_array()};
	store_egress_names(exchange->control->store, egress_add, &list);
	exchange_json(exchange, 200, json_pack("{s:o}", "egresses", list.egresses));
}
