#include "control/retention.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"

enum { LOOK_S = 2 }; /* old records are kept by the hour or the day; a person who lowers the setting looks sooner */

struct retention {
	struct engine *engine;
	struct requests *requests;
	struct store *store;
	struct event *timer;
	uint64_t token; /* of an epoch on its way; 0: none */
};

static void epoch_made(void *arg, const struct engine_answer *answer) {
	struct retention *retention = arg;
	(void)answer; /* of a host that stops or has failed: then nothing more goes */
	retention->token = 0;
}

/* A checkpoint ends at an epoch: there may be none behind the last one. */
static void look(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct retention *retention = arg;
	store_retain(retention->store, engine_time_ms(retention->engine));
	if (!store_retention_waits(retention->store) || retention->token != 0)
		return;
	retention->token = request_open(retention->requests, epoch_made, retention);
	engine_commit_rows(retention->engine, retention->token, NULL, 0);
}

struct retention *retention_start(
	struct event_base *base, struct engine *engine, struct requests *requests, struct store *store) {
	const struct timeval every = {.tv_sec = LOOK_S};
	struct retention *retention = check_alloc(1, sizeof *retention);
	*retention = (struct retention){.engine = engine, .requests = requests, .store = store};
	retention->timer = event_new(base, -1, EV_PERSIST, look, retention);
	check_memory(retention->timer);
	check(event_add(retention->timer, &every) == 0);
	return retention;
}

void retention_stop(struct retention *retention) {
	if (retention == NULL)
		return;
	if (retention->token != 0)
		request_cancel(retention->requests, retention->token);
	event_free(retention->timer);
	free(retention);
}
