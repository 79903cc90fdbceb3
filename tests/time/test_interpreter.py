#!/usr/bin/python3
"""The command interpreter: random trees of {add, send, send later, send later under a token and cancel, operation that succeeds or
fails, emit, changes of tables and lists} over 1,000 instances, with SIGKILL, swaps and other numbers of shards in the middle; in the end every count is
exact, within a deadline. A timer that was cancelled would add a thousand million, so that it shows."""

import sys
import time
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer, found_in_flight
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError

TYPE = "interpreter/node"
ADD, SEND, AFTER, TOKEN, CANCEL, OPERATION, EMIT, TABLE, SCRATCH, LIST, AUDIT = range(11)
INSTANCES, DEPTH, NEVER_MS, LATER_MS = 1000, 6, 10 ** 9, 300


class Trees:
	"""Random programs, and what must come of them."""

	def __init__(self, random, messages):
		self.random = random
		self.counts = {}
		self.results = {}
		self.tables = {}
		self.lists = {}  # id → [length, sum of all that was appended]
		self.emits = []
		self.messages = 0
		self.tokens = 0
		self.kinds = dict.fromkeys(("send", "after", "token", "cancelled", "operation", "emit", "table", "scratch", "list"), 0)
		self.packed = []
		while self.messages < messages:
			id = self.id()
			self.packed.append(msgpack.packb([id, self.handled(id, 0)]))

	def id(self):
		return f"i{self.random.randrange(INSTANCES)}"

	def handled(self, self_id, depth):
		"""The commands of a message, or of a result, that comes to this address."""
		self.messages += 1
		number = self.random.randint(1, 9)
		self.counts[self_id] = self.counts.get(self_id, 0) + number
		commands = [[ADD, number]]
		for _ in range(self.random.randint(0, 4) if depth < DEPTH else 0):
			kind = self.random.choice(list(self.kinds))
			self.kinds[kind] += 1
			commands += getattr(self, "_" + kind)(self_id, depth + 1)
		return commands

	def _token(self, self_id, depth):
		self.tokens += 1
		id = self.id()
		return [[TOKEN, id, self.handled(id, depth), self.random.randint(0, LATER_MS), f"t{self.tokens}"]]

	def _send(self, self_id, depth):
		id = self.id()
		return [[SEND, id, self.handled(id, depth)]]

	def _after(self, self_id, depth):
		id = self.id()
		return [[AFTER, id, self.handled(id, depth), self.random.randint(0, LATER_MS)]]

	def _cancelled(self, self_id, depth):
		"""Set now, cancelled at once, by a message to itself, by a later one, or by the result of an operation."""
		self.tokens += 1
		token = f"t{self.tokens}"
		victim = [TOKEN, self.id(), [[ADD, 10 ** 9]], NEVER_MS, token]
		way = self.random.randrange(4)
		if way == 0:
			return [victim, [CANCEL, token]]
		rest = self.handled(self_id, depth) + [[CANCEL, token]]
		if way == 1:
			return [victim, [SEND, self_id, rest]]
		if way == 2:
			return [victim, [AFTER, self_id, rest, self.random.randint(0, LATER_MS)]]
		self.results[self_id] = self.results.get(self_id, 0) + 1
		return [victim, [OPERATION, self.random.random() < 0.5, self.random.random() < 0.5, rest]]

	def _operation(self, self_id, depth):
		self.results[self_id] = self.results.get(self_id, 0) + 1
		return [[OPERATION, self.random.random() < 0.5, self.random.random() < 0.3, self.handled(self_id, depth)]]

	def _table(self, self_id, depth):
		key, number = f"k{self.random.randrange(10)}", self.random.randint(-9, 9)
		sums = self.tables.setdefault(self_id, {})
		sums[key] = sums.get(key, 0) + number
		return [[TABLE, key, number]]

	def _scratch(self, self_id, depth):
		return [[SCRATCH, f"s{self.random.randrange(10)}"]]

	def _list(self, self_id, depth):
		number = self.random.randint(1, 99)
		turn = self.lists.setdefault(self_id, [0, 0])
		turn[0] += 1
		turn[1] += 2 * number
		return [[LIST, number]]

	def _emit(self, self_id, depth):
		self.emits.append(self.random.randrange(10 ** 6))
		return [[EMIT, self.emits[-1]]]


def swap(host, version):
	"""Another one may still drain: then this one is not made."""
	try:
		host.http.post("/v1/plugins/interpreter/swap", {"version": version})
	except HttpError as error:
		expect(error.status == 409, f"a swap to {version}: {error}")
		return False
	return True


def difference(got, wanted):
	wrong = {id: (got.get(id, 0), wanted.get(id, 0)) for id in {*got, *wanted} if got.get(id, 0) != wanted.get(id, 0)}
	return f"{len(wrong)} differ, e.g. {dict(list(wrong.items())[:5])}"


def audit(host, trees, ids):
	"""Tables and lists, as the function sees them."""
	with host.rpc() as rpc:
		for id in ids:
			*sums, length, total, dropped, left = rpc.call(TYPE, id, [[AUDIT]])
			expect_equal(dict(sums), trees.tables.get(id, {}), f"the table of {id}")
			expect_equal([key for key, _ in sums], sorted(key for key, _ in sums), f"its order in {id}")
			expect_equal([length, total + dropped], trees.lists.get(id, [0, 0]), f"the list of {id}")
			expect_equal(left, 0, f"what was cleared of {id}")


def verify(host, trees, deadline_s):
	"""Timers that are not due yet are no backlog of a barrier's: so it is asked until all of it has come."""
	def all_emitted():
		host.barrier()
		return len(host.egress("interpreted")) >= len(trees.emits) and host.status()["operations"]["open"] == 0
	wait_until(all_emitted, deadline_s, "all records are emitted")
	def state():
		host.barrier()
		return host.dump(TYPE)
	end = time.monotonic() + deadline_s
	while True:
		states = state()
		counts = {id: values.get("count", 0) for id, values in states.items()}
		if counts == trees.counts:
			break
		expect(time.monotonic() < end, f"counts: {difference(counts, trees.counts)}")
	results = {id: values.get("results", 0) + values.get("unknown", 0) for id, values in states.items()}
	results = {id: number for id, number in results.items() if number}
	expect(results == trees.results, f"results: {difference(results, trees.results)}")
	expect_equal({id: values["broken"] for id, values in states.items() if values.get("broken")}, {}, "what must never be")
	expect_equal({id: values["waiting"] for id, values in states.items() if values.get("waiting")}, {}, "addresses that wait")
	expect_equal(sorted(record["payload"] for record in host.egress("interpreted")), sorted(trees.emits), "egress records")
	audit(host, trees, states)
	expect_equal(host.dead(), [], "dead letters")
	expect_equal(host.status()["in_flight"], 0, "in flight")
	return sum(values.get("unknown", 0) for values in states.values())


def test_every_count_is_exact(test):
	trees = Trees(test.random, test.by_scale(100_000, 400_000, sanitized=15_000))
	test.note(f"{trees.messages} messages, {trees.tokens} tokens, {sum(trees.results.values())} operations, {len(trees.emits)} egress "
		f"records: {trees.kinds}")
	host = Host(test, plugins=("interpreter",), shards=2, settings={"plugins.policy": "manual"}).start()
	host.wait_live("interpreter")
	host.drop("interpreter_2")
	wait_until(lambda: any(plugin["version"] == "2.0.0" for plugin in host.status()["plugins"]), 20, "2.0.0 is ready")
	producer = Producer(host.socket, trees.packed, test.random, ingress="interpreter", name="trees", batch=32, window=8)
	events = ["2.0.0", 4, "1.0.0", 1, 3, "2.0.0", 2, "1.0.0", 4]  # a version: a swap; a number: SIGKILL, and so many shards
	found, swaps, start = [], 0, time.monotonic()
	producer.start()
	for place, event in enumerate(events):
		position = len(trees.packed) * (place + 1) // (len(events) + 1)
		producer.limit = min(len(trees.packed), position + 256)
		producer.gate.set()
		wait_until(lambda: producer.check() or producer.durable >= position, 120, f"record {position} is durable", every_s=0.001)
		if isinstance(event, str):
			swaps += swap(host, event)
			continue
		producer.gate.clear()
		host.kill()
		host.restart(shards=event)
		found.append(found_in_flight(host))
	producer.finish(120)
	unknown = verify(host, trees, 120)
	test.note(f"{swaps} swaps, {len(found)} kills that met {found} messages, {unknown} operations unknown, "
		f"{time.monotonic() - start:.1f} s from the first record to the last count")
	expect(swaps >= 2 and any(found), "something happened in the middle")


if __name__ == "__main__":
	harness.main(globals())
