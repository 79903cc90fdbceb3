/* `sofun inspect FILE`: what a plugin file says about itself, without running any of it. Needs no host. */
#ifndef HOST_PLUGIN_INSPECT_H
#define HOST_PLUGIN_INSPECT_H

#include <jansson.h>

#include "plugin/image_file.h"
#include "plugin/manifest.h"

struct inspection {
	struct manifest manifest;
	char content_hash[HASH_TEXT_BYTES];
	bool nodelete; /* linked so that it stays mapped until its host ends */
};

/* ERROR_NOT_FOUND: no such file; ERROR_REFUSED: no plugin for this machine and ABI. */
bool inspect_file(const char *path, struct inspection *ret_inspection, struct error *error);
void inspection_finish(struct inspection *inspection);

/* {name, version, abi, content_hash, functions:[type], routers:[{ingress,format}], egresses:[name],
 *  states:{type:{schema,values:[{name,kind}]}}} */
json_t *inspection_json(const struct inspection *inspection);

#endif
