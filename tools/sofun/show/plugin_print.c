#include "show/plugin_print.h"

#include <stdio.h>

#include "show/output.h"
#include "show/table.h"

static void functions_text(const json_t *plugin, struct buf *text) {
	size_t i;
	json_t *at;
	json_array_foreach(json_object_get(plugin, "functions"), i, at) {
		buf_printf(text, "%s", i == 0 ? "" : ", ");
		text_of_json(at, text);
	}
}

static void routers_text(const json_t *plugin, struct buf *text) {
	size_t i;
	json_t *at;
	json_array_foreach(json_object_get(plugin, "routers"), i, at) {
		buf_printf(text, "%s", i == 0 ? "" : ", ");
		text_of_json(json_object_get(at, "ingress"), text);
		buf_printf(text, " (");
		text_of_json(json_object_get(at, "format"), text);
		buf_printf(text, ")");
	}
}

void plugin_line_print(const json_t *plugin) {
	struct buf line = {0};
	text_of_json(json_object_get(plugin, "state"), &line);
	buf_printf(&line, " ");
	text_of_json(json_object_get(plugin, "name"), &line);
	buf_printf(&line, " ");
	text_of_json(json_object_get(plugin, "version"), &line);
	const json_int_t share = json_integer_value(json_object_get(plugin, "share_percent"));
	if (share > 0 && share < 100)
		buf_printf(&line, " for %lld %% of the ids", (long long)share);
	if (json_array_size(json_object_get(plugin, "functions")) > 0) {
		buf_printf(&line, ": ");
		functions_text(plugin, &line);
	}
	if (json_array_size(json_object_get(plugin, "routers")) > 0) {
		buf_printf(&line, "; ingress ");
		routers_text(plugin, &line);
	}
	printf("%.*s\n", (int)line.size, (const char *)line.data);
	buf_finish(&line);
}

static void cell_built(struct table *table, struct buf *text) {
	buf_append_u8(text, '\0');
	table_cell(table, (const char *)text->data);
	buf_reset(text);
}

void drain_line_print(const json_t *plugin) {
	const json_t *drain = json_object_get(plugin, "drain");
	struct buf text = {0};
	size_t i;
	json_t *left;
	const long long left_in_all = json_integer_value(json_object_get(drain, "left"));
	if (left_in_all == 0) /* it does not drain, or is about to be gone */
		return;
	text_of_json(json_object_get(plugin, "name"), &text);
	buf_printf(&text, " ");
	text_of_json(json_object_get(plugin, "version"), &text);
	buf_printf(&text, " drains: %lld left", left_in_all);
	json_array_foreach(json_object_get(drain, "shards"), i, left)
		buf_printf(&text, "%s%zu: %lld", i == 0 ? ", on shard " : ", ", i, (long long)json_integer_value(left));
	printf("%.*s\n", (int)text.size, (const char *)text.data);
	buf_finish(&text);
}

/* Of many the oldest few: --json has more. */
static void waiting_print(const json_t *plugins) {
	enum { WAITS_MAX = 10 };
	size_t i, k;
	json_t *plugin, *waiting;
	json_array_foreach(plugins, i, plugin) {
		long long total = json_integer_value(json_object_get(plugin, "waiting_total"));
		drain_line_print(plugin);
		json_array_foreach(json_object_get(plugin, "waiting_for"), k, waiting) {
			char since[TIME_TEXT_BYTES];
			if (k == WAITS_MAX)
				break;
			time_text(json_integer_value(json_object_get(waiting, "since_ms")), since);
			struct buf text = {0};
			text_of_json(json_object_get(plugin, "name"), &text);
			buf_printf(&text, " waits for: ");
			text_of_json(json_object_get(waiting, "reason"), &text);
			buf_printf(&text, " ");
			text_of_json(json_object_get(waiting, "address"), &text);
			printf("%.*s since %s\n", (int)text.size, (const char *)text.data, since);
			buf_finish(&text);
		}
		if (total > WAITS_MAX)
			printf("%s waits for %lld addresses in all\n", json_string_value(json_object_get(plugin, "name")), total);
	}
}

static void refused_print(const json_t *refused) {
	size_t i;
	json_t *at;
	if (json_array_size(refused) == 0)
		return;
	puts("\nrefused files:");
	json_array_foreach(refused, i, at) {
		struct buf text = {0};
		text_of_json(json_object_get(at, "file"), &text);
		buf_printf(&text, ": found ");
		text_of_json(json_object_get(at, "found"), &text);
		buf_printf(&text, ", expected ");
		text_of_json(json_object_get(at, "expected"), &text);
		buf_printf(&text, "; ");
		text_of_json(json_object_get(at, "hint"), &text);
		printf("  %.*s\n", (int)text.size, (const char *)text.data);
		buf_finish(&text);
	}
}

void plugins_print(const json_t *plugins, const json_t *refused) {
	static const struct table_column columns[] = {{"PLUGIN", 16, 0}, {"VERSION", 0, 0}, {"STATE", 0, 0},
		{"SHARE", 0, 1}, {"FUNCTIONS", 16, 0}, {"INGRESSES", 12, 2}};
	if (json_array_size(plugins) == 0) {
		puts("no plugin is loaded; give it one: sofun load FILE.so");
	} else {
		struct table table;
		table_init(&table, columns, 6);
		struct buf text = {0};
		size_t i;
		json_t *plugin;
		json_array_foreach(plugins, i, plugin) {
			table_cell_json(&table, json_object_get(plugin, "name"));
			table_cell_json(&table, json_object_get(plugin, "version"));
			table_cell_json(&table, json_object_get(plugin, "state"));
			text_of_json(json_object_get(plugin, "share_percent"), &text);
			buf_printf(&text, " %%");
			cell_built(&table, &text);
			functions_text(plugin, &text);
			cell_built(&table, &text);
			routers_text(plugin, &text);
			cell_built(&table, &text);
		}
		buf_finish(&text);
		table_print(&table);
		waiting_print(plugins);
	}
	refused_print(refused);
}
