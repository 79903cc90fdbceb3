/* libFuzzer target: any bytes as what a client asks for by HTTP: the first line is the path with its query, the rest a body of
 * settings. Kept inputs: corpus/http. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/inside.h"
#include "control/http/endpoint.h"
#include "door/access.h"
#include "limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct endpoint endpoints[] = {
	{"GET", "/metrics", "", NULL, "", true},
	{"GET", "/v1/dead", "limit,after", NULL, "", false},
	{"POST", "/v1/dead", "", NULL, "", false},
	{"POST", "/v1/functions/{ns}/{name}/{id}", "mode,timeout_ms", NULL, "", false},
	{"GET", "/v1/state/{ns}/{name}", "limit,after", NULL, "", false},
};
enum { ENDPOINTS = sizeof endpoints / sizeof endpoints[0] };

/* What was decoded must be decoded to the same again, once it is encoded. */
static void segment_again(struct bytes segment) {
	struct buf text = {0};
	struct target again;
	struct error error;
	buf_append_u8(&text, '/');
	percent_encode(&text, segment);
	buf_append_u8(&text, '\0');
	check(target_parse(&again, (const char *)text.data, NULL, &error));
	check(again.segment_count == 1 && bytes_equal(again.segments[0], segment));
	target_finish(&again);
	buf_finish(&text);
}

static void target_use(const struct target *target) {
	struct endpoint_match match;
	struct error error;
	struct bytes mode;
	uint64_t limit = 7;
	for (size_t i = 0; i < target->segment_count && i < TARGET_SEGMENTS_MAX; i++)
		segment_again(target->segments[i]);
	bool good = target_query_number(target, "limit", 1000, &limit, &error);
	check(good ? limit <= 1000 : limit == 7 && error.code == ERROR_BAD_REQUEST);
	check(!target_query(target, "mode", &mode) || target->pair_count > 0);
	endpoint_match(endpoints, ENDPOINTS, "GET", target, &match);
	if (match.endpoint == NULL)
		return;
	check(strcmp(match.endpoint->method, "GET") == 0 && match.param_count <= ENDPOINT_PARAMS_MAX);
	check((endpoint_right(match.endpoint) == RIGHT_METRICS) == (match.endpoint == &endpoints[0]));
	good = endpoint_query_check(match.endpoint, target, &error);
	check(!good || target->pair_count <= 2);
}

static void target_run(char *line) {
	struct target target;
	struct error error = {0};
	char *query = strchr(line, '?');
	if (query != NULL)
		*query++ = '\0';
	bool good = target_parse(&target, line, query, &error);
	check(good == (error.code == ERROR_NONE));
	if (!good)
		return;
	target_use(&target);
	target_finish(&target);
}

static void body_run(struct bytes body) {
	struct config config;
	struct error error = {0};
	config_init(&config);
	bool good = config_yaml_request(&config, body, &error);
	check(good == (error.code == ERROR_NONE));
	check(config.shards >= 1 && config.shards <= SHARDS_MAX && config.nesting >= 1 && config.retry_attempts >= 1);
	config_finish(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
	size_t line_size = end == NULL ? size : (size_t)(end - data);
	char *line = check_alloc(1, line_size + 1);
	if (line_size > 0)
		memcpy(line, data, line_size);
	target_run(line);
	free(line);
	if (end != NULL)
		body_run(bytes_of(end + 1, size - line_size - 1));
	return 0;
}
