#!/usr/bin/python3
"""Each error that a door can give is provoked, and must say what was found, what is expected and what to do (lib/errors.py).
What no test can provoke, like a broken disk, is judged by its source."""

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.errors import complete, complete_line
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError, connected
from lib.rpc import RpcError

JSON, MSGPACK = {"Content-Type": "application/json"}, {"Content-Type": "application/msgpack"}
PLAY = "/v1/functions/test/play/a"
HOST_SOURCE = Path(__file__).resolve().parents[2] / "host"


# ---- HTTP ----

# (status, code, method, path, body, headers)
HTTP = [
	(404, "not_found", "GET", "/nowhere", None, {}),
	(405, "bad_request", "DELETE", "/v1/status", None, {}),
	(405, "bad_request", "PATCH", "/v1/status", None, {}),
	(400, "bad_request", "GET", "/v1/status?x=1", None, {}),
	(400, "bad_request", "GET", "/v1/dead?limit=1&limit=2", None, {}),
	(400, "bad_request", "GET", "/v1/dead?limit=0", None, {}),
	(400, "bad_request", "GET", "/v1/dead?limit=", None, {}),
	(400, "bad_request", "GET", "/v1/dead?" + "&".join(f"p{n}=1" for n in range(20)), None, {}),
	(400, "bad_request", "GET", "/v1/dead/%zz", None, {}),
	(400, "bad_request", "GET", "/v1/dead/", None, {}),
	(404, "not_found", "GET", "/v1/dead/999999", None, {}),
	(404, "not_found", "DELETE", "/v1/dead/999999", None, {}),
	(404, "not_found", "POST", "/v1/dead/999999/retry", None, {}),
	(400, "bad_request", "POST", "/v1/dead/drop", "{}", JSON),
	(400, "bad_request", "POST", "/v1/dead/drop", '{"all":1}', JSON),
	(400, "bad_request", "POST", "/v1/dead/drop", '{"type":["a"]}', JSON),
	(400, "bad_request", "POST", "/v1/dead/drop", '{"type":""}', JSON),
	(400, "bad_request", "POST", "/v1/dead/drop", '{"since_ms":"now"}', JSON),
	(400, "bad_request", "POST", "/v1/dead/retry", '{"all":true,"limit":0}', JSON),
	(400, "bad_id", "POST", "/v1/dead/retry", '{"id":7}', JSON),
	(400, "bad_request", "POST", "/v1/barrier", "[]", JSON),
	(400, "bad_request", "POST", "/v1/barrier", "{", JSON),
	(400, "bad_request", "POST", "/v1/barrier", '{"x":1}', JSON),
	(400, "bad_request", "POST", "/v1/barrier", '{"timeout_ms":-1}', JSON),
	(400, "bad_utf8", "POST", "/v1/barrier", b'{"\xff":1}', JSON),
	(415, "bad_request", "POST", "/v1/barrier", "x", {"Content-Type": "text/csv"}),
	(403, "forbidden", "POST", "/v1/clock", '{"advance_ms":1}', JSON),
	(400, "bad_request", "GET", "/v1/events?from=never", None, {}),
	(400, "bad_request", "POST", "/v1/config", '{"x":1}', JSON),
	(400, "bad_request", "POST", "/v1/config", '{"retry.attempts":"many"}', JSON),
	(400, "bad_request", "POST", "/v1/config", '{"retry.attempts":""}', JSON),
	(400, "bad_request", "POST", "/v1/config", '{"retry.attempts":[1]}', JSON),
	(409, "conflict", "POST", "/v1/config", '{"shards":3}', JSON),
	(409, "conflict", "POST", "/v1/config", '{"shards":null}', JSON),
	(409, "conflict", "POST", "/v1/config", '{"ingresses.play.format":"json"}', JSON),
	(409, "conflict", "POST", "/v1/config", '{"egresses.play.sink.file":"/tmp/x"}', JSON),
	(400, "bad_id", "POST", "/v1/functions/test/play/", "1", JSON),
	(400, "bad_id", "POST", "/v1/functions/test/play/" + "x" * 256, "1", JSON),
	(400, "bad_utf8", "POST", "/v1/functions/%FF/play/a", "1", JSON),
	(404, "unknown_type", "POST", "/v1/functions/no/such/a", "1", JSON),
	(415, "bad_request", "POST", PLAY, "1", {"Content-Type": "text/plain"}),
	(400, "bad_request", "POST", PLAY + "?mode=maybe", "1", JSON),
	(400, "bad_request", "POST", PLAY + "?timeout_ms=soon", "1", JSON),
	(400, "bad_request", "POST", PLAY, "nonsense", JSON),
	(400, "bad_request", "POST", PLAY, '{"a":1,"a":2}', JSON),
	(400, "bad_request", "POST", PLAY, "123456789012345678901234567890", JSON),
	(400, "bad_request", "POST", PLAY, '{"base64":"*"}', JSON),
	(400, "bad_utf8", "POST", PLAY, b'"\xff"', JSON),
	(400, "too_deep", "POST", PLAY, "[" * 99 + "]" * 99, JSON),
	(400, "too_deep", "POST", PLAY, "[" * 9999 + "]" * 9999, JSON),
	(400, "too_deep", "POST", PLAY, b"\x91" * 99 + b"\x01", MSGPACK),
	(400, "bad_request", "POST", PLAY, b"\x92\x01", MSGPACK),
	(400, "bad_request", "POST", PLAY, b"\x01\x01", MSGPACK),
	(400, "bad_request", "POST", PLAY, b"\xc1", MSGPACK),
	(413, "too_large", "POST", PLAY, '"' + "x" * 1100000 + '"', JSON),
	(422, "function_failed", "POST", PLAY, '{"fail":"no"}', JSON),
	(408, "timeout", "POST", PLAY + "?timeout_ms=30", "{}", JSON),
	(400, "bad_request", "POST", PLAY, "1", {**JSON, "Idempotency-Key": ""}),
	(400, "bad_request", "POST", PLAY, "1", {**JSON, "Idempotency-Key": "k" * 256}),
	(404, "unknown_type", "GET", "/v1/state/no/such", None, {}),
	(404, "not_found", "GET", "/v1/state/test/play/nobody", None, {}),
	(400, "bad_id", "GET", "/v1/state/test/play/" + "x" * 256, None, {}),
	(400, "bad_id", "GET", "/v1/state/test/play?after=" + "x" * 256, None, {}),
	(404, "unknown_egress", "GET", "/v1/egresses/nope", None, {}),
	(400, "bad_request", "GET", "/v1/egresses/play?from=never", None, {}),
	(400, "bad_request", "POST", "/v1/plugins", "{}", JSON),
	(400, "bad_request", "POST", "/v1/plugins", '{"path":"here.so"}', JSON),
	(404, "not_found", "POST", "/v1/plugins", '{"path":"/nonexistent.so"}', JSON),
	(422, "refused", "POST", "/v1/plugins", '{"path":"/etc/hostname"}', JSON),
	(422, "refused", "POST", "/v1/plugins", '{"path":"/bin/sh"}', JSON),
	(422, "refused", "POST", "/v1/plugins", '{"path":"/"}', JSON),
	(404, "not_found", "DELETE", "/v1/plugins/nobody", None, {}),
	(404, "not_found", "DELETE", "/v1/plugins/" + "n" * 99, None, {}),
	(404, "not_found", "GET", "/v1/plugins/nobody/versions", None, {}),
	(404, "not_found", "POST", "/v1/plugins/nobody/migrate", None, {}),
	(404, "not_found", "POST", "/v1/plugins/nobody/swap", '{"version":"1.0.0"}', JSON),
	(404, "not_found", "POST", "/v1/plugins/play/swap", '{"version":"9.0.0"}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", "{}", JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", '{"version":1}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", '{"version":"1.0.0","drain":"all"}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", '{"version":"1.0.0","canary":0}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/promote", '{"canary":50}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/rollback", '{"canary":50}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", '{"version":"1.0.0","deadline_ms":-1}', JSON),
	(400, "bad_request", "POST", "/v1/plugins/play/swap", '{"version":"1.0.0","no_way_back":1}', JSON),
	(409, "conflict", "POST", "/v1/plugins/play/promote", "{}", JSON),
	(404, "not_found", "POST", "/v1/plugins/nobody/promote", "{}", JSON),
	(409, "conflict", "POST", "/v1/plugins/play/rollback", "{}", JSON),
	(404, "not_found", "POST", "/v1/plugins/nobody/rollback", "{}", JSON),
]


def http_ask(host, method, path, body, headers):
	status, _, answer = host.http.raw(method, path, body, headers)
	expect(status >= 400, f"{method} {path[:80]}: {status} {answer[:200]!r}")
	return status, complete(json.loads(answer)["error"])


def test_http(test):
	host = Host(test, settings={"retry.attempts": 1}).start()
	host.http.post(PLAY, {"add": 1, "reply": True, "emit": {"egress": "play", "payload": 1}})
	for status, code, method, path, body, headers in HTTP:
		found, error = http_ask(host, method, path, body, headers)
		expect_equal((found, error["code"]), (status, code), f"{method} {path[:80]} {str(body)[:60]}: {error}")
	test.note(f"{len(HTTP)} errors")


def test_http_of_keys(test):
	"""The answers of a key: still running, another body, no more room; at both doors, and there is room again behind them."""
	host = Host(test, settings={"retry.attempts": 3, "retry.backoff_ms": 600, "idempotency.keys_max": 3}).start()
	keyed = lambda id, body, key="k", mode="call": http_ask(host, "POST", f"/v1/functions/test/play/{id}?mode={mode}", body, {**JSON, "Idempotency-Key": key})
	running = threading.Thread(target=lambda: host.rpc().call("test/play", "slow", {"fail_times": 2, "reply": True}, key="k"))
	running.start()
	wait_until(lambda: host.status()["retrying"] == 1, what="a request that runs")
	with host.rpc() as rpc:
		call = lambda id, payload, key="k", method="call": complete(harness.raised(RpcError, lambda: rpc.answer(rpc.request(method,
			{"to": "test/play", "id": id, "payload": payload, "key": key}))).error)
		expect_equal(call("slow", {"fail_times": 2, "reply": True})["code"], "conflict", "still running, by RPC")
		expect_equal(call("slow", {"add": 1})["code"], "conflict", "another body, by RPC")
		running.join()
		for n in range(2):
			rpc.call("test/play", f"a{n}", {"reply": True}, key="k")
		wait_until(lambda: host.metrics()["sofun_idempotency_keys"] == 3, what="three keys")
		expect_equal({call("b", {"add": 1, "reply": True}, method=method)["code"] for method in ("call", "send")}, {"keys_full"}, "no room, by RPC")
		for mode in ("call", "send"):
			expect_equal(keyed("b", '{"add":1,"reply":true}', mode=mode)[0], 429, f"no room, by HTTP, {mode}")
		expect_equal(keyed("a0", '{"add":9}')[0], 422, "another body, by HTTP")
		host.http.post("/v1/config", {"idempotency.keys_max": 5})
		expect_equal(rpc.call("test/play", "b", {"add": 1, "reply": True}, key="k"), 1, "room again: what was refused left nothing")
		status, _, _ = host.http.raw("POST", "/v1/functions/test/play/c", '{"add":1,"reply":true}', {**JSON, "Idempotency-Key": "k"})
		expect_equal(status, 200, "by HTTP, too")
		expect_equal(keyed("d", '{"add":1}')[0], 429, "full again")


def test_what_is_no_http(test):
	host = Host(test, settings={"limits.frame_bytes": 1 << 20, "limits.message_bytes": 1 << 20}).start()
	for request, status in ((b"nonsense\r\n\r\n", 400), (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
			(b"POST /v1/barrier HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", 413)):
		with connected(host.control, 10) as sock:
			sock.sendall(request)
			text = b""
			while chunk := sock.recv(4096):
				text += chunk
		head, _, body = text.partition(b"\r\n\r\n")
		expect_equal(int(head.split()[1]), status, f"status for {request[:20]!r}: {head!r}")
		complete(json.loads(body)["error"])


# ---- RPC ----

SEND = {"to": "test/play", "id": "a", "payload": {}}
SUBSCRIBE = {"egress": "play", "from": "earliest"}
INGEST = {"ingress": "play", "producer": "p", "first": 1, "records": []}

RPC = [
	("unknown_method", "nonsense", {}), ("unknown_method", "", {}),
	("bad_request", "send", None), ("bad_request", "send", 7), ("bad_request", "send", {"to": "test/play", "id": "a"}),
	("bad_request", "send", {**SEND, "x": 1}), ("bad_request", "send", {**SEND, "": 1}), ("bad_request", "send", {**SEND, 7: 1}),
	("bad_request", "send", {**SEND, "to": 7}), ("bad_request", "send", {**SEND, "to": ""}), ("bad_request", "send", {**SEND, "to": "noslash"}),
	("bad_utf8", "send", {**SEND, "to": b"a/\xff".decode("utf-8", "surrogateescape")}), ("bad_request", "send", {**SEND, "to": "a/" + "x" * 300}),
	("bad_id", "send", {**SEND, "id": ""}), ("bad_id", "send", {**SEND, "id": "x" * 256}),
	("bad_utf8", "send", {**SEND, "id": b"\xff".decode("utf-8", "surrogateescape")}), ("bad_request", "send", {**SEND, "id": 7}),
	("bad_request", "send", {**SEND, "key": ""}), ("bad_request", "send", {**SEND, "key": "k" * 256}), ("bad_request", "send", {**SEND, "type": "t" * 256}),
	("bad_request", "call", {**SEND, "timeout_ms": 0}), ("too_large", "send", {**SEND, "payload": "x" * (1 << 20)}),
	("unknown_type", "send", {**SEND, "to": "no/such"}), ("unknown_type", "call", {**SEND, "to": "no/such"}),
	("function_failed", "call", {**SEND, "payload": {"fail": "no"}}), ("timeout", "call", {**SEND, "timeout_ms": 30}),
	("unknown_ingress", "ingest", {**INGEST, "ingress": "nope"}), ("unknown_ingress", "ingest", {**INGEST, "ingress": ""}),
	("unknown_ingress", "ingest", {**INGEST, "ingress": "n" * 200}), ("bad_request", "ingest", {**INGEST, "producer": ""}),
	("bad_request", "ingest", {**INGEST, "producer": "p" * 201}), ("bad_request", "ingest", {**INGEST, "first": 0}),
	("bad_request", "ingest", {**INGEST, "first": 2}), ("gap", "ingest", {**INGEST, "first": 9, "records": [{"id": "a", "msg": {}}]}),
	("too_large", "ingest", {**INGEST, "records": ["x" * (1 << 20)]}),
	("unknown_egress", "subscribe", {**SUBSCRIBE, "egress": "nope"}), ("bad_request", "subscribe", {**SUBSCRIBE, "from": "soon"}),
	("bad_request", "subscribe", {**SUBSCRIBE, "from": "acked"}), ("bad_request", "subscribe", {**SUBSCRIBE, "from": ""}),
	("bad_request", "subscribe", {**SUBSCRIBE, "window": 0}), ("bad_request", "subscribe", {**SUBSCRIBE, "name": ""}),
	("bad_request", "subscribe", {**SUBSCRIBE, "egress": ""}), ("conflict", "ack", {"egress": "play", "name": "n", "next": 999999}),
	("unknown_egress", "ack", {"egress": "nope", "name": "n", "next": 0}), ("bad_request", "auth", {"token": ""}),
]


def deep(levels):
	value = 1
	for _ in range(levels):
		value = [value]
	return value


def rpc_ask(rpc, method, params):
	rpc.number += 1
	rpc.raw(msgpack.packb([0, rpc.number, method, [] if params is None else [params]], unicode_errors="surrogateescape"))
	return complete(harness.raised(RpcError, lambda: rpc.answer(rpc.number)).error)


def test_rpc(test):
	host = Host(test, settings={"retry.attempts": 1}).start()
	host.http.post(PLAY, {"reply": True, "emit": {"egress": "play", "payload": 1}})
	with host.rpc() as rpc:
		for code, method, params in RPC + [("too_deep", "send", {**SEND, "payload": deep(70)})]:
			expect_equal(rpc_ask(rpc, method, params)["code"], code, f"{method} {str(params)[:100]}")
		rpc.ingest("play", "p", 1, [{"id": "a", "msg": {}}])
		with host.rpc() as younger:
			younger.ingest("play", "p", 2, [{"id": "a", "msg": {}}])
		expect_equal(rpc_ask(rpc, "ingest", {**INGEST, "first": 3, "records": [{"id": "a", "msg": {}}]})["code"], "producer_busy", "the older connection")
		for n in range(16384 + 1):
			rpc.number += 1
			rpc.raw(msgpack.packb([0, rpc.number, "subscribe", [SUBSCRIBE]]))
			try:
				rpc.answer(rpc.number)
			except RpcError as error:
				expect_equal(error.code, "refused", f"after {n} subscriptions")
				break
		else:
			raise harness.Failed("a connection may have as many subscriptions as it likes")
	test.note(f"{len(RPC) + 3} errors")


def test_a_name_that_is_lost_says_why(test):
	host = Host(test).start()
	host.http.post(PLAY, {"reply": True, "emit": {"egress": "play", "payload": 1}})
	with host.rpc() as older, host.rpc() as younger:
		older.answer(older.request("subscribe", {**SUBSCRIBE, "name": "n"}))
		younger.answer(younger.request("subscribe", {**SUBSCRIBE, "name": "n"}))
		frames = iter(older.frame, None)
		complete(next(frame for frame in frames if frame[:2] == [2, "ended"])[2][0])


def test_frames_that_cannot_be_read(test):
	host = Host(test, settings={"limits.frame_bytes": 1 << 20, "limits.message_bytes": 1 << 20}).start()
	for frame, code in ((b"\xc1", "bad_request"), (msgpack.packb({"a": 1}), "bad_request"), (msgpack.packb([0, -1, "send", [{}]]), "bad_request"),
			(b"GET / HTTP/1.1\r\n\r\n", "bad_request"), (b"\x94\x00\x01\xa4send\x91\x81\xa1x\xc6\x7f\xff\xff\xff", "too_large"),
			(b"\x94\x00\x01\xa4send" + b"\x91" * 5000, "too_deep")):
		with connected(host.socket, 10) as sock:
			sock.sendall(frame)
			unpacker = msgpack.Unpacker(raw=False)
			while chunk := sock.recv(4096):
				unpacker.feed(chunk)
			answer = next(iter(unpacker))
		expect_equal((answer[0], answer[2]["code"]), (1, code), f"answer to {frame[:20]!r}")
		complete(answer[2])


# ---- the command ----

def test_the_command(test):
	host = Host(test, plugins=("counter", "play"), settings={"retry.attempts": 1}).start()
	run = lambda *words: subprocess.run([test.find("sofun"), "--data", str(host.data), *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
	for exit, words in ((2, []), (2, ["nonsense"]), (2, ["status", "--nonsense"]), (2, ["load"]), (2, ["dead", "eat"]), (2, ["dead", "drop"]), (2, ["state", "noslash"]),
			(2, ["call", "demo/counter", "a", "nonsense"]), (2, ["tail", "play", "--from", "soon"]), (2, ["wait", "--timeout", "x"]),
			(1, ["call", "demo/counter", "a", '"text"']), (4, ["call", "no/such", "a"]), (4, ["state", "demo/counter", "nobody"]), (4, ["dead", "show", "999999"]),
			(4, ["tail", "nope"]), (4, ["load", "/nonexistent.so"]), (5, ["load", "/etc/hostname"]), (4, ["swap", "counter", "9.9.9"]), (4, ["unload", "nobody"]),
			(4, ["ingest", "nope", "/etc/hostname"]), (4, ["ingest", "counter", "/nonexistent"]), (6, ["call", "test/play", "a", "{}", "--timeout", "0.05"]),
			(1, ["rollback", "counter"]), (4, ["inspect", "/nonexistent"]), (5, ["inspect", "/etc/hostname"])):
		ended = run("--json", *words)
		expect_equal(ended.returncode, exit, f"exit of {words}: {ended.stderr}")
		error = complete(json.loads(ended.stderr.splitlines()[-1]))
		if error["code"] not in ("function_failed", "failed"):
			complete_line(run(*words).stderr)
	host.stop()
	ended = run("--json", "status")
	expect_equal(ended.returncode, 3, "exit without a host")
	complete(json.loads(ended.stderr))


# ---- the start ----

def test_the_start(test):
	data, yaml = test.dir / "data", test.dir / "sofun.yaml"
	(test.dir / "other").mkdir()
	(test.dir / "other" / "notes.txt").write_text("mine")
	(test.dir / "file").write_text("no directory")
	taken = socket.create_server(("127.0.0.1", 0))
	port = taken.getsockname()[1]
	holder = Host(test, plugins=()).start()
	cases = [(2, ["--nonsense"]), (2, ["word"]), (2, ["--data"]), (2, ["--data="]), (2, ["--set"]), (2, ["--set", "x"]), (2, ["--set", "=1"]), (2, ["--set", "x=1"]),
		(2, ["--set", "shards=many"]), (2, ["--set", "shards="]), (2, ["--set", "shards=[1]"]), (2, ["--set", "shards={a: 1}"]), (2, ["--set", "shards=0"]),
		(2, ["--set", "durability=maybe"]), (2, ["--set", "durability=interval=0"]), (2, ["--set", "plugins.policy=never"]), (2, ["--set", "ingresses.x.format=xml"]),
		(2, ["--set", "listen.http=8080"]), (2, ["--set", 'listen.http=["tcp:nowhere.invalid:1"]']), (2, ["--set", 'listen.http=["tcp:0.0.0.0:1"]']),
		(2, ["--set", f'listen.data=["tcp:127.0.0.1:{port}"]']), (2, ["--set", "tls.certificate=/nonexistent"]),
		(2, ["--set", 'listen.http=["tcp:127.0.0.1:0"]', "--set", "tls.certificate=/nonexistent", "--set", "tls.key=/nonexistent"]),
		(2, ["--set", 'listen.http=["tcp:127.0.0.1:0"]', "--set", "auth.tokens=/nonexistent"]),
		(2, ["--set", 'listen.http=["tcp:127.0.0.1:0"]', "--set", "auth.tokens=/etc/hostname"]),
		(2, ["--set", "egresses.a.sink.rotate_bytes=9999"]), (2, ["--set", "limits.frame_bytes=1MiB", "--set", "limits.message_bytes=2MiB"]),
		(2, ["--test-clock", "noon"]), (2, ["--config", "/nonexistent"]), (2, ["--config", str(test.dir)]), (2, ["--settings", "runes"]),
		(2, ["--data", str(test.dir / ("x" * 120))]), (3, ["--data", str(test.dir / "file")]), (3, ["--data", str(test.dir / "file" / "below")]),
		(3, ["--data", str(test.dir / "other")]), (3, ["--data", str(holder.data)]), (3, ["--verify", "/nonexistent"]), (3, ["--verify", str(test.dir / "file")])]
	for text in ("a: [\n", "\tx: 1\n", "shards: 1\nshards: 2\n", "- a\n", "shards:\n  a: 1\n", "limits:\n  nesting: deep\n", "limit:\n  nesting: 1\n", "listen.http: 7\n",
			"a: &x 1\nb: *y\n", "shards: 1\n---\nshards: 2\n", "x" * (2 << 20), "shards: \"1\\0\"\n", "shards: [1, 2]\n", "? [a]\n: 1\n"):
		cases.append((2, ["--config", text]))
	for exit, words in cases:
		if words[0] == "--config" and "\n" in words[1] or words[-1].startswith("xxxx"):
			yaml.write_text(words[1])
			words = ["--config", str(yaml)]
		line = [str(test.find("sofund")), *words]
		if not any(word.startswith(("--data", "--verify")) for word in words):
			line += ["--data", str(data)]
		ended = subprocess.run(line, capture_output=True, text=True, timeout=30)
		expect_equal(ended.returncode, exit, f"exit of {words}: {ended.stderr[-500:]}")
		complete_line(ended.stderr)
	expect(not data.exists() or not (data / "runtime").exists(), "no store was made")
	taken.close()
	test.note(f"{len(cases)} ways not to start")


# ---- what cannot be provoked ----

SET = re.compile(r"\b(?:error_set|error_system|config_refuse)\s*\(")
# The store's damage is told by what it is; a mistake of the host's own has no remedy.
ELSEWHERE = ("ERROR_STORE_FAILED", "ERROR_INTERNAL")


def sites(path):
	"""(line, call, the rest of the function) of each place that makes an error."""
	text = path.read_text()
	for match in SET.finditer(text):
		line = text[text.rfind("\n", 0, match.start()) + 1:match.end()]
		if re.match(r"(?:static )?(?:bool|void)\b", line):
			continue  # its definition
		rest = text[match.start():text.index("\n}\n", match.start())]
		call = rest[:rest.index(";")]
		if "place->source" not in call and not any(code in call for code in ELSEWHERE):
			yield text.count("\n", 0, match.start()) + 1, call, rest


def lacking(call, rest):
	said = {"found": "_found(" in rest or "_found_text(" in rest or "error_system" in call, "expected": "error_expected(" in rest, "hint": "error_hint(" in rest}
	if "error_advise(" in rest:
		said["expected"] = said["hint"] = True
	return [what for what in said if not said[what]]


def test_every_place_that_makes_an_error_says_all(test):
	found = [(f"{path.relative_to(HOST_SOURCE)}:{line}", lacking(call, rest)) for path in sorted(HOST_SOURCE.rglob("*.c"))
		if str(path.relative_to(HOST_SOURCE)) != "base/error.c" for line, call, rest in sites(path)]
	expect(len(found) > 120, f"places found: {len(found)}")
	expect_equal([place for place in found if place[1]], [], "places that do not say all")
	test.note(f"{len(found)} places")


if __name__ == "__main__":
	harness.main(globals())
