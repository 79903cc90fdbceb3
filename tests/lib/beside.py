"""Valid traffic beside bad input: what others do must not move a byte of it."""

import threading

from lib.harness import Failed, expect, expect_equal, wait_until
from lib.http import id_quoted
from lib.rpc import Rpc

WATCHED = 20


class Beside:
	"""With-block. Some instances are written before and must stay byte-equal; others are called all the while, each answer
	checked to be the one before plus one, and their state must be exactly what was answered. REQUIRES: counter and play live."""

	def __init__(self, host):
		self.host = host
		self.calls = 0
		self.failure = None
		self.ended = threading.Event()

	def __enter__(self):
		with self.host.rpc() as rpc:
			for number in range(WATCHED):
				rpc.call("test/play", f"still{number}", {"add": number + 1, "reply": True})
				rpc.call("demo/counter", f"still{number}", number)
		self.before = self._dump()
		self.thread = threading.Thread(target=self._run, daemon=True)
		self.thread.start()
		return self

	def _dump(self):
		return [self.host.http.raw("GET", f"/v1/state/{type}/{id_quoted(f'still{number}')}")[::2]
			for number in range(WATCHED) for type in ("test/play", "demo/counter")]

	def _run(self):
		try:
			with Rpc(self.host.socket) as rpc:
				while not self.ended.is_set():
					answer = rpc.call("demo/counter", f"busy{self.calls % WATCHED}", 1)
					expect_equal(answer, self.calls // WATCHED + 1, "answer of the valid traffic")
					self.calls += 1
		except Exception as error:  # raised again at the end of the block
			self.failure = error

	def __exit__(self, kind, *_):
		if kind is None:
			goal = self.calls + 2 * WATCHED
			wait_until(lambda: self.failure or self.calls >= goal, 30, "the valid traffic goes on after the bad input")
		self.ended.set()
		self.thread.join()
		if kind is not None:
			return False
		if self.failure is not None:
			raise Failed(f"the valid traffic failed: {self.failure!r}") from self.failure
		expect(self._dump() == self.before, "the state beside the bad input is byte-equal")
		for number in range(WATCHED):
			count = len(range(number, self.calls, WATCHED))
			expect_equal(self.host.values("demo/counter", f"busy{number}")["count"], count, f"count of busy{number}")
		return False
