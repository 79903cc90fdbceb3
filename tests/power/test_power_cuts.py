#!/usr/bin/python3
"""Power cuts: SIGKILL under a shim that then takes back a random part of what no sync has made durable (powercut/shim.h).
Under `sync` the campaigns of crash/ must hold as they do for kills; under `none` and `interval` what comes back is a
consistent earlier epoch (INVARIANTS 12)."""

import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "powercut"))

import cut
from lib import harness
from lib.campaign import Campaign, Producer, play_counts
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.program import RETRY, Program, Shape, difference, emitted_numbers
from lib.rpc import Closed, RpcError

STUFF_BYTES = 8192
# So little memory that a checkpoint comes every 2 MiB of journal.
SMALL = {"limits.memory_bytes": "16MiB"}


class PoweredHost(Host):
	"""A host whose data directory loses at each cut some of what was not synced."""

	def __init__(self, test, **more):
		test.need_plain_build("its library must come first in the process, and so must the shim")
		super().__init__(test, **more)
		self.environment.update(cut.environment(test.find("powercut.so"), self.data))
		self.cuts = 0
		self.pages_lost = self.names_lost = self.checkpoints = 0

	def cut(self):
		self.checkpoints += int(self.metrics()["sofun_checkpoints_total"]) if self.alive() and self.http else 0
		self.kill()
		self.cuts += 1
		if not Path(f"{self.data}.powercut").exists():
			return  # it was killed before it had written anything
		done = cut.cut(self.data, f"{self.test.seed} {self.test.name} {self.cuts}")
		self.pages_lost += done.pages_lost
		self.names_lost += done.names_lost

	def report(self):
		self.test.note(f"{self.cuts} cuts took back {self.pages_lost} pages and {self.names_lost} names, "
			f"after {self.checkpoints} checkpoints")
		expect(self.pages_lost > 0, "some cut took something back")


def campaign(test, messages, cuts, shards, shape, settings, idle_counts=False):
	program = Program(test.random, messages, shape)
	host = PoweredHost(test, shards=shards[0], settings=dict(RETRY, **settings)).start()
	producer = Producer(host.socket, program.packed, test.random)
	run = Campaign(test, host, program, producer)
	run.stop_host = host.cut
	run.run(cuts, shards, idle_counts=idle_counts)
	run.report()
	host.report()
	expect_equal(run.kills if idle_counts else len(run.in_flight), cuts, "cuts that count")
	run.verify()
	return host


def test_answered_records_survive_power_cuts(test):
	"""Exactly once, and no record that was called durable is gone, over cuts with messages in flight."""
	campaign(test, test.by_scale(30000, 200000), test.by_scale(12, 100), [4, 2, 1], Shape(retry=0.02), {})


def test_checkpoints_and_power_cuts(test):
	"""Epochs of the trimmed journal live in the databases alone: a trim before their flush is synced loses them here."""
	shape = Shape(instances=1000, nodes=40, pad=1500, emit=0.5)
	host = campaign(test, test.by_scale(24000, 100000), test.by_scale(12, 60), [2, 4, 1], shape, SMALL, idle_counts=True)
	expect(host.checkpoints >= host.cuts // 2, f"{host.checkpoints} checkpoints before {host.cuts} cuts")


def stuff(number):
	"""Bytes that no compression makes small: what LevelDB has to write takes its time."""
	return random.Random(number).randbytes(STUFF_BYTES)


def keep_until_a_checkpoint(host, first):
	"""Fills boxes from that number on until the host has made a checkpoint, and cuts the power; the numbers it answered."""
	checkpoints = host.metrics()["sofun_checkpoints_total"]
	asked, answered = {}, []
	with host.rpc() as rpc:
		while host.metrics()["sofun_checkpoints_total"] == checkpoints:
			for _ in range(64):
				asked[rpc.request("send", {"to": "hoard/box", "id": f"b{first}", "payload": stuff(first)})] = first
				first += 1
			while len(asked) > 256:
				number, error, _ = rpc.next_answer()
				expect(error is None, f"answer {error}")
				answered.append(asked.pop(number))
		host.cut()
	return answered


def test_large_state_and_power_cuts(test):
	"""The cut comes just when a checkpoint is done and the journal trimmed, with more state than LevelDB holds in one buffer: rule
	1's naive form loses the buffer before the last one here."""
	host = PoweredHost(test, plugins=("hoard",), shards=2, settings={"limits.memory_bytes": "128MiB"}).start()
	first = 0
	for _ in range(test.by_scale(4, 30)):
		answered = keep_until_a_checkpoint(host, first)
		first += len(answered) + 1000
		host.start()
		with host.rpc() as rpc:
			asked = [(number, rpc.request("call", {"to": "hoard/box", "id": f"b{number}", "payload": None})) for number in answered]
			lost = [number for number, request in asked if rpc.answer(request)["payload"] != stuff(number)]
		expect(not lost, f"{len(lost)} of {len(answered)} boxes that were answered are not as they were kept: {lost[:5]}")
	host.report()


def keep_until_it_dies(host, first):
	"""Starts the host and fills boxes from that number on until it is gone; the numbers it answered."""
	asked, answered = {}, []
	try:
		host.spawn().wait_ready()
		with host.rpc() as rpc:
			while True:
				for _ in range(64):
					asked[rpc.request("send", {"to": "hoard/box", "id": f"b{first}", "payload": stuff(first)})] = first
					first += 1
				while len(asked) > 256:
					number, error, _ = rpc.next_answer()
					expect(error is None, f"answer {error}")
					answered.append(asked.pop(number))
	except (Closed, OSError, harness.Failed):
		expect_equal(host.process.wait(30), -signal.SIGKILL, "the end of the host")
	return answered


def test_cuts_between_a_manifest_and_the_names_that_it_tells(test):
	"""LevelDB writes the record that names a new table, then syncs the folder, then the MANIFEST. What the cut keeps of the one
	and loses of the other is a database that LevelDB does not open ("missing files"): the host goes on without that record."""
	mended = cuts = 0
	while mended < test.by_scale(2, 100):
		host = PoweredHost(test, plugins=("hoard",), shards=2, settings=SMALL)
		first = 0
		for _ in range(3):
			host.environment["POWERCUT_DIE"] = str(test.random.randint(*((5, 10) if first == 0 else (3, 9))))
			answered = keep_until_it_dies(host, first)
			host.cut()
			cuts += 1
			first += len(answered) + 1000
			del host.environment["POWERCUT_DIE"]
			host.start()
			mended += "manifest_cut" in host.errors()
			with host.rpc() as rpc:
				asked = [(number, rpc.request("call", {"to": "hoard/box", "id": f"b{number}", "payload": None})) for number in answered]
				lost = [number for number, request in asked if rpc.answer(request)["payload"] != stuff(number)]
			expect(not lost, f"{len(lost)} of {len(answered)} boxes that were answered are not as they were kept: {lost[:5]}")
			host.kill()
		host.end()
		test.hosts.remove(host)
	test.note(f"{mended} of {cuts} cuts left a database whose MANIFEST named a lost table, or was torn")


def test_an_answered_call_survives_a_power_cut(test):
	host = PoweredHost(test, plugins=("counter",), shards=2).start()
	told = 0
	for _ in range(test.by_scale(12, 100)):
		with host.rpc() as rpc:
			for _ in range(test.random.randint(1, 30)):
				told = rpc.call("demo/counter", "one", 1)
			rpc.request("call", {"to": "demo/counter", "id": "one", "payload": 1})
			time.sleep(test.random.random() * 0.002)  # the instant of the cut, relative to the open call
			host.cut()
		host.start()
		with host.rpc() as rpc:
			count = rpc.call("demo/counter", "one", 0)
		expect(told <= count <= told + 1, f"told {told}, the state says {count}")
		told = count
	host.report()


def test_cuts_right_behind_a_start(test):
	"""Opening a database moves names about (LevelDB writes a new MANIFEST, renames CURRENT and removes what it no longer needs):
	a cut behind that finds a database all the same."""
	host = PoweredHost(test, plugins=("counter",), shards=2, settings=SMALL).start()
	told = {}
	for round in range(test.by_scale(25, 300)):
		with host.rpc() as rpc:
			for id in (f"c{test.random.randrange(50)}" for _ in range(20)):
				told[id] = rpc.call("demo/counter", id, 1)
		if round % 3 == 0:
			host.stop()  # an orderly stop makes a checkpoint: there is something to open
			host.start()
		time.sleep(test.random.choice((0, 0.002, 0.05)))  # the instant of the cut, relative to the start
		host.cut()
		host.start()
	counts = {id: values["count"] for id, values in host.dump("demo/counter").items()}
	expect_equal(counts, told, "counts")
	host.report()


def test_weak_durability_comes_back_at_an_earlier_epoch(test):
	"""Not exact after a power cut, but consistent: the first records of the producer, all of their effects, nothing of a later
	one. The producer asks where the host is and goes on from there."""
	for durability in ("none", "interval=20"):
		program = Program(test.random, test.by_scale(8000, 60000), Shape(nodes=60, retry=0.02))
		host = PoweredHost(test, shards=2, settings=dict(RETRY, durability=durability)).start()
		positions = []
		for _ in range(test.by_scale(6, 40)):
			stream_some(test, host, program)
			host.cut()
			host.start()
			positions.append(check_consistent(host, program))
		test.note(f"durability={durability}: came back at records {positions} of {len(program.packed)}")
		host.report()
		host.kill()


def stream_some(test, host, program):
	"""Some records more, as fast as they go, from where the host says it is."""
	with host.rpc() as rpc:
		try:
			first = rpc.position("play", "campaign") + 1
			for at in range(first, min(first + test.random.randint(5, 40), len(program.packed) + 1)):
				rpc.ingest_packed("play", "campaign", at, [program.packed[at - 1]])
			rpc.next_answer()
		except (Closed, RpcError) as error:
			raise harness.Failed(f"the host does not take records: {error}") from error


def check_consistent(host, program):
	with host.rpc() as rpc:
		position = rpc.position("play", "campaign")
	host.barrier()
	counts, emits, _ = program.expected(position)
	got, gaps = play_counts(host)
	expect(got == counts, f"counts at position {position}: {difference(got, counts)}")
	expect_equal((gaps, emitted_numbers(host.egress("play"))), ({}, emits), f"gaps and egress records at position {position}")
	return position


def test_cuts_at_the_first_start_and_while_a_plugin_goes_live(test):
	for _ in range(test.by_scale(12, 100)):
		host = PoweredHost(test, plugins=("counter",), shards=1)
		host.spawn()
		time.sleep(test.random.random() * 0.4)
		host.cut()
		host.start()
		host.wait_live("counter")
		with host.rpc() as rpc:
			expect_equal(rpc.call("demo/counter", "a", 1), 1, "the first call")
		host.cut()
		(host.plugins_dir() / "counter.so").unlink()  # so that its image is all there is (INVARIANTS 33)
		host.start()
		with host.rpc() as rpc:
			expect_equal(rpc.call("demo/counter", "a", 1), 2, "the plugin that was live is live, with its state")
		host.kill()


def sink_offsets(host):
	"""Of all lines of the sink, rotated files first."""
	out = host.data / "out.jsonl"
	numbered = sorted((int(path.name.rsplit(".", 1)[1]), path) for path in host.data.glob("out.jsonl.*"))
	text = b"".join(path.read_bytes() for path in [*(path for _, path in numbered), out] if path.exists())
	return [json.loads(line)["offset"] for line in text.split(b"\n")[:-1]]


def sink_campaign(test, durability):
	"""A file that is written, rotated, and cut: in the end every offset once, in order. A weak durability takes back records, and
	the file with them."""
	host = PoweredHost(test, shards=2, settings={"egresses.play.sink": "{file: out.jsonl, rotate_bytes: 16KiB}",
		"durability": durability}).start()
	for life in range(test.by_scale(6, 80)):
		end = time.monotonic() + test.random.uniform(0.1, 0.4)
		with host.rpc() as rpc:
			while time.monotonic() < end:
				numbers = [rpc.request("send", {"to": "test/play", "id": f"i{n % 3}",
					"payload": {"emit": {"egress": "play", "payload": "x" * test.random.randint(0, 500)}}}) for n in range(20)]
				for number in numbers:
					rpc.answer(number)
		host.cut()
		host.restart()
		host.barrier()
		with host.rpc() as rpc:  # whatever was lost, a record is there to wait for
			rpc.send("test/play", "e", {"emit": {"egress": "play", "payload": life}})
		wait_until(lambda: len(host.egress("play")) > 0, 10, "the record")
		count = len(host.egress("play"))
		wait_until(lambda: len(sink_offsets(host)) >= count, 20, "all of it is in the file")
		found = sink_offsets(host)
		wrong = next((index for index, offset in enumerate(found) if offset != index), None)
		expect(wrong is None and len(found) == count, f"cut {life}: {len(found)} lines of {count}, wrong from {wrong}")
	host.report()


def test_a_sink_and_power_cuts(test):
	sink_campaign(test, "sync")


def test_a_sink_and_power_cuts_in_weak_durability(test):
	sink_campaign(test, "interval=50")


if __name__ == "__main__":
	harness.main(globals())
