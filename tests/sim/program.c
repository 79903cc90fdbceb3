#include "program_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "flow/instance_record.h"
#include "flow/message.h"
#include "many.h"
#include "sofun/timer.h"
#include "wire/cursor.h"
#include "wire/pack.h"

struct program_hooks program_hooks;

/* What a message does, from its number. */
struct deed {
	uint32_t children;
	bool emits;
	uint32_t fail_times; /* attempts that fail before one succeeds; 99: all of them */
	uint32_t delay_ms;   /* of its children: 0: they are sent at once */
	bool alarms;         /* sets a timer that is cancelled by a message to itself before it can be due */
	bool poison;         /* the host dies of it */
	bool idles;          /* sends a message to an instance that expires */
	bool regrets;        /* sets a timer and cancels it in the same call, then sets it again */
};

static struct deed deed_of(uint64_t number, uint32_t depth) {
	uint64_t bits = hash_mix(number, 77);
	struct deed deed = {.children = depth < PROGRAM_DEPTH ? (uint32_t)(bits % 4) : 0, .emits = (bits >> 8) % 4 == 0};
	if ((bits >> 16) % 24 == 0)
		deed.fail_times = 1 + (uint32_t)(bits >> 24) % 3;
	if ((bits >> 32) % 96 == 0)
		deed.fail_times = 99;
	if ((bits >> 40) % 3 == 0)
		deed.delay_ms = (uint32_t)((bits >> 42) % 256);
	deed.alarms = (bits >> 50) % 6 == 0;
	deed.idles = (bits >> 56) % 4 == 0;
	deed.regrets = (bits >> 53) % 8 == 0;
	deed.poison = program_hooks.poison && hash_mix(number, 78) % 128 == 0;
	return deed;
}

static uint64_t child_number(uint64_t number, uint32_t child) {
	return hash_mix(number, child + 1000);
}

static uint32_t instance_of(uint64_t number) {
	return (uint32_t)(hash_mix(number, 5) % PROGRAM_INSTANCES);
}

static uint64_t record_number(uint64_t seed, uint32_t producer, uint64_t sequence) {
	return hash_mix(seed, sequence * PROGRAM_PRODUCERS + producer);
}

void program_id(char id[8], uint32_t instance) {
	snprintf(id, 8, "i%02u", instance);
}

/* ---- the model ---- */

/* Each comes back once. */
static void operations_expect(struct program_model *model, uint64_t number) {
	model->counts[instance_of(number)] += program_operations_of(number);
	model->operations += program_operations_of(number);
}

static void message_expect(struct program_model *model, uint64_t number, uint32_t depth) {
	struct deed deed = deed_of(number, depth);
	model->messages++;
	if (deed.fail_times == 99 || deed.poison) {
		model->dead++;
		return;
	}
	model->counts[instance_of(number)]++;
	if (deed.emits) {
		model->emitted++;
		model->emitted_sum += number;
	}
	for (uint32_t child = 0; child < deed.children; child++)
		message_expect(model, child_number(number, child), depth + 1);
	model->counts[instance_of(number)] += deed.alarms + deed.regrets; /* the cancellation, the second timer */
	model->messages += deed.alarms + deed.regrets;
	model->idled += deed.idles;
	operations_expect(model, number);
}

void program_expect(struct program_model *model, uint64_t seed, uint32_t producer, uint64_t sequence) {
	message_expect(model, record_number(seed, producer, sequence), 0);
}

/* A message with an idempotency key has no children, but may go on; where it dies nothing follows. */
void program_keyed_expect(struct program_model *model, uint64_t number, uint32_t hops) {
	struct deed deed = deed_of(number, PROGRAM_DEPTH);
	model->messages++;
	if (deed.fail_times == 99 || deed.poison) {
		model->dead++;
		return;
	}
	model->counts[instance_of(number)]++;
	model->emitted += deed.emits ? 1 : 0;
	model->emitted_sum += deed.emits ? number : 0;
	model->idled += deed.idles;
	operations_expect(model, number);
	if (hops > 0)
		program_keyed_expect(model, child_number(number, 0), hops - 1);
}

uint64_t program_keyed_last(uint64_t number, uint32_t hops) {
	return hops == 0 ? number : program_keyed_last(child_number(number, 0), hops - 1);
}

void program_keyed_id(char id[8], uint64_t number) {
	program_id(id, instance_of(number));
}

/* ---- the function ---- */

static const sofun_value values[] = {
	{.name = "count", .kind = SOFUN_INT},
	{.name = "sent", .kind = SOFUN_RAW},
	{.name = "seen", .kind = SOFUN_RAW},
	{.name = "blob", .kind = SOFUN_RAW},
	{.name = "version", .kind = SOFUN_INT},
	{.name = "waiting", .kind = SOFUN_INT}, /* operations for which the address waits */
	{.name = "table", .kind = SOFUN_KIND_TABLE},
	{.name = "list", .kind = SOFUN_KIND_LIST},
	{.name = "table_2", .kind = SOFUN_KIND_TABLE},
	{.name = "scrap", .kind = SOFUN_KIND_TABLE},
};
_Static_assert(sizeof values / sizeof *values == PROGRAM_VALUES, "program_inside.h numbers them");

/* Numbers of the last message to, or from, each instance and each producer. */
enum { PARTIES = PROGRAM_INSTANCES + PROGRAM_PRODUCERS };
struct parties {
	uint64_t last[PARTIES];
};

void program_violation(const char *what, uint64_t a, uint64_t b) {
	if (program_hooks.violations++ == 0)
		snprintf(program_hooks.what, sizeof program_hooks.what, "%s: %llu after %llu", what, (unsigned long long)b,
			(unsigned long long)a);
}

static void parties_get(sofun_context *context, uint32_t value, struct parties *ret_parties) {
	sofun_bytes bytes;
	memset(ret_parties, 0, sizeof *ret_parties);
	check(context->host->state_get(context, value, &bytes) == SOFUN_OK);
	if (bytes.size == 0)
		return;
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	struct bytes bin;
	check(cursor_read_bin(&cursor, &bin) && bin.size == sizeof *ret_parties);
	memcpy(ret_parties, bin.data, bin.size);
}

static void parties_set(sofun_context *context, uint32_t value, const struct parties *parties) {
	struct buf buf = {0};
	pack_bin(&buf, bytes_of(parties, sizeof *parties));
	check(context->host->state_set(context, value, (sofun_bytes){buf.data, buf.size}) == SOFUN_OK);
	buf_finish(&buf);
}

static uint64_t count_get(sofun_context *context, uint32_t schema) {
	sofun_bytes bytes;
	uint64_t count = 0;
	check(context->host->state_get(context, VALUE_COUNT, &bytes) == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	if (bytes.size == 0)
		return 0;
	check(cursor_read_uint(&cursor, &count));
	if ((count >= PROGRAM_COUNT_2) != (schema == 2))
		program_violation("a count of another schema", schema, count);
	return count & (PROGRAM_COUNT_2 - 1);
}

/* A value that is large, small or unset by turns: what it must be now follows from the count. */
static size_t blob_size(uint64_t count) {
	static const size_t sizes[] = {0, 40, 3000, 1500, 0, 1024, 1030};
	return count == 0 ? 0 : sizes[(count / 3) % (sizeof sizes / sizeof *sizes)];
}

/* False: the store could not be read, as after a crash in the middle of this call. */
static bool blob_check(sofun_context *context, uint64_t count) {
	sofun_bytes bytes;
	int status = context->host->state_get(context, VALUE_BLOB, &bytes);
	if (status == SOFUN_STORE)
		return false;
	check(status == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	struct bytes bin = {0};
	check(bytes.size == 0 || cursor_read_bin(&cursor, &bin));
	if (bin.size != blob_size(count))
		program_violation("the size of the large value", blob_size(count), bin.size);
	for (size_t i = 0; i < bin.size; i++) {
		if (bin.data[i] != (uint8_t)(count / 3)) {
			program_violation("the content of the large value", count / 3, bin.data[i]);
			break;
		}
	}
	return true;
}

static void blob_set(sofun_context *context, uint64_t count) {
	if (blob_size(count) == 0) {
		check(context->host->state_clear(context, VALUE_BLOB) == SOFUN_OK);
		return;
	}
	uint8_t bytes[3000];
	struct buf buf = {0};
	memset(bytes, (uint8_t)(count / 3), sizeof bytes);
	pack_bin(&buf, bytes_of(bytes, blob_size(count)));
	check(context->host->state_set(context, VALUE_BLOB, (sofun_bytes){buf.data, buf.size}) == SOFUN_OK);
	buf_finish(&buf);
}

/* False: the store could not be read. */
static bool many_act(sofun_context *context, uint32_t schema, uint64_t count) {
	const struct many many = {schema == 2 ? VALUE_TABLE_2 : VALUE_TABLE, VALUE_LIST};
	for (uint64_t now = count; now <= count + 1; now++) {
		bool store = false;
		const char *wrong = many_check(context, many, now, &store);
		if (wrong != NULL)
			program_violation(wrong, count, now);
		if (store || (now == count && !many_change(context, many, count + 1)))
			return false;
	}
	return many_mark(context, VALUE_SCRAP, count % 5);
}

/* ---- timers ---- */

/* Instead of a depth: messages that do nothing but what their names say. */
enum { DEPTH_CANCEL = 100, DEPTH_NOTHING = 101, DEPTH_NEVER = 102 };

enum { REGRET_MS = 300 };

static const sofun_timer *timer_of(sofun_context *context) {
	const sofun_timer *timer = context->host->extension(context->host, SOFUN_TIMER);
	check(timer != NULL);
	return timer;
}

/* Payload: [number, depth, party, order]. */
static void payload_put(struct buf *payload, uint64_t number, uint32_t depth, uint32_t party, uint64_t order) {
	pack_array(payload, 4);
	pack_uint(payload, number);
	pack_uint(payload, depth);
	pack_uint(payload, party);
	pack_uint(payload, order);
}

static void child_send(sofun_context *context, uint64_t number, uint32_t depth, uint32_t party, uint64_t order) {
	char id[8];
	struct buf payload = {0};
	program_id(id, instance_of(number));
	payload_put(&payload, number, depth, party, order);
	sofun_address to = {.type = {(const uint8_t *)"sim/node", 8}, .id = {(const uint8_t *)id, strlen(id)}};
	check(context->host->send(context, &to, (sofun_bytes){NULL, 0}, (sofun_bytes){payload.data, payload.size}) ==
		SOFUN_OK);
	buf_finish(&payload);
}

/* In place of a party; its order is the number of hops to come. */
enum { PARTY_KEYED = PARTIES + 1 };

void program_keyed_payload(struct buf *payload, uint64_t number, uint32_t hops) {
	payload_put(payload, number, PROGRAM_DEPTH, PARTY_KEYED, hops);
}

static void keyed_go_on(sofun_context *context, uint64_t number, uint64_t hops) {
	if (hops > 0) {
		child_send(context, child_number(number, 0), PROGRAM_DEPTH, PARTY_KEYED, hops - 1);
		return;
	}
	struct buf packed = {0};
	pack_uint(&packed, number);
	check(context->host->reply(context, (sofun_bytes){NULL, 0}, (sofun_bytes){packed.data, packed.size}) == SOFUN_OK);
	buf_finish(&packed);
}

/* The same, delayed: the order says when it is due, for who sees it earlier. False: the store could not be read. */
static bool child_send_after(
	sofun_context *context, uint64_t number, uint32_t depth, uint64_t delay_ms, const char *token) {
	char id[8];
	struct buf payload = {0};
	program_id(id, instance_of(number));
	payload_put(&payload, number, depth, PARTIES, context->host->time_ms(context) + delay_ms);
	sofun_address to = {.type = {(const uint8_t *)"sim/node", 8}, .id = {(const uint8_t *)id, strlen(id)}};
	int status = timer_of(context)->send_after(context, delay_ms,
		(sofun_bytes){(const uint8_t *)token, token == NULL ? 0 : strlen(token)}, &to, (sofun_bytes){NULL, 0},
		(sofun_bytes){payload.data, payload.size});
	buf_finish(&payload);
	check(status == SOFUN_OK || status == SOFUN_STORE);
	return status == SOFUN_OK;
}

/* False: the store could not be read. */
static bool cancel(sofun_context *context, const char *token, int expected) {
	int found;
	int status = timer_of(context)->cancel(context, (sofun_bytes){(const uint8_t *)token, strlen(token)}, &found);
	check(status == SOFUN_OK || status == SOFUN_STORE);
	if (status == SOFUN_OK && found != expected)
		program_violation("a cancellation found", (uint64_t)expected, (uint64_t)found);
	return status == SOFUN_OK;
}

static bool timers_act(sofun_context *context, uint64_t number, const struct deed *deed) {
	char token[32];
	if (deed->alarms) {
		struct parties sent;
		uint32_t self = instance_of(number);
		snprintf(token, sizeof token, "a%llx", (unsigned long long)number);
		if (!child_send_after(context, number, DEPTH_NEVER, PROGRAM_ALARM_MS, token))
			return false;
		parties_get(context, VALUE_SENT, &sent);
		child_send(context, number, DEPTH_CANCEL, self, ++sent.last[self]);
		parties_set(context, VALUE_SENT, &sent);
	}
	if (!deed->regrets)
		return true;
	snprintf(token, sizeof token, "r%llx", (unsigned long long)number);
	return child_send_after(context, number, DEPTH_NEVER, REGRET_MS, token) && cancel(context, token, 1) &&
		cancel(context, token, 0) && child_send_after(context, number, DEPTH_NOTHING, REGRET_MS, token);
}

static bool children_send(
	sofun_context *context, uint64_t number, uint32_t depth, uint32_t self, const struct deed *deed) {
	struct parties sent;
	parties_get(context, VALUE_SENT, &sent);
	for (uint32_t child = 0; child < deed->children; child++) {
		uint64_t next = child_number(number, child);
		if (deed->delay_ms == 0)
			child_send(context, next, depth + 1, self, ++sent.last[instance_of(next)]);
		else if (!child_send_after(context, next, depth + 1, deed->delay_ms + child * 7, NULL))
			return false;
	}
	parties_set(context, VALUE_SENT, &sent);
	return true;
}

static void seen_check(sofun_context *context, uint32_t party, uint64_t order) {
	struct parties seen;
	if (party == PARTIES) { /* a timer's */
		if (context->host->time_ms(context) < order)
			program_violation("a timer was early", order, context->host->time_ms(context));
		return;
	}
	parties_get(context, VALUE_SEEN, &seen);
	if (order <= seen.last[party])
		program_violation("order of a sender's messages", seen.last[party], order);
	seen.last[party] = order;
	parties_set(context, VALUE_SEEN, &seen);
}

static void idle_send(sofun_context *context, uint64_t number) {
	char id[8];
	const uint8_t nil = 0xc0;
	program_id(id, instance_of(number) % 7);
	sofun_address to = {.type = {(const uint8_t *)"sim/idle", 8}, .id = {(const uint8_t *)id, strlen(id)}};
	check(context->host->send(context, &to, (sofun_bytes){NULL, 0}, (sofun_bytes){&nil, 1}) == SOFUN_OK);
}

/* The head stands before the id and the route. */
uint64_t program_birth_of(sofun_bytes id, sofun_bytes payload) {
	enum { ROUTE_BYTES = 16 };
	static const size_t routes[] = {0, ROUTE_BYTES, ROUTE_BYTES + sizeof(struct message_keyed)};
	static const uint8_t flags[] = {0, MESSAGE_ROUTE, MESSAGE_ROUTE | MESSAGE_KEYED};
	for (int i = 0; i < 3; i++) {
		struct message_head head;
		memcpy(&head, id.data - routes[i] - sizeof head, sizeof head);
		bool fits = payload.data == NULL ? head.operation != MESSAGE_ORDINARY && head.operation <= MESSAGE_WAITS
										 : head.payload_size == payload.size;
		if (fits && head.id_size == id.size && (head.flags & (MESSAGE_ROUTE | MESSAGE_KEYED)) == flags[i])
			return head.birth_epoch;
	}
	check(false);
	return 0;
}

uint64_t program_value_uint(sofun_context *context, uint32_t value) {
	sofun_bytes bytes;
	uint64_t number = 0;
	check(context->host->state_get(context, value, &bytes) == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	check(bytes.size == 0 || cursor_read_uint(&cursor, &number));
	return number;
}

void program_value_set(sofun_context *context, uint32_t value, uint64_t number) {
	struct buf packed = {0};
	pack_uint(&packed, number);
	check(context->host->state_set(context, value, (sofun_bytes){packed.data, packed.size}) == SOFUN_OK);
	buf_finish(&packed);
}

/* However often it is tried: on the next version it must come out as if nothing had been. */
static bool version_fails(const struct program_version *version, uint64_t number) {
	return version->broken && hash_mix(number, 79) % 6 == 0;
}

/* An address never goes back either. */
void program_version_check(sofun_context *context, const struct program_version *version, uint64_t birth_epoch) {
	uint64_t before = program_value_uint(context, VALUE_VERSION);
	if (version->generation < before)
		program_violation("an address went back to an old version", before, version->generation);
	if (program_hooks.judge != NULL && !program_hooks.judge(program_hooks.arg, version->generation, birth_epoch))
		program_violation(
			"a message came to another version than its fence says: epoch, version", birth_epoch, version->generation);
	program_value_set(context, VALUE_VERSION, version->generation);
}

bool program_count_more(sofun_context *context, uint32_t schema) {
	uint64_t count = count_get(context, schema);
	if (!blob_check(context, count) || !many_act(context, schema, count))
		return false;
	program_value_set(context, VALUE_COUNT, count + 1 + (schema == 2 ? PROGRAM_COUNT_2 : 0));
	blob_set(context, count + 1);
	return true;
}

static int program_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	const struct program_version *version = plugin_data;
	program_version_check(context, version, program_birth_of(message->self.id, message->payload));
	const uint32_t schema = version->generation % 2 == 1 ? 2 : 1;
	uint64_t number, depth, party, order;
	uint32_t fields;
	struct cursor cursor = cursor_of(bytes_of(message->payload.data, message->payload.size));
	check(cursor_read_array(&cursor, &fields) && fields == 4 && cursor_read_uint(&cursor, &number) &&
		cursor_read_uint(&cursor, &depth) && cursor_read_uint(&cursor, &party) && cursor_read_uint(&cursor, &order));
	struct deed deed = deed_of(number, (uint32_t)depth);
	if (depth >= DEPTH_CANCEL)
		deed.poison = false;
	if (program_hooks.entered != NULL)
		program_hooks.entered(program_hooks.arg, message, version->generation, deed.poison);
	if (message->attempt > PROGRAM_ATTEMPTS)
		program_violation("an attempt too many", PROGRAM_ATTEMPTS, message->attempt);
	program_waiting_check(context);
	if (!program_count_more(context, schema))
		return 1;
	if (party != PARTY_KEYED)
		seen_check(context, (uint32_t)party, order);
	if (party == PARTY_KEYED) {
		keyed_go_on(context, number, order);
	} else if (depth >= DEPTH_CANCEL) {
		char token[32];
		if (depth == DEPTH_NEVER)
			program_violation("a timer that was cancelled came", number, number);
		snprintf(token, sizeof token, "a%llx", (unsigned long long)number);
		deed = (struct deed){.fail_times = deed.fail_times % 99};
		if (depth == DEPTH_CANCEL && !cancel(context, token, 1))
			return 1;
	} else if (!children_send(context, number, (uint32_t)depth, instance_of(number), &deed) ||
		!timers_act(context, number, &deed)) {
		return 1;
	}
	if (deed.idles)
		idle_send(context, number);
	if (deed.emits) {
		struct buf payload = {0};
		pack_uint(&payload, number);
		check(context->host->emit(context, (sofun_bytes){(const uint8_t *)"sim", 3},
				  (sofun_bytes){payload.data, payload.size}) == SOFUN_OK);
		buf_finish(&payload);
	}
	if (depth < DEPTH_CANCEL)
		program_operations_start(context, number);
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
	if (version_fails(version, number))
		return 1;
	return message->attempt <= deed.fail_times ? 1 : 0; /* after all of the above: none of it may happen then */
}

const sofun_function program_function = {
	.size = sizeof program_function,
	.schema = 1,
	.type = "sim/node",
	.values = values,
	.value_count = sizeof values / sizeof *values,
	.invoke = program_invoke,
	.work = program_work,
	.on_result = program_result,
};

/* ---- the other schema ---- */

static int value_migrate(sofun_context *context, uint32_t value, bool up) {
	sofun_bytes bytes;
	struct buf packed = {0};
	uint64_t count;
	int status = context->host->state_get(context, value, &bytes);
	if (status != SOFUN_OK || bytes.size == 0)
		return status;
	if (value == VALUE_COUNT) {
		struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
		check(cursor_read_uint(&cursor, &count));
		pack_uint(&packed, up ? count + PROGRAM_COUNT_2 : count - PROGRAM_COUNT_2);
		bytes = (sofun_bytes){packed.data, packed.size};
	}
	if (value == VALUE_SCRAP)
		return SOFUN_OK;
	uint32_t to = value == VALUE_TABLE ? VALUE_TABLE_2 : value == VALUE_TABLE_2 ? VALUE_TABLE : value;
	status = context->host->state_set(context, to, bytes);
	buf_finish(&packed);
	return status;
}

static int program_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	(void)plugin_data;
	for (uint32_t value = 0; value < sizeof values / sizeof *values; value++) {
		if (value_migrate(context, value, migration->to == 2) != SOFUN_OK)
			return 1;
	}
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
	return 0;
}

static const sofun_schema schema_1 = {sizeof schema_1, 1, SOFUN_SCHEMA_BOTH, sizeof values / sizeof *values, values};
static const sofun_schema *const schemas[] = {&schema_1, NULL};

const sofun_function program_function_2 = {
	.size = sizeof program_function_2,
	.schema = 2,
	.type = "sim/node",
	.values = values,
	.value_count = sizeof values / sizeof *values,
	.invoke = program_invoke,
	.schemas = schemas,
	.migrate = program_migrate,
	.work = program_work,
	.on_result = program_result,
};

/* ---- what expires ---- */

enum { IDLE_COUNT, IDLE_LAST, IDLE_BLIP, IDLE_MARKS };

static const sofun_value idle_values[] = {
	{.name = "count", .kind = SOFUN_INT}, {.name = "last", .kind = SOFUN_INT}, /* the time of the last message */
	{.name = "blip", .kind = SOFUN_INT, .expire_after_write_ms = IDLE_BLIP_MS},
	{.name = "marks", .kind = SOFUN_KIND_TABLE}, /* one for each message */
};

/* An unset one is 0. */
static uint64_t idle_get(sofun_context *context, uint32_t value) {
	sofun_bytes bytes;
	uint64_t number = 0;
	check(context->host->state_get(context, value, &bytes) == SOFUN_OK);
	struct cursor cursor = cursor_of(bytes_of(bytes.data, bytes.size));
	check(bytes.size == 0 || cursor_read_uint(&cursor, &number));
	return number;
}

static void idle_set(sofun_context *context, uint32_t value, uint64_t number) {
	struct buf packed = {0};
	pack_uint(&packed, number);
	check(context->host->state_set(context, value, (sofun_bytes){packed.data, packed.size}) == SOFUN_OK);
	buf_finish(&packed);
}

static int idle_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	const struct program_version *version = plugin_data;
	(void)message;
	uint64_t now_ms = context->host->time_ms(context);
	uint64_t last_ms = idle_get(context, IDLE_LAST);
	if (last_ms != 0 && now_ms - last_ms >= idle_ttl_ms(version->generation))
		program_violation("an instance was idle for too long and is still there", last_ms, now_ms);
	bool blips = last_ms != 0 && now_ms - last_ms < IDLE_BLIP_MS;
	if (blips != (idle_get(context, IDLE_BLIP) != 0))
		program_violation("a value that expires", last_ms, now_ms);
	if (!many_mark(context, IDLE_MARKS, idle_get(context, IDLE_COUNT)))
		return 1;
	idle_set(context, IDLE_COUNT, idle_get(context, IDLE_COUNT) + 1);
	idle_set(context, IDLE_LAST, now_ms);
	idle_set(context, IDLE_BLIP, 1);
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
	return 0;
}

static int idle_expire(sofun_context *context, void *plugin_data, const sofun_expiry *expiry) {
	const struct program_version *version = plugin_data;
	uint64_t now_ms = context->host->time_ms(context);
	if (now_ms - expiry->last_touch_ms < idle_ttl_ms(version->generation) ||
		expiry->last_touch_ms != idle_get(context, IDLE_LAST))
		program_violation("an instance expired early", expiry->last_touch_ms, now_ms);
	uint64_t marks = many_count(context, IDLE_MARKS);
	if (marks == UINT64_MAX)
		return 1;
	if (marks != idle_get(context, IDLE_COUNT))
		program_violation("entries of an instance that expires", idle_get(context, IDLE_COUNT), marks);
	if (idle_get(context, IDLE_BLIP) != 0)
		program_violation("a value outlived its instance", expiry->last_touch_ms, now_ms);
	struct buf payload = {0};
	pack_uint(&payload, idle_get(context, IDLE_COUNT));
	check(context->host->emit(context, (sofun_bytes){(const uint8_t *)"idle", 4},
			  (sofun_bytes){payload.data, payload.size}) == SOFUN_OK);
	check(
		context->host->state_set(context, IDLE_COUNT, (sofun_bytes){payload.data, payload.size}) == SOFUN_NOT_ALLOWED);
	buf_finish(&payload);
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
	return expiry->attempt <= hash_mix(expiry->last_touch_ms, expiry->self.id.data[1]) % 3 ? 1 : 0;
}

const sofun_function idle_function = {
	.size = sizeof idle_function,
	.schema = 1,
	.type = "sim/idle",
	.values = idle_values,
	.value_count = sizeof idle_values / sizeof *idle_values,
	.invoke = idle_invoke,
	.idle_ttl_ms = IDLE_TTL_MS,
	.on_expire = idle_expire,
};

/* ---- the router ---- */

void program_record(struct buf *record, uint32_t producer, uint64_t sequence) {
	pack_array(record, 2);
	pack_uint(record, producer);
	pack_uint(record, sequence);
}

static int program_route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)plugin_data;
	uint64_t producer, sequence;
	uint32_t fields;
	struct cursor cursor = cursor_of(bytes_of(record->data.data, record->data.size));
	check(cursor_read_array(&cursor, &fields) && cursor_read_uint(&cursor, &producer) &&
		cursor_read_uint(&cursor, &sequence));
	if (sequence != record->sequence)
		program_violation("a record came under another number", record->sequence, sequence);
	child_send(context, record_number(program_hooks.seed, (uint32_t)producer, sequence), 0,
		PROGRAM_INSTANCES + (uint32_t)producer, sequence);
	if (program_hooks.inside != NULL)
		program_hooks.inside(program_hooks.arg);
	return 0;
}

const sofun_router program_router = {
	.size = sizeof program_router,
	.ingress = "sim",
	.format = "msgpack",
	.route = program_route,
};

bool program_count(struct bytes row, uint64_t *ret_count) {
	struct instance_header header;
	struct instance_value value;
	if (!instance_header_take(&row, &header) || row.size == 0 || !instance_value_take(&row, &value) ||
		value.number != VALUE_COUNT)
		return false;
	struct cursor cursor = cursor_of(value.msgpack);
	if (!cursor_read_uint(&cursor, ret_count) || (*ret_count >= PROGRAM_COUNT_2) != (header.schema == 2))
		return false;
	*ret_count &= PROGRAM_COUNT_2 - 1;
	return true;
}
