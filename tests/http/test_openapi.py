#!/usr/bin/python3
"""The OpenAPI description against the running host: every path is there, every operation is asked, and each error code that
one documents is met, with the status that it documents."""

import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http

JSON = {"Content-Type": "application/json"}
FUNCTION = "/v1/functions/test/play/a"

# Met by a test of its own, since the host must be in a state for it.
OWN = None
# (method, path of the description) → {code, or "code status" where it has two: a request that meets it}; "": the good answer.
REQUESTS = {
	("get", "/healthz"): {"": ("/healthz",)},
	("get", "/metrics"): {"": ("/metrics",)},
	("get", "/openapi.json"): {"": ("/openapi.json",)},
	("get", "/v1"): {"": ("/v1",)},
	("get", "/v1/status"): {"": ("/v1/status",)},
	("get", "/v1/events"): {"bad_request": ("/v1/events?from=never",)},
	("post", "/v1/barrier"): {"": ("/v1/barrier", "{}"), "bad_request": ("/v1/barrier", '{"x":1}'), "bad_utf8": ("/v1/barrier", b'{"\xff":1}'),
		"timeout": OWN},
	("post", "/v1/clock"): {"": ("/v1/clock", '{"advance_ms":1}'), "bad_request": ("/v1/clock", "{}"), "forbidden": OWN},
	("get", "/v1/config"): {"": ("/v1/config",)},
	("post", "/v1/config"): {"": ("/v1/config", '{"retry.attempts":1}'), "bad_request": ("/v1/config", '{"x":1}'), "conflict": ("/v1/config", '{"shards":1}')},
	("post", "/v1/config/reload"): {"": ("/v1/config/reload", "{}"), "bad_request": ("/v1/config/reload", '{"x":1}')},
	("post", "/v1/functions/{ns}/{name}/{id}"): {"": (FUNCTION, '{"add":1,"reply":true}'), "bad_request": (FUNCTION, "{"),
		"bad_id": ("/v1/functions/test/play/", "{}"), "bad_utf8": (FUNCTION, b'"\xff"'), "too_deep": (FUNCTION, "[" * 99 + "]" * 99),
		"too_large": (FUNCTION, '"' + "x" * 1100000 + '"'), "unknown_type": ("/v1/functions/no/such/a", "{}"),
		"function_failed": (FUNCTION, '{"fail":"so"}'), "timeout": (FUNCTION + "?timeout_ms=50", "{}"),
		"conflict 409": OWN, "conflict 422": OWN, "keys_full": OWN},
	("get", "/v1/state/{ns}/{name}"): {"": ("/v1/state/test/play",), "bad_request": ("/v1/state/test/play?limit=0",),
		"unknown_type": ("/v1/state/no/such",), "bad_id": ("/v1/state/test/play?after=" + "x" * 256,)},
	("get", "/v1/state/{ns}/{name}/{id}"): {"": ("/v1/state/test/play/a",), "bad_request": ("/v1/state/test/play/a?x=1",),
		"unknown_type": ("/v1/state/no/such/a",), "not_found": ("/v1/state/test/play/nobody",), "bad_id": ("/v1/state/test/play/" + "x" * 256,)},
	("get", "/v1/ttl/{ns}/{name}"): {"": ("/v1/ttl/test/play",), "unknown_type": ("/v1/ttl/no/such",)},
	("post", "/v1/ttl/{ns}/{name}"): {"": ("/v1/ttl/test/play", '{"idle_ttl_ms":9999999}'), "bad_request": ("/v1/ttl/test/play", "{}"),
		"bad_utf8": ("/v1/ttl/test/play", b'{"\xff":1}'), "unknown_type": ("/v1/ttl/no/such", '{"clear":true}'),
		"not_found": ("/v1/ttl/test/play", '{"values":{"no":{"expire_after_write_ms":1}}}')},
	("get", "/v1/dead"): {"": ("/v1/dead",), "bad_request": ("/v1/dead?limit=x",)},
	("post", "/v1/dead/retry"): {"": ("/v1/dead/retry", '{"all":true,"dry_run":true}'), "bad_request": ("/v1/dead/retry", "{}"), "bad_id": ("/v1/dead/retry", '{"id":1}')},
	("post", "/v1/dead/drop"): {"": ("/v1/dead/drop", '{"code":"none"}'), "bad_request": ("/v1/dead/drop", '{"all":1}'), "bad_id": ("/v1/dead/drop", '{"id":1}')},
	("delete", "/v1/dead/{number}"): {"": ("/v1/dead/DEAD",), "bad_request": ("/v1/dead/x",), "not_found": ("/v1/dead/999999",)},
	("post", "/v1/dead/{number}/retry"): {"": ("/v1/dead/DEAD/retry",), "bad_request": ("/v1/dead/x/retry",), "not_found": ("/v1/dead/999999/retry",),
		"unknown_type": OWN, "unknown_ingress": OWN},
	("get", "/v1/dead/{number}"): {"": ("/v1/dead/DEAD",), "bad_request": ("/v1/dead/x",), "not_found": ("/v1/dead/999999",)},
	("get", "/v1/egresses"): {"": ("/v1/egresses",)},
	("get", "/v1/egresses/{egress}"): {"": ("/v1/egresses/play",), "bad_request": ("/v1/egresses/play?from=x",),
		"unknown_egress": ("/v1/egresses/nope",)},
	("get", "/v1/plugins"): {"": ("/v1/plugins",)},
	("post", "/v1/plugins"): {"bad_request": ("/v1/plugins", '{"path":"x"}'), "not_found": ("/v1/plugins", '{"path":"/nonexistent.so"}'),
		"refused": ("/v1/plugins", '{"path":"/etc/hostname"}'), "conflict": OWN},
	("get", "/v1/plugins/{name}/versions"): {"": ("/v1/plugins/play/versions",), "not_found": ("/v1/plugins/nobody/versions",)},
	("post", "/v1/plugins/{name}/swap"): {"": ("/v1/plugins/play/swap", '{"version":"1.0.0"}'), "bad_request": ("/v1/plugins/play/swap", "{}"),
		"not_found": ("/v1/plugins/play/swap", '{"version":"9.0.0"}'), "conflict": OWN, "refused": OWN},
	("post", "/v1/plugins/{name}/promote"): {"bad_request": ("/v1/plugins/play/promote", '{"x":1}'), "not_found": ("/v1/plugins/nobody/promote", "{}"),
		"conflict": ("/v1/plugins/play/promote", "{}")},
	("post", "/v1/plugins/{name}/rollback"): {"bad_request": ("/v1/plugins/play/rollback", '{"drain":1}'), "not_found": ("/v1/plugins/nobody/rollback", "{}"),
		"conflict": ("/v1/plugins/play/rollback", "{}"), "refused": OWN},
	("post", "/v1/plugins/{name}/migrate"): {"": ("/v1/plugins/play/migrate", "{}"), "not_found": ("/v1/plugins/nobody/migrate", "{}")},
	("delete", "/v1/plugins/{name}"): {"not_found": ("/v1/plugins/nobody",), "": ("/v1/plugins/counter",), "conflict": OWN, "timeout": OWN},
}


def documented(operation):
	"""code, or "code status" where it has two → status, for the errors of an operation."""
	pairs = [(code, int(status)) for status, answer in operation["responses"].items() for code in answer.get("x-codes", ())]
	count = Counter(code for code, _ in pairs)
	return {code if count[code] == 1 else f"{code} {status}": status for code, status in pairs}


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
		host.http.raw("POST", FUNCTION, '{"fail":"a dead letter"}', JSON)
		path = path.replace("DEAD", str(host.http.get("/v1/dead?code=function_failed")["dead"][0]["number"]))
	status, _, answer = host.http.raw(method.upper(), path, body[0] if body else None, JSON if body else {})
	return status, answer


def met(host, method, path, key, status, answer):
	"""That answer is what the description says of the key."""
	document = host.http.get("/openapi.json")
	error = json.loads(answer)["error"]
	shape_check(error, document["components"]["schemas"]["Error"])
	expect_equal((status, error["code"]), (documented(document["paths"][path][method])[key], key.split()[0]), f"{method} {path}: {error}")
	return error


def own(host, method, path, key, request, headers=()):
	"""One of those that the table leaves to a test of its own."""
	expect(REQUESTS[method, path][key] is OWN, f"{method} {path} {key} is left to a test of its own")
	place, *body = request
	status, _, answer = host.http.raw(method.upper(), place, body[0] if body else None, {**JSON, **dict(headers)} if body else {})
	return met(host, method, path, key, status, answer)


def test_the_description_lists_what_there_is(test):
	host = host_started(test)
	document = host.http.get("/openapi.json")
	expect(document["openapi"].startswith("3.0") and document["info"]["title"] == "sofun", "the head")
	listed = {(one["method"].lower(), one["path"]): one for one in host.http.get("/v1")["endpoints"]}
	described = {(method, path) for path, operations in document["paths"].items() for method in operations}
	expect_equal(described, set(listed), "operations")
	components = document["components"]["schemas"]
	for (method, path), one in listed.items():
		operation, what = document["paths"][path][method], f"{method} {path}"
		named = {place: {field["name"] for field in operation["parameters"] if field["in"] == place} for place in ("path", "query")}
		expect_equal(named["path"], {part[1:-1] for part in path.split("/") if part.startswith("{")}, f"{what}: parts of the path")
		expect_equal(named["query"], set(filter(None, one["query"].split(","))), f"{what}: parameters of the query")
		expect(operation["summary"] and all(field["description"] and field["schema"] for field in operation["parameters"]), f"{what}: what each means")
		expect({"200", "202"} & set(operation["responses"]), f"{what}: a good answer")
		body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
		expect(all(field["description"] for field in body.get("properties", {}).values()), f"{what}: what each member of the body means")
		expect(method != "post" or "requestBody" in operation or path.endswith(("/retry", "/migrate")), f"{what}: its body")
		for answer in operation["responses"].values():
			for schema in (content["schema"] for content in answer.get("content", {}).values()):
				expect("$ref" not in schema or schema["$ref"].rpartition("/")[2] in components, f"{what}: {schema}")
			expect(all(answer.get("x-codes", {"": "so"}).values()), f"{what}: when it answers so")


def test_bodies_are_as_they_are_described(test):
	"""Each member that is described is known to the host, and no other; required, bounds and words are kept."""
	host = host_started(test)
	for path, operations in host.http.get("/openapi.json")["paths"].items():
		schema = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
		if "properties" not in schema:
			continue
		place = path.replace("{name}", "play").replace("{ns}", "test")
		refused = lambda body: json.loads(host.http.raw("POST", place, json.dumps(body), JSON)[2]).get("error", {})
		expect_equal(refused({"nonsense": 1}).get("message"), "the body has an unknown key", f"{path}: another member") if path != "/v1/clock" else None
		for name, field in schema["properties"].items():
			for wrong in (["enum"], "x" * 9) if "enum" in field else (field["minimum"] - 1, field["maximum"] + 1, "x") if "maximum" in field else ():
				error = refused({**{key: "1.0.0" for key in schema.get("required", ())}, name: wrong})
				expect(error.get("code") == "bad_request" or path == "/v1/clock", f"{path}: {name} = {wrong!r}: {error}")
		for name in schema.get("required", ()):
			expect_equal(refused({}).get("code"), "bad_request", f"{path} without {name}")


def test_the_answers_have_the_members_that_are_described(test):
	host = host_started(test)
	document = host.http.get("/openapi.json")
	for (method, path), place, value in ((("get", "/v1/plugins"), None, None), (("get", "/v1/plugins/{name}/versions"), "/v1/plugins/play/versions", None),
			(("get", "/v1/dead"), None, None), (("post", "/v1/dead/drop"), None, {"all": True, "dry_run": True}), (("get", "/v1/status"), None, None),
			(("post", "/v1/plugins/{name}/swap"), "/v1/plugins/play/swap", {"version": "1.0.0"}), (("post", "/v1/plugins/{name}/migrate"), "/v1/plugins/play/migrate", {})):
		answer = host.http.json(method.upper(), place or path, value)
		good = next(document["paths"][path][method]["responses"][status] for status in ("200", "202") if status in document["paths"][path][method]["responses"])

		def look(value, schema, what):
			if "$ref" in schema:
				schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
			for name, field in schema.get("properties", {}).items():
				expect(name in value, f"{what}: {name} in {value}")
				look(value[name], field, f"{what}.{name}")
			kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
			expect("type" not in schema or isinstance(value, kinds[schema["type"]]), f"{what} is {schema.get('type')}: {value!r}")
			expect("enum" not in schema or value in schema["enum"], f"{what} is one of {schema.get('enum')}: {value!r}")
			for item in value if "items" in schema else ():
				look(item, schema["items"], f"{what}[]")
		look(answer, good["content"]["application/json"]["schema"], f"{method} {path}")


def test_every_documented_answer_is_met(test):
	host = host_started(test, flags=["--test-clock", "1700000000000"])
	document = host.http.get("/openapi.json")
	asked = 0
	for path, operations in document["paths"].items():
		for method, operation in operations.items():
			errors, requests = documented(operation), REQUESTS[method, path]
			expect_equal(set(requests) - {""}, set(errors), f"{method} {path}: the codes that this test asks for")
			for key, request in requests.items():
				if request is OWN:
					continue
				status, answer = ask(host, method, request)
				asked += 1
				if key == "":
					expect(status in (200, 202), f"{method} {request[0]}: {status} {answer[:200]!r}")
				else:
					met(host, method, path, key, status, answer)
	test.note(f"{asked} answers, {sum(request is OWN for requests in REQUESTS.values() for request in requests.values())} in tests of their own")


def test_barrier_and_clock(test):
	host = host_started(test)
	own(host, "post", "/v1/clock", "forbidden", ("/v1/clock", '{"advance_ms":1}'))
	host.http.post("/v1/config", {"retry.attempts": 5, "retry.backoff_ms": 60000, "retry.backoff_ms_max": 60000})
	host.http.post("/v1/functions/test/play/slow?mode=send", {"fail_times": 3})
	wait_until(lambda: host.status()["retrying"] == 1, what="a message in backoff")
	own(host, "post", "/v1/barrier", "timeout", ("/v1/barrier", '{"timeout_ms":50}'))


def test_idempotency_keys(test):
	host = Host(test, settings={"retry.backoff_ms": 60000, "retry.backoff_ms_max": 60000, "idempotency.keys_max": 2}).start()
	path, key = "/v1/functions/{ns}/{name}/{id}", {"Idempotency-Key": "k"}
	host.http.raw("POST", FUNCTION, '{"add":1,"reply":true}', {**JSON, **key})
	own(host, "post", path, "conflict 422", (FUNCTION, '{"add":2,"reply":true}'), key)
	slow = threading.Thread(target=lambda: Http(host.control).raw("POST", "/v1/functions/test/play/slow?timeout_ms=3000", '{"fail_times":1}', {**JSON, **key}))
	slow.start()
	wait_until(lambda: host.status()["retrying"] == 1, what="a request that runs")
	own(host, "post", path, "conflict 409", ("/v1/functions/test/play/slow?timeout_ms=3000", '{"fail_times":1}'), key)
	own(host, "post", path, "keys_full", ("/v1/functions/test/play/third", '{"add":1,"reply":true}'), key)
	slow.join()


def test_letters_that_nobody_takes(test):
	host = Host(test, plugins=("counter",), settings={"retry.attempts": 1}).start()
	with host.rpc() as rpc:
		rpc.ingest("counter", "p", 1, [""])
	host.http.raw("POST", "/v1/functions/no/such/a", "1", JSON)
	host.http.json("DELETE", "/v1/plugins/counter")
	numbers = {letter["code"]: letter["number"] for letter in host.dead()}
	for key, code in (("unknown_type", "unknown_type"), ("unknown_ingress", "router_failed")):
		own(host, "post", "/v1/dead/{number}/retry", key, (f"/v1/dead/{numbers[code]}/retry", ""))


def test_changes_while_another_is_not_through(test):
	host = Host(test, settings={"retry.backoff_ms": 60000, "retry.backoff_ms_max": 60000}).start()
	host.http.post("/v1/functions/test/play/slow?mode=send", {"fail_times": 3})
	wait_until(lambda: host.status()["retrying"] == 1, what="a message in backoff")
	newer = json.dumps({"path": str(test.plugin("next/play"))})
	version = host.http.post("/v1/plugins", json.loads(newer))["version"]
	own(host, "post", "/v1/plugins/{name}/swap", "conflict", ("/v1/plugins/play/swap", '{"version":"1.0.0"}'))
	own(host, "delete", "/v1/plugins/{name}", "conflict", ("/v1/plugins/play",))
	own(host, "post", "/v1/plugins", "conflict", ("/v1/plugins", json.dumps({"path": str(test.plugin("play"))})))
	for action, body in (("promote", {}), ("rollback", {}), ("promote", {"version": version}), ("rollback", {"version": "9.9.9"})):
		status, _, answer = host.http.raw("POST", f"/v1/plugins/play/{action}", json.dumps(body), JSON)
		met(host, "post", f"/v1/plugins/{{name}}/{action}", "conflict", status, answer)


def test_a_version_that_cannot_be_loaded_again(test):
	host = Host(test).start()
	host.http.post("/v1/plugins", {"path": str(test.plugin("next/play"))})
	wait_until(lambda: [one["state"] for one in host.http.get("/v1/plugins/play/versions")["versions"]].count("retired") == 1, what="the old one has gone")
	old, = [one["version"] for one in host.http.get("/v1/plugins/play/versions")["versions"] if one["state"] == "retired"]
	expect_equal(json.loads(host.http.raw("POST", "/v1/plugins/play/rollback", '{"version":"9.9.9"}', JSON)[2])["error"]["code"], "conflict", "another version to go back to")
	copy, = (host.data / "images").glob(f"play-{old}-*.so")
	broken = copy.with_suffix(".new")
	broken.write_bytes(copy.read_bytes()[:5000])
	os.replace(broken, copy)
	own(host, "post", "/v1/plugins/{name}/rollback", "refused", ("/v1/plugins/play/rollback", "{}"))
	own(host, "post", "/v1/plugins/{name}/swap", "refused", ("/v1/plugins/play/swap", json.dumps({"version": old})))


def test_a_call_that_does_not_end(test):
	if test.by_scale(True, False):
		raise Skip("an unload waits 30 s before it says so: with --scale=full")
	host = Host(test, plugins=("sleeper",), shards=1).start()
	nap = lambda id, ms, limit: Http(host.control).raw("POST", f"/v1/functions/sleeper/nap/{id}?timeout_ms={limit}", str(ms), JSON)[0]
	threading.Thread(target=lambda: nap("a", 50000, 60000), daemon=True).start()
	wait_until(lambda: nap("b", 0, 500) == 408, what="a shard that is inside the call")
	own(host, "delete", "/v1/plugins/{name}", "timeout", ("/v1/plugins/sleeper",))


if __name__ == "__main__":
	harness.main(globals())
