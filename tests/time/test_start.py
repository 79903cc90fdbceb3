#!/usr/bin/python3
"""A start of a host that has much to come: delayed messages by the hundred thousand, all due at once or not yet, and messages that wait
in channels, behind retries and for a type without a live version. It is killed at many instants, each time with another number of
shards, or finds the disk full: nothing is lost, nothing comes twice, and every order holds. Time is --test-clock's."""

import itertools
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.disk import fill_disk, small_disk, started_on_full_disk
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.shards import Places

START_MS = 1_000_000_000
SPAN_MS = 50_000  # all timers are due by then
NAP_MS = 2000
DUE_MS = (1, 2, 3, *range(SPAN_MS // 10, SPAN_MS + 1, SPAN_MS // 10))
EACH = 100  # timers of one message
PRODUCERS = [f"p{number}" for number in range(6)]


def ingest(rpc, producer, first, records):
	return rpc.request("ingest", {"ingress": "play", "producer": producer, "first": first, "records": records})


def answers(rpc, deadline_s, asked):
	"""producer → its durable position, of those that are answered in time."""
	end, durable = time.monotonic() + deadline_s, {}
	for producer, number in asked.items():
		try:
			durable[producer] = rpc.answer(number, end)["durable"]
		except TimeoutError:
			pass
	return durable


class Crowd:
	"""What a host is given, and what must have come of it in the end: for each (kind, from, to) the numbers in their order."""

	def __init__(self, test, data=None, memory=512 << 20):
		self.random, self.expected = test.random, {}
		self.records = {producer: [] for producer in PRODUCERS}
		self.host = Host(test, plugins=("play",), shards=2, data=data, flags=["--test-clock", str(START_MS)],
			settings={"retry.attempts": 3, "limits.memory_bytes": memory}).start()
		self.host.wait_live("play")
		for name in ("sleeper", "counter"):
			self.load(name)
		places, naps = Places(self.host.data, 1), Places(self.host.data, 2)  # test/play is the store's first type, sleeper/nap its second
		# Whatever the number of shards, the nap and the targets are on the first one. Channels from it come first: the nap, too.
		self.nap = next(f"n{index}" for index in range(100) if naps.shard(f"n{index}", 4) == 0)
		self.targets = [f"x{index}" for index in range(64) if places.shard(f"x{index}", 4) == 0]
		self.hubs = [f"h{index}" for index in range(32) if places.shard(f"h{index}", 2) == 1]

	def load(self, name):
		self.host.http.post("/v1/plugins", {"path": str(self.host.test.plugin(name))})

	def unload(self, name):
		self.host.http.json("DELETE", f"/v1/plugins/{name}")

	def put(self, kind, source, target, pad=0):
		numbers = self.expected.setdefault((kind, source, target), [])
		numbers.append(len(numbers) + 1)
		return {"add": 1, "emit": {"egress": "play", "payload": [kind, source, target, numbers[-1], "x" * pad]}}

	def sent(self, to, payloads):
		"""Messages from outside, in this order; all accepted."""
		with self.host.rpc() as rpc:
			for number in [rpc.request("send", {"to": to, "id": id, "payload": payload}) for id, payload in payloads]:
				rpc.answer(number)

	def timers_of(self, sender):
		"""They are numbered as they come: by the time at which each is due, and where that is the same in the order in which they are
		set. Those that are due last are set first."""
		due = sorted(self.random.choice(DUE_MS) for _ in range(EACH))
		sends = [{"id": f"t{self.random.randrange(8)}-{int(sender[1:]) % 200}", "after_ms": ms} for ms in due]
		for send in sends:
			send["msg"] = self.put("timer", sender, send["id"])
		by_time = [[send for send in sends if send["after_ms"] == ms] for ms in sorted(set(due), reverse=True)]
		return {"id": sender, "msg": {"send": list(itertools.chain(*by_time))}}

	def timers(self, count):
		with self.host.rpc() as rpc:
			for first in range(0, count // EACH, 100):
				last = min(first + 100, count // EACH)
				rpc.ingest("play", "timers", first + 1, [self.timers_of(f"s{number}") for number in range(first, last)])

	def retries(self, addresses, messages):
		"""The first one of each address fails once; time stands, so all of them wait."""
		first = [(f"r{address}", {**self.put("retry", "", f"r{address}"), "fail": "not yet", "fail_times": 1}) for address in range(addresses)]
		self.sent("test/play", first + [(f"r{address}", self.put("retry", "", f"r{address}")) for _ in range(messages) for address in range(addresses)])

	def parked(self, messages):
		self.unload("counter")
		self.parks = messages
		self.sent("demo/counter", [(f"c{index % 97}", 1) for index in range(messages)])

	def hub_sends(self, hub):
		return {"send": [{"id": target, "msg": self.put("hub", hub, target)} for target in self.targets for _ in range(3)]}

	def channels(self):
		"""One of two shards naps: what the other one sends it stands in channels. Producers that are routed there wait."""
		self.unload("sleeper")
		self.sent("sleeper/nap", [(self.nap, NAP_MS)])  # accepted, and not handled: it comes from there in each life until it is over
		self.load("sleeper")
		self.sent("test/play", [(hub, self.hub_sends(hub)) for hub in self.hubs])
		for producer in PRODUCERS:
			self.records[producer] += [{"id": target, "msg": self.put("record", producer, target, 600)} for _ in range(60) for target in self.targets]
		self.feed(0.5)  # a start moves them in several epochs

	def feed(self, deadline_s):
		"""What each producer's position lacks. One that is not answered in time is left as it is."""
		with self.host.rpc() as rpc:
			at = answers(rpc, deadline_s, {producer: ingest(rpc, producer, 1, []) for producer in PRODUCERS})
			answers(rpc, deadline_s, {producer: ingest(rpc, producer, place + 1, self.records[producer][place:])
				for producer, place in at.items() if place < len(self.records[producer])})

	# ---- lives ----

	def next_life(self, shards, clock_ms):
		self.host.shards, self.host.flags = shards, ["--test-clock", str(clock_ms)]

	def moved(self):
		"""(messages that this start found waiting, and moved to other channels); None: it did not come so far."""
		found = re.search(r" mailboxes waiting=(\d+) moved=(\d+)", self.host.errors())
		return found and (int(found[1]), int(found[2]))

	def more(self):
		"""To a host that has just come up: what is sent now must not overtake what waits."""
		for producer in PRODUCERS:
			self.records[producer] += [{"id": target, "msg": self.put("record", producer, target)} for target in self.targets]
		self.feed(0.3)  # who is routed where nobody naps is there before what waits behind the nap
		self.feed(30)
		self.sent("test/play", [(hub, self.hub_sends(hub)) for hub in self.hubs])

	def check(self):
		host = self.host
		self.feed(60)
		self.load("counter")
		for to_ms in (SPAN_MS, SPAN_MS + 5000):
			host.http.post("/v1/clock", {"to_ms": START_MS + to_ms})
		host.barrier(timeout_ms=120_000)
		came = {}
		for record in host.egress("play", page=10_000):
			kind, source, target, number, _ = record["payload"]
			came.setdefault((kind, source, target), []).append(number)
		wrong = {key: (came.get(key), numbers) for key, numbers in self.expected.items() if came.get(key) != numbers}
		expect(not wrong and len(came) == len(self.expected), f"{len(wrong)} of {len(self.expected)} did not come once and in order "
			f"(came, expected): {dict(list(wrong.items())[:3])}")
		expect_equal(host.dead(), [], "dead letters")
		play = host.dump("test/play")
		expect_equal([id for id, values in play.items() if "gaps" in values], [], "who saw a number out of order")
		expect_equal(sum(values.get("count", 0) for values in play.values()), sum(map(len, self.expected.values())), "messages that were counted")
		expect_equal(sum(values["count"] for values in host.dump("demo/counter").values()), self.parks, "messages that waited for their type")
		expect_equal(host.status()["timers"]["pending"], 0, "timers that are left")


def crowded(test, timers, **more):
	"""Killed while all of it waits."""
	crowd = Crowd(test, **more)
	crowd.timers(timers)
	crowd.retries(50, 20)
	crowd.parked(5000)
	crowd.channels()
	crowd.host.kill()
	return crowd


def test_kills_within_starts(test):
	"""First nothing is due, then all of it is, at the very start. Behind the kills a host that comes up gets inputs at once: with as many
	shards as the last one that died, or another number."""
	timers = test.by_scale(60_000, 1_000_000, sanitized=10_000)
	crowd = crowded(test, timers)
	host = crowd.host
	crowd.next_life(3, START_MS)
	start = time.monotonic()
	host.start()
	took_s = time.monotonic() - start
	waiting, moved = crowd.moved()
	expect(moved > 5000 + 1000, f"{moved} of {waiting} messages were moved: none of them stood in channels")
	host.kill()
	early, kills = 0, 0
	for clock_ms, beyond_s, same in ((START_MS, 0.1, True), (START_MS, 0.1, False), (START_MS + SPAN_MS, 0.6, False)):
		if kills > 0:
			crowd.next_life(2, clock_ms)
			host.start()
			crowd.channels()
			host.kill()
		for number in range(test.by_scale(6, 60)):
			crowd.next_life(test.random.choice([1, 2, 3, 4]), clock_ms)
			host.spawn()
			time.sleep(test.random.random() ** 2 * (took_s + beyond_s))  # not a wait: the instant of the kill is part of the seed's play
			host.kill()
			early += crowd.moved() is None
			kills += 1
		crowd.next_life(4 if host.shards != 4 else 3, clock_ms)
		if same:
			host.start()
			host.kill()
		host.start()
		crowd.more()
		host.kill()
	crowd.next_life(test.random.choice([1, 2, 4]), START_MS + SPAN_MS)
	host.start()
	crowd.check()
	test.note(f"a start of {timers} timers and {waiting} waiting messages took {took_s:.2f} s; {early} of {kills} kills came before the messages were moved")
	expect(early > 0, "no kill came before the messages were moved")


def test_starts_on_a_full_disk(test):
	"""There is no room at all, or it ends within the start. Where a host comes up all the same, what is due waits for room."""
	with small_disk(test, 512 << 20) as disk:
		crowd = crowded(test, test.by_scale(30_000, 100_000), data=disk / "data", memory=16 << 20)
		host = crowd.host
		ballast = fill_disk(disk)
		ready, met = 0, 0
		for number, left in enumerate((0, 1, 4, 8, 2, 16, 6, 3)):
			with open(ballast, "r+b") as file:
				file.truncate(max(ballast.stat().st_size - (left << 20), 0))
			crowd.next_life(1 + number % 4, START_MS + SPAN_MS * number // 7)
			if started_on_full_disk(host):
				ready += 1
				wait_until(lambda: full(host) or settled(host), 60, "it comes to the end of the disk, or of what is due")
				met += full(host)
				host.kill()
			else:
				met += 1
			fill_disk_again(disk, ballast)
		ballast.unlink()
		crowd.next_life(2, START_MS + SPAN_MS)
		host.start()
		wait_until(lambda: host.http.raw("GET", "/healthz")[0] == 200, 60, "it is well")
		crowd.check()
		test.note(f"{ready} of 8 starts came up with little room, {met} met the end of it")
		expect(met > 0, "no start met the end of the disk")


def settled(host):
	"""Nothing is due that has not come."""
	next_ms = host.status()["timers"]["next_ms"]
	return next_ms is None or next_ms > host.status()["time_ms"]


def full(host):
	return host.http.raw("GET", "/healthz")[0] == 503


def fill_disk_again(disk, ballast):
	with open(ballast, "ab", buffering=0) as file:
		try:
			while file.write(b"\xaa" * (1 << 20)) > 0:
				pass
		except OSError:
			pass


if __name__ == "__main__":
	harness.main(globals())
