/* How a plugin of the host (P of INTERFACE.md) is shown to a person. */
#ifndef SOFUN_PLUGIN_PRINT_H
#define SOFUN_PLUGIN_PRINT_H

#include <jansson.h>

/* "live authwatch 1.0.0: auth/source; ingress authlog (line)" */
void plugin_line_print(const json_t *plugin);

/* "NAME VERSION drains: 12 left, on shard 0: 10, 1: 2"; nothing if nothing is left. */
void drain_line_print(const json_t *plugin);

/* A table of plugins, what each waits for, and the refused files with their reasons. */
void plugins_print(const json_t *plugins, const json_t *refused);

#endif
