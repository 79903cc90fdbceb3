#!/usr/bin/python3
"""The FORMAT pages are true: a reader written from them alone (lib/store_reader.py) finds in the files what the host says."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgpack

from lib import harness, store, store_reader
from lib.campaign import play_counts
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host
from lib.mayfly import TYPE, call, load
from lib.program import Program, Shape, difference
from lib.rpc import ingest_bytes, request_bytes

COUNT = 0  # play's first value


def plyvel_needed():
	try:
		import plyvel  # noqa: F401
	except ImportError as error:
		raise Skip("python3-plyvel is not installed") from error


def counts_of(data):
	found = store_reader.Store(data).instances("test/play")
	return {id.decode(): values[COUNT] for id, values in found.items() if values.get(COUNT)}


def fed(test):
	program = Program(test.random, 2000, Shape(instances=100))
	host = store.fed(test, program)
	host.barrier()
	return host, program.expected(len(program.packed))


def test_state_in_the_journal(test):
	host, (counts, emits, _) = fed(test)
	expect_equal(difference(play_counts(host)[0], counts), difference(counts, counts), "what the host says")
	epoch = host.status()["epoch"]
	host.kill()
	found = counts_of(host.data)
	expect(found == counts, f"counts: {difference(found, counts)}")
	records = list(store_reader.journal(host.data, 0))
	expect_equal([record["epoch"] for record in records], list(range(1, records[-1]["epoch"] + 1)), "epochs")
	expect(records[-1]["epoch"] >= epoch, f"the journal ends at {records[-1]['epoch']}, the host was at {epoch}")
	emitted = [change for record in records for change in store_reader.redo(record["body"]) if change[0] == 3]
	expect_equal([change[2] for change in emitted], list(range(len(emitted))), "offsets of the egress")
	expect_equal(len(emitted), len(emits), "egress records")


def test_state_in_the_databases(test):
	plyvel_needed()
	host, (counts, _, _) = fed(test)
	host.stop()
	read = store_reader.Store(host.data)
	expect(read.checkpoint >= max(record["epoch"] for record in store_reader.journal(host.data)), "no checkpoint at an orderly stop")
	expect_equal(read.rows("runtime")[b"F"][:8], b"sofundb\0", "magic of row F")
	found = counts_of(host.data)
	expect(found == counts, f"counts: {difference(found, counts)}")


def test_large_values(test):
	"""A note of more than 1,024 bytes has a row of its own."""
	host = Host(test).start()
	targets = [f"{number:0200}" for number in range(12)]
	with host.rpc() as rpc:
		rpc.call("test/play", "big", {"send": [{"id": target, "msg": {"add": 1}} for target in targets], "reply": True})
	host.barrier()
	host.kill()
	sent = store_reader.Store(host.data).instances("test/play")[b"big"]
	names = set(targets)
	expect(any(isinstance(value, dict) and {key if isinstance(key, str) else key.decode() for key in value} == names
		for value in sent.values()), f"values of `big`: {sorted(sent)}")


def test_tables_and_lists(test):
	plyvel_needed()
	host = Host(test, plugins=("ledger",)).start()
	with host.rpc() as rpc:
		rpc.call("ledger/book", "a", [["set", "k", 1], ["set", "gone", 2], ["append", "x"], ["append", "y"], ["append", "z"]])
	host.stop()
	host.start()
	with host.rpc() as rpc:  # half in the databases, half in the journal
		rpc.call("ledger/book", "a", [["remove", "gone"], ["set", "l", {"m": [3]}], ["drop", 1]])
		rpc.call("ledger/book", "b", [["set", "k", 1], ["clear"], ["set", "n", 4]])
	host.kill()
	found = store_reader.Store(host.data).instances("ledger/book")
	expect_equal(found[b"a"], {0: [[b"k", 1], [b"l", {"m": [3]}]], 1: ["y", "z"], 2: 2}, "table, list and value")
	expect_equal(found[b"b"], {0: [[b"n", 4]], 2: 1}, "a table that was cleared")
	host.start()
	host.stop()
	verified = subprocess.run([test.find("sofund"), "--verify", host.data], capture_output=True, text=True, timeout=60)
	expect(verified.returncode == 0, f"sofund --verify knows every row: {verified.stdout[-400:]}")


def test_messages_that_wait(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		rpc.call("test/play", "a", {"add": 1, "reply": True})
	host.http.json("DELETE", "/v1/plugins/play")
	wait_until(lambda: not host.status()["plugins"], what="play is unloaded")
	payloads = [{"add": number, "text": "x" * number} for number in range(50)]
	with host.rpc() as rpc:
		for number, payload in enumerate(payloads):
			rpc.send("test/play", f"id{number % 7}", payload, type="t")
	host.kill()
	waiting = list(store_reader.Store(host.data).messages())
	expect_equal(len(waiting), len(payloads), "messages that wait")
	expect_equal({(message["to"], message["type"]) for message in waiting}, {("test/play", b"t")}, "targets and types")
	for address in range(7):
		found = [message["payload"] for message in waiting if message["id"] == f"id{address}".encode()]
		expect_equal(found, payloads[address::7], f"payloads to id{address}, in order")


def test_what_is_due_later(test):
	plyvel_needed()
	host = Host(test, plugins=("play",), flags=["--test-clock", "1000"]).start()
	load(host, "mayfly_2")  # idle 1000 ms, a mark 100 ms
	with host.rpc() as rpc:
		rpc.call("test/play", "a", {"reply": True, "send": [
			{"id": "b", "msg": {"add": 5}, "after_ms": 700, "token": "t"}, {"id": "c", "msg": {"add": 6}, "after_ms": 300}]})
	call(host, "x", 1)
	host.kill()  # in the journal
	host.start()
	call(host, "y", 1, "m")
	host.stop()  # in the databases
	found = list(store_reader.Store(host.data).timers())
	delayed = [(timer["due_ms"], timer["to"], timer["id"], timer["payload"]) for timer in found if not timer["sweep"]]
	expect_equal(delayed, [(1300, "test/play", b"c", {"add": 6}), (1700, "test/play", b"b", {"add": 5})], "delayed messages")
	# a set: behind the kill x may have been given another entry
	expect_equal({(timer["due_ms"], timer["to"], timer["id"], timer["caller_id"], timer["token"]) for timer in found if timer["sweep"]},
		{(1100, TYPE, b"y", b"y", b""), (2000, TYPE, b"x", b"x", b"")}, "sweeps, by the next thing that ends")
	verified = subprocess.run([test.find("sofund"), "--verify", host.data], capture_output=True, text=True, timeout=60)
	expect(verified.returncode == 0, f"sofund --verify knows every row: {verified.stdout[-400:]}")


def test_a_hole_is_not_read_over(test):
	host, _ = fed(test)
	host.kill()
	records = list(store_reader.journal(host.data))
	middle = records[len(records) // 2]
	store.flip(host.data / "journal" / middle["file"], middle["offset"] + 64)
	expect_equal([record["epoch"] for record in store_reader.journal(host.data)],
		[record["epoch"] for record in records[:len(records) // 2]], "epochs before the damage")


def test_frames(test):
	path = test.dir / "frames"
	golden = bytes.fromhex("940005a463616c6c9183a2746fa3612f62a26964a169a77061796c6f6164c0" "940105c081a77061796c6f616407")
	path.write_bytes(golden + request_bytes(9, "ack", {"egress": "bans", "name": "n", "next": 3}) +
		ingest_bytes(7, "play", "p", 1, [msgpack.packb({"id": "x"})]))
	expect_equal(list(store_reader.items(str(path), "wire")), [
		[0, 5, "call", [{"to": "a/b", "id": "i", "payload": None}]],
		[1, 5, None, {"payload": 7}],
		[0, 9, "ack", [{"egress": "bans", "name": "n", "next": 3}]],
		[0, 7, "ingest", [{"ingress": "play", "producer": "p", "first": 1, "records": [{"id": "x"}]}]],
	], "frames")


if __name__ == "__main__":
	harness.main(globals())
