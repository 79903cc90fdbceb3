/* The loop thread's own events: signals, answers of the engine, and the watch for a store that failed.
 * Used by main.c. [loop thread] */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include "control/control.h"

struct loop;

/* Called first: SIGTERM, SIGINT and SIGHUP wait until loop_create, so that they do not cut a recovery short, and every thread
 * leaves them to this one. SIGPIPE is ignored. */
void loop_signals_hold(void);

/* SIGTERM and SIGINT ask for the stop from here on; a second one changes nothing. */
struct loop *loop_create(const struct control *control);
void loop_destroy(struct loop *loop); /* NULL is fine */

/* Until the stop is asked for or the store has failed. */
void loop_run(struct loop *loop);

/* SIGHUP calls hangup(arg) from here on. */
void loop_on_hangup(struct loop *loop, void (*hangup)(void *arg), void *arg);

/* Makes loop_run return, as a signal does. */
void loop_stop(struct loop *loop);

/* True if it was the store's failure that ended loop_run. */
bool loop_failed(const struct loop *loop);

/* Hands out the answers of the engine that are there. */
void loop_answer(struct loop *loop);

/* Turns the loop while busy(arg), for limit_ms at most. */
void loop_drain(struct loop *loop, bool (*busy)(void *arg), void *arg, uint64_t limit_ms);

#endif
