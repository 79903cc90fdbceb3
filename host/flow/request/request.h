/* Who waits for which answer. The engine knows a request only by its token; this table turns a token back into the
 * callback that opened it. A token is used once; one that was cancelled, or comes from elsewhere, finds nobody.
 * [loop thread] only. */
#ifndef HOST_FLOW_REQUEST_REQUEST_H
#define HOST_FLOW_REQUEST_REQUEST_H

#include "flow/engine/engine.h"

struct requests;

typedef void request_answered(void *arg, const struct engine_answer *answer);

struct requests *requests_create(void);
void requests_destroy(struct requests *requests); /* open ones are forgotten */

/* A token for the engine; answered() is called at most once. */
uint64_t request_open(struct requests *requests, request_answered *answered, void *arg);

/* The answer will be dropped when it comes. */
void request_cancel(struct requests *requests, uint64_t token);

/* Finds the waiting one, forgets the token, calls answered(). Fits engine_take_answers with arg = requests. */
void request_answer(void *requests, const struct engine_answer *answer);

/* After engine_stop, or once the store has failed: whoever still waits is answered with that error. */
void requests_refuse(struct requests *requests, enum error_code code, const char *text);

size_t requests_open(const struct requests *requests);

#endif
