#!/usr/bin/python3
"""Recovery from every prefix of a journal (INVARIANTS 5), on the true binary: whatever block the journal ends at, the host
comes back with some first records of the producer, all of them and nothing of a later one: counts + in flight = accepted."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.campaign import play_counts
from lib.harness import expect, expect_equal
from lib.program import RETRY, Program, Shape, difference, emitted_numbers

# Few addresses and trees that reach far: what one epoch leaves in flight is handled by a later one.
SHAPE = Shape(instances=60, nodes=60, depth=8, retry=0.03, emit=0.3)


def recovered(host, program):
	"""The producer's position in a host that came back, after everything that was accepted is handled and found right."""
	with host.rpc() as rpc:
		position = rpc.position("play", "campaign")
	host.barrier()
	counts, emits, _ = program.expected(position)
	got, gaps = play_counts(host)
	expect(got == counts, f"counts at position {position}: {difference(got, counts)}")
	expect_equal(gaps, {}, "instances that saw a gap")
	expect_equal(emitted_numbers(host.egress("play")), emits, f"egress records at position {position}")
	expect_equal(host.status()["in_flight"], 0, "left over")
	return position


def prefixes(test, used):
	"""Where to cut: at every block at full scale, at a sample that has both ends in it at ci; some inside a block."""
	blocks = list(range(1, used // store.BLOCK_BYTES + 1))
	if not test.full() and len(blocks) > 90:
		blocks = sorted(set(blocks[:12] + blocks[-12:] + test.random.sample(blocks, 66)))
	return [block * store.BLOCK_BYTES + (test.random.choice((0, 0, 0, 1, 64, 2048, 4095)) if block < blocks[-1] else 0)
		for block in blocks]


def every_prefix(test, shards, messages, settings):
	program = Program(test.random, messages, SHAPE)
	host = store.fed(test, program, shards=shards[0], settings=settings)
	host.kill()
	found = store.segments(host.data)
	expect_equal(len(found), 1, "segments of a short journal")
	used = store.used_bytes(found[0])
	before, seen, after_restart = 0, [], 0
	for number, cut in enumerate(prefixes(test, used)):
		copy = store.copied_host(test, host.data, shards=shards[number % len(shards)], settings=settings)
		store.zero_from(copy.data / found[0].relative_to(host.data), cut)
		copy.start()
		status = copy.status()
		after_restart += status["in_flight"] + status["handled"] > 0
		position = recovered(copy, program)
		expect(position >= before, f"cut at {cut}: position {position}, a shorter prefix had {before}")
		before = position
		seen.append(position)
		copy.kill()
		store.drop(copy)
	expect_equal(seen[-1], len(program.packed), "position of the whole journal")
	expect(len(set(seen)) > 2, f"different positions: {sorted(set(seen))}")
	test.note(f"{len(seen)} prefixes of {used // store.BLOCK_BYTES} blocks, {len(set(seen))} different positions; "
		f"{after_restart} came back with messages in flight")
	expect(after_restart > 0, "some prefix ends with messages in flight")


def test_every_prefix_of_a_journal(test):
	every_prefix(test, [2, 4, 1], test.by_scale(1500, 6000), RETRY)


def test_every_prefix_of_a_journal_that_was_not_synced(test):
	"""Under `none` a power cut leaves some prefix: a consistent earlier epoch (INVARIANTS 12)."""
	every_prefix(test, [2], test.by_scale(600, 4000), dict(RETRY, durability="none"))


if __name__ == "__main__":
	harness.main(globals())
