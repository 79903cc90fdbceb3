#!/usr/bin/python3
"""Ingress formats: what a router is given of a record, for each form that it declares and each that producers send."""

import json
import subprocess
import sys
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal
from lib.host import Host, id_of


def text(*values):
	return [value if isinstance(value, bytes) else value.encode() for value in values]


def packed(*values):
	return [msgpack.packb(value) for value in values]


VALUE = {"a": [1, None, "ö", 2.5], "b": {"c": True}}
VALUE_TEXT = json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False)
REFUSED = None

# (records come as, the router wants): record → the bytes that the router gets, or REFUSED
CASES = {
	("line", "line"): [("one", b"one"), (b"t\xffo", b"t\xffo"), ("", b""), (7, REFUSED), ({"x": 1}, REFUSED)],
	("line", "json"): [("o\"ne", b'"o\\"ne"'), (7, REFUSED)],
	("line", "msgpack"): [("one", msgpack.packb("one")), (b"two", msgpack.packb("two")), ([1], REFUSED)],
	("json", "line"): [('"one\\n"', b"one\n"), ("{}", REFUSED), ("no json", REFUSED)],
	("json", "json"): [(VALUE_TEXT, VALUE_TEXT.encode()), (b"[1, 2]", b"[1, 2]"), ({"x": [1, "y"]}, b'{"x":[1,"y"]}'), (None, b"null")],
	("json", "msgpack"): [(VALUE_TEXT, msgpack.packb(VALUE)), (b" 12 ", msgpack.packb(12)), (VALUE, msgpack.packb(VALUE)),
		("{1:2}", REFUSED), ("", REFUSED), ("[" * 200 + "]" * 200, REFUSED), (b"\xff", REFUSED)],
	("msgpack", "line"): [("one", b"one"), (b"two", b"two"), (1, REFUSED)],
	("msgpack", "json"): [(VALUE, VALUE_TEXT.encode()), ("text", b'"text"'), (1, b"1")],
	("msgpack", "msgpack"): [(VALUE, msgpack.packb(VALUE)), ("text", msgpack.packb("text")), (b"\x00", msgpack.packb(b"\x00"))],
}


def seen(host):
	"""What the routers were given, in order."""
	records = [record["payload"] for record in host.egress("forms")]
	return [id_of(payload) if isinstance(payload, dict) else payload.encode() for payload in records]


def test_every_form_for_every_router(test):
	for wants in ("line", "json", "msgpack"):
		for comes in (None, "line", "json", "msgpack"):
			settings = {} if comes is None else {f"ingresses.{wants}.format": comes}
			host = Host(test, plugins=("forms",), settings={**settings, "retry.attempts": 2}, shards=1).start()
			routers = {router["ingress"]: router["format"] for router in host.plugin("forms")["routers"]}
			expect_equal(routers[wants], comes or wants, "the format that the host reports")
			cases = CASES[comes or wants, wants]
			with host.rpc() as rpc:
				expect_equal(rpc.ingest(wants, "p", 1, [record for record, _ in cases]), len(cases), "durable: refused ones are passed")
			host.barrier()
			expect_equal(seen(host), [given for _, given in cases if given is not REFUSED], f"{comes} to {wants}")
			dead = host.dead()
			expect_equal(len(dead), sum(given is REFUSED for _, given in cases), f"dead letters, {comes} to {wants}: {dead}")
			expect(all(letter["code"] == "router_failed" and letter["reason"] and letter["to"] == f"ingress/{wants}" for letter in dead),
				f"{dead}")
			host.stop()


def test_the_command_reads_a_file_in_the_format(test):
	"""Lines of JSON to a router that wants MessagePack: `play` driven from a text file."""
	host = Host(test, settings={"ingresses.play.format": "json"}).start()
	path = test.dir / "play.jsonl"
	path.write_text("".join(json.dumps({"id": f"i{n % 3}", "msg": {"add": n}}) + "\n" for n in range(30)))
	done = subprocess.run([str(test.find("sofun")), "--data", str(host.data), "--json", "ingest", "play", str(path)],
		capture_output=True, text=True, timeout=30)
	expect_equal(done.returncode, 0, done.stderr)
	host.barrier()
	expect_equal(sum(values["count"] for values in host.dump("test/play").values()), sum(range(30)), "all of it was added")


if __name__ == "__main__":
	harness.main(globals())
