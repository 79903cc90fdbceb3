/* The plugin `bench`: makes load inside the host, so that a benchmark measures functions and not a client.
 *
 *   bench/driver  sends `left` messages in portions of `batch`, then itself a message with what is left
 *   bench/chain   counts, and passes the message on until its hops are used up; the last one replies
 *   router bench  lets each record count once for the id that its first 16 bytes are
 *
 * state.c has the functions whose state ends by itself, alarm.c those that set timers, errand.c one that starts operations,
 * shelf.c one with a table. */
#include "load.h"

SOFUN_STATELESS_FUNCTION(driver, "bench/driver");
SOFUN_FUNCTION(chain, "bench/chain", 1,
	SOFUN_VALUE(count, INT));
SOFUN_ROUTER(records, "bench", "line");
SOFUN_PLUGIN("bench", SOFUN_PLUGIN_VERSION,
	SOFUN_WITH_FUNCTION(driver),
	SOFUN_WITH_FUNCTION(chain),
	SOFUN_WITH_FUNCTION(lasting),
	SOFUN_WITH_FUNCTION(idle),
	SOFUN_WITH_FUNCTION(note),
	SOFUN_WITH_FUNCTION(alarm),
	SOFUN_WITH_FUNCTION(errand),
	SOFUN_WITH_FUNCTION(shelf),
	SOFUN_WITH_ROUTER(records));

enum {
	HOPS = 3,         /* of a chain that the driver starts */
	HOPS_MAX = 1000,  /* a chain is a benchmark, not a way to fill the host */
	SHELVES = 16,     /* instances that share the entries */
	BATCH_MAX = 1024, /* keeps an invocation short: others run in between */
};

struct order {
	uint64_t left;
	uint64_t ids;
	uint64_t seed;
	uint64_t batch;
	uint64_t delay_ms; /* for alarms */
	sofun_bytes target;
};

static bool order_read(sofun_bytes payload, struct order *ret_order) {
	sofun_reader reader = sofun_reader_of(payload);
	uint32_t pairs;
	sofun_bytes key;
	bool good = sofun_read_map(&reader, &pairs) && (pairs == 5 || pairs == 6);
	for (uint32_t i = 0; good && i < pairs; i++) {
		good = sofun_read_str(&reader, &key);
		if (good && sofun_bytes_are(key, "left"))
			good = sofun_read_uint(&reader, &ret_order->left);
		else if (good && sofun_bytes_are(key, "ids"))
			good = sofun_read_uint(&reader, &ret_order->ids);
		else if (good && sofun_bytes_are(key, "seed"))
			good = sofun_read_uint(&reader, &ret_order->seed);
		else if (good && sofun_bytes_are(key, "batch"))
			good = sofun_read_uint(&reader, &ret_order->batch);
		else if (good && sofun_bytes_are(key, "delay_ms"))
			good = sofun_read_uint(&reader, &ret_order->delay_ms);
		else
			good = good && sofun_bytes_are(key, "target") && sofun_read_str(&reader, &ret_order->target);
	}
	return good && ret_order->ids >= 1 && ret_order->ids <= UINT32_MAX && ret_order->batch >= 1 &&
		ret_order->batch <= BATCH_MAX;
}

/* The rest of the order, to the driver itself. */
static int order_send(sofun_context *context, const struct order *order, sofun_bytes self) {
	uint8_t room[128];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_map(&writer, 6);
	sofun_write_text(&writer, "left");
	sofun_write_uint(&writer, order->left);
	sofun_write_text(&writer, "ids");
	sofun_write_uint(&writer, order->ids);
	sofun_write_text(&writer, "seed");
	sofun_write_uint(&writer, order->seed);
	sofun_write_text(&writer, "batch");
	sofun_write_uint(&writer, order->batch);
	sofun_write_text(&writer, "delay_ms");
	sofun_write_uint(&writer, order->delay_ms);
	sofun_write_text(&writer, "target");
	sofun_write_str(&writer, order->target);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_send(context, "bench/driver", self, payload) : status;
}

/* One link of a chain: [hops, ids]. */
static int hop_send(sofun_context *context, uint64_t hops, uint64_t ids, uint64_t random) {
	uint8_t room[1 + 2 * SOFUN_INT_BYTES_MAX];
	uint8_t id[ID_BYTES];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_array(&writer, 2);
	sofun_write_uint(&writer, hops);
	sofun_write_uint(&writer, ids);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	id_write(index_of(random, ids), id);
	return status == SOFUN_OK ? sofun_send(context, "bench/chain", sofun_bytes_of(id, ID_BYTES), payload) : status;
}

static bool hop_read(sofun_bytes payload, uint64_t *ret_hops, uint64_t *ret_ids) {
	sofun_reader reader = sofun_reader_of(payload);
	uint32_t count;
	return sofun_read_array(&reader, &count) && count == 2 && sofun_read_uint(&reader, ret_hops) &&
		sofun_read_uint(&reader, ret_ids) && *ret_hops >= 1 && *ret_hops <= HOPS_MAX && *ret_ids >= 1 &&
		*ret_ids <= UINT32_MAX;
}

/* ---- what a driver sends ---- */

static int chain_start(sofun_context *context, const struct order *order, uint64_t random) {
	return hop_send(context, HOPS, order->ids, random);
}

/* To one of `ids`. */
static int nil_send(sofun_context *context, const char *type, const struct order *order, uint64_t random) {
	uint8_t id[ID_BYTES];
	id_write(index_of(random, order->ids), id);
	return sofun_send_nil(context, type, sofun_bytes_of(id, ID_BYTES));
}

static int counter_send(sofun_context *context, const struct order *order, uint64_t random) {
	return nil_send(context, "demo/counter", order, random);
}

static int lasting_send(sofun_context *context, const struct order *order, uint64_t random) {
	return nil_send(context, "bench/lasting", order, random);
}

static int idle_send(sofun_context *context, const struct order *order, uint64_t random) {
	return nil_send(context, "bench/idle", order, random);
}

/* To an id of its own each: the random number itself. */
static int note_send(sofun_context *context, const struct order *order, uint64_t random) {
	(void)order;
	uint8_t id[ID_BYTES];
	id_write(random, id);
	return sofun_send_nil(context, "bench/note", sofun_bytes_of(id, ID_BYTES));
}

static int alarm_send(sofun_context *context, const struct order *order, uint64_t random) {
	uint8_t id[ID_BYTES], room[SOFUN_INT_BYTES_MAX];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_uint(&writer, order->delay_ms);
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	id_write(random, id);
	return status == SOFUN_OK ? sofun_send(context, "bench/alarm", sofun_bytes_of(id, ID_BYTES), payload) : status;
}

static int silence_send(sofun_context *context, const struct order *order, uint64_t random) {
	(void)order;
	uint8_t id[ID_BYTES];
	id_write(random, id);
	return sofun_send_nil(context, "bench/alarm", sofun_bytes_of(id, ID_BYTES));
}

static int errand_send(sofun_context *context, const struct order *order, uint64_t random) {
	return nil_send(context, "bench/errand", order, random);
}

/* The key of an entry is an id; which of a few instances has it depends on the key. */
static int shelf_send(sofun_context *context, const struct order *order, uint64_t random, bool reads) {
	uint8_t key[ID_BYTES], id[ID_BYTES], room[2 + ID_BYTES];
	const uint64_t index = index_of(random, order->ids);
	id_write(index, key);
	id_write(index % SHELVES, id);
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	if (reads)
		sofun_write_array(&writer, 1);
	sofun_write_str(&writer, sofun_bytes_of(key, ID_BYTES));
	sofun_bytes payload;
	const int status = sofun_written(&writer, &payload);
	return status == SOFUN_OK ? sofun_send(context, "bench/shelf", sofun_bytes_of(id, ID_BYTES), payload) : status;
}

static int shelve_send(sofun_context *context, const struct order *order, uint64_t random) {
	return shelf_send(context, order, random, false);
}

static int look_send(sofun_context *context, const struct order *order, uint64_t random) {
	return shelf_send(context, order, random, true);
}

static const struct target {
	const char *name;
	int (*send)(sofun_context *context, const struct order *order, uint64_t random);
} targets[] = {
	{"counter", counter_send},
	{"chain", chain_start},
	{"lasting", lasting_send},
	{"idle", idle_send},
	{"note", note_send},
	{"alarm", alarm_send},
	{"silence", silence_send},
	{"errand", errand_send},
	{"shelve", shelve_send},
	{"look", look_send},
};

static const struct target *target_find(sofun_bytes name) {
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		if (sofun_bytes_are(name, targets[i].name))
			return &targets[i];
	return NULL;
}

/* ---- the functions ---- */

static int driver_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	struct order order;
	memset(&order, 0, sizeof order);
	const struct target *target = order_read(message->payload, &order) ? target_find(order.target) : NULL;
	if (target == NULL)
		return sofun_fail(context,
			"the payload must be {left, ids: 1 to 2^32-1, seed, batch: 1 to %d, target: counter, chain, lasting, idle, "
			"note, alarm, silence, errand, shelve or look} and may have delay_ms",
			BATCH_MAX);
	int status = SOFUN_OK;
	const uint64_t portion = order.left < order.batch ? order.left : order.batch;
	for (uint64_t i = 0; status == SOFUN_OK && i < portion; i++)
		status = target->send(context, &order, mix(order.seed++));
	order.left -= portion;
	if (status == SOFUN_OK && order.left > 0)
		status = order_send(context, &order, message->self.id);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}

static int chain_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)plugin_data;
	uint64_t hops, ids;
	if (!hop_read(message->payload, &hops, &ids))
		return sofun_fail(context, "the payload must be [hops: 1 to %d, ids: 1 to 2^32-1]", HOPS_MAX);
	int64_t count;
	int status = sofun_get_int(context, chain_count, &count);
	if (status == SOFUN_OK)
		status = sofun_set_int(context, chain_count, count + 1);
	if (status == SOFUN_OK && hops > 1)
		status = hop_send(context, hops - 1, ids, mix(id_number(message->self.id) + hops));
	else if (status == SOFUN_OK) /* the others leave the caller to it */
		status = sofun_reply_int(context, count + 1);
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not counted or not passed on: %s", sofun_status_text(status));
}

static int records_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	if (record->data.size < ID_BYTES)
		return sofun_fail(context, "a record of %zu bytes has no id: its first %d", record->data.size, ID_BYTES);
	const int status = sofun_send_nil(context, "demo/counter", sofun_bytes_of(record->data.data, ID_BYTES));
	return status == SOFUN_OK ? 0 : sofun_fail(context, "not sent: %s", sofun_status_text(status));
}
