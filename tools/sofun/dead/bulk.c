#include "dead/bulk.h"

#include <stdio.h>

#include "client/http.h"
#include "dead/filter.h"
#include "fail.h"
#include "show/output.h"

enum { REQUEST_LIMIT = 1000 };

static long long number_of(const json_t *object, const char *key) {
	return json_integer_value(json_object_get(object, key));
}

/* Counts add up over the requests; the first reason stays. */
static void sum_add(json_t *sum, const json_t *answer) {
	static const char *const counts[] = {"count", "matched", "gone", "stayed"};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		json_object_set_new(sum, counts[i], json_integer(number_of(sum, counts[i]) + number_of(answer, counts[i])));
	if (json_is_null(json_object_get(sum, "reason")))
		json_object_set(sum, "reason", json_object_get(answer, "reason"));
}

/* Asks until nothing is left, or `limit` letters were met. The filter becomes the body of the next request: what was
 * looked at is behind it, and what fails again meanwhile is not met again. */
static int requests_run(
	const struct invocation *run, json_t *body, const char *target, unsigned long long limit, json_t *sum) {
	for (;;) {
		unsigned long long left = limit - (unsigned long long)number_of(sum, "matched");
		json_object_set_new(body, "limit", json_integer((json_int_t)(left < REQUEST_LIMIT ? left : REQUEST_LIMIT)));
		json_t *answer;
		int result = http_json(run, "POST", target, body, &answer);
		if (result != EXIT_OK)
			return result;
		sum_add(sum, answer);
		json_t *next = json_object_get(answer, "next");
		bool more = !json_is_null(next) && (unsigned long long)number_of(sum, "matched") < limit;
		json_object_set(body, "after", next);
		json_object_set(body, "through", json_object_get(answer, "through"));
		json_decref(answer);
		if (!more)
			return EXIT_OK;
	}
}

static void sum_print(const json_t *sum, bool retry, bool dry_run) {
	if (dry_run)
		printf("%lld dead letters would be %s\n", number_of(sum, "matched"), retry ? "retried" : "dropped");
	else
		printf("%s %lld dead letters\n", retry ? "retried" : "dropped", number_of(sum, "count"));
	if (number_of(sum, "gone") > 0)
		printf("%lld went meanwhile\n", number_of(sum, "gone"));
	if (number_of(sum, "stayed") > 0)
		printf("%lld stayed: %s\n", number_of(sum, "stayed"),
			json_string_value(json_object_get(json_object_get(sum, "reason"), "message")));
}

int bulk_run(const struct invocation *run, bool retry) {
	unsigned long long limit = INT64_MAX;
	bool dry_run = option_value(run, "--dry-run") != NULL;
	if (!option_number(run, "--limit", INT64_MAX, &limit))
		return EXIT_USAGE;
	if (limit == 0)
		return fail_usage(run, "--limit 0 asks for nothing");
	json_t *body;
	int result = filter_read(run, &body);
	if (result != EXIT_OK)
		return result;
	if (!filter_given(run))
		json_object_set_new(body, "all", json_true());
	json_object_set_new(body, "dry_run", json_boolean(dry_run));
	json_t *sum = json_pack("{s:i, s:i, s:i, s:i, s:n, s:b}", "count", 0, "matched", 0, "gone", 0, "stayed", 0,
		"reason", "dry_run", dry_run);
	result = requests_run(run, body, retry ? "/v1/dead/retry" : "/v1/dead/drop", limit, sum);
	if (result == EXIT_OK && run->json)
		output_json(sum);
	else if (result == EXIT_OK)
		sum_print(sum, retry, dry_run);
	json_decref(body);
	json_decref(sum);
	return result;
}
