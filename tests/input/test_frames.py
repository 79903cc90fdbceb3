#!/usr/bin/python3
"""Bad frames on the data socket: each gets its code, costs its own connection at most, and nobody else anything."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgpack

from lib import harness
from lib.beside import Beside
from lib.harness import expect, expect_equal, raised
from lib.host import Host
from lib.rpc import Closed, RpcError, request_bytes

# Settings that make a failed message dead at once: bad payloads are many here.
SETTINGS = {"retry.attempts": 1}
failure = partial(raised, RpcError)


def start(test, **more):
	return Host(test, plugins=("counter", "play", "hoard"), settings=SETTINGS, **more).start()


def text_bytes(*items):
	"""MessagePack in which bytes stand as str, whatever they hold: the way to say invalid UTF-8."""
	return b"".join(msgpack.packb(item, use_bin_type=False) for item in items)


def valid_frames():
	return [
		request_bytes(1, "call", {"to": "demo/counter", "id": "cut", "payload": 1, "timeout_ms": 1000}),
		request_bytes(2, "send", {"to": "test/play", "id": b"cut", "payload": {"add": 1}, "type": "t"}),
		request_bytes(3, "ingest", {"ingress": "counter", "producer": "cut", "first": 1, "records": ["cut", b"cut"]}),
		msgpack.packb([2, "send", [{"to": "demo/counter", "id": "cut", "payload": 1}]]),
	]


def expect_last_words(host, data, code):
	"""The connection gets [1, 0, {code}, nil] (or the code in the frame's own slot) and is closed."""
	with host.rpc() as rpc:
		rpc.raw(data)
		_, error, result = rpc.next_answer()
		expect_equal((error["code"], result), (code, None), f"answer to {data[:40]!r}")
		expect(error["message"], "an error has a message")
		expect(rpc.closed_by_host(), f"closed after {data[:40]!r}")


def expect_code(rpc, codes, method, params):
	"""The error in its own slot, and the connection goes on."""
	error = failure(lambda: rpc.answer(rpc.request(method, params)))
	codes = (codes,) if isinstance(codes, str) else codes
	expect(error.code in codes, f"{method} {str(params)[:100]}: got {error.error}, expected {codes}")


def test_frames_cut_off_at_every_byte(test):
	host = start(test)
	with Beside(host):
		for frame in valid_frames():
			for cut in range(1, len(frame)):
				with host.rpc() as rpc:
					rpc.raw(frame[:cut])
		with host.rpc() as rpc:
			expect_equal(rpc.call("demo/counter", "fence", 1), 1, "the host has seen the end of them")
	host.barrier()
	ids = [id for type in ("demo/counter", "test/play") for id in host.ids(type) if id == "cut"]
	expect_equal(ids, [], "instances that a cut frame made")


def test_frames_that_come_byte_by_byte(test):
	host = start(test)
	with Beside(host), host.rpc() as rpc:
		for frame in valid_frames():
			for at in range(len(frame)):
				rpc.raw(frame[at:at + 1])
		for number in (1, 2, 3):
			rpc.answer(number)
	host.barrier()
	expect_equal(host.values("demo/counter", "cut")["count"], 4, "two sends and two records")


def test_what_is_no_frame_is_answered_and_closed(test):
	host = start(test)
	shapes = [{}, 5, "x", None, [], [0], [0, 1, "call"], [3, 1, "call", [{}]], [0, -1, "call", [{}]], [0, 1 << 32, "call", [{}]],
		[0, "1", "call", [{}]], [0, 1.0, "call", [{}]], [0, 1, 5, [{}]], [0, 1, "call", [{}], 5], [2, "send"], [2, 5, [{}]],
		[1, 1, None, 5], ["call", {}]]
	with Beside(host):
		for shape in shapes:
			expect_last_words(host, msgpack.packb(shape), "bad_request")
		for data in (b"\xc1", b"\x94\x00\x01\xa4call\x91\xc1", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100):
			expect_last_words(host, data, "bad_request")


def test_oversized_frames_are_answered_at_the_header(test):
	host = start(test)
	frame_limit = 16 << 20
	head = b"\x94\x00\x01\xa4send\x91\x83\xa2to\xacdemo/counter\xa2id\xa1a\xa7payload"
	with Beside(host):
		for size in (frame_limit + 1, 1 << 30, (1 << 32) - 1):
			expect_last_words(host, head + b"\xc6" + size.to_bytes(4, "big"), "too_large")
			expect_last_words(host, head + b"\xdb" + size.to_bytes(4, "big"), "too_large")
		expect_last_words(host, b"\x94\x00\x01\xdb\xff\xff\xff\xff", "too_large")


def test_frames_that_grow_beyond_the_limit_are_stopped(test):
	"""No single length tells: an array of four thousand million elements that never ends."""
	host = start(test)
	with Beside(host), host.rpc() as rpc:
		rpc.raw(b"\x94\x00\x01\xa6ingest\x91\x84\xa7ingress\xa7counter\xa8producer\xa1p\xa5first\x01\xa7records\xdd\xff\xff\xff\xff")
		try:
			for _ in range(40):
				rpc.raw(b"\xa1x" * (1 << 18))
		except Closed:
			pass
		try:
			_, error, _ = rpc.next_answer()
			expect_equal(error["code"], "too_large", "code")
		except Closed:
			pass  # closed while more was being written: the answer may be lost with the connection's buffers
	host.barrier()
	expect("x" not in host.ids("demo/counter"), "nothing of it was taken")


def test_payloads_over_the_limit_get_their_code_and_the_connection_goes_on(test):
	host = start(test)
	with Beside(host), host.rpc() as rpc:
		large = "x" * ((1 << 20) + 10)
		for method in ("send", "call"):
			expect_code(rpc, "too_large", method, {"to": "hoard/box", "id": "a", "payload": large})
		rpc.do("ingest", ingress="counter", producer="large", first=1, records=["fits"])
		expect_code(rpc, "too_large", "ingest", {"ingress": "counter", "producer": "large", "first": 2, "records": [large]})
		expect_equal(rpc.position("counter", "large"), 1, "nothing of the batch was taken")
		fits = "x" * ((1 << 20) - 100)
		expect_equal(rpc.call("hoard/box", "a", fits), 1, "a payload just below the limit")
		expect(rpc.call("hoard/box", "a", None) == fits, "and it is kept whole")


def nested(depth, of=list):
	return (b"\x91" if of is list else b"\x81\xa1k") * depth + b"\xc0"


def test_payloads_nested_too_deep(test):
	host = start(test)
	frame = lambda payload: b"\x94\x00\x01\xa4call\x91\x83\xa2to\xa9hoard/box\xa2id\xa1d\xa7payload" + payload
	with Beside(host):
		for of in (list, dict):
			with host.rpc() as rpc:
				for depth, fine in ((64, True), (65, False), (64, True)):
					rpc.raw(frame(nested(depth, of)))
					number, error, result = rpc.next_answer()
					expect_equal((number, error and error["code"]), (1, None if fine else "too_deep"), f"{depth} {of.__name__}s")
			for depth in (10_000, 1_000_000):
				with host.rpc() as rpc:
					rpc.raw(frame(nested(depth, of)))
					_, error, _ = rpc.next_answer()
					expect_equal(error["code"], "too_deep", f"{depth} {of.__name__}s")
		expect_last_words(host, nested(10_000), "too_deep")
		with host.rpc() as rpc:
			expect_code(rpc, "too_deep", "ingest", {"ingress": "play", "producer": "deep", "first": 1,
				"records": [msgpack.unpackb(nested(65))]})


def test_parameters_of_the_wrong_type(test):
	host = start(test)
	message = {"to": "demo/counter", "id": "w", "payload": 1}
	batch = {"ingress": "counter", "producer": "w", "first": 1, "records": ["w"]}
	anything = [None, 5, -1, 1.5, True, [], {}, "x", msgpack.ExtType(5, b"x")]
	fits = {"to": (str,), "id": (str, bytes), "type": (str,), "timeout_ms": (int,), "ingress": (str,), "producer": (str,),
		"first": (int,), "records": (list,)}
	with Beside(host), host.rpc() as rpc:
		for method, params, names in (("send", message, ("to", "id", "type")), ("call", message, ("to", "id", "type", "timeout_ms")),
				("ingest", batch, ("ingress", "producer", "first", "records"))):
			for name in names:
				for value in anything:
					if not (isinstance(value, fits[name]) and not isinstance(value, bool)):
						expect_code(rpc, ("bad_request", "bad_id"), method, {**params, name: value})
			for name in [name for name in params if name != "payload"]:
				expect_code(rpc, ("bad_request", "bad_id"), method, {key: value for key, value in params.items() if key != name})
			expect_code(rpc, "bad_request", method, {**params, "surprise": 1})
		for first in (0, -1):
			expect_code(rpc, "bad_request", "ingest", {**batch, "first": first})
		expect_code(rpc, "bad_request", "call", {**message, "timeout_ms": -5})
		for params in ([], [5], [message, message], {}, "x", None):
			with host.rpc() as other:  # whether such a frame still has the shape of a request is open; its code is not
				other.raw(msgpack.packb([0, 1, "send", params]))
				expect_equal(other.next_answer()[1]["code"], "bad_request", f"params {str(params)[:60]}")
		expect_code(rpc, "unknown_method", "frobnicate", {})
		expect_code(rpc, "unknown_method", "", {})
	host.barrier()
	expect("w" not in host.ids("demo/counter"), "none of them acted")


def test_names_that_nobody_has(test):
	host = start(test)
	with Beside(host), host.rpc() as rpc:
		for to in ("no/such", "demo/", "/counter", "demo/counter/more", "DEMO/counter", "demo/counter "):
			expect_code(rpc, ("unknown_type", "bad_request"), "send", {"to": to, "id": "a", "payload": 1})
		for to in ("", "counter", "demo"):
			expect_code(rpc, "bad_request", "send", {"to": to, "id": "a", "payload": 1})
		expect_code(rpc, "unknown_ingress", "ingest", {"ingress": "no", "producer": "p", "first": 1, "records": ["x"]})


def test_ids_out_of_bounds(test):
	host = start(test)
	with Beside(host), host.rpc() as rpc:
		for id in ("", b"", "x" * 256, b"x" * 256, "ü" * 128, b"x" * 100000):
			for method in ("send", "call"):
				expect_code(rpc, "bad_id", method, {"to": "demo/counter", "id": id, "payload": 1})
		expect_equal(rpc.call("demo/counter", "ü" * 127, 1), 1, "254 bytes of UTF-8")


def test_invalid_utf8_where_text_is_due(test):
	host = start(test)
	bad = [b"\xff", b"ok\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]
	message = {b"to": b"demo/counter", b"id": b"u", b"payload": 1}
	batch = {b"ingress": b"counter", b"producer": b"u", b"first": 1, b"records": [b"u"]}
	with Beside(host), host.rpc() as rpc:
		for text in bad:
			for method, params, names in ((b"send", message, (b"to", b"id", b"type")), (b"call", message, (b"id",)),
					(b"ingest", batch, (b"ingress", b"producer"))):
				for name in names:
					rpc.number += 1
					rpc.raw(text_bytes([0, rpc.number, method, [{**params, name: text}]]))
					error = failure(lambda: rpc.answer(rpc.number))
					expect_equal(error.code, "bad_utf8", f"{method} {name} {text!r}")
		expect_equal(rpc.call("demo/counter", b"\xff\xc0", 1), 1, "the same bytes as bin are an id like any other")
		rpc.raw(text_bytes([0, 70000, b"call", [{b"to": b"hoard/box", b"id": b"raw", b"payload": b"\xff\xfe"}]]))
		expect_equal(rpc.answer(70000)["payload"], 1, "a payload passes as it is")
		expect_equal(rpc.call("hoard/box", "raw", None), "\udcff\udcfe", "and comes back as it was")


def test_mutated_frames(test):
	"""Valid frames with flipped bits, cut and joined: whatever comes, the host stays and the others do not notice."""
	host = start(test)
	frames = valid_frames()
	rounds = test.by_scale(3000, 100000)
	with Beside(host):
		for _ in range(rounds):
			data = bytearray(test.random.choice(frames) + test.random.choice(frames))
			for _ in range(test.random.randint(1, 4)):
				at = test.random.randrange(len(data))
				data[at] = test.random.choice((data[at] ^ (1 << test.random.randrange(8)), test.random.randrange(256)))
			if test.random.random() < 0.3:
				del data[test.random.randrange(len(data)):]
			with host.rpc() as rpc:
				rpc.raw(bytes(data))
	expect_equal(host.starts, 1, "lives of the host")
	expect(host.alive(), "the host is alive")


if __name__ == "__main__":
	harness.main(globals())
