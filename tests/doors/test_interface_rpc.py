#!/usr/bin/python3
"""Every RPC call and every error code, by a client that was written from INTERFACE.md alone, with python3-msgpack. It shares
nothing with tests/lib/rpc.py, so that a mistake that both the host and our other client make is seen."""

import socket
import sys
import threading
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host

# The codes of the interface, and those that no RPC call can give: refused is of plugins, not_found of other paths, forbidden of
# rights. test_interface_curl.py sees them.
CODES = {"bad_request", "unknown_method", "unknown_ingress", "unknown_egress", "unknown_type", "bad_id", "bad_utf8", "too_large",
	"too_deep", "gap", "producer_busy", "function_failed", "timeout", "conflict", "stopping", "store_failed"}
seen = set()

MIB = 1 << 20


class Gone(Exception):
	"""The host closed the connection."""


class Refused(Exception):
	"""The error slot of an answer: {code, message, found, expected, hint}."""

	def __init__(self, error):
		super().__init__(repr(error))
		expect(isinstance(error, dict) and isinstance(error.get("code"), str) and error.get("message"), f"an error map: {error!r}")
		expect(set(error) <= {"code", "message", "found", "expected", "hint", "accepted", "durable"}, f"keys of {error!r}")
		self.code, self.error = error["code"], error
		seen.add(self.code)


class Client:
	"""One connection. A request is [0, msgid, method, [map]], an answer [1, msgid, error, result]."""

	def __init__(self, host):
		self.socket = socket.socket(socket.AF_UNIX)
		self.socket.settimeout(30)
		self.socket.connect(str(host.data / "data.sock"))
		self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
		self.next_id = 0
		self.notices = []

	def close(self):
		self.socket.close()

	def write(self, data):
		self.socket.sendall(data)

	def frame(self):
		while True:
			for frame in self.unpacker:
				return frame
			data = self.socket.recv(1 << 16)
			if not data:
				raise Gone
			self.unpacker.feed(data)

	def ask(self, method, *params):
		"""Writes a request; its msgid."""
		self.next_id += 1
		self.write(msgpack.packb([0, self.next_id, method, list(params)]))
		return self.next_id

	def answer(self):
		"""(msgid, error, result) of the next answer; notifications on the way are kept."""
		while True:
			frame = self.frame()
			if frame[0] == 1:
				expect_equal(len(frame), 4, f"length of an answer {frame!r}")
				return frame[1:]
			expect(frame[0] == 2 and len(frame) == 3, f"a notification: {frame!r}")
			self.notices.append(frame)

	def do(self, method, *params):
		id = self.ask(method, *params)
		got, error, result = self.answer()
		expect_equal(got, id, "msgid")
		if error is not None:
			raise Refused(error)
		return result

	def refusal(self, code, method, *params):
		try:
			result = self.do(method, *params)
		except Refused as refused:
			expect_equal(refused.code, code, f"code of {method} {str(params)[:200]}: {refused}")
			return refused.error
		raise harness.Failed(f"{method} {str(params)[:200]} was answered {result!r}, not refused as {code}")

	def refusal_of(self, method, *params):
		"""The code of its refusal, or a text with the answer."""
		try:
			return f"answered {self.do(method, *params)!r}"
		except Refused as refused:
			return refused.code

	def records(self):
		"""The map of the next "records" notification."""
		while not self.notices:
			frame = self.frame()
			expect_equal(frame[0], 2, f"a notification, not {frame!r}")
			self.notices.append(frame)
		kind, name, params = self.notices.pop(0)
		expect_equal((name, len(params)), ("records", 1), "a notification")
		return params[0]


def started(test, **settings):
	host = Host(test, plugins=("counter", "play"), settings={"retry.backoff_ms": 1, "retry.backoff_ms_max": 1, **settings}).start()
	host.wait_live("counter")
	host.wait_live("play")
	return host


def dead_letters(host):
	return [(letter["to"], letter["code"]) for letter in host.http.get("/v1/dead")["dead"]]


# ---- send, call ----


def test_send_and_call(test):
	client = Client(started(test))
	epoch = client.do("send", {"to": "demo/counter", "id": "a", "payload": 5})
	expect(set(epoch) == {"epoch"} and epoch["epoch"] > 0, f"durable in {epoch}")
	expect_equal(client.do("call", {"to": "demo/counter", "id": "a", "payload": None})["payload"], 6, "nil counts one")
	expect_equal(client.do("call", {"to": "demo/counter", "id": b"a", "payload": 1, "timeout_ms": 5000})["payload"], 7, "bin id, same instance")
	expect_equal(client.do("call", {"to": "demo/counter", "id": b"\xff\x00", "payload": 1})["payload"], 1, "an id of any bytes")
	expect_equal(client.do("call", {"to": "demo/counter", "id": "é" * 127, "payload": -2, "type": "step"})["payload"], -2, "with a type")
	expect_equal(client.do("call", {"to": "demo/counter", "id": b"x" * 255, "payload": 1})["payload"], 1, "the longest id")


def test_pipelining(test):
	client = Client(started(test))
	asked = {}
	batch = b""
	for i in range(2000):
		batch += msgpack.packb([0, i + (2**32 - 3000), "call", [{"to": "demo/counter", "id": f"i{i % 50}", "payload": 1}]])
	threading.Thread(target=client.write, args=(batch,), daemon=True).start()
	for _ in range(2000):
		id, error, result = client.answer()
		expect(error is None and id not in asked, f"one good answer a request: {id} {error!r}")
		asked[id] = result["payload"]
	for k in range(50):
		mine = [asked[i + (2**32 - 3000)] for i in range(k, 2000, 50)]
		expect_equal(mine, list(range(1, 41)), f"one sender's calls of i{k} in their order")


def test_failures_of_functions(test):
	host = started(test)
	client = Client(host)
	error = client.refusal("function_failed", "call", {"to": "demo/counter", "id": "a", "payload": "text"})
	expect("integer" in error["message"], f"the function's text: {error}")
	client.refusal("timeout", "call", {"to": "test/play", "id": "a", "payload": {"add": 1}, "timeout_ms": 100})
	expect_equal(host.values("test/play", "a")["count"], 1, "its effects stand")
	client.refusal("unknown_type", "call", {"to": "no/such", "id": "a", "payload": 1})
	client.refusal("unknown_type", "send", {"to": "no/such", "id": "a", "payload": 1})
	expect_equal(dead_letters(host), [("demo/counter", "function_failed"), ("no/such", "unknown_type"), ("no/such", "unknown_type")], "dead letters")


def test_keys_of_idempotency(test):
	host = started(test)
	client = Client(host)
	once = {"to": "demo/counter", "id": "a", "payload": 1, "key": "k"}
	try:
		expect_equal(client.do("call", once)["payload"], 1, "the first")
	except Refused as refused:
		expect_equal(refused.code, "not_found", "what comes with a later issue")
		seen.discard("not_found")
		raise Skip("this host has no idempotency keys yet") from None
	expect_equal(client.do("call", once)["payload"], 1, "the stored answer")
	expect_equal(client.do("call", {**once, "key": "other"})["payload"], 2, "another key")
	expect_equal(client.do("call", {**once, "id": "b"})["payload"], 1, "another scope")
	client.refusal("conflict", "call", {**once, "payload": 2})
	host.kill()
	host.start()
	client = Client(host)
	expect_equal(client.do("call", once)["payload"], 1, "the stored answer behind a kill")
	expect_equal(host.values("demo/counter", "a")["count"], 2, "handled once each")


# ---- ingest ----


def test_ingest(test):
	host = started(test)
	client = Client(host)
	ingest = lambda first, records, producer="p", ingress="counter": client.do(
		"ingest", {"ingress": ingress, "producer": producer, "first": first, "records": records})["durable"]
	expect_equal(ingest(1, []), 0, "the position of a producer that nobody knows")
	expect_equal(ingest(1, [b"a", "b", b"a"]), 3, "records as bin or str")
	expect_equal(ingest(1, []), 3, "asked again")
	expect_equal(ingest(2, [b"b", b"a", b"c"]), 4, "what was accepted is skipped")
	error = client.refusal("gap", "ingest", {"ingress": "counter", "producer": "p", "first": 6, "records": [b"a"]})
	expect_equal((error["accepted"], error["durable"]), (4, 4), "the gap's position")
	expect_equal(ingest(1, [b"a"], producer="q"), 1, "each producer has its own")
	expect_equal(ingest(1, [{"id": "x", "msg": {"add": 7}}], ingress="play"), 1, "msgpack: any object")
	expect_equal(ingest(2, [b"\xff" * 300, b"", b"z\r"], producer="q"), 4, "a router's error consumes its record")
	host.barrier()
	expect_equal({id: values["count"] for id, values in host.dump("demo/counter").items()}, {"a": 3, "b": 1, "c": 1, "z": 1}, "counts")
	expect_equal(host.values("test/play", "x")["count"], 7, "count")
	expect_equal([code for _, code in dead_letters(host)], ["router_failed"] * 2, "dead letters")
	client.refusal("unknown_ingress", "ingest", {"ingress": "nobody", "producer": "p", "first": 1, "records": [b"a"]})
	expect_equal(ingest(5, [b"a"]), 5, "an unknown ingress consumed nothing")


def test_a_second_connection_of_a_producer_fences_the_first(test):
	host = started(test)
	first, second = Client(host), Client(host)
	records = {"ingress": "counter", "producer": "p", "first": 1, "records": [b"a"]}
	expect_equal(first.do("ingest", records)["durable"], 1, "the first")
	expect_equal(second.do("ingest", {**records, "records": []})["durable"], 1, "a question fences nobody")
	expect_equal(first.do("ingest", {**records, "first": 2})["durable"], 2, "so it goes on")
	expect_equal(second.do("ingest", {**records, "first": 3})["durable"], 3, "the second")
	first.refusal("producer_busy", "ingest", {**records, "first": 4})
	expect_equal(second.do("ingest", {**records, "first": 4})["durable"], 4, "the second goes on")


# ---- subscribe, ack ----


def emit(client, count, start=0):
	for i in range(start, start + count):
		client.do("send", {"to": "test/play", "id": "x", "payload": {"emit": {"egress": "play", "payload": i}}})


def taken(client, count):
	"""So many records, as (offset, payload)."""
	records = []
	while len(records) < count:
		notice = client.records()
		for k, record in enumerate(notice["records"]):
			expect_equal((set(record), record["source"]["type"], record["source"]["id"]), ({"time_ms", "source", "payload"}, "test/play", "x"), "a record")
			records.append((notice["first"] + k, record["payload"]))
	return records


def test_subscribe_and_ack(test):
	host = started(test)
	client = Client(host)
	client.refusal("unknown_egress", "subscribe", {"egress": "no-such", "from": 0})
	emit(client, 5)
	host.barrier()
	answer = client.do("subscribe", {"egress": "play", "from": 2})
	expect({"subscription", "next"} <= set(answer) and answer["next"] == 2, f"the answer: {answer}")
	expect_equal(taken(client, 3), [(2, 2), (3, 3), (4, 4)], "from an offset")
	emit(client, 1, 5)
	expect_equal(taken(client, 1), [(5, 5)], "what is new")
	for place, offset in (("earliest", 0), ("latest", 6)):
		other = Client(host)
		expect_equal(other.do("subscribe", {"egress": "play", "from": place})["next"], offset, place)
		if place == "earliest":
			expect_equal(taken(other, 6), [(i, i) for i in range(6)], "from the earliest")
		else:
			emit(client, 1, 6)
			expect_equal(taken(other, 1), [(6, 6)], "only what is new")
		other.close()


def test_a_window_is_refilled_by_acks_that_are_durable(test):
	host = started(test)
	writer = Client(host)
	emit(writer, 10)
	host.barrier()
	client = Client(host)
	answer = client.do("subscribe", {"egress": "play", "from": "acked", "name": "reader", "window": 4})
	expect_equal(answer["next"], 0, "nothing acked yet: from the first")
	expect_equal(taken(client, 4), [(i, i) for i in range(4)], "a window")
	client.socket.settimeout(0.3)
	try:
		raise harness.Failed(f"beyond the window: {client.records()}")
	except socket.timeout:
		pass
	client.socket.settimeout(30)
	expect_equal(client.do("ack", {"egress": "play", "name": "reader", "next": 3}), {"next": 3}, "ack")
	expect_equal(taken(client, 3), [(4, 4), (5, 5), (6, 6)], "refilled by as many")
	host.kill()
	host.start()
	again = Client(host)
	expect_equal(again.do("subscribe", {"egress": "play", "from": "acked", "name": "reader", "window": 100})["next"], 3, "behind a kill")
	expect_equal(taken(again, 7), [(i, i) for i in range(3, 10)], "every offset from there on")
	again.refusal("conflict", "ack", {"egress": "play", "name": "reader", "next": 1000})
	again.refusal("unknown_egress", "ack", {"egress": "no-such", "name": "reader", "next": 0})


# ---- what is wrong ----


def test_params_that_are_wrong(test):
	client = Client(started(test))
	client.refusal("unknown_method", "nonsense", {})
	good = {
		"send": {"to": "demo/counter", "id": "a", "payload": 1},
		"call": {"to": "demo/counter", "id": "a", "payload": 1},
		"ingest": {"ingress": "counter", "producer": "p", "first": 1, "records": []},
		"subscribe": {"egress": "play", "from": 0},
		"ack": {"egress": "play", "name": "n", "next": 0},
	}
	for method, params in good.items():
		client.refusal("bad_request", method)
		client.refusal("bad_request", method, params, params)
		client.refusal("bad_request", method, 7)
		client.refusal("bad_request", method, {**params, "nonsense": 1})
		client.refusal("bad_request", method, {**params, 7: 1})
		for key in params:
			client.refusal("bad_request", method, {name: value for name, value in params.items() if name != key})
			if key not in ("payload", "id"):
				client.refusal("bad_request", method, {**params, key: {"a": "map"}})
	for id in ("", b"", "x" * 256, b"x" * 256):
		for method in ("send", "call"):
			client.refusal("bad_id", method, {**good[method], "id": id})
	for id in (7, None, ["a"]):
		expect(client.refusal_of("send", {**good["send"], "id": id}) in ("bad_request", "bad_id"), f"id {id!r}")
	client.refusal("bad_request", "send", {**good["send"], "to": "noslash"})
	for first in (0, -1, 2**53):
		client.refusal("gap" if first > 0 else "bad_request", "ingest", {**good["ingest"], "first": first, "records": [b"a"]})
	client.refusal("bad_request", "ingest", {**good["ingest"], "first": 2})  # a question needs 1
	for timeout in (-1, "1", 1.5):
		client.refusal("bad_request", "call", {**good["call"], "timeout_ms": timeout})
	for place in (-1, "middle", 1.5, None):
		client.refusal("bad_request", "subscribe", {**good["subscribe"], "from": place})
	expect_equal(client.do("call", good["call"])["payload"], 1, "the connection goes on, and nothing of it counted")


def test_bad_utf8(test):
	client = Client(started(test))
	def ask(method, params, key):
		"""The request with a str of bad UTF-8 as the value of `key`."""
		frame = msgpack.packb([0, 7, method, [{**params, key: "\x01marker\x01"}]])
		client.write(frame.replace(msgpack.packb("\x01marker\x01"), b"\xa9de/mo\xff\xfe\xfd\xfc"))
		id, error, _ = client.answer()
		expect_equal((id, Refused(error).code), (7, "bad_utf8"), f"{method} with a bad {key}: {error}")

	send = {"to": "demo/counter", "id": "a", "payload": 1}
	for key in ("to", "id", "type"):
		ask("send", send, key)
		ask("call", send, key)
	for key in ("ingress", "producer"):
		ask("ingest", {"ingress": "counter", "producer": "p", "first": 1, "records": []}, key)
	frame = msgpack.packb([0, 8, "call", [{**send, "payload": "\x01marker\x01"}]])
	client.write(frame.replace(msgpack.packb("\x01marker\x01"), b"\xa9de/mo\xff\xfe\xfd\xfc"))
	expect_equal(Refused(client.answer()[1]).code, "function_failed", "a payload passes as it is, to the function")


def test_limits(test):
	host = started(test, **{"limits.message_bytes": 4096, "limits.frame_bytes": 65536, "limits.nesting": 8})
	client = Client(host)
	send = lambda payload: {"to": "test/play", "id": "a", "payload": payload}
	deep = None
	for _ in range(9):
		deep = [deep]
	client.refusal("too_large", "send", send("x" * 5000))
	client.refusal("too_deep", "send", send(deep))
	client.refusal("too_large", "ingest", {"ingress": "counter", "producer": "p", "first": 1, "records": [b"x" * 5000]})
	expect_equal(client.do("send", send({"add": 1})).keys(), {"epoch"}, "the connection goes on")
	other = Client(host)
	for wrong, code in ((b"\xdd\x00\x10\x00\x00", None), (msgpack.packb([0, 1, "send", [send("x" * 70000)]]), "too_large")):
		client = Client(host)
		try:
			client.write(wrong + b"\x00" * 200000)
		except OSError:
			pass  # the host may have closed it already
		ends_with(client, code)
	client = Client(host)
	client.write(b"\x94\x00\x01\xa4send" + b"\x91" * 5000 + b"\xc0")
	ends_with(client, "too_deep")
	expect_equal(other.do("send", send({"add": 1})).keys(), {"epoch"}, "nobody else notices")


def ends_with(client, code):
	"""[1, 0, error, nil], then the end of this connection. code None: any."""
	try:
		id, error, result = client.answer()
		refused = Refused(error)
		expect_equal((id, result, refused.code if code else None), (0, None, code), f"the last words: {error}")
		data = client.frame()
	except (Gone, ConnectionResetError):
		return
	raise harness.Failed(f"the connection goes on with {data!r}")


def test_frames_that_are_none(test):
	host = started(test)
	other = Client(host)
	for frame in (b"\xc1", b"\x07", msgpack.packb("hello"), msgpack.packb([]), msgpack.packb([0, 1]), msgpack.packb([3, 1, "send", []]),
			msgpack.packb([1, 0, None, None]), msgpack.packb([0, -1, "send", [{}]]), msgpack.packb([0, 2**32, "send", [{}]]),
			msgpack.packb([0, "1", "send", [{}]]), msgpack.packb([0, 1, 7, [{}]]), msgpack.packb({"a": 1})):
		client = Client(host)
		client.write(frame)
		ends_with(client, "bad_request")
	expect_equal(other.do("call", {"to": "demo/counter", "id": "a", "payload": 1})["payload"], 1, "nobody else notices")
	other.write(msgpack.packb([2, "nonsense", [{}]]))
	expect_equal(other.do("call", {"to": "demo/counter", "id": "a", "payload": 1})["payload"], 2, "an unknown notification is ignored")


# ---- the host's end ----


def test_who_waits_at_the_stop_is_told(test):
	host = started(test)
	client = Client(host)
	client.ask("call", {"to": "test/play", "id": "a", "payload": {"add": 1}, "timeout_ms": 60000})
	wait_until(lambda: host.status()["handled"] == 1, 20, "it is handled, and never replies")
	host.stop()
	expect_equal(Refused(client.answer()[1]).code, "stopping", "the answer")


def test_a_store_that_failed(test):
	test.need_plain_build("the sanitizer's library must come first")
	broken = test.dir / "broken"
	host = Host(test, plugins=("counter",), environment={"LD_PRELOAD": str(test.find("failing_sync.so")), "FAILING_SYNC": str(broken)}).start()
	host.wait_live("counter")
	client = Client(host)
	expect_equal(client.do("call", {"to": "demo/counter", "id": "a", "payload": 1})["payload"], 1, "before")
	broken.touch()
	client.refusal("store_failed", "send", {"to": "demo/counter", "id": "a", "payload": 1})
	expect_equal(host.wait_exit(), 4, "the exit code")


def test_every_code_was_seen(test):
	if len(seen) < 3:
		raise Skip("needs the tests before it")
	expect_equal(CODES - seen, set(), "codes that no test of this file has seen")
	expect_equal(seen - CODES, set(), "codes that the interface does not have, or that RPC does not give")


if __name__ == "__main__":
	harness.main(globals())
