#!/usr/bin/python3
"""The power goes at any instant (INVARIANTS 43), on the true binary: the host runs under powercut.so, is killed while records
stream in, and its directory then loses some of the unsynced pages and names. What was answered is there, and all is right."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "powercut"))

import cut
from lib import harness, store
from lib.campaign import Producer, play_counts
from lib.harness import Failed, expect, expect_equal
from lib.host import Host
from lib.program import Program, Shape, difference, emitted_numbers

SHAPE = Shape(instances=500, retry=0.02)
RETRY = {"retry.backoff_ms": 3, "retry.factor": 2}
# The smallest budget: a checkpoint every 2 MiB of journal.
SMALL = {"limits.memory_bytes": "16MiB"}


def wait_answered(producer, count, deadline_s=60):
	"""Returns at the very moment an answer has come: what is not yet synced then should not have been answered."""
	end = time.monotonic() + deadline_s
	while producer.durable < count and producer.failure is None:
		if time.monotonic() > end:
			raise Failed(f"only {producer.durable} of {count} records answered within {deadline_s} s")
		time.sleep(0)


def cut_once(test, host, producer, seed, counts):
	target = min(producer.durable + test.random.randint(1, len(producer.records) // 5), len(producer.records))
	wait_answered(producer, target)
	host.kill()
	done = cut.cut(host.data, seed)
	counts["cuts"] += 1
	counts["pages"] += done.pages_lost
	counts["names"] += done.names_lost
	host.start()
	producer.check()


def run(test, number, messages, lives, settings, counts):
	program = Program(test.random, messages, SHAPE)
	host = Host(test, shards=test.random.choice((1, 2, 4)), settings=dict(RETRY, **settings))
	host.environment = cut.environment(test.find("powercut.so"), host.data)
	host.start()
	producer = Producer(host.socket, program.packed, test.random)
	producer.start()
	producer.gate.set()
	for life in range(lives):
		if producer.durable < len(program.packed):
			cut_once(test, host, producer, f"{test.seed} {number} {life}", counts)
	producer.finish(120)
	host.barrier()
	wanted, emits, _ = program.expected(len(program.packed))
	got, gaps = play_counts(host)
	expect(got == wanted, f"counts after the cuts: {difference(got, wanted)}")
	expect_equal(gaps, {}, "instances that saw a gap")
	expect_equal(emitted_numbers(host.egress("play")), emits, "egress records after the cuts")
	store.drop(host)


def campaign(test, runs, messages, lives, settings):
	counts = dict.fromkeys(("cuts", "pages", "names"), 0)
	for number in range(runs):
		run(test, number, messages, lives, settings, counts)
	test.note(f"power cuts {counts['cuts']}, unsynced pages lost {counts['pages']}, names lost {counts['names']}")
	expect(counts["pages"] > 0, "no page was ever lost: nothing was proven")


def test_what_was_answered_is_there(test):
	campaign(test, test.by_scale(4, 100), 20000, 6, {})


def test_checkpoints_survive(test):
	campaign(test, test.by_scale(3, 100), 80000, 6, SMALL)


def test_what_is_released_early_is_an_earlier_epoch(test):
	"""Under `none` answers do not wait for the disk: a cut goes back, but to one consistent state, and whole."""
	program = Program(test.random, 20000, SHAPE)
	for number in range(test.by_scale(3, 50)):
		host = Host(test, shards=2, settings=dict(RETRY, durability="none"))
		host.environment = cut.environment(test.find("powercut.so"), host.data)
		host.start()
		producer = Producer(host.socket, program.packed, test.random)
		producer.start()
		producer.gate.set()
		wait_answered(producer, len(program.packed) // 2)
		producer.stopped = True
		host.kill()
		cut.cut(host.data, f"{test.seed} {number}")
		host.start()
		with host.rpc() as rpc:
			position = rpc.position("play", "campaign")
		if position > 0:
			host.wait_live("play")
		host.barrier()
		wanted, emits, _ = program.expected(position)
		got, _ = play_counts(host)
		expect(got == wanted, f"counts at position {position}: {difference(got, wanted)}")
		expect_equal(emitted_numbers(host.egress("play")) if position else [], emits, f"egress records at position {position}")
		store.drop(host)


if __name__ == "__main__":
	harness.main(globals())
