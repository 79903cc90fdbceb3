#!/usr/bin/python3
"""Exactly once on the true binary: random programs through `play`, SIGKILL with messages in flight, other shard counts."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Campaign, Producer
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.program import RETRY, Program, Shape
from lib.rpc import Closed, Rpc, RpcError
from lib.shards import Places


def campaign(test, messages, kills, shards, shape, settings=None):
	program = Program(test.random, messages, shape)
	host = Host(test, shards=shards[0], settings=dict(RETRY, **(settings or {}))).start()
	producer = Producer(host.socket, program.packed, test.random)
	run = Campaign(test, host, program, producer).run(kills, shards)
	run.report()
	expect_equal(len(run.in_flight), kills, "kills with messages in flight")
	run.verify()
	return run


def test_kills_while_shards_change(test):
	"""1, 2 and 4 shards, a new number at each restart; at least half of the sends go to another shard."""
	shards = [4, 2, 4, 1, 4, 2, 4]
	run = campaign(test, test.by_scale(100000, 400000), test.by_scale(24, 100), shards, Shape(retry=0.01))
	places = Places(run.host.data)
	shares = {count: places.crossing(run.program.edges, count) for count in set(shards)}
	share = sum(shares[count] for count in shards) / len(shards)
	test.note(f"sends to another shard: {share:.0%} over all lives; " + ", ".join(f"{shares[n]:.0%} on {n}" for n in sorted(shares)))
	expect(share >= 0.5, f"only {share:.0%} of the sends go to another shard")


def test_kills_on_one_shard(test):
	campaign(test, test.by_scale(15000, 100000), test.by_scale(6, 40), [1], Shape(retry=0.02))


def test_kills_on_two_shards(test):
	campaign(test, test.by_scale(15000, 100000), test.by_scale(6, 40), [2], Shape(retry=0.02))


def test_kills_without_retries(test):
	"""No message waits in a backoff: what is in flight at a kill is on its way between shards."""
	campaign(test, test.by_scale(60000, 300000), test.by_scale(6, 40), [4, 2], Shape(nodes=2000, fan=12))


def test_kills_in_weaker_durability(test):
	"""`interval` and `none` are exact after a kill too: only the power may cost an epoch there."""
	for durability in ("interval=50", "none"):
		test.note(f"durability={durability}")
		campaign(test, test.by_scale(10000, 100000), test.by_scale(4, 30), [2, 4], Shape(retry=0.02), {"durability": durability})


class Caller(threading.Thread):
	"""Calls its own instance, one at a time, and remembers the last answer it was given."""

	def __init__(self, path, id, answered):
		super().__init__(daemon=True)
		self.path = path
		self.id = id
		self.answered = answered
		self.end = None

	def run(self):
		try:
			with Rpc(self.path) as rpc:
				while True:
					self.answered = rpc.call("demo/counter", self.id, 1)
		except (Closed, RpcError, TimeoutError) as error:
			self.end = error


def test_an_answered_call_is_durable(test):
	"""What a caller was told before SIGKILL is there afterwards; one call more at most, the one nobody answered."""
	host = Host(test, plugins=("counter",), shards=2).start()
	counts = {f"c{number}": 0 for number in range(8)}
	for round in range(test.by_scale(12, 60)):
		callers = [Caller(host.socket, id, count) for id, count in counts.items()]
		for caller in callers:
			caller.start()
		goal = test.random.randint(5, 60)
		harness.wait_until(lambda: all(caller.answered > counts[caller.id] + goal for caller in callers), 30,
			"callers are answered", every_s=0.0005)
		host.kill()
		for caller in callers:
			caller.join()
		host.restart(shards=test.random.choice([1, 2, 4]))
		host.barrier()
		for caller in callers:
			counts[caller.id] = host.values("demo/counter", caller.id)["count"]
			expect(caller.answered <= counts[caller.id] <= caller.answered + 1,
				f"round {round}: {caller.id} was told {caller.answered}, the state says {counts[caller.id]}")


def test_kill_at_the_first_start(test):
	"""Killed at random moments of its first start, the host always starts in the end, empty and whole."""
	host = Host(test, plugins=("counter",), shards=2)
	for _ in range(test.by_scale(15, 100)):
		host.spawn()
		time.sleep(test.random.random() * 0.15)
		host.kill()
	host.start()
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "one"), 1, "the first count")


def test_kill_during_recovery(test):
	"""A crash while it recovers from a crash costs nothing."""
	program = Program(test.random, test.by_scale(10000, 50000), Shape(retry=0.02))
	host = Host(test, shards=2, settings=RETRY).start()
	producer = Producer(host.socket, program.packed, test.random)
	producer.start()
	producer.gate.set()
	harness.wait_until(lambda: producer.check() or producer.durable > len(program.packed) // 3, 60, "a third is durable", 0.001)
	producer.gate.clear()
	host.kill()
	for _ in range(test.by_scale(10, 60)):
		host.spawn()
		time.sleep(test.random.random() * 0.2)
		host.kill()
	host.start()
	producer.finish(120)
	run = Campaign(test, host, program, producer)
	run.verify()


if __name__ == "__main__":
	harness.main(globals())
