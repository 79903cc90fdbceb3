"""Random programs for the bundled plugin `play`, with the counts and egress records that they must leave behind.

A program is a list of records {id, msg} for the ingress `play`; each is a tree of sends. The expectation is kept per
record, so that any prefix of the records has an expectation too."""

import json
from collections import Counter

import msgpack

INSTANCES = 1000
DEPTH_MAX = 10
# Settings for programs whose messages fail at first. Backoffs are so short that twenty kills do not wait for them, and so long
# that a kill finds messages in them; nothing is given up because a loaded machine, or the journal's copy that is recovered
# later, has made an address wait for a minute.
RETRY = {"retry.backoff_ms": 3, "retry.factor": 2, "retry.block_ms_max": 3600000}


class Shape:
	"""What a program is made of; all shares are 0..1."""

	def __init__(self, instances=INSTANCES, depth=DEPTH_MAX, nodes=200, fan=6, emit=0.15, retry=0.0, fail_times_max=3,
		repeat=0.0, pad=0):
		self.instances = instances  # how many ids there are
		self.depth = depth          # the deepest tree, in sends
		self.nodes = nodes          # messages of one record's tree, at most
		self.fan = fan              # sends of one message, at most
		self.emit = emit            # messages that emit a record
		self.retry = retry          # messages that fail some times before they act
		self.fail_times_max = fail_times_max
		self.repeat = repeat        # sends that go to the same target as the one before: order shows there
		self.pad = pad              # bytes of text in each emitted record: messages that fill memory


class Program:
	def __init__(self, random, messages, shape=None):
		self.random = random
		self.shape = shape or Shape()
		self.packed = []   # records, each one MessagePack object
		self.effects = []  # of each record: (Counter of counts, [numbers emitted], messages)
		self.edges = []    # (sender, target) of every send between instances
		self.messages = 0
		self.emitted = 0
		self.ids = [f"i{number:04d}" for number in range(self.shape.instances)]
		self.grow(messages)

	def grow(self, messages):
		"""Adds records with that many messages."""
		goal = self.messages + messages
		while self.messages < goal:
			self._add_record(goal - self.messages)

	def _add_record(self, left):
		counts, emits = Counter(), []
		budget = min(left, self.random.randint(1, self.shape.nodes))
		target = self.random.choice(self.ids)
		message, used = self._node(target, self.random.randint(1, self.shape.depth), budget, counts, emits)
		self.packed.append(msgpack.packb({"id": target, "msg": message}))
		self.effects.append((counts, emits, used))
		self.messages += used

	def _node(self, target, depth, budget, counts, emits):
		"""One message to `target` with what it sends; (message, how many messages it is with its descendants)."""
		random, shape = self.random, self.shape
		message = {"add": random.randint(1, 9)}
		counts[target] += message["add"]
		if random.random() < shape.emit:
			message["emit"] = {"egress": "play", "payload": self._number(emits)}
		if random.random() < shape.retry:
			message["fail_times"] = random.randint(1, shape.fail_times_max)
		used = 1
		sends = self._sends(target, depth, budget - 1, counts, emits) if depth > 0 else []
		if sends:
			message["send"] = [send for send, _ in sends]
			used += sum(size for _, size in sends)
		return message, used

	def _number(self, emits):
		self.emitted += 1
		emits.append(self.emitted)
		return [self.emitted, "x" * self.shape.pad] if self.shape.pad else self.emitted

	def _sends(self, sender, depth, budget, counts, emits):
		sends, target = [], None
		for _ in range(self.random.randint(1, self.shape.fan)):
			if budget <= 0:
				break
			if target is None or self.random.random() >= self.shape.repeat:
				target = self.random.choice(self.ids)
			message, used = self._node(target, depth - 1, self.random.randint(1, budget), counts, emits)
			sends.append(({"id": target, "msg": message}, used))
			self.edges.append((sender, target))
			budget -= used
		return sends

	def expected(self, records=None):
		"""(id → count, sorted numbers emitted, messages) after the first `records` records."""
		counts, emits, messages = Counter(), [], 0
		for effect in self.effects[:records]:
			counts.update(effect[0])
			emits += effect[1]
			messages += effect[2]
		return dict(counts), sorted(emits), messages


def emitted_numbers(records):
	"""The sorted numbers of the records of egress `play`."""
	payloads = (record["payload"] for record in records)
	return sorted(payload[0] if isinstance(payload, list) else payload for payload in payloads)


def difference(got, wanted, limit=5):
	"""The first few ids whose counts differ, for the failure's text."""
	wrong = [id for id in sorted(set(got) | set(wanted)) if got.get(id, 0) != wanted.get(id, 0)]
	lines = [f"{id}: got {got.get(id, 0)}, expected {wanted.get(id, 0)}" for id in wrong[:limit]]
	return f"{len(wrong)} differ: {json.dumps(lines)}"
