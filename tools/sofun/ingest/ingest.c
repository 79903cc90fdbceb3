/* ingest: streams records into an ingress, each taken once, whatever dies on the way. */
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/check.h"
#include "client/http.h"
#include "client/socket.h"
#include "commands.h"
#include "fail.h"
#include "ingest/feed.h"
#include "show/output.h"

enum {
	BATCH_RECORDS = 256,
	BATCH_RECORDS_MAX = 65536,
	PATIENCE_MS = 10000,
	PRODUCER_BYTES = 40,
};

static volatile sig_atomic_t stop_asked;

static void stop_note(int signal_number) {
	(void)signal_number;
	stop_asked = 1;
}

static void producer_make(char *ret_name) {
	unsigned char random[12];
	check(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
	size_t at = (size_t)snprintf(ret_name, PRODUCER_BYTES, "sofun-");
	for (size_t i = 0; i < sizeof random; i++)
		at += (size_t)snprintf(ret_name + at, PRODUCER_BYTES - at, "%02x", random[i]);
}

/* Which plugin takes the ingress, and how its records are written. One that nobody takes is the host's to refuse. */
static int format_ask(const struct invocation *run, const char *ingress, bool *ret_objects) {
	json_t *status;
	int result = http_json(run, "GET", "/v1/status", NULL, &status);
	if (result != EXIT_OK)
		return result;
	size_t i, k;
	json_t *plugin, *router;
	*ret_objects = false;
	json_array_foreach(json_object_get(status, "plugins"), i, plugin) {
		json_array_foreach(json_object_get(plugin, "routers"), k, router) {
			const char *name = json_string_value(json_object_get(router, "ingress"));
			const char *format = json_string_value(json_object_get(router, "format"));
			if (name != NULL && format != NULL && strcmp(name, ingress) == 0)
				*ret_objects = strcmp(format, "msgpack") == 0;
		}
	}
	json_decref(status);
	return EXIT_OK;
}

static void result_print(const struct feed *feed) {
	double seconds = (double)(clock_ms() - feed->started_ms) / 1000;
	unsigned long long accepted = feed->read - feed->skipped;
	if (feed->run->json) {
		json_t *result = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "producer", feed->producer, "read",
			(json_int_t)feed->read, "accepted", (json_int_t)accepted, "skipped", (json_int_t)feed->skipped, "durable",
			(json_int_t)feed->durable, "dead", (json_int_t)feed->dead, "seconds", seconds);
		output_json_figures(result);
		json_decref(result);
		return;
	}
	printf("read %llu  accepted %llu  skipped %llu  durable %llu  in %.2f s", (unsigned long long)feed->read, accepted,
		(unsigned long long)feed->skipped, (unsigned long long)feed->durable, seconds);
	if (seconds > 0)
		printf("  (%.0f records/s)", (double)accepted / seconds);
	printf("\nproducer %s\n", feed->producer);
	if (feed->dead > 0)
		fprintf(stderr, "%llu of them became dead letters: sofun dead list --type ingress/%s --id %s shows why\n",
			(unsigned long long)feed->dead, feed->ingress, feed->producer);
}

static void position_print(const struct feed *feed) {
	if (feed->run->json) {
		json_t *result = json_pack("{s:s, s:I}", "producer", feed->producer, "durable", (json_int_t)feed->durable);
		output_json(result);
		json_decref(result);
	} else {
		printf("%llu\n", (unsigned long long)feed->durable);
	}
}

static int position_run(struct feed *feed) {
	if (option_value(feed->run, "--producer") == NULL)
		return fail_usage(feed->run, "--position needs --producer");
	int result = feed_open(feed);
	if (result == EXIT_OK)
		position_print(feed);
	feed_close(feed);
	return result;
}

static int records_run(struct feed *feed) {
	struct source source;
	bool objects;
	if (argument(feed->run, 1) == NULL)
		return fail_usage(feed->run, "ingest needs a file, or - for stdin");
	int result = format_ask(feed->run, feed->ingress, &objects);
	if (result != EXIT_OK)
		return result;
	if (!source_open(&source, argument(feed->run, 1), objects))
		return (source.missing ? fail_missing : fail_here)(feed->run, "%s", source.problem);
	feed->source = &source;
	sigaction(SIGINT, &(struct sigaction){.sa_handler = stop_note}, NULL); /* so that it says where it stood */
	progress_init(&feed->progress, !feed->run->json);
	result = feed_open(feed);
	if (result == EXIT_OK)
		result = feed_run(feed);
	progress_finish(&feed->progress);
	if (result == EXIT_OK)
		result_print(feed);
	feed_close(feed);
	source_close(&source);
	return result;
}

static int ingest_run(const struct invocation *run) {
	unsigned long long batch = BATCH_RECORDS, rate = 0, patience_ms = PATIENCE_MS;
	if (!option_number(run, "--batch", BATCH_RECORDS_MAX, &batch) || !option_number(run, "--rate", 1000000000, &rate) ||
		!option_seconds(run, "--patience", &patience_ms))
		return EXIT_USAGE;
	if (batch == 0)
		return fail_usage(run, "--batch takes at least 1");
	char fresh[PRODUCER_BYTES];
	producer_make(fresh);
	const char *producer = option_value(run, "--producer");
	struct feed feed = {
		.run = run,
		.ingress = argument(run, 0),
		.producer = producer == NULL ? fresh : producer,
		.batch_records = batch,
		.rate = rate,
		.stop = &stop_asked,
		.patience_ms = patience_ms,
	};
	return option_value(run, "--position") == NULL ? records_run(&feed) : position_run(&feed);
}

static const struct option ingest_options[] = {
	{"--producer", "P", "name of this source; a second run with it goes on where the first one ended"},
	{"--batch", "N", "records sent together (default 256)"},
	{"--rate", "N", "at most this many records a second"},
	{"--patience", "S", "how long to try to reach a host that went away (default 10)"},
	{"--position", NULL, "only print how many records of --producer are durable"},
	{NULL, NULL, NULL},
};

const struct command ingest_command = {
	.name = "ingest",
	.usage = "INGRESS FILE|- [--producer P] [--batch N]",
	.summary = "stream records into an ingress",
	.help =
		"Sends the records of FILE (lines, or MessagePack objects where the ingress takes these) and returns once all are\n"
		"durable. The number of a record is its place in FILE, so a second run with the same --producer skips what the\n"
		"first one got through: no record is lost, none counts twice. Without --producer each run is a new source. A host\n"
		"that dies meanwhile is waited for, and goes on where it stood. How many records the router failed on is told: these\n"
		"are dead letters, and the others are not held up by them.\n\n"
		"  sofun ingest authlog /var/log/auth.log --producer $(hostname)\n"
		"  journalctl -u ssh | sofun ingest authlog -\n"
		"  sofun ingest authlog --producer web1 --position",
	.completes = "ingress file",
	.options = ingest_options,
	.arguments_min = 1,
	.arguments_max = 2,
	.run = ingest_run,
};
