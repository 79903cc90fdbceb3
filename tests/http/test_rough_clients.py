#!/usr/bin/python3
"""Clients that are slow, silent, greedy or gone: nobody else notices, and the memory stays within its limit."""

import json
import os
import resource
import select
import socket
import sys
import threading
import time
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http, connected
from lib.rpc import request_bytes

FUNCTION = "/v1/functions/test/play/a"
MIB = 1 << 20


def files_allow(count):
	_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
	resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
	if hard < count + 200:
		raise harness.Skip(f"only {hard} open files are allowed here")


def resident(host):
	return host.metrics()["sofun_resident_memory_bytes"]


def timed_ms(ask):
	start = time.monotonic()
	ask()
	return (time.monotonic() - start) * 1000


def cpu_s(host):
	"""Of the worker, since it began."""
	fields = Path(f"/proc/{host.worker}/stat").read_text().rpartition(")")[2].split()
	return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Beside:
	"""Calls over both doors of a host, and in turns with them the same calls of a twin that nobody molests: what the machine does to
	the one it does to the other. A window is long enough for a p99, and the median of the windows' ratios passes over those that the
	machine spoilt (README.md has the figures)."""

	def __init__(self, test, host):
		self.hosts = (host, Host(test).start())
		self.webs = [Http(one.control) for one in self.hosts]
		self.rpcs = [one.rpc() for one in self.hosts]

	def ask(self, which):
		return timed_ms(lambda: self.rpcs[which].call("test/play", "fast", {"add": 1, "reply": True})) + timed_ms(lambda: self.webs[which].text("GET", "/healthz"))

	def window(self, seconds=0.4):
		"""(p99 of the host, p99 of the twin)."""
		taken, end = ([], []), time.monotonic() + seconds
		while time.monotonic() < end:
			for which in ((0, 1), (1, 0))[len(taken[0]) % 2]:
				taken[which].append(self.ask(which))
		return [sorted(one)[len(one) * 99 // 100] for one in taken]

	def unnoticed(self, test, what, work=False):
		"""p99 within 1.5 times, no standstill, and no more of the processor for the same calls, unless the clients ask for work. One
		quiet try of three is enough."""
		for last in (False, False, True):
			noticed = self.noticed(test, what, work)
			if not noticed:
				return
			expect(not last, f"{what}: {noticed}")

	def noticed(self, test, what, work):
		"""What others notice; None: nothing."""
		before = [cpu_s(host) for host in self.hosts]
		windows = [self.window() for _ in range(15)]
		spent = [cpu_s(host) - began for host, began in zip(self.hosts, before)]
		ratios = sorted(mine / twins for mine, twins in windows)
		p99 = [sorted(one)[len(windows) // 2] for one in zip(*windows)]
		test.note(f"{what}: p99 {p99[0]:.2f} ms beside {p99[1]:.2f}: {ratios[7]:.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f}); {spent[0]:.2f} s of CPU beside {spent[1]:.2f}")
		if test.sanitizer():
			return None  # what others are served is looked at; a sanitizer makes work dear that is cheap
		if ratios[7] > 1.5:
			return f"others notice: {ratios}"
		if max(mine - twins for mine, twins in windows) >= 400:
			return f"others stand still: {windows}"
		return None if work or spent[0] <= 1.5 * spent[1] else f"{spent} s of CPU"


def answer_of(sock, deadline_s=5.0):
	"""(status, body) of what comes until the host closes."""
	data, end = b"", time.monotonic() + deadline_s
	while time.monotonic() < end:
		poller = select.poll()
		poller.register(sock, select.POLLIN)
		if poller.poll(200):
			got = sock.recv(65536)
			if not got:
				break
			data += got
	expect(data, "an answer")
	head, _, body = data.partition(b"\r\n\r\n")
	return int(head.split()[1]), json.loads(body)


# ---- bodies ----

def test_ten_gigabytes_are_refused_at_the_header(test):
	host = Host(test).start()
	for more in (b"", b"Expect: 100-continue\r\n"):
		with connected(host.control, 20) as sock:
			start = time.monotonic()
			sock.sendall(b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n" + more + b"\r\n")
			status, body = answer_of(sock)
			expect_equal((status, body["error"]["code"]), (413, "too_large"), "refused")
			expect(time.monotonic() - start < 5, "at the header")
	with connected(host.control, 20) as sock:  # a client that sends on before it looks
		sock.sendall(b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
		for _ in range(64):
			sock.sendall(b"x" * 65536)
		expect_equal(answer_of(sock)[0], 413, "it reads why")
	expect(resident(host) < 200 * MIB, "nothing was kept")


def test_headers_and_bodies_that_drip_are_cut(test):
	host = Host(test).start()
	beside = Beside(test, host)
	drips = {"header": b"GET /healthz HTTP/1.1\r\nX-Slow: ", "body": b"POST /v1/barrier HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
		"chunks": b"POST /v1/barrier HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{"}
	socks = {}
	for name, text in drips.items():
		for number in range(50):
			sock = connected(host.control, 20)
			sock.sendall(text)
			socks[name, number] = sock
	stop = threading.Event()
	def drip():
		while not stop.wait(0.5):
			for sock in socks.values():
				try:
					sock.send(b"a", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
				except OSError:
					pass
	thread = threading.Thread(target=drip)
	thread.start()
	try:
		beside.unnoticed(test, "150 dripping requests")
		wait_until(lambda: host.errors().count("request_cut") >= 100, 25, "the cuts (the log is limited)")
		for (name, _), sock in socks.items():
			status, body = answer_of(sock, 15)
			expect_equal((status, body["error"]["code"]), (408, "timeout"), name)
	finally:
		stop.set()
		thread.join()
		for sock in socks.values():
			sock.close()


def test_a_slow_line_is_no_fault(test):
	"""Slower than the first ten seconds allow, and faster than the least rate."""
	host = Host(test).start()
	body = json.dumps({"reply": True, "emit": {"egress": "play", "payload": "x" * 400000}}).encode()
	with connected(host.control, 30) as sock:
		sock.sendall(b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
		pieces = 24
		for number in range(pieces):
			sock.sendall(body[len(body) * number // pieces:len(body) * (number + 1) // pieces])
			time.sleep(0.5)
		expect_equal(answer_of(sock)[0], 200, "it is served")


# ---- many ----

def test_ten_thousand_idle_connections(test):
	count = 5000  # at each of the two doors
	files_allow(2 * count)
	host = Host(test).start()
	beside, memory = Beside(test, host), resident(host)
	socks = []
	try:
		for place in (host.socket, host.control):
			for number in range(count):
				sock = connected(place, 60)
				if number % 3 == 1:
					sock.sendall(b"\x94" if place == host.socket else b"G")  # the first byte of something
				socks.append(sock)
		beside.unnoticed(test, f"{len(socks)} idle connections")
		grown = resident(host) - memory
		test.note(f"{grown / len(socks):.0f} bytes a connection")
		expect(grown < 200 * MIB, f"{grown} bytes for them all")
	finally:
		for sock in socks:
			sock.close()
	wait_until(lambda: host.http.text("GET", "/healthz"), what="still served")


def test_half_frames_do_not_fill_the_memory(test):
	files_allow(3000)
	host = Host(test, settings={"limits.memory_bytes": "64MiB"}).start()
	beside, memory = Beside(test, host), resident(host)
	frame = request_bytes(1, "send", {"to": "test/play", "id": "a", "payload": "x" * 65000})
	body = b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n" + b"x" * 4000000
	socks = []
	def fill(place, data, number):
		for _ in range(number):
			sock = connected(place, 20)
			socks.append(sock)
			try:
				sock.settimeout(5)
				sock.sendall(data)
			except OSError:
				pass  # cut meanwhile: that is the point
	try:
		fill(host.socket, frame[:-1], 1500)
		fill(host.control, body, 40)
		beside.unnoticed(test, "half requests of 260 MB")
		grown = resident(host) - memory
		test.note(f"{grown / MIB:.1f} MiB more")
		expect(grown < 48 * MIB or test.sanitizer(), f"{grown} bytes")
		expect("connections hold too much together" in host.errors() or "request_cut" in host.errors(), "somebody was dropped")
	finally:
		for sock in socks:
			sock.close()


# ---- slow and gone ----

def test_readers_that_do_not_read_are_waited_for_by_nobody(test):
	host = Host(test, settings={"limits.memory_bytes": "128MiB"}).start()
	for number in range(40):
		host.http.post(f"/v1/functions/test/play/e{number}", {"emit": {"egress": "play", "payload": "y" * 500000}, "reply": True})
	beside, memory = Beside(test, host), resident(host)
	socks = []
	try:
		for number in range(60):
			sock = connected(host.control, 20)
			sock.sendall(b"GET /v1/egresses/play?limit=4 HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
			socks.append(sock)
			sock = connected(host.socket, 20)
			sock.sendall(b"".join(request_bytes(one, "call", {"to": "test/play", "id": f"s{number}", "payload": {"fail": "z" * 400}})
				for one in range(100)))
			socks.append(sock)
		beside.unnoticed(test, "120 connections that do not read", work=True)
		wait_until(lambda: "unread answers fill the memory" in host.errors(), what="some are cut")
		wait_until(lambda: resident(host) - memory < 128 * MIB, what="memory within the limit")
	finally:
		for sock in socks:
			sock.close()


def test_connections_that_go_away_leave_nothing(test):
	host = Host(test, settings={"call.timeout_ms": 2000}).start()
	call = request_bytes(1, "call", {"to": "test/play", "id": "a", "payload": {"add": 1}})  # no reply: it waits
	for number in range(300):
		sock = connected(host.socket, 20)
		sock.sendall(call[:number % len(call)] if number % 2 else call)
		if number % 3 == 0:
			sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
		elif number % 3 == 1:
			sock.shutdown(socket.SHUT_WR)
		sock.close()
		sock = connected(host.control, 20)
		sock.sendall(b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{}   "[:40 + number % 60])
		sock.close()
	wait_until(lambda: host.metrics()["sofun_http_requests_open"] <= 1, 40, "no request is open")
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "b", {"add": 1, "reply": True}), 1, "still served")
	host.stop()


def test_requests_in_a_row_are_answered_in_order(test):
	host = Host(test).start()
	with connected(host.control, 30) as sock:
		one = b'{"add":1,"reply":true}'
		sock.sendall(b"".join(b"POST " + FUNCTION.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(one) + one
			for _ in range(200)) + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		data = b""
		while got := sock.recv(65536):
			data += got
	answers = [part.partition(b"\r\n\r\n")[2].strip() for part in data.split(b"HTTP/1.1 200 OK\r\n")[1:]]
	expect_equal([int(answer) for answer in answers[:-1]], list(range(1, 201)), "pipelined calls")


if __name__ == "__main__":
	harness.main(globals())
