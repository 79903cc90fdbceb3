/* Ingest over the data socket, by this process: batches of 256 records of 100 bytes, pipelined, each answered when it is
 * durable. The plugin's router takes the first 16 bytes as the id of a counter. */
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "bench/client.h"
#include "bench/host.h"
#include "bench/report.h"
#include "fail.h"
#include "wire/pack.h"

enum {
	BATCH = 256,
	RECORD_BYTES = 100,
	IN_FLIGHT = 64, /* batches: 1.6 MiB, a commit's worth at the rate aimed at */
	ROUND_MS = 2000,
	ROUND_MS_QUICK = 300,
	MSGID_AT = 2,
	WIDE_BYTES = 9, /* an integer in its widest form */
};

/* A frame of one batch, stamped anew for each. */
struct batches {
	struct buf frame;
	size_t first_at;
	size_t record_at; /* of the first record's bytes */
	size_t stride;
	uint64_t ids;
	uint64_t random;
	uint64_t sent; /* batches of this producer, over all rounds */
};

static void batches_init(struct batches *batches, uint64_t ids) {
	uint8_t record[RECORD_BYTES];
	memset(record, '.', sizeof record);
	*batches = (struct batches){.ids = ids, .random = 1};
	struct buf *frame = &batches->frame;
	pack_array(frame, 4);
	pack_uint(frame, 0);
	check(frame->size == MSGID_AT);
	pack_uint(frame, UINT32_MAX); /* room for any */
	pack_text(frame, "ingest");
	pack_array(frame, 1);
	pack_map(frame, 4);
	pack_text(frame, "ingress");
	pack_text(frame, "bench");
	pack_text(frame, "producer");
	pack_text(frame, "bench");
	pack_text(frame, "first");
	batches->first_at = frame->size;
	pack_uint(frame, UINT64_MAX); /* room for any */
	check(frame->size == batches->first_at + WIDE_BYTES);
	pack_text(frame, "records");
	pack_array(frame, BATCH);
	for (int i = 0; i < BATCH; i++) {
		const size_t before = frame->size;
		pack_bin(frame, bytes_of(record, sizeof record));
		batches->stride = frame->size - before;
	}
	batches->record_at = frame->size - (BATCH - 1) * batches->stride - RECORD_BYTES;
}

static void number_stamp(uint8_t *at, uint64_t number, int bytes) {
	for (int i = bytes - 1; i >= 0; i--, number >>= 8)
		at[i] = (uint8_t)number;
}

static void batch_write(void *arg, uint32_t connection, uint64_t number, uint32_t msgid, struct buf *out) {
	(void)connection, (void)number;
	struct batches *batches = arg;
	uint8_t *at = buf_reserve(out, batches->frame.size);
	memcpy(at, batches->frame.data, batches->frame.size);
	number_stamp(at + MSGID_AT + 1, msgid, 4);
	number_stamp(at + batches->first_at + 1, batches->sent++ * BATCH + 1, 8);
	uint8_t *record = at + batches->record_at;
	for (int i = 0; i < BATCH; i++, record += batches->stride)
		bench_id_write(bench_index_draw(&batches->random, batches->ids), record);
	out->size += batches->frame.size;
}

/* All that was answered has been counted. */
static bool work_check(struct bench_host *host, const struct batches *batches) {
	uint64_t handled, dead;
	if (!host_barrier(host) || !host_status(host, "handled", &handled) || !host_status(host, "dead", &dead))
		return false;
	if (handled >= batches->sent * BATCH && dead == 0)
		return true;
	fail_here(&host->run, "the host handled %llu of %llu records, and %llu died", (unsigned long long)handled,
		(unsigned long long)(batches->sent * BATCH), (unsigned long long)dead);
	return false;
}

/* figures NULL: a round that warms. */
static bool round_run(struct bench_host *host, struct batches *batches, uint32_t ms, struct figures *figures) {
	const struct client_plan plan = {.socket = host->data_path,
		.connections = 1,
		.in_flight = IN_FLIGHT,
		.duration_ms = ms,
		.write = batch_write,
		.arg = batches};
	struct client_result *result = check_alloc(1, sizeof *result);
	struct host_account account;
	program_settle(host->program.works);
	host_account_begin(host, &account);
	const bool good = client_run(&host->run, &plan, result) && work_check(host, batches);
	if (good && figures != NULL) {
		program_settle(host->program.works);
		samples_add(&figures->rate, (double)(result->answered * BATCH) / result->seconds);
		samples_add(&figures->p50_us, histogram_us(&result->latency, 0.5));
		samples_add(&figures->p99_us, histogram_us(&result->latency, 0.99));
		host_account_end(host, &account, (double)((result->answered + result->late) * BATCH), figures);
	}
	free(result);
	return good;
}

static bool ingest_measure(struct bench *bench, uint64_t ids, const struct bound *bound) {
	struct bench_host host;
	struct batches batches;
	char name[NAME_BYTES];
	const uint32_t ms = bench->quick ? ROUND_MS_QUICK : ROUND_MS;
	snprintf(name, sizeof name, "ingest-%zu", bench->figure_count);
	struct figures *figures =
		bench_figures(bench, "records", "ingest, %llu ids, batches of %d", (unsigned long long)ids, BATCH);
	bench_say(bench, "%s", figures->name);
	batches_init(&batches, ids);
	bool good = host_start(&host, bench, name, bench->cpus) &&
		host_drive(&host, &(struct load){"counter", bench->quick ? ids : 5 * ids, ids, 1, 0}) && host_barrier(&host) &&
		round_run(&host, &batches, ms, NULL);
	for (uint32_t round = 0; good && round < bench->rounds; round++)
		good = round_run(&host, &batches, ms, figures);
	host_stop(&host, SIGTERM);
	buf_finish(&batches.frame);
	if (good)
		target_add(bench, bound, &figures->rate, figures);
	return good;
}

bool bench_ingest(struct bench *bench) {
	static const struct bound few = {"ingest, 1,000 ids, durable", AT_LEAST, 1.5e6, QUANTITY_RATE};
	static const struct bound many = {"ingest, 1,000,000 ids, durable", AT_LEAST, 0.7e6, QUANTITY_RATE};
	return ingest_measure(bench, 1000, &few) && ingest_measure(bench, 1000000, &many);
}
