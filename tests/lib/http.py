"""HTTP/1.1 over the host's control socket. One Http keeps one connection and makes it anew when the host closed it."""

import http.client
import json
import socket
import time
from urllib.parse import quote

from lib.errors import complete


class HttpError(Exception):
	"""An answer with a status of 400 or more."""

	def __init__(self, status, body):
		self.status = status
		self.body = body
		try:
			self.error = json.loads(body)["error"]
		except (ValueError, KeyError, TypeError):
			self.error = {}
		else:
			complete(self.error)
		self.code = self.error.get("code")
		super().__init__(f"HTTP {status}: {body[:300]!r}")


def _connect(sock, address, end):
	"""A Unix socket whose queue is full says so instead of waiting, if it has a timeout."""
	while True:
		try:
			return sock.connect(address)
		except BlockingIOError:
			if time.monotonic() > end:
				raise
			time.sleep(0.005)


def connected(place, timeout, tls=None):
	"""A socket that is connected to a path, or to (host, port), there by TLS if a context is given."""
	family = socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX
	sock = socket.socket(family, socket.SOCK_STREAM)
	try:
		sock.settimeout(timeout)
		_connect(sock, place if isinstance(place, tuple) else str(place), time.monotonic() + timeout)
		return tls.wrap_socket(sock, server_hostname="localhost") if tls else sock
	except OSError:
		sock.close()
		raise


class _Connection(http.client.HTTPConnection):
	def __init__(self, place, timeout, tls):
		super().__init__("localhost", timeout=timeout)
		self.place = place
		self.tls = tls

	def connect(self):
		self.sock = connected(self.place, self.timeout, self.tls)


def id_quoted(id):
	return quote(id, safe="")


class Http:
	def __init__(self, path, timeout=180.0, tls=None, token=None):
		self.path = path
		self.timeout = timeout
		self.tls = tls
		self.headers = {"Authorization": f"Bearer {token}"} if token else {}
		self.connection = None

	def close(self):
		if self.connection is not None:
			self.connection.close()
			self.connection = None

	def raw(self, method, path, body=None, headers=None):
		"""(status, headers, body); only GET is tried again on a connection that the host had closed meanwhile."""
		for again in (False, True):
			fresh = self.connection is None
			if fresh:
				self.connection = _Connection(self.path, self.timeout, self.tls)
			try:
				self.connection.request(method, path, body=body, headers={**self.headers, **(headers or {})})
				response = self.connection.getresponse()
				data = response.read()
			except (http.client.HTTPException, OSError):
				self.close()
				if fresh or again or method != "GET":
					raise
				continue
			if response.will_close or method != "GET":
				self.close()
			return response.status, response.headers, data
		raise AssertionError("unreachable")

	def text(self, method, path, body=None, headers=None):
		status, _, data = self.raw(method, path, body, headers)
		if status >= 400:
			raise HttpError(status, data)
		return data.decode()

	def json(self, method, path, value=None):
		body = None if value is None else json.dumps(value)
		headers = {} if value is None else {"Content-Type": "application/json"}
		text = self.text(method, path, body, headers)
		return json.loads(text) if text else None

	def get(self, path):
		return self.json("GET", path)

	def post(self, path, value=None):
		return self.json("POST", path, {} if value is None else value)
