/* Requests on their way in: from the loop thread into the input queue of the shard that will take them. */
#include "base/check.h"
#include "flow/dead/letter.h"
#include "flow/engine/inside.h"
#include "state/key.h"

/* So much waits for the end of the loop's turn; with more a shard begins beside it. */
enum { GATHER_BYTES_MAX = 128 << 10 };

enum { PRODUCER_NAME_BYTES_MAX = 200, INGRESS_NAME_BYTES_MAX = 63 }; /* with its prefix, a producer fits a key */

struct input *input_reserve(struct engine *engine, uint32_t to, enum input_kind kind, size_t body) {
	size_t size = (sizeof(struct input) + body + 7) & ~(size_t)7;
	check(size <= UINT32_MAX);
	struct input *input = (struct input *)(void *)queue_reserve(&engine->flow.shards[to]->input, (uint32_t)size);
	*input = (struct input){.size = (uint32_t)size, .kind = (uint8_t)kind, .colour = engine->colour};
	return input;
}

static void shards_wake(struct engine *engine) {
	for (; engine->submitted != 0; engine->submitted &= engine->submitted - 1)
		park_wake(&engine->flow.shards[__builtin_ctzll(engine->submitted)]->park);
	engine->submitted_bytes = 0;
}

void input_submit(struct engine *engine, uint32_t to, struct input *input) {
	struct shard *shard = engine->flow.shards[to];
	atomic_fetch_add_explicit(&shard->input_pending, input->size, memory_order_relaxed);
	queue_commit(&shard->input, input->size);
	queue_publish(&shard->input);
	engine->submitted |= UINT64_C(1) << to;
	engine->submitted_bytes += input->size;
	if (engine->gathers) {
		engine->brought = true;
		gather_begin(&engine->flow.gather);
	}
	if (!engine->gathers || engine->submitted_bytes >= GATHER_BYTES_MAX)
		shards_wake(engine);
}

static void gathering_end(struct engine *engine) {
	if (gather_end(&engine->flow.gather))
		park_wake(&engine->flow.committer_park);
}

void engine_gather(struct engine *engine, bool gathers) {
	engine->gathers = gathers;
	engine->brought = false;
	shards_wake(engine);
	gathering_end(engine);
}

bool engine_turn(struct engine *engine) {
	const bool brought = engine->brought;
	engine->brought = false;
	shards_wake(engine);
	if (!brought)
		gathering_end(engine);
	return brought;
}

/* found: may be empty. */
static void refuse(struct engine *engine, uint64_t token, enum error_code code, const char *text, struct bytes found) {
	struct engine_answer answer = {.token = token, .code = code, .payload = bytes_text(text), .type = found};
	struct buf outputs = {0};
	output_put(&outputs, &answer);
	committer_release_now(&engine->committer, &outputs);
}

static bool admitted(struct engine *engine, uint64_t token) {
	if (atomic_load(&engine->flow.failed))
		refuse(
			engine, token, ERROR_STORE_FAILED, "the store has failed; nothing is accepted any more", (struct bytes){0});
	else if (atomic_load(&engine->flow.stopping) || !engine->started)
		refuse(engine, token, ERROR_STOPPING, "the host is not running", (struct bytes){0});
	else
		return true;
	return false;
}

void engine_ingest(struct engine *engine, uint64_t token, uint64_t session, struct bytes ingress, struct bytes producer,
	uint64_t first, uint32_t count, struct bytes records) {
	if (!admitted(engine, token))
		return;
	if (ingress.size == 0 || ingress.size > INGRESS_NAME_BYTES_MAX) {
		refuse(engine, token, ERROR_UNKNOWN_INGRESS, "an ingress name has 1 to 63 bytes", ingress);
		return;
	}
	if (producer.size == 0 || producer.size > PRODUCER_NAME_BYTES_MAX) {
		refuse(engine, token, ERROR_BAD_REQUEST, "a producer name has 1 to 200 bytes", producer);
		return;
	}
	uint32_t to = message_shard(flow_producer_hash(&engine->flow, ingress, producer), engine->flow.shards_count);
	struct input *input = input_reserve(engine, to, INPUT_INGEST, ingress.size + producer.size + records.size);
	input->token = token;
	input->session = session;
	input->first = first;
	input->count = count;
	input->ingress_size = (uint16_t)ingress.size;
	input->producer_size = (uint32_t)producer.size;
	input->body_size = records.size;
	uint8_t *at = (uint8_t *)(input + 1);
	memcpy(at, ingress.data, ingress.size);
	memcpy(at + ingress.size, producer.data, producer.size);
	if (records.size > 0)
		memcpy(at + ingress.size + producer.size, records.data, records.size);
	input_submit(engine, to, input);
}

/* To a type that no plugin ever declared: the shard makes the dead letter. */
static void unknown_submit(struct engine *engine, uint64_t token, const struct engine_message *message) {
	struct stray stray = {
		.to_size = (uint32_t)message->to.size,
		.id_size = (uint32_t)message->id.size,
		.type_size = (uint32_t)message->type.size,
		.payload_size = (uint32_t)message->payload.size,
	};
	size_t body = sizeof stray + message->to.size + message->id.size + message->type.size + message->payload.size;
	struct input *input = input_reserve(engine, 0, INPUT_UNKNOWN, body);
	input->token = token;
	uint8_t *at = (uint8_t *)(input + 1);
	const struct bytes parts[] = {
		bytes_of(&stray, sizeof stray), message->to, message->id, message->type, message->payload};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (parts[i].size > 0)
			memcpy(at, parts[i].data, parts[i].size);
		at += parts[i].size;
	}
	input_submit(engine, 0, input);
}

/* route: of a call, where its key goes. */
static void keyed_submit(struct engine *engine, uint64_t token, const struct engine_message *message,
	struct message_parts *parts, struct message_route *route) {
	struct flow *flow = &engine->flow;
	struct keyed_input keyed;
	check(message->key.size <= KEYED_KEY_BYTES_MAX);
	keyed_identify(flow->hash_seed, message, parts->head.type, parts->route != NULL, &keyed);
	route->has_key = true;
	route->keyed.owner = parts->head.hash;
	memcpy(route->keyed.hash, keyed.hash, KEYED_HASH_BYTES);
	message_measure(parts);
	uint32_t to = message_shard(parts->head.hash, flow->shards_count);
	struct input *input = input_reserve(engine, to, INPUT_KEYED, keyed_input_measure(message, parts));
	input->token = token;
	keyed_input_put((uint8_t *)(input + 1), &keyed, message, parts);
	input_submit(engine, to, input);
}

/* The number of its function type; 0: it goes to nobody. */
static uint16_t message_submit(struct engine *engine, uint64_t token, const struct engine_message *message, bool call) {
	if (!admitted(engine, token))
		return 0;
	if (message->type.size > UINT8_MAX) {
		refuse(engine, token, ERROR_TOO_LARGE, "the name of a payload's type has at most 255 bytes", message->type);
		return 0;
	}
	struct flow *flow = &engine->flow;
	uint16_t type = view_type(engine->view, message->to);
	if (type == 0) {
		unknown_submit(engine, token, message);
		return 0;
	}
	struct message_route route = {.incarnation = flow->incarnation, .token = token};
	struct message_parts parts = {
		.head = {.type = type, .hash = flow_hash(flow, type, message->id)},
		.route = call ? &route : NULL,
		.id = message->id,
		.type = message->type,
		.payload = message->payload,
	};
	if (message->key.size > 0) {
		keyed_submit(engine, token, message, &parts, &route);
		return type;
	}
	uint32_t size = message_measure(&parts);
	uint32_t to = message_shard(parts.head.hash, flow->shards_count);
	struct input *input = input_reserve(engine, to, INPUT_MESSAGE, size);
	input->token = token;
	message_put((uint8_t *)(input + 1), &parts);
	input_submit(engine, to, input);
	return type;
}

void engine_send(struct engine *engine, uint64_t token, const struct engine_message *message) {
	(void)message_submit(engine, token, message, false);
}

uint16_t engine_call(struct engine *engine, uint64_t token, const struct engine_message *message) {
	return message_submit(engine, token, message, true);
}

/* ---- dead letters ---- */

/* The ingress, if it may be a record that the letter holds; empty: a message. */
static struct bytes dead_ingress(const struct dead_letter *letter) {
	static const char prefix[] = "ingress/";
	const size_t size = sizeof prefix - 1;
	if (letter->to.size <= size || memcmp(letter->to.data, prefix, size) != 0)
		return (struct bytes){0};
	return bytes_of(letter->to.data + size, letter->to.size - size);
}

static bool dead_unknown(const struct dead_letter *letter) {
	return bytes_equal(letter->code, bytes_text("unknown_type"));
}

/* The shard that a letter goes to: where its message will stand, so nobody waits for another shard's call. The same for
 * whoever asks and whenever, so that of two who ask one gets it: a type that nobody had declared may be by now. */
static uint32_t dead_owner(const struct engine *engine, const struct dead_letter *letter) {
	const struct flow *flow = &engine->flow;
	const struct bytes ingress = dead_ingress(letter);
	if (ingress.size > 0)
		return message_shard(flow_producer_hash(flow, ingress, letter->id), flow->shards_count);
	if (dead_unknown(letter))
		return 0;
	return message_shard(flow_hash(flow, view_type(engine->view, letter->to), letter->id), flow->shards_count);
}

/* A letter on its way. */
struct dead_order {
	uint64_t token;
	uint64_t number;
	const struct dead_letter *letter;
	uint32_t owner;
};

static struct input *dead_reserve(
	struct engine *engine, const struct dead_order *order, const struct dead_input *dead, size_t body) {
	struct input *input = input_reserve(engine, order->owner, INPUT_DEAD, sizeof *dead + body);
	input->token = order->token;
	input->first = order->number;
	memcpy(input + 1, dead, sizeof *dead);
	return input;
}

static void dead_message(struct engine *engine, const struct dead_order *order) {
	const struct dead_input dead = {.action = DEAD_MESSAGE};
	const struct dead_letter *letter = order->letter;
	uint16_t type = view_type(engine->view, letter->to);
	if (type == 0) {
		refuse(engine, order->token, ERROR_UNKNOWN_TYPE, "no plugin ever declared its function type: it stays",
			letter->to);
		return;
	}
	bool result = bytes_equal(letter->type, bytes_text(DEAD_RESULT_TYPE));
	struct message_parts parts = {
		.head = {.type = type, .hash = flow_hash(&engine->flow, type, letter->id)},
		.id = letter->id,
		.type = result ? bytes_of(NULL, 0) : letter->type,
		.payload = letter->payload,
	};
	if (letter->from.size > 0 && (parts.head.caller_type = view_type(engine->view, letter->from)) != 0)
		parts.caller_id = letter->from_id;
	uint32_t size = message_measure(&parts);
	parts.head.operation = result ? MESSAGE_GOES_ON : MESSAGE_ORDINARY;
	struct input *input = dead_reserve(engine, order, &dead, size);
	message_put((uint8_t *)(input + 1) + sizeof dead, &parts);
	input_submit(engine, order->owner, input);
}

static void dead_record(struct engine *engine, const struct dead_order *order) {
	const struct dead_letter *letter = order->letter;
	const struct bytes ingress = dead_ingress(letter);
	const struct dead_input dead = {
		.action = DEAD_RECORD,
		.ingress_size = (uint32_t)ingress.size,
		.producer_size = (uint32_t)letter->id.size,
		.record_size = (uint32_t)letter->payload.size,
	};
	struct input *input = dead_reserve(engine, order, &dead, ingress.size + letter->id.size + letter->payload.size);
	uint8_t *at = (uint8_t *)(input + 1) + sizeof dead;
	bytes_copy(at, ingress.data, ingress.size);
	bytes_copy(at + ingress.size, letter->id.data, letter->id.size);
	bytes_copy(at + ingress.size + letter->id.size, letter->payload.data, letter->payload.size);
	input_submit(engine, order->owner, input);
}

void engine_dead(struct engine *engine, uint64_t token, uint64_t number, const struct dead_letter *letter, bool retry) {
	if (!admitted(engine, token))
		return;
	const struct dead_order order = {token, number, letter, dead_owner(engine, letter)};
	if (!retry)
		input_submit(engine, order.owner, dead_reserve(engine, &order, &(struct dead_input){.action = DEAD_DROP}, 0));
	else if (dead_ingress(letter).size > 0 && !dead_unknown(letter) && view_type(engine->view, letter->to) == 0)
		dead_record(engine, &order);
	else
		dead_message(engine, &order);
}

uint64_t engine_dead_last(struct engine *engine) {
	return atomic_load(&engine->flow.dead_next) - 1;
}

void engine_commit_rows(struct engine *engine, uint64_t token, const struct engine_row *rows, size_t count) {
	bool early = engine->view == NULL; /* before engine_start */
	if (!early && !admitted(engine, token))
		return;
	struct buf redo = {0};
	for (size_t i = 0; i < count; i++) {
		if (rows[i].remove)
			redo_remove(&redo, REDO_RUNTIME, rows[i].key);
		else
			redo_put(&redo, REDO_RUNTIME, rows[i].key, rows[i].value);
	}
	committer_rows_add(&engine->committer, token, bytes_buf(&redo));
	buf_finish(&redo);
}

uint32_t engine_shard(struct engine *engine, uint16_t type, struct bytes id) {
	return message_shard(flow_hash(&engine->flow, type, id), engine->flow.shards_count);
}

static void batch_submit(struct engine *engine, enum input_kind kind, uint64_t token, uint32_t shard, uint16_t type,
	uint64_t below, struct bytes ids) {
	if (!admitted(engine, token))
		return;
	struct input *input = input_reserve(engine, shard, kind, ids.size);
	input->token = token;
	input->session = below;
	input->first = type;
	input->body_size = ids.size;
	memcpy(input + 1, ids.data, ids.size);
	input_submit(engine, shard, input);
}

void engine_migrate(struct engine *engine, uint64_t token, uint32_t shard, uint16_t type, struct bytes ids) {
	batch_submit(engine, INPUT_MIGRATE, token, shard, type, 0, ids);
}

void engine_file(
	struct engine *engine, uint64_t token, uint32_t shard, uint16_t type, uint64_t below, struct bytes ids) {
	batch_submit(engine, INPUT_FILE, token, shard, type, below, ids);
}

uint64_t engine_generation(struct engine *engine) {
	return atomic_load(&engine->flow.timer_next);
}

static void rows_refuse(void *engine, uint64_t token) {
	refuse(engine, token, ERROR_STOPPING, "the host is stopping", (struct bytes){0});
}

void engine_requests_refuse(struct engine *engine) {
	struct flow *flow = &engine->flow;
	committer_rows_refuse(&engine->committer, rows_refuse, engine);
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct queue *inputs = &flow->shards[i]->input;
		struct error error;
		bool failed = false;
		const uint8_t *at;
		while ((at = queue_peek(inputs, flow->store, &failed, &error)) != NULL) {
			const struct input *input = (const struct input *)(const void *)at;
			if (input->token != 0)
				refuse(engine, input->token, ERROR_STOPPING, "the host is stopping", (struct bytes){0});
			queue_consume(inputs);
		}
	}
}
