#include "control/http/endpoint.h"

#include <stdio.h>

#include "base/check.h"
#include "door/access.h"

/* Takes the segment at *at, which begins with "/", off the pattern. */
static struct bytes pattern_take(const char **at) {
	size_t size = strcspn(++*at, "/");
	struct bytes segment = bytes_of(*at, size);
	*at += size;
	return segment;
}

static bool path_matches(const char *pattern, const struct target *target, struct endpoint_match *match) {
	size_t index = 0;
	match->param_count = 0;
	for (const char *at = pattern; *at == '/'; index++) {
		struct bytes part = pattern_take(&at);
		if (index >= target->segment_count || index >= TARGET_SEGMENTS_MAX)
			return false;
		if (part.size > 0 && part.data[0] == '{') {
			check(match->param_count < ENDPOINT_PARAMS_MAX);
			match->params[match->param_count++] = target->segments[index];
		} else if (!bytes_equal(part, target->segments[index])) {
			return false;
		}
	}
	return index == target->segment_count;
}

void endpoint_match(const struct endpoint *endpoints, size_t count, const char *method, const struct target *target,
	struct endpoint_match *ret_match) {
	*ret_match = (struct endpoint_match){0};
	for (size_t i = 0; i < count; i++) {
		if (!path_matches(endpoints[i].path, target, ret_match))
			continue;
		if (strcmp(endpoints[i].method, method) == 0) {
			ret_match->endpoint = &endpoints[i];
			return;
		}
		size_t used = strlen(ret_match->allow);
		snprintf(ret_match->allow + used, sizeof ret_match->allow - used, "%s%s%s", used > 0 ? ", " : "",
			endpoints[i].method, strcmp(endpoints[i].method, "GET") == 0 ? ", HEAD" : "");
	}
	ret_match->param_count = 0;
}

/* What is not named here is control, so that a new endpoint is closed to the network until somebody opens it. */
uint32_t endpoint_right(const struct endpoint *endpoint) {
	static const char functions[] = "/v1/functions/";
	if (strncmp(endpoint->path, functions, sizeof functions - 1) == 0)
		return RIGHT_CALL;
	return strcmp(endpoint->path, "/metrics") == 0 ? RIGHT_METRICS : RIGHT_CONTROL;
}

bool name_listed(const char *names, struct bytes name) {
	for (const char *at = names; *at != '\0';) {
		size_t size = strcspn(at, ",");
		if (bytes_equal(bytes_of(at, size), name))
			return true;
		at += size;
		if (*at == ',')
			at++;
	}
	return false;
}

static bool pair_repeats(const struct target *target, size_t index) {
	for (size_t i = 0; i < index; i++)
		if (bytes_equal(target->pairs[i].name, target->pairs[index].name))
			return true;
	return false;
}

bool endpoint_query_check(const struct endpoint *endpoint, const struct target *target, struct error *error) {
	for (size_t i = 0; i < target->pair_count; i++) {
		struct bytes name = target->pairs[i].name;
		bool known = name_listed(endpoint->query, name);
		if (known && !pair_repeats(target, i))
			continue;
		struct buf shown = {0};
		percent_encode(&shown, name);
		buf_append_u8(&shown, '\0');
		error_set(error, ERROR_BAD_REQUEST, "a query parameter is %s", known ? "given twice" : "unknown here");
		error_found(error, "%s", (const char *)shown.data);
		error_expected(error, "%s", endpoint->query[0] == '\0' ? "no query" : endpoint->query);
		error_hint(error, "GET /openapi.json describes each parameter");
		buf_finish(&shown);
		return false;
	}
	return true;
}
