/* A call that nobody answered in time: why, as far as one can see. */
#include "flow/engine/inside.h"

static void nobody_live(const struct flow *flow, const struct binding *binding, struct error *error) {
	error_set(error, ERROR_TIMEOUT, "no live version of %s took the message in time", binding->name);
	error_found(error, "no live version of %s", binding->name);
	error_expected(error, "a plugin with it that is live");
	error_hint(error, "the message stands and is handled when one is: drop its .so into %.120s, or `sofun load FILE`",
		flow->config->plugins);
}

void engine_call_late(struct engine *engine, uint16_t type, uint64_t waited_ms, struct error *ret_error) {
	const struct view *view = engine->view;
	if (type > 0 && type < view->binding_count && !binding_live(&view->bindings[type])) {
		nobody_live(&engine->flow, &view->bindings[type], ret_error);
		return;
	}
	error_set(ret_error, ERROR_TIMEOUT, "no reply in time");
	error_found(ret_error, "no reply after %llu ms", (unsigned long long)waited_ms);
	error_advise(ret_error, "a reply within timeout_ms",
		"the message stands. For a function that never replies there is send; else `sofun status` shows what it waits for, and "
		"timeout_ms, or --timeout, waits longer");
}
