#!/usr/bin/python3
"""What one slow or busy function may do to the others: nothing. A call that sleeps 5 s on one shard does not move p99 on the
other shards; shards that send to each other at full rate do not deadlock."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Failed, expect, expect_equal
from lib.host import Host

NAP_MS = 5000


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


def answering(host, ids):
	"""The ids whose calls are answered while one shard sleeps, and how many are not."""
	clients = {id: host.rpc() for id in ids}
	asked = {id: client.request("call", {"to": "demo/counter", "id": id, "payload": 0}) for id, client in clients.items()}
	awake, deadline = [], time.monotonic() + 0.5
	for id, client in clients.items():
		try:
			client.answer(asked[id], max(deadline, time.monotonic() + 0.01))
			awake.append(id)
		except TimeoutError:
			pass
		client.close()
	return awake


def one_nap(test, host, rpc, ids):
	"""(p99 before, p99 during) on the shards that are awake."""
	with host.rpc() as sleeper:
		start = time.monotonic()
		nap = sleeper.request("call", {"to": "sleeper/nap", "id": f"n{test.random.random()}", "payload": NAP_MS})
		awake = answering(host, ids)
		expect(len(ids) // 4 < len(awake) < len(ids), f"{len(awake)} of {len(ids)} addresses are on a shard that is awake")
		during = latencies(rpc, awake, 3.0)
		expect(time.monotonic() - start < NAP_MS / 1000, "measured within the nap")
		expect_equal(sleeper.answer(nap)["payload"], NAP_MS, "the nap's answer")
	before = latencies(rpc, awake, 3.0)
	test.note(f"p50 {percentile(before, 0.5) * 1e3:.2f} ms before, {percentile(during, 0.5) * 1e3:.2f} during; p99 "
		f"{percentile(before, 0.99) * 1e3:.2f} before, {percentile(during, 0.99) * 1e3:.2f} during")
	return percentile(before, 0.99), percentile(during, 0.99)


def test_a_call_of_five_seconds_stops_nobody_else(test):
	host = Host(test, plugins=("counter", "sleeper"), shards=4).start()
	ids = [f"c{number}" for number in range(32)]
	with host.rpc() as rpc:
		latencies(rpc, ids, 0.5)
		for _ in range(4):  # again when the machine was not quiet
			before, during = one_nap(test, host, rpc, ids)
			if during <= 2 * before + 0.002:
				return
	raise Failed(f"p99 of the other shards moved from {before * 1e3:.2f} to {during * 1e3:.2f} ms, four times")


def test_a_host_with_a_sleeping_shard_still_survives_a_kill(test):
	"""What the others committed during the nap is durable, and the nap's message is still there."""
	host = Host(test, plugins=("counter", "sleeper"), shards=2).start()
	ids = [f"c{number}" for number in range(32)]
	with host.rpc() as sleeper, host.rpc() as rpc:
		sleeper.request("call", {"to": "sleeper/nap", "id": "n", "payload": 2000})
		awake = answering(host, ids)
		told = {id: rpc.call("demo/counter", id, 1) for id in awake}
		host.kill()
	host.restart()
	host.barrier()
	for id, count in told.items():
		expect_equal(host.values("demo/counter", id)["count"], count, f"count of {id}")


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
