/* Dead letters that are sent again, or dropped. */
#include <stdlib.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/read/read.h"
#include "flow/dead/letter.h"
#include "state/key.h"

struct dead_act {
	struct exchange *exchange;
	uint64_t number;
	bool retry;
	int found; /* of store_get */
	struct buf row;
	struct error error;
};

static void act_end(struct dead_act *act) {
	buf_finish(&act->row);
	free(act);
}

static void act_answered(void *arg, const struct engine_answer *answer) {
	struct dead_act *act = arg;
	if (answer->code == ERROR_NONE)
		exchange_json(act->exchange, 200,
			json_pack("{s:I, s:I}", "number", (json_int_t)act->number, "epoch", (json_int_t)answer->number));
	else
		exchange_answer_error(act->exchange, answer);
	act_end(act);
}

static void letter_read(void *arg, struct store *store) {
	struct dead_act *act = arg;
	struct key key = key_dead(act->number);
	act->found = store_get(store, REDO_RUNTIME, key_bytes(&key), &act->row, &act->error);
}

/* [loop thread] The shard looks again: somebody else may have been faster. */
static void letter_act(void *arg) {
	struct dead_act *act = arg;
	struct control *control = act->exchange->control;
	struct dead_letter letter;
	if (act->found == 0) {
		error_set(&act->error, ERROR_NOT_FOUND, "there is no dead letter %llu", (unsigned long long)act->number);
		error_found(&act->error, "%llu", (unsigned long long)act->number);
		error_advise(&act->error, "the number of a dead letter", "GET /v1/dead, or `sofun dead`, lists them");
	} else if (act->found == 1 && !dead_letter_read(bytes_buf(&act->row), &letter)) {
		error_set(&act->error, ERROR_STORE_FAILED, "the dead letter cannot be read: run sofund --verify");
		act->found = -1;
	}
	if (act->found == 1) {
		uint64_t token = request_open(control->requests, act_answered, act);
		engine_dead(control->engine, token, act->number, &letter, act->retry);
		return;
	}
	exchange_error(act->exchange, &act->error);
	act_end(act);
}

static void act_start(struct exchange *exchange, bool retry) {
	uint64_t number;
	if (!read_dead_number(exchange, &number))
		return;
	struct dead_act *act = check_alloc(1, sizeof *act);
	act->exchange = exchange;
	act->number = number;
	act->retry = retry;
	engine_read(exchange->control->engine, letter_read, letter_act, act);
}

void handle_dead_retry(struct exchange *exchange) {
	act_start(exchange, true);
}

void handle_dead_drop(struct exchange *exchange) {
	act_start(exchange, false);
}
