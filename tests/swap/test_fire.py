#!/usr/bin/python3
"""Swaps under full load: `play` back and forth between two versions while two producers stream into it, and SIGKILL at random
moments. Which version each message goes to is the simulation's to judge (tests/sim/world/swaps.c); here it is that nothing is lost,
repeated or out of order, that images come and go in balance, and that memory stays."""

import random
import sys
import threading
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer, play_counts
from lib.harness import expect, expect_equal, wait_until
from lib.program import Program, Shape, difference
from lib.swapping import VERSIONS, Stream, images_balance, live, other, swap, two_versions


def fire(test, shards, swaps, kills):
	host = two_versions(test, shards=shards[0])
	stream = Stream(test, host, 120000)
	stream.start()
	done, killed = 0, 0
	kill_at = sorted(test.random.sample(range(1, swaps), kills))
	while done < swaps:
		stream.feed()
		version = other(host)
		killer = None
		if killed < kills and done >= kill_at[killed]:
			killer = threading.Timer(test.random.random() * 0.12, host.process.kill)
			killer.start()
		if swap(host, version, test.random.choice(("accepted", "running"))):
			done += 1
			try:
				images_balance(host)
			except OSError:  # killed while it answered
				expect(killer is not None, "the host has gone by itself")
		if killer is not None:
			killer.join()
			host.kill()
			killed += 1
			host.restart(shards=shards[killed % len(shards)])
			expect(live(host) in VERSIONS, "a version is live")
	stream.finish()
	messages = stream.verify()
	test.note(f"{done} swaps, {killed} kills, {messages} messages, shards {shards}")


def test_swaps_on_one_shard(test):
	fire(test, [1], test.by_scale(40, 200), test.by_scale(6, 40))


def test_swaps_on_two_shards(test):
	fire(test, [2], test.by_scale(40, 200), test.by_scale(6, 40))


def test_swaps_while_shards_change(test):
	fire(test, [4, 1, 2], test.by_scale(60, 200), test.by_scale(12, 40))


class Replay:
	"""Two producers that stream the same records again and again, so that nothing grows but by what the host does."""

	ROUNDS = 1000

	def __init__(self, test, host, messages):
		self.programs = [Program(test.random, messages, Shape(retry=0.01)) for _ in range(2)]
		self.producers = [Producer(host.socket, program.packed * self.ROUNDS, random.Random(number), name=f"p{number}")
			for number, program in enumerate(self.programs)]
		self.pause()
		for producer in self.producers:
			producer.gate.set()
			producer.start()

	def pause(self):
		for producer in self.producers:
			producer.limit = 0

	def go(self):
		for producer in self.producers:
			producer.check()
			producer.limit = len(producer.records)

	def expected(self):
		counts = Counter()
		for program, producer in zip(self.programs, self.producers):
			whole, rest = divmod(producer.durable, len(program.packed))
			counts.update({id: count * whole for id, count in program.expected()[0].items()} if whole else {})
			counts.update(program.expected(rest)[0])
		return dict(counts)


def resident_at_rest(host, replay):
	"""(resident, of these what the host itself counts as state that is not written back yet), once neither changes."""
	replay.pause()
	wait_until(lambda: host.barrier() and host.status()["in_flight"] == 0 and images_rest(host), 30, "nothing is on its way")
	seen = []

	def stands():
		seen.append((host.resident_bytes() >> 16, host.status()["memory_bytes"]))
		return len(seen) > 10 and len(set(seen[-10:])) == 1
	wait_until(stands, 30, "memory stands", every_s=0.05)
	return host.resident_bytes(), host.status()["memory_bytes"]


def images_rest(host):
	return host.status()["images"]["loaded"] == 1


def test_swaps_under_load_leave_no_memory(test):
	"""At rest after the last swap as after the twentieth. What the traffic before has left for the next checkpoint is memory, too,
	more or less by chance: the host counts that itself."""
	test.need_plain_build("it keeps every image mapped")
	swaps = test.by_scale(60, 200)
	host = two_versions(test, shards=2, settings={"limits.memory_bytes": "64MiB"})
	replay = Replay(test, host, 20000)
	replay.go()
	wait_until(lambda: host.metrics()["sofun_checkpoints_total"] >= 2, 60, "the store has been through some checkpoints")
	early, done = None, 0
	while done < swaps:
		replay.go()
		if swap(host, other(host), ("accepted", "running")[done % 2]):
			done += 1
		if done == 20 and early is None:
			early = resident_at_rest(host, replay)
	late = resident_at_rest(host, replay)
	for producer in replay.producers:
		producer.check()
		producer.stopped = True
	got, gaps = play_counts(host)
	expected = replay.expected()
	expect(got == expected, f"counts: {difference(got, expected)}")
	expect_equal(gaps, {}, "gaps in the order of a sender's messages to a target")
	grown, own = late[0] - early[0], late[1] - early[1]
	test.note(f"{swaps} swaps, {host.status()['handled']} messages; resident {early[0] >> 10} KiB after the 20th, {grown >> 10} KiB more "
		f"after the last, of which {own >> 10} are state that is not written back yet")
	expect(grown - own <= 8 << 20, f"{grown - own >> 20} MiB more than after the 20th swap")


if __name__ == "__main__":
	harness.main(globals())
