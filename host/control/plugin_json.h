/* P and R of the interface: a plugin and a refused file as JSON. [loop thread] */
#ifndef HOST_CONTROL_PLUGIN_JSON_H
#define HOST_CONTROL_PLUGIN_JSON_H

#include <jansson.h>

#include "registry/registry.h"

json_t *plugin_json(const struct registry_plugin *plugin);
/* array of {function,attempts,failures,messages,messages_failed,error_percent,retries,exhausted,sent,emitted,p50_s,p99_s}, since
 * the version came; empty if it is not loaded */
json_t *plugin_figures_json(const struct registry_plugin *plugin);
json_t *plugins_json(struct registry *registry);    /* array of P */
json_t *refused_json(struct registry *registry);    /* array of {file,code,message,found,expected,hint} */
json_t *migrations_json(struct registry *registry); /* array of {type,plugin,schema,total,left,refused,reason} */

#endif
