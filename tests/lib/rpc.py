"""MessagePack-RPC over the host's data socket, as INTERFACE.md names it. One Rpc is one connection; one thread uses it."""

import select
import socket
import time

import msgpack

from lib.errors import complete
from lib.harness import patient
from lib.http import connected


class RpcError(Exception):
	"""The error slot of an answer."""

	def __init__(self, error):
		self.error = complete(error)
		self.code = self.error.get("code")
		super().__init__(f"{self.code}: {self.error.get('message')}")


class Closed(Exception):
	"""The host closed the connection (or died)."""


def request_bytes(number, method, params):
	return msgpack.packb([0, number, method, [params]], use_bin_type=True)


def array_header(count):
	return msgpack.Packer().pack_array_header(count)


def ingest_bytes(number, ingress, producer, first, packed_records):
	"""An `ingest` frame whose records are packed already: campaigns pack each record once."""
	head = b"\x94\x00" + msgpack.packb(number) + msgpack.packb("ingest") + b"\x91\x84"
	head += msgpack.packb("ingress") + msgpack.packb(ingress) + msgpack.packb("producer") + msgpack.packb(producer)
	head += msgpack.packb("first") + msgpack.packb(first) + msgpack.packb("records") + array_header(len(packed_records))
	return head + b"".join(packed_records)


class Rpc:
	def __init__(self, path, timeout=150.0, tls=None):
		self.timeout = timeout
		try:
			self.socket = connected(path, timeout, tls)
		except OSError as error:
			raise Closed(f"connect {path}: {error}") from error
		self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape",
			max_buffer_size=1 << 30)
		self.number = 0
		self.waiting = {}
		self.notifications = []

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	def close(self):
		self.socket.close()

	def raw(self, data):
		"""Writes all of it, and reads meanwhile: a host does not read from a caller that does not read."""
		if hasattr(self.socket, "pending"):  # TLS: Python's has no way to write a part
			self.socket.sendall(data)
			return
		view, end = memoryview(data), time.monotonic() + self.timeout
		poller = select.poll()
		poller.register(self.socket, select.POLLIN | select.POLLOUT)
		while view:
			ready = [what for _, what in poller.poll(max(0.0, end - time.monotonic()) * 1000)]
			if not ready:
				raise TimeoutError("the host does not read")
			try:
				if ready[0] & ~select.POLLOUT:
					self._receive()
				if ready[0] & select.POLLOUT:
					view = view[self.socket.send(view, socket.MSG_DONTWAIT):]
			except BlockingIOError:
				pass
			except OSError as error:
				raise Closed(f"send: {error}") from error

	def _receive(self):
		"""Feeds what has come. REQUIRES: the socket is readable, or its timeout is set."""
		try:
			data = self.socket.recv(1 << 18)
		except socket.timeout as error:
			raise TimeoutError("no frame from the host in time") from error
		except OSError as error:
			raise Closed(f"receive: {error}") from error
		if not data:
			raise Closed("end of stream")
		self.unpacker.feed(data)

	def request(self, method, params):
		"""Sends, does not wait; returns the number to give to answer()."""
		self.number += 1
		self.raw(request_bytes(self.number, method, params))
		return self.number

	def ingest_packed(self, ingress, producer, first, packed_records):
		self.number += 1
		self.raw(ingest_bytes(self.number, ingress, producer, first, packed_records))
		return self.number

	def frame(self, deadline=None):
		"""The next whole frame from the host."""
		deadline = time.monotonic() + self.timeout if deadline is None else deadline
		while True:
			for frame in self.unpacker:
				return frame
			left = deadline - time.monotonic()
			if left <= 0:
				raise TimeoutError("no frame from the host in time")
			self.socket.settimeout(left)
			self._receive()

	def next_answer(self, deadline=None):
		"""(number, error, result) of whichever answer comes next; notifications are kept aside."""
		while True:
			frame = self.frame(deadline)
			if frame[0] == 1:
				return frame[1], frame[2], frame[3]
			self.notifications.append(frame)

	def answer(self, number, deadline=None):
		while number not in self.waiting:
			got, error, result = self.next_answer(deadline)
			self.waiting[got] = (error, result)
		error, result = self.waiting.pop(number)
		if error is not None:
			raise RpcError(error)
		return result

	def do(self, method, deadline=None, **params):
		return self.answer(self.request(method, params), deadline)

	def call(self, to, id, payload=None, **more):
		"""The reply's payload."""
		return self.do("call", to=to, id=id, payload=payload, **more)["payload"]

	def send(self, to, id, payload=None, **more):
		return self.do("send", to=to, id=id, payload=payload, **more)["epoch"]

	def ingest(self, ingress, producer, first, records):
		return self.do("ingest", ingress=ingress, producer=producer, first=first, records=records)["durable"]

	def position(self, ingress, producer):
		return self.ingest(ingress, producer, 1, [])

	def notification(self, deadline=None):
		while not self.notifications:
			frame = self.frame(deadline)
			if frame[0] == 1:
				self.waiting[frame[1]] = (frame[2], frame[3])
			else:
				self.notifications.append(frame)
		return self.notifications.pop(0)

	def closed_by_host(self, deadline_s=10.0):
		"""True once the host has closed this connection; frames that come before are dropped."""
		deadline = time.monotonic() + patient(deadline_s)
		try:
			while True:
				self.frame(deadline)
		except Closed:
			return True
		except TimeoutError:
			return False
