"""What the tests of swaps share: two versions of `play`, two producers that stream into it, and the judgement that all is right."""

import random
from collections import Counter

from lib.campaign import Producer, play_counts, tally
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.http import HttpError
from lib.program import RETRY, Program, Shape, difference, emitted_numbers

VERSIONS = ("1.0.0", "1.1.0")


class Stream:
	"""Two producers, each with a program of its own; instances of their own too, so that the expectation is their sum."""

	def __init__(self, test, host, messages):
		self.host = host
		self.more = messages // 6
		self.programs, self.producers = [], []
		for number in range(2):
			program = Program(test.random, messages, Shape(retry=0.01))
			self.programs.append(program)
			self.producers.append(Producer(host.socket, program.packed, random.Random(test.random.random()), name=f"p{number}"))

	def start(self):
		for producer in self.producers:
			producer.gate.set()
			producer.start()

	def feed(self):
		"""The stream must not end before the swaps do."""
		for number, program in enumerate(self.programs):
			producer = self.producers[number]
			producer.check()
			if producer.is_alive() and len(program.packed) - producer.durable > 1000:
				continue
			program.grow(self.more)
			producer.limit = len(program.packed)
			if not producer.is_alive():  # it was through before it saw the rest: another goes on from its position
				self.producers[number] = Producer(self.host.socket, program.packed, random.Random(number), name=f"p{number}")
				self.producers[number].gate.set()
				self.producers[number].start()

	def finish(self):
		self.feed()
		for producer in self.producers:
			producer.finish(120)

	def verify(self):
		self.host.barrier()
		counts, emits, messages = Counter(), [], 0
		for program in self.programs:
			expected = program.expected()
			counts.update(expected[0])
			emits += expected[1]
			messages += expected[2]
		got, gaps = play_counts(self.host)
		expect(got == dict(counts), f"counts: {difference(got, dict(counts))}")
		expect_equal(gaps, {}, "gaps in the order of a sender's messages to a target")
		numbers = emitted_numbers(self.host.egress("play"))
		expect(numbers == sorted(emits), f"egress: {difference(tally(numbers), tally(emits))}")
		expect_equal(self.host.status()["in_flight"], 0, "in flight after the barrier")
		expect_equal(len(self.host.dead()), 0, "dead letters")
		return messages


def swap(host, version, drain):
	"""True once it is live; a host that dies meanwhile, or whose last drain goes on, is asked again later."""
	try:
		host.http.post("/v1/plugins/play/swap", {"version": version, "drain": drain, "deadline_ms": 20000})
		return True
	except HttpError as error:
		expect(error.status in (409, 503), f"swap to {version}: {error.error}")
		return False
	except OSError:
		return False


def images_balance(host):
	status = host.status()
	images = status["images"]
	states = Counter(row["state"] for row in status["plugins"])
	expect_equal(images["loaded"], states["live"] + states["draining"] + states["stuck"], f"loaded images: {states}")


def live(host):
	return host.plugin("play")["version"]


def two_versions(test, **more):
	"""A host with one version of play live and the other kept."""
	host = Host(test, plugins=(), settings={**RETRY, **more.pop("settings", {})}, **more).start()
	for name in ("play", "next/play"):
		host.http.post("/v1/plugins", {"path": str(test.plugin(name))})
	host.settle(1)
	return host


def other(host):
	"""The version that is not live."""
	return VERSIONS[1 - VERSIONS.index(live(host))]
