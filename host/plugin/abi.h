/* The descriptor judged: the frozen prefix, min(size, ours) of everything with a size, and that it says what the
 * manifest said. Only reads the plugin's memory; runs none of its code. */
#ifndef HOST_PLUGIN_ABI_H
#define HOST_PLUGIN_ABI_H

#include "base/error.h"
#include "plugin/manifest.h"
#include "sofun/plugin.h"

/* What the host keeps of a descriptor: whole structs of this host's size (what the plugin does not have is NULL), and
 * no string of the plugin's: names are the manifest's. Valid as long as the manifest and the mapping. */
struct abi_facts {
	int (*init)(const sofun_host *host, void **ret_plugin_data, char *error, size_t error_size);
	void (*fini)(void *plugin_data);
	sofun_function *functions;         /* as many as in the manifest, in its order */
	sofun_router *routers;             /* the same */
	sofun_value *values;               /* all functions', and all their schemas' */
	sofun_schema *schemas;             /* all functions' */
	const sofun_schema **schema_lists; /* what the functions' `schemas` point at */
};

/* descriptor: what the symbol points at; may be NULL. ERROR_REFUSED names the field, both values and the remedy. */
bool abi_read(
	const void *descriptor, const struct manifest *manifest, struct abi_facts *ret_facts, struct error *error);
void abi_finish(struct abi_facts *facts);

#endif
