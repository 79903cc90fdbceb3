#!/usr/bin/python3
"""Records of producers: positions, resuming, gaps, fencing, routers that fail."""

import sys
from functools import partial
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.rpc import RpcError

failure = partial(harness.raised, RpcError)


def lines(first, count):
	return [f"id{number % 7}" for number in range(first, first + count)]


def counts(host):
	host.barrier()
	return sum(values["count"] for values in host.dump("demo/counter").values())


def test_records_are_answered_with_the_durable_position(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		expect_equal(rpc.position("counter", "p"), 0, "an unknown producer")
		expect_equal(rpc.ingest("counter", "p", 1, lines(1, 10)), 10, "durable")
		expect_equal(rpc.ingest("counter", "p", 11, [line.encode() for line in lines(11, 5)]), 15, "records as bin")
		expect_equal(rpc.position("counter", "p"), 15, "the position")
		expect_equal(rpc.position("counter", "q"), 0, "another producer")
	expect_equal(counts(host), 15, "records counted")


def test_records_up_to_the_position_are_skipped(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		rpc.ingest("counter", "p", 1, lines(1, 10))
		expect_equal(rpc.ingest("counter", "p", 1, lines(1, 10)), 10, "all of them again")
		expect_equal(rpc.ingest("counter", "p", 6, lines(6, 10)), 15, "half of them again")
	with host.rpc() as rpc:
		expect_equal(rpc.ingest("counter", "p", 1, lines(1, 20)), 20, "from a new connection")
	expect_equal(counts(host), 20, "records counted")


def test_a_batch_sent_twice_at_once_counts_once(test):
	"""Dedupe is against what is accepted, not against what is durable (INVARIANTS 9)."""
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		numbers = [rpc.request("ingest", {"ingress": "counter", "producer": "p", "first": 1, "records": lines(1, 100)})
			for _ in range(20)]
		expect_equal([rpc.answer(number)["durable"] for number in numbers], [100] * 20, "answers")
	expect_equal(counts(host), 100, "records counted")


def test_a_gap_takes_nothing(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		error = failure(lambda: rpc.ingest("counter", "new", 2, lines(1, 3)))
		expect_equal(error.code, "gap", "a new producer that starts above 1")
		rpc.ingest("counter", "p", 1, lines(1, 10))
		error = failure(lambda: rpc.ingest("counter", "p", 12, lines(1, 3)))
		expect_equal((error.code, error.error["accepted"], error.error["durable"]), ("gap", 10, 10), "gap")
		expect_equal(rpc.ingest("counter", "p", 11, lines(1, 1)), 11, "the connection and the producer go on")
	expect_equal(counts(host), 11, "records counted")


def test_a_younger_connection_fences_the_older(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as old, host.rpc() as young:
		old.ingest("counter", "p", 1, lines(1, 5))
		expect_equal(young.position("counter", "p"), 5, "asking for the position fences nobody")
		expect_equal(old.ingest("counter", "p", 6, lines(6, 1)), 6, "so the older one goes on")
		expect_equal(young.ingest("counter", "p", 7, lines(7, 1)), 7, "the younger one takes over")
		expect_equal(failure(lambda: old.ingest("counter", "p", 8, lines(8, 1))).code, "producer_busy", "the older one")
		expect_equal(old.ingest("counter", "other", 1, lines(1, 1)), 1, "its connection serves other producers still")
		expect_equal(young.ingest("counter", "p", 8, lines(8, 1)), 8, "the younger one goes on")
	expect_equal(counts(host), 9, "records counted")


def test_unknown_ingress_consumes_nothing(test):
	host = Host(test, plugins=()).start()
	with host.rpc() as rpc:
		expect_equal(failure(lambda: rpc.ingest("counter", "p", 1, lines(1, 5))).code, "unknown_ingress", "no router yet")
		host.drop("counter")
		host.wait_live("counter")
		expect_equal(rpc.ingest("counter", "p", 1, lines(1, 5)), 5, "the same records, now that there is one")
	expect_equal(counts(host), 5, "records counted")


def test_a_record_that_its_router_refuses_is_a_dead_letter(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		expect_equal(rpc.ingest("counter", "p", 1, ["good", "", "x" * 256, "x" * 255, "cr\r"]), 5, "the position advances")
	host.barrier()
	expect_equal(sorted(host.ids("demo/counter")), sorted(["cr", "good", "x" * 255]), "ids counted; CR is cut off")
	dead = host.dead()
	expect_equal([letter["code"] for letter in dead], ["router_failed"] * 2, "dead letters")


def test_a_record_that_is_no_line_is_a_dead_letter(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		expect_equal(rpc.ingest("counter", "p", 1, ["good", 5, {"a": 1}, None, b"good"]), 5, "the position advances")
	host.barrier()
	expect_equal(counts(host), 2, "records counted")
	expect_equal([letter["code"] for letter in host.dead()], ["router_failed"] * 3, "dead letters")


def test_messages_of_a_record_arrive_in_order(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		records = [{"id": "one", "msg": {"add": 1, "emit": {"egress": "play", "payload": n}}} for n in range(500)]
		rpc.ingest("play", "p", 1, records)
	host.barrier()
	expect_equal([record["payload"] for record in host.egress("play")], list(range(500)), "order")


def test_positions_survive_kill_and_other_shard_counts(test):
	host = Host(test, plugins=("counter",), shards=4).start()
	accepted = 0
	for shards in (1, 3, 2, 4):
		with host.rpc() as rpc:
			expect_equal(rpc.position("counter", "p"), accepted, "position")
			accepted = rpc.ingest("counter", "p", max(1, accepted - 5), lines(max(1, accepted - 5), 50))
		host.kill()
		host.restart(shards=shards)
	with host.rpc() as rpc:
		expect_equal(rpc.position("counter", "p"), accepted, "position")
	expect_equal(counts(host), accepted, "records counted")


def test_batches_in_flight_without_end_are_all_answered(test):
	"""A producer that pipelines far ahead of the answers; another connection is served meanwhile."""
	host = Host(test, plugins=("counter",), settings={"limits.memory_bytes": "64MiB"}).start()
	packed = [msgpack.packb(f"g{n % 50}") for n in range(100)]
	batches = test.by_scale(4000, 20000)
	with host.rpc() as greedy, host.rpc() as other:
		numbers = [greedy.ingest_packed("counter", "greedy", 1 + 100 * batch, packed) for batch in range(batches)]
		expect_equal(other.call("demo/counter", "other", 1), 1, "another connection is served")
		durable = [greedy.answer(number)["durable"] for number in numbers]
	expect(all(position >= 100 * (batch + 1) for batch, position in enumerate(durable)), "each answer covers its batch")
	expect_equal(durable[-1], 100 * batches, "durable")
	expect_equal(counts(host), 100 * batches + 1, "records counted")


def test_a_silent_producer_expires(test):
	"""By the flow's clock; then it is unknown, and may not go on where it was (INVARIANTS 9)."""
	start_ms = 1_700_000_000_000
	host = Host(test, plugins=("counter",), shards=2, flags=["--test-clock", str(start_ms)],
		settings={"producer.expiry_s": 60}).start()
	with host.rpc() as rpc:
		rpc.ingest("counter", "silent", 1, ["a"] * 3)
		rpc.ingest("counter", "talks", 1, ["b"] * 3)
		host.http.post("/v1/clock", {"advance_ms": 40000})
		expect_equal(rpc.ingest("counter", "talks", 4, ["b"]), 4, "it talks")
		host.http.post("/v1/clock", {"advance_ms": 30000})
		expect_equal((rpc.position("counter", "silent"), rpc.position("counter", "talks")), (0, 4), "positions")
		expect_equal(failure(lambda: rpc.ingest("counter", "silent", 4, ["a"])).code, "gap", "code")
	host.kill()
	host.restart(shards=3)
	with host.rpc() as rpc:
		expect_equal((rpc.position("counter", "silent"), rpc.position("counter", "talks")), (0, 4), "positions behind a kill")
		expect_equal(rpc.ingest("counter", "silent", 1, ["a"]), 1, "it begins anew")
	host.barrier()
	expect_equal(host.values("demo/counter", "a"), {"count": 4}, "what it had sent stands")


if __name__ == "__main__":
	harness.main(globals())
