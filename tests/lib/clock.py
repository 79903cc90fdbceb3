"""The machine's clock, as a host under test sees it."""

import struct


class SystemClock:
	"""The host's view of the machine's clock, by tests/time/shifted_clock.c."""

	def __init__(self, test):
		self.path = test.dir / "shift"
		self.shift(0)
		self.environment = {"LD_PRELOAD": str(test.find("shifted_clock.so")), "SHIFTED_CLOCK": str(self.path)}

	def shift(self, ms):
		"""In place: the host has it mapped."""
		with open(self.path, "r+b" if self.path.exists() else "wb") as file:
			file.write(struct.pack("<q", ms))
