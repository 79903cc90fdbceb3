"""A call of the fixture `sleeper` that keeps its shard's thread until the test has seen what it wanted to, however long that takes."""

from itertools import count

from lib.harness import expect_equal


class Nap:
	numbers = count()

	def __init__(self, host, id):
		self.alarm = host.test.dir / f"alarm{next(self.numbers)}"
		self.rpc = host.rpc(150)
		self.number = self.rpc.request("call", {"to": "sleeper/nap", "id": id, "payload": str(self.alarm), "timeout_ms": 150000})

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.alarm.touch()
		self.rpc.close()

	def end(self):
		"""Wakes it; its answer comes as if nothing had been."""
		self.alarm.touch()
		expect_equal(self.rpc.answer(self.number)["payload"], 0, "the nap's answer")
