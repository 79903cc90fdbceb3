/* P and R of the interface: a plugin and a refused file as JSON. [loop thread] */
#ifndef HOST_CONTROL_PLUGIN_JSON_H
#define HOST_CONTROL_PLUGIN_JSON_H

#include <jansson.h>

#include "control/registry.h"

json_t *plugin_json(const struct registry_plugin *plugin);
json_t *plugins_json(struct registry *registry);    /* array of P */
json_t *refused_json(struct registry *registry);    /* array of {file,code,message,found,expected,hint} */
json_t *migrations_json(struct registry *registry); /* array of {type,plugin,schema,total,left,refused,reason} */

#endif
