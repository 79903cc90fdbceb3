/* What each loaded version has counted. The shards count by a version's place (flow/view.h), which another image may have had
 * before: what stood there when this one came is subtracted. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

/* A place that no other loaded version of the plugin has. One that is stuck is called no more, but by whom it is stuck in. */
static uint8_t tally_free(const struct plugin *plugin) {
	bool used[TALLY_VERSIONS] = {false};
	for (const struct plugin *other = plugin->registry->plugins; other != NULL; other = other->next)
		if (other != plugin && other->figures_before != NULL && other->state != PLUGIN_STUCK &&
			strcmp(other->verdict->name, plugin->verdict->name) == 0)
			used[other->tally] = true;
	uint8_t tally = 0;
	while (tally + 1 < TALLY_VERSIONS && used[tally])
		tally++;
	return tally;
}

static void place_read(const struct plugin *plugin, size_t function, struct engine_function_figures *ret_figures) {
	const struct registry *registry = plugin->registry;
	const struct function_type *type =
		type_find(registry, bytes_text(plugin->image->manifest.functions[function].type));
	*ret_figures = (struct engine_function_figures){0};
	if (type != NULL)
		engine_version_figures(registry->options.engine, type->number, plugin->tally, ret_figures);
}

void plugin_tally_begin(struct plugin *plugin) {
	check(plugin->figures_before == NULL);
	size_t count = plugin->image->manifest.function_count;
	plugin->tally = tally_free(plugin);
	plugin->counted_since_wall_ms = registry_wall_ms();
	plugin->figures_before = check_alloc(count + 1, sizeof(*plugin->figures_before));
	for (size_t i = 0; i < count; i++)
		place_read(plugin, i, &plugin->figures_before[i]);
}

void plugin_figures(const struct plugin *plugin, size_t function, struct engine_function_figures *ret_figures) {
	*ret_figures = (struct engine_function_figures){0};
	if (plugin->figures_before == NULL)
		return;
	const struct engine_function_figures *before = &plugin->figures_before[function];
	place_read(plugin, function, ret_figures);
	ret_figures->in -= before->in;
	ret_figures->again -= before->again;
	ret_figures->out -= before->out;
	ret_figures->egress -= before->egress;
	ret_figures->failed -= before->failed;
	ret_figures->failed_first -= before->failed_first;
	ret_figures->retried -= before->retried;
	ret_figures->exhausted -= before->exhausted;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		ret_figures->seconds.counts[i] -= before->seconds.counts[i];
	ret_figures->seconds.sum_us -= before->seconds.sum_us;
}

struct outcome_count plugin_outcomes(const struct plugin *plugin) {
	struct outcome_count sum = {0};
	size_t count = plugin == NULL || plugin->figures_before == NULL ? 0 : plugin->image->manifest.function_count;
	for (size_t i = 0; i < count; i++) {
		struct engine_function_figures figures;
		plugin_figures(plugin, i, &figures);
		sum.messages += figures.in - figures.again;
		sum.failed += figures.failed_first;
	}
	return sum;
}
