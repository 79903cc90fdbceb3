#!/usr/bin/python3
"""Every path, every status and every error code of the control socket, by curl alone and from INTERFACE.md alone; and every exit
code of both programs."""

import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host

# The status of each code. 429 and the 422 of conflict come with idempotency keys.
STATUS = {"bad_request": {400, 405, 415}, "bad_id": {400}, "bad_utf8": {400}, "too_deep": {400}, "forbidden": {403}, "not_found": {404},
	"unknown_type": {404}, "unknown_egress": {404}, "timeout": {408}, "conflict": {409, 422}, "too_large": {413}, "refused": {422},
	"function_failed": {422}, "stopping": {503}, "store_failed": {503}}
# Codes that only the RPC gives, or that need a fault inside the host.
ELSEWHERE = {"unknown_method", "unknown_ingress", "gap", "producer_busy", "internal"}
# The paths that the interface names.
PATHS = re.compile(r"/(healthz|metrics|v1/(status|barrier|clock|functions/.*|state/.*|egresses/.*|dead.*|events|plugins|plugins/\{name\}"
	r"|plugins/\{name\}/(versions|shadow|swap|promote|rollback)))$")
seen = {}
asked = set()  # (method, path) of every request


class Curl:
	def __init__(self, test, host):
		self.test, self.host = test, host

	def ask(self, method, path, body=None, *, type="application/json", headers=(), flags=()):
		"""(status, headers as text, body as bytes)."""
		asked.add((method, path.partition("?")[0]))
		command = ["curl", "--silent", "--show-error", "--max-time", "60", "--unix-socket", str(self.host.data / "control.sock"), "--include",
			"--http1.1", "--request", method, "http://sofun" + path, *flags]
		if body is not None:
			command += ["--header", f"Content-Type: {type}", "--header", "Expect:", "--data-binary", "@-"]
		for header in headers:
			command += ["--header", header]
		data = body.encode() if isinstance(body, str) else body
		done = subprocess.run(command, input=data, capture_output=True)
		expect_equal(done.returncode, 0, f"exit of curl for {method} {path}: {done.stderr!r}")
		head, _, rest = done.stdout.partition(b"\r\n\r\n")
		return int(head.split()[1]), head.decode(), rest

	def good(self, method, path, body=None, status=200, **more):
		got, head, rest = self.ask(method, path, body, **more)
		expect_equal(got, status, f"status of {method} {path}: {rest[:300]!r}")
		return json.loads(rest) if "application/json" in head.lower() else rest

	def bad(self, code, method, path, body=None, **more):
		"""The error; its status must be one of the code's."""
		status, head, rest = self.ask(method, path, body, **more)
		answer = json.loads(rest)
		expect_equal(set(answer), {"error"}, f"{method} {path} answers {status} {rest[:300]!r}")
		error = answer["error"]
		expect(error.get("message") and set(error) <= {"code", "message", "found", "expected", "hint"}, f"the error {error}")
		expect_equal(error["code"], code, f"code of {method} {path}: {error}")
		expect(status in STATUS[code], f"status {status} of {code}")
		seen.setdefault(code, set()).add(status)
		if code == "refused":
			expect(all(error.get(key) for key in ("found", "expected", "hint")), f"a whole refusal: {error}")
		return error


def started(test, flags=(), plugins=("counter", "play"), **settings):
	host = Host(test, plugins=plugins, flags=flags, settings={"retry.backoff_ms": 1, "retry.backoff_ms_max": 1, **settings}).start()
	for name in plugins:
		host.wait_live(name)
	return host, Curl(test, host)


# ---- looking ----


def test_health_status_metrics(test):
	host, curl = started(test)
	expect_equal(curl.good("GET", "/healthz"), {"status": "ok"}, "health")
	status = curl.good("GET", "/v1/status")
	keys = {"version", "pid", "worker_pid", "uptime_ms", "shards", "durability", "epoch", "time_ms", "recovered", "accepted", "handled",
		"in_flight", "retried", "dead", "memory_bytes", "images", "plugins", "refused"}
	expect(keys <= set(status), f"missing: {keys - set(status)}")
	expect_equal((status["recovered"], status["durability"], status["shards"]), ("none", "sync", 2), "status")
	expect_equal(set(status["images"]), {"loaded", "unloaded", "stuck"}, "images")
	plugin_keys = {"name", "version", "state", "share_percent", "file", "functions", "routers", "waiting_for"}
	expect(all(plugin_keys <= set(plugin) for plugin in status["plugins"]), f"plugins: {status['plugins']}")
	counter, = [plugin for plugin in status["plugins"] if plugin["name"] == "counter"]
	expect_equal((counter["state"], counter["share_percent"], counter["functions"], counter["routers"]),
		("live", 100, ["demo/counter"], [{"ingress": "counter", "format": "line"}]), "the plugin")
	text = curl.good("GET", "/metrics").decode()
	expect("_total" in text and "_seconds" in text and "# HELP sofun_" in text, "metrics")


def test_plugins(test):
	host, curl = started(test, plugins=())
	path = str(test.plugin("counter"))
	plugin = curl.good("POST", "/v1/plugins", json.dumps({"path": path}))
	expect_equal((plugin["name"], plugin["state"]), ("counter", "live"), "loaded")
	expect_equal([plugin["name"] for plugin in curl.good("GET", "/v1/plugins")["plugins"]], ["counter"], "the list")
	curl.bad("not_found", "POST", "/v1/plugins", json.dumps({"path": "/no/such.so"}))
	junk = test.dir / "junk.so"
	junk.write_bytes(b"no plugin at all\n" * 300)
	curl.bad("refused", "POST", "/v1/plugins", json.dumps({"path": str(junk)}))
	changed = test.dir / "changed.so"
	shutil.copyfile(test.plugin("counter"), changed)
	with open(changed, "ab") as file:
		file.write(b"\0" * 64)
	curl.bad("refused", "POST", "/v1/plugins", json.dumps({"path": str(changed)}))  # the same version with other bytes
	for body in ("{}", '{"path":7}', '{"path":"relative.so"}', "[]", '{"path":"/x","nonsense":1}'):
		curl.bad("bad_request", "POST", "/v1/plugins", body)
	curl.good("DELETE", "/v1/plugins/counter")
	curl.bad("not_found", "DELETE", "/v1/plugins/counter")
	wait_until(lambda: curl.good("GET", "/v1/status")["plugins"] == [], 20, "it is gone")


# ---- functions ----


def test_functions(test):
	host, curl = started(test)
	path = "/v1/functions/demo/counter/"
	expect_equal(curl.good("POST", path + "a", "5"), 5, "JSON")
	status, head, body = curl.ask("POST", path + "a", b"\x02", type="application/msgpack", headers=["Accept: application/msgpack"])
	expect_equal((status, body in (b"\x07", b"7")), (200, True), f"MessagePack: {head} {body!r}")
	expect_equal(curl.good("POST", path + "a"), 8, "no body: nil")
	expect(curl.good("POST", path + "a?mode=send", "1", status=202)["epoch"] > 0, "send")
	expect_equal(curl.good("POST", path + "%ff%00%2F", "1"), 1, "an id of bytes")
	curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')
	expect_equal(curl.good("GET", "/v1/state/demo/counter/a")["values"], {"count": 9}, "state")
	expect("integer" in curl.bad("function_failed", "POST", path + "a", '"text"')["message"], "the function's text")
	curl.bad("unknown_type", "POST", "/v1/functions/no/such/a", "1")
	curl.bad("timeout", "POST", "/v1/functions/test/play/a?timeout_ms=100", '{"add":1}')
	curl.bad("bad_id", "POST", path + "x" * 256, "1")
	curl.bad("bad_request", "POST", path + "a", "{no json")
	curl.bad("bad_request", "POST", path + "a", "1", type="text/html")
	curl.bad("bad_request", "POST", path + "a?mode=nonsense", "1")
	curl.bad("bad_request", "POST", path + "a?nonsense=1", "1")
	curl.bad("bad_request", "GET", path + "a")
	bad_utf8(curl, path + "a", b'"\xff\xfe"')
	expect_equal(seen["bad_request"] >= {400, 405, 415}, True, f"400, 405 and 415: {seen['bad_request']}")


def bad_utf8(curl, path, body):
	"""A JSON body in bad UTF-8 is 400; which of the two codes is left open."""
	status, _, answer = curl.ask("POST", path, body)
	expect(status == 400 and json.loads(answer)["error"]["code"] in ("bad_utf8", "bad_request"), f"{status} {answer}")
	seen.setdefault("bad_utf8", set()).add(status)


def test_values_through_json(test):
	_, curl = started(test)
	payloads = [None, True, -1, 1.5, 2**63 - 1, {"msgpack": "z///////////"}, "text", {"base64": "AP8="}, [1, [2]], {"a": {"b": None}},
		{"map": [[1, 2], [None, 3]]}]
	for payload in payloads:
		curl.good("POST", "/v1/functions/test/play/a?mode=send", json.dumps({"emit": {"egress": "play", "payload": payload}}), status=202)
	curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')
	records = curl.good("GET", "/v1/egresses/play?from=0&limit=100")["records"]
	expect_equal([record["payload"] for record in records], payloads, "what went in came out")


def test_idempotency_keys(test):
	host, curl = started(test)
	def ask(body, key):
		status, _, answer = curl.ask("POST", "/v1/functions/demo/counter/a", body, headers=[f"Idempotency-Key: {key}"])
		return status, json.loads(answer)
	first = ask("1", "k")
	if first[0] in (400, 404) and "later" in str(first):
		raise Skip("this host has no idempotency keys yet")
	expect_equal(first, (200, 1), "the first")
	expect_equal(ask("1", "k"), (200, 1), "the stored answer")
	expect_equal(ask("1", "other"), (200, 2), "another key")
	curl.bad("conflict", "POST", "/v1/functions/demo/counter/a", "2", headers=["Idempotency-Key: k"])
	host.kill()
	host.start()
	expect_equal(ask("1", "k"), (200, 1), "the stored answer behind a kill")
	running = threading.Thread(target=lambda: curl.ask("POST", "/v1/functions/test/play/a?timeout_ms=3000", '{"add":1}', headers=["Idempotency-Key: r"]))
	handled = host.status()["handled"]
	running.start()
	wait_until(lambda: host.status()["handled"] > handled, 20, "it runs, and never replies")
	curl.bad("conflict", "POST", "/v1/functions/test/play/a?timeout_ms=3000", '{"add":1}', headers=["Idempotency-Key: r"])
	running.join()
	expect({409, 422} <= seen["conflict"], f"409 and 422: {seen['conflict']}")


# ---- state, dead letters, egresses ----


def test_state(test):
	_, curl = started(test)
	for id in ("a", "b", "c", "%ff"):
		curl.good("POST", f"/v1/functions/demo/counter/{id}", "1")
	page = curl.good("GET", "/v1/state/demo/counter?limit=2")
	expect_equal(([row["id"] for row in page["instances"]], page["next"]), (["a", "b"], "b"), "a page")
	page = curl.good("GET", "/v1/state/demo/counter?limit=10&after=b")
	expect_equal(([row["id"] for row in page["instances"]], page["next"]), (["c", {"base64": "/w=="}], None), "the last page")
	state = curl.good("GET", "/v1/state/demo/counter/%ff")
	expect_equal((state["type"], state["id"], state["values"], state["schema"]), ("demo/counter", {"base64": "/w=="}, {"count": 1}, 1), "one")
	expect({"version", "expires"} <= set(state), f"keys of {state}")
	curl.bad("not_found", "GET", "/v1/state/demo/counter/nobody")
	curl.bad("unknown_type", "GET", "/v1/state/no/such")
	for query in ("limit=0", "limit=x", "limit=-1", "nonsense=1"):
		curl.bad("bad_request", "GET", f"/v1/state/demo/counter?{query}")


def test_dead_letters(test):
	_, curl = started(test, **{"retry.attempts": 2})
	for i in range(3):
		curl.bad("function_failed", "POST", f"/v1/functions/demo/counter/a{i}", '"text"')
	page = curl.good("GET", "/v1/dead?limit=2")
	expect(len(page["dead"]) == 2 and page["next"] is not None, f"a page: {page}")
	rest = curl.good("GET", f"/v1/dead?after={page['next']}")
	expect_equal((len(rest["dead"]), rest["next"]), (1, None), "the rest")
	letter = page["dead"][0]
	keys = {"number", "to", "id", "from", "code", "reason", "attempts", "plugin", "version", "payload", "time_ms"}
	expect(keys <= set(letter), f"missing: {keys - set(letter)}")
	expect_equal((letter["to"], letter["id"], letter["code"], letter["attempts"], letter["payload"], letter["plugin"]),
		("demo/counter", "a0", "function_failed", 2, "text", "counter"), "the letter")
	expect_equal(curl.good("GET", f"/v1/dead/{letter['number']}"), letter, "one letter")
	curl.bad("not_found", "GET", "/v1/dead/999999")
	number = page["dead"][1]["number"]
	status, _, body = curl.ask("POST", f"/v1/dead/{number}/retry")
	if status in (404, 405):
		raise Skip("this host does not retry or drop dead letters yet")
	curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')
	letters = curl.good("GET", "/v1/dead")["dead"]
	expect(len(letters) == 3 and number not in [one["number"] for one in letters], f"tried again, dead again under another number: {letters}")
	curl.good("DELETE", f"/v1/dead/{letter['number']}")
	curl.bad("not_found", "DELETE", f"/v1/dead/{letter['number']}")
	curl.bad("not_found", "POST", f"/v1/dead/{letter['number']}/retry")
	for action in ("retry", "drop"):
		curl.bad("bad_request", "POST", f"/v1/dead/{action}")
		expect_equal(curl.good("POST", f"/v1/dead/{action}", '{"all":true,"dry_run":true}')["count"], 0, f"a dry run of {action}")


def test_egresses(test):
	_, curl = started(test)
	expect_equal(curl.good("GET", "/v1/egresses/play"), {"records": [], "first": 0, "next": 0}, "declared, and never used")
	for i in range(3):
		curl.good("POST", "/v1/functions/test/play/x?mode=send", json.dumps({"emit": {"egress": "play", "payload": i}}), status=202)
	curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')
	page = curl.good("GET", "/v1/egresses/play?from=1&limit=1")
	record, = page["records"]
	expect_equal((record["offset"], record["payload"], record["source"], page["next"]), (1, 1, {"type": "test/play", "id": "x"}, 2), "a page")
	expect(record["time_ms"] > 0 and page["first"] <= 1, f"the rest: {page}")
	curl.bad("unknown_egress", "GET", "/v1/egresses/no-such")
	curl.bad("bad_request", "GET", "/v1/egresses/play?from=middle")


# ---- barrier, clock, events ----


def test_barrier(test):
	_, curl = started(test, **{"retry.backoff_ms": 60000, "retry.backoff_ms_max": 60000})
	curl.good("POST", "/v1/functions/demo/counter/a?mode=send", "1", status=202)
	expect(curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')["epoch"] > 0, "an epoch")
	curl.good("POST", "/v1/functions/test/play/a?mode=send", '{"fail":"not yet"}', status=202)
	curl.bad("timeout", "POST", "/v1/barrier", '{"timeout_ms":200}')
	for body in ('{"timeout_ms":-1}', '{"timeout_ms":"1"}', '{"nonsense":1}', "7"):
		curl.bad("bad_request", "POST", "/v1/barrier", body)


def test_clock(test):
	_, curl = started(test)
	curl.bad("forbidden", "POST", "/v1/clock", '{"advance_ms":1}')
	_, curl = started(test, flags=["--test-clock", "1700000000000"])
	expect_equal(curl.good("GET", "/v1/status")["time_ms"], 1700000000000, "time stands")
	expect_equal(curl.good("POST", "/v1/clock", '{"advance_ms":1500}'), {"time_ms": 1700000001500}, "advanced")
	expect_equal(curl.good("POST", "/v1/clock", '{"to_ms":1700000002000}'), {"time_ms": 1700000002000}, "moved")
	for body in ("{}", '{"to_ms":1,"advance_ms":1}', '{"advance_ms":-1}', '{"to_ms":"x"}'):
		curl.bad("bad_request", "POST", "/v1/clock", body)


def test_timers_by_the_clock(test):
	_, curl = started(test, flags=["--test-clock", "1700000000000"])
	later = {"send": [{"id": "b", "msg": {"add": 1}, "after_ms": 1000, "token": "t"}]}
	curl.good("POST", "/v1/functions/test/play/a?mode=send", json.dumps(later), status=202)
	curl.good("POST", "/v1/barrier", '{"timeout_ms":10000}')
	curl.good("POST", "/v1/clock", '{"advance_ms":999}')
	curl.bad("not_found", "GET", "/v1/state/test/play/b")
	curl.good("POST", "/v1/clock", '{"advance_ms":1}')
	expect_equal(curl.good("GET", "/v1/state/test/play/b")["values"]["count"], 1, "fired when it was due")


def test_events(test):
	host, curl = started(test, plugins=())
	if curl.ask("DELETE", "/v1/events")[0] == 404:
		raise Skip("this host has no event stream yet")
	command = ["curl", "--silent", "--no-buffer", "--max-time", "30", "--unix-socket", str(host.data / "control.sock"), "http://sofun/v1/events"]
	asked.add(("GET", "/v1/events"))
	stream = subprocess.Popen(command, stdout=subprocess.PIPE)
	lines = []
	threading.Thread(target=lambda: [lines.append(line.decode().strip()) for line in stream.stdout], daemon=True).start()
	wait_until(lambda: lines or stream.poll() is not None, 10, "the stream is open")
	curl.good("POST", "/v1/plugins", json.dumps({"path": str(test.plugin("counter"))}))
	wait_until(lambda: any(line.startswith("event: live") for line in lines), 20, f"live among {lines}")
	stream.kill()
	stream.wait()


# ---- versions ----


def versions(curl):
	"""Version → state of play."""
	answer = curl.good("GET", "/v1/plugins/play/versions")
	return {row["version"]: row["state"] for row in (answer["versions"] if isinstance(answer, dict) else answer)}


def settled(curl, live):
	"""Waits until that version is the only one that runs."""
	runs = lambda: {version for version, state in versions(curl).items() if state in ("live", "draining", "stuck")}
	wait_until(lambda: runs() == {live}, 20, f"{live} alone runs")
	# one that is retired stands in the list until it is unmapped
	listed = lambda: [plugin["version"] for plugin in curl.good("GET", "/v1/plugins")["plugins"] if plugin["name"] == "play"]
	wait_until(lambda: listed() == [live], 20, f"{live} alone is listed")


def swap(curl, **more):
	return curl.good("POST", "/v1/plugins/play/swap", json.dumps(more))


def test_swap_and_rollback(test):
	host, curl = started(test)
	if curl.ask("GET", "/v1/plugins/play/versions")[0] == 404:
		raise Skip("this host has no swap yet")
	count = lambda: curl.good("POST", "/v1/functions/test/play/a", '{"add":1,"reply":true}')
	expect_equal((versions(curl), count()), ({"1.0.0": "live"}, 1), "one version")
	plugin = curl.good("POST", "/v1/plugins", json.dumps({"path": str(test.find("next/play.so"))}))
	expect_equal((plugin["version"], plugin["state"]), ("1.1.0", "live"), "policy auto takes a newer one")
	settled(curl, "1.1.0")
	curl.good("POST", "/v1/plugins/play/rollback", "{}")
	settled(curl, "1.0.0")
	for drain in ("accepted", "running"):
		expect_equal(swap(curl, version="1.1.0", drain=drain, deadline_ms=5000)["version"], "1.1.0", f"swap with {drain}")
		settled(curl, "1.1.0")
		swap(curl, version="1.0.0")  # an older one
		settled(curl, "1.0.0")
	expect_equal(count(), 2, "the state went along")
	host.kill()
	host.start()
	settled(curl, "1.0.0")


def test_a_canary(test):
	_, curl = started(test)
	if curl.ask("GET", "/v1/plugins/play/versions")[0] == 404:
		raise Skip("this host has no swap yet")
	curl.good("POST", "/v1/plugins", json.dumps({"path": str(test.find("next/play.so"))}))
	settled(curl, "1.1.0")
	curl.good("POST", "/v1/plugins/play/rollback", "{}")
	settled(curl, "1.0.0")
	curl.bad("conflict", "POST", "/v1/plugins/play/promote", "{}")  # there is none
	swap(curl, version="1.1.0", canary=25)
	shares = lambda: {plugin["version"]: plugin["share_percent"] for plugin in curl.good("GET", "/v1/status")["plugins"] if plugin["name"] == "play"}
	expect_equal(shares(), {"1.0.0": 75, "1.1.0": 25}, "shares")
	# 409 while the ids that changed sides are still finished by the old version
	wait_until(lambda: curl.ask("POST", "/v1/plugins/play/promote", "{}")[0] == 200, 20, "promoted")
	settled(curl, "1.1.0")
	expect_equal(shares(), {"1.1.0": 100}, "shares")


def test_swaps_that_are_wrong(test):
	_, curl = started(test)
	if curl.ask("GET", "/v1/plugins/play/versions")[0] == 404:
		raise Skip("this host has no swap yet")
	curl.bad("not_found", "GET", "/v1/plugins/nobody/versions")
	curl.bad("not_found", "POST", "/v1/plugins/nobody/swap", '{"version":"1.0.0"}')
	curl.bad("not_found", "POST", "/v1/plugins/play/swap", '{"version":"9.9.9"}')
	for body in ("{}", '{"version":1}', '{"version":"1.0.0","drain":"nonsense"}', '{"version":"1.0.0","canary":101}', '{"version":"1.0.0","canary":-1}',
			'{"version":"1.0.0","deadline_ms":-1}', '{"version":"1.0.0","nonsense":1}'):
		curl.bad("bad_request", "POST", "/v1/plugins/play/swap", body)
	expect_equal(versions(curl), {"1.0.0": "live"}, "nothing changed")


# ---- limits, paths, the host's end ----


def test_limits(test):
	_, curl = started(test, **{"limits.message_bytes": 4096, "limits.frame_bytes": 65536, "limits.nesting": 8})
	path = "/v1/functions/test/play/a"
	curl.bad("too_large", "POST", path, json.dumps("x" * 5000))
	curl.bad("too_large", "POST", path, json.dumps("x" * 70000))
	curl.bad("too_deep", "POST", path, "[" * 9 + "]" * 9)
	expect_equal(curl.good("POST", path, '{"add":1,"reply":true}'), 1, "and it goes on")


def test_paths_and_methods(test):
	_, curl = started(test)
	for path in ("/", "/v2", "/v1/nonsense", "/v1/functions", "/v1/state/demo"):
		curl.bad("not_found", "GET", path)
	curl.bad("bad_request", "GET", "/v1/dead/x")
	curl.bad("bad_request", "PUT", "/v1/status")
	curl.bad("bad_request", "DELETE", "/healthz")
	curl.bad("bad_request", "POST", "/v1/status", "{}")


def test_who_waits_at_the_stop_is_told(test):
	host, curl = started(test)
	answers = []
	thread = threading.Thread(target=lambda: answers.append(curl.bad("stopping", "POST", "/v1/functions/test/play/a", '{"add":1}')))
	thread.start()
	wait_until(lambda: host.status()["handled"] == 1, 20, "it is handled, and never replies")
	host.stop()
	thread.join(20)
	expect_equal(len(answers), 1, "the answer")


def test_a_store_that_failed(test):
	test.need_plain_build("the sanitizer's library must come first")
	broken = test.dir / "broken"
	host = Host(test, plugins=("counter",), environment={"LD_PRELOAD": str(test.find("failing_sync.so")), "FAILING_SYNC": str(broken)}).start()
	host.wait_live("counter")
	curl = Curl(test, host)
	broken.touch()
	curl.bad("store_failed", "POST", "/v1/functions/demo/counter/a", "1")
	status, _, body = curl.ask("GET", "/healthz")
	expect_equal((status, json.loads(body)["status"]), (503, "failed"), "health")
	expect_equal(host.wait_exit(), 4, "the exit code")


def test_every_code_was_seen(test):
	if len(seen) < 5:
		raise Skip("needs the tests before it")
	expect_equal(set(STATUS) - set(seen), set(), "codes that no test of this file has seen")
	expect(not ELSEWHERE & set(seen), f"codes that HTTP does not give: {ELSEWHERE & set(seen)}")


def test_what_the_host_says_of_itself(test):
	_, curl = started(test)
	listed = curl.good("GET", "/v1")["endpoints"]
	described = curl.good("GET", "/openapi.json")
	curl.ask("GET", "/v1/egresses")
	expect(described["openapi"].startswith("3."), f"OpenAPI {described['openapi']}")
	operations = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods if method != "parameters"}
	expect_equal(operations, {(row["method"], row["path"]) for row in listed}, "both lists")
	config = curl.good("GET", "/v1/config")
	expect("retry.attempts" in json.dumps(config), f"settings: {str(config)[:300]}")
	curl.good("POST", "/v1/config", '{"retry.attempts":7}')
	curl.bad("bad_request", "POST", "/v1/config", '{"nonsense":1}')
	curl.bad("bad_request", "POST", "/v1/config", '{"retry.attempts":"many"}')
	curl.good("POST", "/v1/config/reload")
	if ("POST", "/v1/plugins/{name}/migrate") in operations:
		curl.bad("not_found", "POST", "/v1/plugins/nobody/migrate", "{}")


def test_every_path_was_asked(test):
	"""What the interface names, this host says that it has, and nobody here has tried."""
	if len(seen) < 5:
		raise Skip("needs the tests before it")
	_, curl = started(test, plugins=())
	patterns = {}
	for row in curl.good("GET", "/v1")["endpoints"]:
		pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(row["path"]))
		patterns[row["method"], row["path"]] = re.compile(pattern + "$")
	test.note(f"beyond the interface: {sorted(path for _, path in set(patterns) - {key for key in patterns if PATHS.match(key[1])})}")
	untried = [key for key, pattern in patterns.items() if PATHS.match(key[1]) and not any(method == key[0] and pattern.match(path) for method, path in asked)]
	expect_equal(untried, [], "paths that no test of this file has asked")


# ---- exit codes ----


def test_exit_codes_of_sofun(test):
	host, _ = started(test)
	sofun = lambda *words: subprocess.run([test.find("bin/sofun"), *words], capture_output=True, text=True)
	here = ["--data", str(host.data), "--json"]
	junk = test.dir / "junk.so"
	junk.write_bytes(b"no plugin" * 500)
	cases = [(0, [*here, "status"]), (1, [*here, "call", "demo/counter", "a", '"text"']), (2, [*here, "nonsense"]), (2, [*here, "send", "a/b"]),
		(3, ["--data", str(test.dir / "none"), "--json", "status"]), (4, [*here, "call", "no/such", "a"]), (4, [*here, "state", "demo/counter", "nobody"]),
		(5, [*here, "load", str(junk)]), (6, [*here, "call", "test/play", "a", '{"add":1}', "--timeout", "0.2"])]
	for code, words in cases:
		done = sofun(*words)
		expect_equal(done.returncode, code, f"exit of sofun {words}: {done.stderr}")
		if code == 0:
			json.loads(done.stdout)
		else:
			expect_equal(done.stdout, "", f"stdout of a failure of {words}")
			error = json.loads(done.stderr)
			expect(error["code"] and error["message"], f"the error of {words}: {error}")


def test_exit_codes_of_sofund(test):
	sofund = lambda *words: subprocess.run([test.find("sofund"), *words], capture_output=True, text=True, timeout=60)
	data = test.dir / "data"
	cases = [(2, ["--nonsense"]), (2, ["--data", data, "--set", "nonsense=1"]), (2, ["--data", data, "--set", "shards=-1"]),
		(2, ["--data", data, "--config", test.dir / "absent.yaml"]), (2, ["--data", "x" * 120])]
	for code, words in cases:
		done = sofund(*words)
		expect_equal((done.returncode, done.stdout), (code, ""), f"exit of sofund {words}: {done.stderr}")
		expect(done.stderr.startswith("sofund: "), f"it says why: {done.stderr}")
	host = Host(test, plugins=()).start()
	expect_equal(sofund("--data", host.data).returncode, 3, "a locked directory")
	host.stop()  # which checks its 0
	(test.dir / "file").write_text("no directory")
	expect_equal(sofund("--data", test.dir / "file").returncode, 3, "no directory at all")


if __name__ == "__main__":
	harness.main(globals())
