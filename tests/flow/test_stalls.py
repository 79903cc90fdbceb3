#!/usr/bin/python3
"""What one slow or busy function may do to the others: nothing. A call that sleeps 5 s on one shard does not move p99 on the
other shards; shards that send to each other at full rate do not deadlock."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Failed, expect, expect_equal, wait_until
from lib.host import Host
from lib.rpc import request_bytes
from lib.nap import Nap
from lib.shards import Places


def latencies(rpc, ids, seconds):
	"""Sorted seconds of calls, one in flight, to the ids in turns."""
	taken, end = [], time.monotonic() + seconds
	while time.monotonic() < end:
		start = time.monotonic()
		rpc.call("demo/counter", ids[len(taken) % len(ids)], 1)
		taken.append(time.monotonic() - start)
	return sorted(taken)


def percentile(taken, share):
	return taken[min(len(taken) - 1, int(len(taken) * share))]


def started(test, shards):
	"""A host; ids of the counter on shards that are awake while the nap of that id is taken."""
	host = Host(test, plugins=("counter",), shards=shards).start()
	host.http.post("/v1/plugins", {"path": str(test.plugin("sleeper"))})
	counters, naps = Places(host.data, 1), Places(host.data, 2)  # numbered as they came
	nap = next(f"n{number}" for number in range(1000) if naps.shard(f"n{number}", shards) == 0)
	return host, [f"c{number}" for number in range(32) if counters.shard(f"c{number}", shards) != 0], nap


def one_nap(test, host, rpc, awake, id):
	"""(p99 before, p99 during) on the shards that are awake."""
	with Nap(host, id) as nap:
		wait_until(lambda: any(one["reason"] == "running" for one in host.plugin("sleeper")["waiting_for"]), 20, "the nap")
		during = latencies(rpc, awake, 5.0)
		nap.end()
	before = latencies(rpc, awake, 3.0)
	test.note(f"p50 {percentile(before, 0.5) * 1e3:.2f} ms before, {percentile(during, 0.5) * 1e3:.2f} during; p99 "
		f"{percentile(before, 0.99) * 1e3:.2f} before, {percentile(during, 0.99) * 1e3:.2f} during")
	return percentile(before, 0.99), percentile(during, 0.99)


def test_a_call_of_five_seconds_stops_nobody_else(test):
	host, awake, nap = started(test, 4)
	with host.rpc() as rpc:
		latencies(rpc, awake, 0.5)
		for _ in range(8):  # again when the machine was not quiet
			before, during = one_nap(test, host, rpc, awake, nap)
			if during <= 2 * before + 0.002:
				return
	raise Failed(f"p99 of the other shards moved from {before * 1e3:.2f} to {during * 1e3:.2f} ms, eight times")


def test_a_host_with_a_sleeping_shard_still_survives_a_kill(test):
	"""What the others committed during the nap is durable, and the nap's message is still there."""
	host, awake, id = started(test, 2)
	with Nap(host, id), host.rpc() as rpc:
		told = {id: rpc.call("demo/counter", id, 1) for id in awake}
		host.kill()
	host.restart()
	host.barrier()
	for id, count in told.items():
		expect_equal(host.values("demo/counter", id)["count"], count, f"count of {id}")


def at_once(rpc, calls):
	"""One write: they stand in the shard's input together. The numbers to ask for."""
	numbers = range(rpc.number + 1, rpc.number + 1 + len(calls))
	rpc.raw(b"".join(request_bytes(number, "call", call) for number, call in zip(numbers, calls)))
	rpc.number = numbers[-1]
	return numbers


def test_who_came_before_a_slow_call_does_not_wait_for_it(test):
	"""On its own shard: their epoch is cut at the last message boundary, which is before the call, and not at the end of the turn."""
	host = Host(test, plugins=("counter", "sleeper"), shards=1).start()
	for plugin in ("counter", "sleeper"):
		host.wait_live(plugin)
	with host.rpc() as rpc:
		for turn in range(3):
			start = time.monotonic()
			*before, nap = at_once(rpc, [{"to": "demo/counter", "id": f"c{index}", "payload": 1} for index in range(8)] +
				[{"to": "sleeper/nap", "id": "n", "payload": 2000}])
			for number in before:
				expect_equal(rpc.answer(number)["payload"], turn + 1, "a count")
			took = time.monotonic() - start
			expect(took < 1.0, f"calls ahead of one that takes 2 s were answered after {took:.2f} s")
			expect_equal(rpc.answer(nap)["payload"], 2000, "the slow one")


def test_a_turn_of_slow_calls_answers_them_meanwhile(test):
	host = Host(test, plugins=("sleeper",), shards=1).start()
	host.wait_live("sleeper")
	with host.rpc() as rpc:
		start = time.monotonic()
		numbers = at_once(rpc, [{"to": "sleeper/nap", "id": f"n{index}", "payload": 40} for index in range(50)])
		rpc.answer(numbers[0])
		first = time.monotonic() - start
		rpc.answer(numbers[-1])
		all = time.monotonic() - start
		expect(first < all / 2, f"the first of 50 was answered after {first:.2f} s, the last after {all:.2f}")


def ping_pong(test, burst, left, settings):
	host = Host(test, plugins=("pong",), shards=2, settings=settings).start()
	pairs = [(f"p{number}", f"q{number}") for number in range(8)]
	with host.rpc() as rpc:
		for pair in pairs:
			for one, other in (pair, pair[::-1]):
				rpc.send("pong/player", one, [left, burst, other])
	host.barrier(timeout_ms=180000)
	hits = sum(values["hits"] for values in host.dump("pong/player").values())
	expect_equal(hits, 2 * len(pairs) * (1 + burst * left), "messages handled")
	return host


def test_two_shards_that_send_to_each_other_do_not_deadlock(test):
	ping_pong(test, burst=200, left=test.by_scale(200, 4000), settings={})


def test_nor_do_they_when_what_is_between_them_exceeds_the_memory(test):
	burst = test.by_scale(20000, 60000)
	ping_pong(test, burst=burst, left=3, settings={"limits.memory_bytes": "32MiB"})


if __name__ == "__main__":
	harness.main(globals())
