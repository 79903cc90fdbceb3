/* Finds the endpoint that a request means. Pure; any thread. The table itself is in endpoints.c. */
#ifndef HOST_CONTROL_HTTP_ENDPOINT_H
#define HOST_CONTROL_HTTP_ENDPOINT_H

#include "control/http/target.h"

struct exchange;

enum { ENDPOINT_PARAMS_MAX = 3 };

/* One line of the table. */
struct endpoint {
	const char *method; /* "GET" */
	const char *path;   /* "/v1/state/{ns}/{name}": a part in braces takes any segment */
	const char *query;  /* "limit,after": the parameters it knows; others are refused. "" for none */
	void (*handle)(struct exchange *exchange);
	const char *help; /* one line for people */
	bool report;      /* answers at once from what the loop thread has, also while the host stops */
};

struct endpoint_match {
	const struct endpoint *endpoint; /* NULL: none */
	struct bytes params[ENDPOINT_PARAMS_MAX];
	size_t param_count;
	char allow[64]; /* methods of the endpoints with this path, "GET, HEAD, POST"; empty: no endpoint has it */
};

void endpoint_match(const struct endpoint *endpoints, size_t count, const char *method, const struct target *target,
	struct endpoint_match *ret_match);

/* The right (door/access.h) that the endpoint needs. */
uint32_t endpoint_right(const struct endpoint *endpoint);

/* True if name is one of the words of a list "limit,after". */
bool name_listed(const char *names, struct bytes name);

/* ERROR_BAD_REQUEST if the query has a parameter that the endpoint does not know, or one twice. */
bool endpoint_query_check(const struct endpoint *endpoint, const struct target *target, struct error *error);

#endif
