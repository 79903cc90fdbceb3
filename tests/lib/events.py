"""A listener of GET /v1/events, written from the specification of server-sent events."""

import json

from lib.harness import expect
from lib.http import connected


class Events:
	"""A listener, written from the specification of server-sent events."""

	def __init__(self, host, last_id=None, query="", timeout=60.0):
		self.socket = connected(host.control, timeout)
		self.file = self.socket.makefile("rb")
		head = f"GET /v1/events{query} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
		if last_id is not None:
			head += f"Last-Event-ID: {last_id}\r\n"
		self.socket.sendall(head.encode() + b"\r\n")
		self.status = int(self.file.readline().split()[1])
		self.headers = {}
		while (line := self.file.readline().strip()):
			name, _, value = line.decode().partition(": ")
			self.headers[name.lower()] = value
		self.last_id = last_id
		self.lines = self._lines()

	def _lines(self):
		rest = b""
		while size := int(self.file.readline() or b"0", 16):
			rest += self.file.read(size)
			self.file.readline()
			*lines, rest = rest.split(b"\n")
			yield from (line.decode() for line in lines)

	def next(self):
		"""(kind, data) of the next event; None at the end."""
		kind, data = "message", []
		for line in self.lines:
			name, _, value = line.partition(": ")
			if line == "" and data:
				return kind, json.loads("\n".join(data))
			if name == "event":
				kind = value
			elif name == "data":
				data.append(value)
			elif name == "id":
				self.last_id = value
		return None

	def until(self, *wanted):
		"""The kinds up to the first of those, and its data."""
		kinds = []
		while True:
			event = self.next()
			expect(event is not None, f"the stream ended before {wanted}: {kinds}")
			kinds.append(event[0])
			if event[0] in wanted:
				return kinds, event[1]

	def close(self):
		self.file.close()
		self.socket.close()
