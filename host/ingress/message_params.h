/* What `send` and `call` have in common: a message to one address. Private to host/ingress. Any thread. */
#ifndef HOST_INGRESS_MESSAGE_PARAMS_H
#define HOST_INGRESS_MESSAGE_PARAMS_H

#include "config/config.h"
#include "flow/engine/engine.h"
#include "wire/rpc.h"

/* The frame's message, checked; views into the frame. ret_timeout_ms: NULL if the method has no timeout, else what was
 * given or call.timeout_ms. */
bool message_params_read(const struct rpc_frame *frame, const struct config *config, struct engine_message *ret_message,
	uint64_t *ret_timeout_ms, struct error *error);

#endif
