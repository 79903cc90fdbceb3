/* The extension sofun.timer/1 of the fake host: timers are effects that stand until they are due. */
#include <stdlib.h>

#include "inside.h"

static struct callback *callback_of(sofun_context *context) {
	return (struct callback *)(void *)context;
}

/* The index of this instance's timer with that token; effect_count: there is none. */
static size_t token_find(const struct callback *callback, sofun_bytes token) {
	const sofun_test *test = callback->test;
	const sofun_address *self = &callback->message->self;
	size_t i = 0;
	for (; i < test->effect_count; i++) {
		const struct effect *effect = test->effects[i];
		if (effect->seen.kind == SOFUN_TEST_TIMER && !effect->cancelled &&
			sofun_bytes_equal(effect->seen.token, token) && sofun_bytes_equal(effect->seen.from_type, self->type) &&
			sofun_bytes_equal(effect->seen.from_id, self->id))
			break;
	}
	return i;
}

static int host_send_after(sofun_context *context, uint64_t delay_ms, sofun_bytes token, const sofun_address *to,
	sofun_bytes type, sofun_bytes payload) {
	struct callback *callback = callback_of(context);
	sofun_test *test = callback->test;
	if (callback->message == NULL || callback->expiring)
		return SOFUN_NOT_ALLOWED;
	if (token.size > SOFUN_TOKEN_BYTES_MAX)
		return SOFUN_BAD_ARGUMENT;
	if (token.size > 0 && token_find(callback, token) < test->effect_count) {
		callback->refused = "the token of a timer is in use";
		return SOFUN_TOKEN_IN_USE;
	}
	const int status = host_table.send(context, to, type, payload);
	if (status != SOFUN_OK)
		return status;
	struct effect *effect = test->effects[test->effect_count - 1];
	piece_append(&effect->token, token.data, token.size);
	effect->seen.kind = SOFUN_TEST_TIMER;
	effect->seen.token = piece_bytes(&effect->token);
	effect->seen.due_ms = test->time_ms > UINT64_MAX - delay_ms ? UINT64_MAX : test->time_ms + delay_ms;
	return SOFUN_OK;
}

static int host_cancel(sofun_context *context, sofun_bytes token, int *ret_found) {
	struct callback *callback = callback_of(context);
	if (callback->message == NULL || callback->expiring)
		return SOFUN_NOT_ALLOWED;
	if (token.size < 1 || token.size > SOFUN_TOKEN_BYTES_MAX)
		return SOFUN_BAD_ARGUMENT;
	const size_t index = token_find(callback, token);
	*ret_found = index < callback->test->effect_count;
	if (*ret_found)
		callback->test->effects[index]->cancelled = true;
	return SOFUN_OK;
}

const sofun_timer timer_table = {.size = sizeof(sofun_timer), .send_after = host_send_after, .cancel = host_cancel};

void timers_settle(sofun_test *test, bool keep) {
	for (size_t i = 0; i < test->effect_count;) {
		struct effect *effect = test->effects[i];
		if (effect->cancelled && keep) {
			effect_finish(effect_take(test, i));
			continue;
		}
		effect->cancelled = false;
		i++;
	}
}

/* The index of the timer that is due first; effect_count: there is none. */
static size_t timer_next(const sofun_test *test) {
	size_t next = test->effect_count;
	for (size_t i = 0; i < test->effect_count; i++) {
		const sofun_test_effect *seen = &test->effects[i]->seen;
		if (seen->kind == SOFUN_TEST_TIMER &&
			(next == test->effect_count || seen->due_ms < test->effects[next]->seen.due_ms))
			next = i;
	}
	return next;
}

static int timer_send(sofun_test *test, size_t index) {
	struct effect *effect = effect_take(test, index);
	effect->seen.kind = SOFUN_TEST_SEND;
	test->effects[test->effect_count++] = effect; /* where it was is room */
	return sofun_test_deliver(test);
}

int sofun_test_advance(sofun_test *test, uint64_t ms) {
	const uint64_t end_ms = test->time_ms + ms;
	for (;;) {
		uint64_t expiry_ms;
		struct instance *instance = expiry_next(test, &expiry_ms);
		const size_t timer = timer_next(test);
		const uint64_t timer_ms = timer == test->effect_count ? UINT64_MAX : test->effects[timer]->seen.due_ms;
		const uint64_t due_ms = expiry_ms <= timer_ms ? expiry_ms : timer_ms;
		if (due_ms > end_ms || due_ms == UINT64_MAX)
			break;
		if (due_ms > test->time_ms)
			test->time_ms = due_ms;
		const int result = expiry_ms <= timer_ms ? expiry_look(test, instance) : timer_send(test, timer);
		if (result != 0)
			return result;
	}
	test->time_ms = end_ms;
	return 0;
}
