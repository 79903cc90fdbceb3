/* status: what the host runs and how it fares. */
#include <stdio.h>

#include "client/http.h"
#include "commands.h"
#include "show/output.h"
#include "show/plugin_print.h"

static const char *text(const json_t *status, const char *key) {
	const char *value = json_string_value(json_object_get(status, key));
	return value == NULL ? "?" : value;
}

static long long number(const json_t *status, const char *key) {
	return (long long)json_integer_value(json_object_get(status, key));
}

static void host_print(const json_t *status) {
	char now[TIME_TEXT_BYTES];
	time_text(number(status, "time_ms"), now);
	printf("sofund %s  pid %lld  worker %lld  up %.1f s  recovered %s\n", text(status, "version"),
		number(status, "pid"), number(status, "worker_pid"), (double)number(status, "uptime_ms") / 1000,
		text(status, "recovered"));
	printf("%lld shards  durability %s  epoch %lld  time %s\n", number(status, "shards"), text(status, "durability"),
		number(status, "epoch"), now);
	printf("accepted %lld  handled %lld  in flight %lld  retried %lld  dead %lld\n", number(status, "accepted"),
		number(status, "handled"), number(status, "in_flight"), number(status, "retried"), number(status, "dead"));
	const json_t *images = json_object_get(status, "images");
	printf("memory %.1f MiB  images %lld loaded, %lld unloaded, %lld stuck\n",
		(double)number(status, "memory_bytes") / (1 << 20), number(images, "loaded"), number(images, "unloaded"),
		number(images, "stuck"));
}

static void waiting_print(const json_t *waiting) {
	size_t index;
	const json_t *row;
	json_array_foreach(waiting, index, row) {
		printf("%s%lld messages wait for %s: %s\n", index == 0 ? "\n" : "", number(row, "messages"), text(row, "type"),
			text(row, "reason"));
	}
}

static void operations_print(const json_t *operations) {
	const json_t *first = json_array_get(json_object_get(operations, "oldest"), 0);
	if (first == NULL)
		return;
	struct buf id = {0};
	text_of_json(json_object_get(first, "id"), &id);
	printf(
		"\n%lld operations are under way, %lld of them running and %lld waiting for a thread; the oldest is of %s %.*s (%s)\n",
		number(operations, "open"), number(operations, "running"), number(operations, "queued"), text(first, "type"),
		(int)id.size, (const char *)id.data, text(first, "state"));
	buf_finish(&id);
}

static void timers_print(const json_t *timers) {
	const json_t *next = json_object_get(timers, "next_ms");
	const long long pending = number(timers, "pending");
	char time[TIME_TEXT_BYTES];
	if (!json_is_integer(next))
		return;
	time_text(json_integer_value(next), time);
	printf("\n%s%lld delayed message%s for %s time; the next is due at %s\n",
		json_is_true(json_object_get(timers, "more")) ? "at least " : "", pending, pending == 1 ? " waits" : "s wait",
		pending == 1 ? "its" : "their", time);
}

static void migrations_print(const json_t *migrations) {
	size_t index;
	const json_t *row;
	json_array_foreach(migrations, index, row) {
		printf("%s%lld of %lld instances of %s are still to be migrated to schema %lld", index == 0 ? "\n" : "",
			number(row, "left"), number(row, "total"), text(row, "type"), number(row, "schema"));
		if (number(row, "refused") > 0)
			printf("; %lld could not be: %s", number(row, "refused"), text(row, "reason"));
		putchar('\n');
	}
}

/* Addresses that wait for a reason: how many, and one of them. */
static void addresses_print(const json_t *blocked, const char *why) {
	const json_t *first = json_array_get(json_object_get(blocked, "addresses"), 0);
	if (first == NULL)
		return;
	struct buf id = {0};
	text_of_json(json_object_get(first, "id"), &id);
	printf("\n%lld addresses wait %s, e.g. %s %.*s: %s\n", number(blocked, "count"), why, text(first, "type"),
		(int)id.size, (const char *)id.data, text(first, "reason"));
	buf_finish(&id);
}

/* "unattributed" and the like speak for themselves; a message is named by its address. */
static void crashes_print(const json_t *crashes) {
	size_t index;
	const json_t *row;
	json_array_foreach(crashes, index, row) {
		const bool record = json_object_get(row, "ingress") != NULL;
		const bool work = strcmp(text(row, "in"), "work") == 0;
		const json_t *id = json_object_get(row, record ? "producer" : "id");
		struct buf named = {0};
		printf("%scrash: %s, %lld times, %lld alone", index == 0 ? "\n" : "", text(row, "cause"), number(row, "deaths"),
			number(row, "alone"));
		if (json_object_get(row, "plugin") != NULL)
			printf(", in %s %s (%s)", text(row, "plugin"), text(row, "version"), text(row, "in"));
		if (id != NULL) {
			text_of_json(id, &named);
			printf(", %s %s %.*s",
				record     ? "a record of ingress"
					: work ? "an operation of"
						   : "a message to",
				text(row, record ? "ingress" : "function"), (int)named.size, (const char *)named.data);
		}
		printf(": %s\n", text(row, "verdict"));
		buf_finish(&named);
	}
}

static void settings_print(const json_t *settings) {
	size_t i;
	json_t *row;
	json_array_foreach(settings, i, row) {
		printf("%ssetting without effect: %s: %s\n", i == 0 ? "\n" : "", text(row, "key"), text(row, "why"));
	}
}

static int status_run(const struct invocation *run) {
	json_t *status;
	int result = http_json(run, "GET", "/v1/status", NULL, &status);
	if (result != EXIT_OK)
		return result;
	if (run->json) {
		output_json(status);
	} else {
		host_print(status);
		putchar('\n');
		plugins_print(json_object_get(status, "plugins"), json_object_get(status, "refused"));
		waiting_print(json_object_get(status, "waiting"));
		operations_print(json_object_get(status, "operations"));
		timers_print(json_object_get(status, "timers"));
		migrations_print(json_object_get(status, "migrations"));
		addresses_print(json_object_get(status, "blocked"), "because their state cannot be migrated");
		addresses_print(json_object_get(status, "undecided"),
			"for whether a version on probation is trusted (promote) or goes back (rollback)");
		settings_print(json_object_get(status, "settings_without_effect"));
		crashes_print(json_object_get(status, "crashes"));
		long long retrying = number(status, "retrying") - number(json_object_get(status, "undecided"), "count");
		if (retrying > 0)
			printf(
				"\n%lld addresses wait: for the next attempt of a message that failed, or for the result of an operation\n",
				retrying);
		if (number(status, "dead") > 0)
			puts("\nThere are dead letters; see them: sofun dead");
	}
	json_decref(status);
	return EXIT_OK;
}

const struct command status_command = {
	.name = "status",
	.usage = "",
	.summary = "what the host runs and how it fares",
	.help =
		"Shows the host, its counters, its plugins with what they wait for, the files that it refused, each with what was\n"
		"found, what was expected and what to do, operations that are under way, and delayed messages that are not due yet.\n\n"
		"  sofun status\n"
		"  sofun --json status | jq .accepted",
	.run = status_run,
};
