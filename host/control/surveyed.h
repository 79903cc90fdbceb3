/* Answers that tell who waits: the engine looks first, which takes a moment and no epoch. [loop thread] */
#ifndef HOST_CONTROL_SURVEYED_H
#define HOST_CONTROL_SURVEYED_H

#include "control/http/exchange.h"

/* Calls then(exchange) once every shard has been looked at, or after SURVEY_MS_MAX all the same: then it tells what was known
 * before. */
void exchange_surveyed(struct exchange *exchange, void (*then)(struct exchange *exchange));

#endif
