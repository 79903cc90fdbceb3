#!/usr/bin/python3
"""The OpenAPI description against the running host: every path is there, every operation is asked, and each error code that
one documents is met, with the status that it documents."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host

JSON = {"Content-Type": "application/json"}
FUNCTION = "/v1/functions/test/play/a"

# (method, path of the description) → {code: a request that meets it}; "": the good answer.
REQUESTS = {
	("get", "/healthz"): {"": ("/healthz",)},
	("get", "/metrics"): {"": ("/metrics",)},
	("get", "/openapi.json"): {"": ("/openapi.json",)},
	("get", "/v1"): {"": ("/v1",)},
	("get", "/v1/status"): {"": ("/v1/status",)},
	("get", "/v1/events"): {"bad_request": ("/v1/events?from=never",)},
	("post", "/v1/barrier"): {"": ("/v1/barrier", "{}"), "bad_request": ("/v1/barrier", '{"x":1}'), "bad_utf8": ("/v1/barrier", b'{"\xff":1}'),
		"timeout": ("/v1/barrier", '{"timeout_ms":50}')},
	("post", "/v1/clock"): {"": ("/v1/clock", '{"advance_ms":1}'), "bad_request": ("/v1/clock", "{}"), "forbidden": ("/v1/clock", '{"advance_ms":1}')},
	("get", "/v1/config"): {"": ("/v1/config",)},
	("post", "/v1/config"): {"": ("/v1/config", '{"retry.attempts":1}'), "bad_request": ("/v1/config", '{"x":1}'), "conflict": ("/v1/config", '{"shards":1}')},
	("post", "/v1/config/reload"): {"": ("/v1/config/reload", "{}"), "bad_request": ("/v1/config/reload", '{"x":1}')},
	("post", "/v1/functions/{ns}/{name}/{id}"): {"": (FUNCTION, '{"add":1,"reply":true}'), "bad_request": (FUNCTION, "{"),
		"bad_id": ("/v1/functions/test/play/", "{}"), "bad_utf8": (FUNCTION, b'"\xff"'), "too_deep": (FUNCTION, "[" * 99 + "]" * 99),
		"too_large": (FUNCTION, '"' + "x" * 1100000 + '"'), "unknown_type": ("/v1/functions/no/such/a", "{}"),
		"function_failed": (FUNCTION, '{"fail":"so"}'), "timeout": (FUNCTION + "?timeout_ms=50", "{}")},
	("get", "/v1/state/{ns}/{name}"): {"": ("/v1/state/test/play",), "bad_request": ("/v1/state/test/play?limit=0",),
		"unknown_type": ("/v1/state/no/such",)},
	("get", "/v1/state/{ns}/{name}/{id}"): {"": ("/v1/state/test/play/a",), "bad_request": ("/v1/state/test/play/a?x=1",),
		"unknown_type": ("/v1/state/no/such/a",), "not_found": ("/v1/state/test/play/nobody",), "bad_id": ("/v1/state/test/play/" + "x" * 256,)},
	("get", "/v1/ttl/{ns}/{name}"): {"": ("/v1/ttl/test/play",), "unknown_type": ("/v1/ttl/no/such",)},
	("post", "/v1/ttl/{ns}/{name}"): {"": ("/v1/ttl/test/play", '{"idle_ttl_ms":9999999}'), "bad_request": ("/v1/ttl/test/play", "{}"),
		"bad_utf8": ("/v1/ttl/test/play", b'{"\xff":1}'), "unknown_type": ("/v1/ttl/no/such", '{"clear":true}'),
		"not_found": ("/v1/ttl/test/play", '{"values":{"no":{"expire_after_write_ms":1}}}')},
	("get", "/v1/dead"): {"": ("/v1/dead",), "bad_request": ("/v1/dead?limit=x",)},
	("get", "/v1/dead/{number}"): {"": ("/v1/dead/DEAD",), "bad_request": ("/v1/dead/x",), "not_found": ("/v1/dead/999999",)},
	("get", "/v1/egresses"): {"": ("/v1/egresses",)},
	("get", "/v1/egresses/{egress}"): {"": ("/v1/egresses/play",), "bad_request": ("/v1/egresses/play?from=x",),
		"unknown_egress": ("/v1/egresses/nope",)},
	("get", "/v1/plugins"): {"": ("/v1/plugins",)},
	("post", "/v1/plugins"): {"bad_request": ("/v1/plugins", '{"path":"x"}'), "not_found": ("/v1/plugins", '{"path":"/nonexistent.so"}'),
		"refused": ("/v1/plugins", '{"path":"/etc/hostname"}')},
	("delete", "/v1/plugins/{name}"): {"not_found": ("/v1/plugins/nobody",), "": ("/v1/plugins/counter",)},
}


def documented(operation):
	"""code → status, for the errors of an operation."""
	return {code: int(status) for status, answer in operation["responses"].items() if status not in ("200", "default")
		for code in answer["description"].split(", ")}


def shape_check(error, schema):
	fields = schema["properties"]["error"]
	expect(set(fields["required"]) <= set(error) <= set(fields["properties"]), f"{error} has the shape of the schema")
	expect(error["code"] in fields["properties"]["code"]["enum"] and all(isinstance(text, str) for text in error.values()), f"{error}")


def host_started(test, **more):
	host = Host(test, plugins=("play", "counter"), settings={"retry.attempts": 1}, **more).start()
	host.http.post(FUNCTION, {"add": 1, "reply": True, "emit": {"egress": "play", "payload": 1}})
	host.http.raw("POST", FUNCTION, '{"fail":"a dead letter"}', JSON)
	host.barrier()
	return host


def ask(host, method, request):
	path, *body = request
	if "DEAD" in path:
		path = path.replace("DEAD", str(host.http.get("/v1/dead")["dead"][0]["number"]))
	status, _, answer = host.http.raw(method.upper(), path, body[0] if body else None, JSON if body else {})
	return status, answer


def test_the_description_lists_what_there_is(test):
	host = host_started(test)
	document = host.http.get("/openapi.json")
	expect(document["openapi"].startswith("3.0") and document["info"]["title"] == "sofun", "the head")
	listed = {(one["method"].lower(), one["path"]) for one in host.http.get("/v1")["endpoints"]}
	described = {(method, path) for path, operations in document["paths"].items() for method in operations}
	expect_equal(described, listed, "operations")
	for path, operations in document["paths"].items():
		for method, operation in operations.items():
			named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
			expect_equal(named, {part[1:-1] for part in path.split("/") if part.startswith("{")}, f"{method} {path}: parameters")
			expect(operation["summary"] and "200" in operation["responses"], f"{method} {path}: what it answers")


def test_every_documented_answer_is_met(test):
	host = host_started(test, flags=["--test-clock", "1700000000000"])
	document = host.http.get("/openapi.json")
	schema = document["components"]["schemas"]["Error"]
	asked = 0
	for (method, path), requests in REQUESTS.items():
		operation = document["paths"][path][method]
		errors = documented(operation)
		expect_equal(set(requests) - {""}, set(errors), f"{method} {path}: the codes that this test asks for")
		for code, request in requests.items():
			if (path, code) in (("/v1/barrier", "timeout"), ("/v1/clock", "forbidden")):
				continue  # they need another host: below
			status, answer = ask(host, method, request)
			asked += 1
			if code == "":
				expect(status == 200, f"{method} {request[0]}: {status} {answer[:200]!r}")
				continue
			error = json.loads(answer)["error"]
			shape_check(error, schema)
			expect_equal((status, error["code"]), (errors[code], code), f"{method} {request[0]}")
	test.note(f"{asked} answers")


def test_answers_that_need_another_host(test):
	host = host_started(test)
	errors = documented(host.http.get("/openapi.json")["paths"]["/v1/clock"]["post"])
	status, answer = ask(host, "post", REQUESTS["post", "/v1/clock"]["forbidden"])
	expect_equal((status, json.loads(answer)["error"]["code"]), (errors["forbidden"], "forbidden"), "the clock without --test-clock")
	host.http.post("/v1/config", {"retry.attempts": 5, "retry.backoff_ms": 60000, "retry.backoff_ms_max": 60000})
	host.http.post("/v1/functions/test/play/slow?mode=send", {"fail_times": 3})
	wait_until(lambda: host.status()["retrying"] == 1, what="a message in backoff")
	status, answer = ask(host, "post", REQUESTS["post", "/v1/barrier"]["timeout"])
	expect_equal((status, json.loads(answer)["error"]["code"]), (408, "timeout"), "a barrier over a backoff")


if __name__ == "__main__":
	harness.main(globals())
