"""A campaign: a program streams into the host while the host is killed again and again; at the end all must be right.

The producer runs in a thread of its own, over however many lives of the host there are. A kill counts only if messages
were in flight at that instant, which the next life tells: it comes back with work that nobody has given it since."""

import threading
import time

from lib.harness import Failed, expect, expect_equal, wait_until
from lib.program import difference, emitted_numbers
from lib.rpc import Closed, Rpc, RpcError


class Producer(threading.Thread):
	"""Ingests packed records under one name; after each break it asks where the host is and goes on from there."""

	def __init__(self, socket, records, random, ingress="play", name="campaign", batch=2, window=4, overlap=0.5):
		super().__init__(daemon=True)
		self.path = socket
		self.records = records
		self.random = random
		self.ingress = ingress
		self.name_sent = name
		self.batch = batch
		self.window = window
		self.overlap = overlap     # how often it begins before the position, as one that has forgotten its place
		self.durable = 0           # the last position that the host called durable, over all its lives
		self.positions = []        # what each life answered to the question where it is
		self.failure = None
		self.gate = threading.Event()
		self.limit = len(records)  # it waits there: a campaign that means to kill must not let the stream run out
		self.stopped = False

	def run(self):
		try:
			while self.durable < len(self.records) and not self.stopped:
				if self.durable >= self.limit or not self.gate.is_set():
					self.gate.wait(0.001)
					continue
				try:
					self._stream()
				except (Closed, TimeoutError):
					time.sleep(0.002)
				except RpcError as error:
					if error.code != "stopping":
						raise
					time.sleep(0.002)
		except Exception as error:  # carried to the campaign's thread, which raises it
			self.failure = error

	def _stream(self):
		with Rpc(self.path, timeout=60) as rpc:
			position = rpc.position(self.ingress, self.name_sent)
			self.positions.append(position)
			if position < self.durable:
				raise Failed(f"the host called {self.durable} durable and came back with {position}")
			first = position + 1
			if self.random.random() < self.overlap:
				first = max(1, first - self.random.randint(1, 3 * self.batch))
			self._batches(rpc, first)

	def _batches(self, rpc, first):
		waiting = []
		while (first <= self.limit or waiting) and not self.stopped:
			if first <= self.limit and len(waiting) < self.window:
				last = min(first + self.random.randint(1, self.batch), self.limit + 1)
				waiting.append((rpc.ingest_packed(self.ingress, self.name_sent, first, self.records[first - 1:last - 1]), last - 1))
				first = last
				continue
			number, last = waiting.pop(0)
			durable = rpc.answer(number)["durable"]
			if durable < last:
				raise Failed(f"records up to {last} were answered with durable={durable}")
			self.durable = max(self.durable, durable)

	def check(self):
		if self.failure is not None:
			raise self.failure

	def finish(self, deadline_s):
		self.limit = len(self.records)
		self.gate.set()
		wait_until(lambda: self.check() or not self.is_alive(), deadline_s, "the producer is through", every_s=0.02)
		self.check()


def found_in_flight(host):
	"""Messages that this life of the host came back with. REQUIRES: nothing has been given to it yet."""
	status = host.status()
	return status["handled"] + status["in_flight"]


class Campaign:
	def __init__(self, test, host, program, producer):
		self.test = test
		self.host = host
		self.program = program
		self.producer = producer
		self.kills = 0
		self.in_flight = []
		self.stop_host = host.kill  # how a life ends; a power-cut campaign has another way

	def run(self, kills, shards, deadline_s=240.0, idle_counts=False):
		"""Kills at random moments spread over the program, each life with the next number of shards of the list. Only a kill
		with messages in flight counts, unless idle_counts."""
		self.producer.start()
		end = time.monotonic() + deadline_s
		life = 0
		while self._counted(idle_counts) < kills:
			self.producer.check()
			self._provide()
			total = len(self.program.packed)
			expect(time.monotonic() < end, f"only {self._counted(idle_counts)} kills that count in {deadline_s} s")
			# A share of what is left, so that kills without anything in flight do not use up the program.
			share = (0.5 + self.test.random.random()) / (kills - self._counted(idle_counts) + 2)
			self._live_until(min(total, self.producer.durable + max(1, int((total - self.producer.durable) * share))))
			life += 1
			self._kill_and_restart(shards[life % len(shards)])
		self.producer.finish(max(30.0, end - time.monotonic()))
		return self

	def _provide(self):
		"""A program that is nearly used up by kills that did not count grows: the stream must not end before the kills do."""
		reserve = 4 * self.producer.batch * self.producer.window
		while len(self.program.packed) - self.producer.durable < 2 * reserve:
			self.program.grow(self.program.messages // 10)

	def _counted(self, idle_counts):
		return self.kills if idle_counts else len(self.in_flight)

	def _live_until(self, position):
		"""Until the record at that position is durable, and a moment more; the stream goes on a little way behind it."""
		self.producer.limit = min(len(self.producer.records), position + 2 * self.producer.batch * self.producer.window)
		self.producer.gate.set()
		wait_until(lambda: self.producer.check() or not self.producer.is_alive() or self.producer.durable >= position,
			60.0, f"record {position} is durable", every_s=0.0005)
		time.sleep(self.test.random.random() * 0.004)  # not a wait: the instant of the kill is part of the seed's play

	def _kill_and_restart(self, shards):
		self.producer.gate.clear()
		self.stop_host()
		self.kills += 1
		self.host.restart(shards=shards)
		recovered = self.host.status()["recovered"]
		expect_equal(recovered, "crash", "recovered after SIGKILL")
		found = found_in_flight(self.host)
		if found > 0:
			self.in_flight.append(found)

	def verify(self, records=None, dead=0):
		verify(self.host, self.program, records, dead)

	def report(self):
		self.test.note(f"{self.program.messages} messages, {self.program.emitted} egress records, {self.kills} kills, "
			f"{len(self.in_flight)} of them with messages in flight: {self.in_flight}")


def play_counts(host):
	"""(id → count, id → gaps) of all instances of test/play that have them."""
	counts, gaps = {}, {}
	for id, values in host.dump("test/play").items():
		if values.get("count"):
			counts[id] = values["count"]
		if values.get("gaps"):
			gaps[id] = values["gaps"]
	return counts, gaps


def verify(host, program, records=None, dead=0):
	"""After the barrier every count and every egress record is there, once; no order was broken; nothing is left over."""
	host.barrier()
	counts, emits, _ = program.expected(records)
	got, gaps = play_counts(host)
	expect(got == counts, f"counts: {difference(got, counts)}")
	expect_equal(gaps, {}, "gaps in the order of a sender's messages to a target")
	numbers = emitted_numbers(host.egress("play"))
	expect(numbers == emits, f"egress: {difference(tally(numbers), tally(emits))}")
	status = host.status()
	expect_equal(status["in_flight"], 0, "in flight after the barrier")
	expect_equal(len(host.dead()), dead, "dead letters")


def tally(numbers):
	counts = {}
	for number in numbers:
		counts[number] = counts.get(number, 0) + 1
	return counts
