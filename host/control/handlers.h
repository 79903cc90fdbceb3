/* The handlers of endpoints.c, by the file that has them. No other code should include this file. [loop thread] */
#ifndef HOST_CONTROL_HANDLERS_H
#define HOST_CONTROL_HANDLERS_H

#include "control/http/exchange.h"

/* report.c */
void handle_health(struct exchange *exchange);
void handle_metrics(struct exchange *exchange);
void handle_status(struct exchange *exchange);

/* act.c */
void handle_barrier(struct exchange *exchange);
void handle_clock(struct exchange *exchange);

/* events_stream.c */
void handle_events(struct exchange *exchange);

/* openapi.c */
void handle_openapi(struct exchange *exchange);

/* settings.c */
void handle_config_show(struct exchange *exchange);
void handle_config_set(struct exchange *exchange);
void handle_config_reload(struct exchange *exchange);

/* invoke.c */
void handle_function(struct exchange *exchange);

/* control/read/state.c */
void handle_state_list(struct exchange *exchange);
void handle_state_show(struct exchange *exchange);

/* ttl.c */
void handle_ttl_show(struct exchange *exchange);
void handle_ttl_set(struct exchange *exchange);

/* control/dead/read.c */
void handle_dead_list(struct exchange *exchange);
void handle_dead_show(struct exchange *exchange);

/* control/dead/act.c */
void handle_dead_drop(struct exchange *exchange);

/* control/dead/bulk.c */
void handle_dead_retry_all(struct exchange *exchange);
void handle_dead_drop_all(struct exchange *exchange);
void handle_dead_retry(struct exchange *exchange);

/* control/read/egress.c */
void handle_egress(struct exchange *exchange);
void handle_egress_list(struct exchange *exchange);

/* egress_stream.c: the client wants events; then they begin. The egress is known. */
bool egress_stream_asked(const struct exchange *exchange);
void egress_stream_start(struct exchange *exchange);

/* plugins.c */
void handle_plugins_list(struct exchange *exchange);
void handle_plugins_load(struct exchange *exchange);
void handle_plugins_unload(struct exchange *exchange);
void handle_versions(struct exchange *exchange);
void handle_swap(struct exchange *exchange);
void handle_promote(struct exchange *exchange);
void handle_rollback(struct exchange *exchange);
void handle_migrate(struct exchange *exchange);

#endif
