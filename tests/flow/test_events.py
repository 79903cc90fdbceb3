#!/usr/bin/python3
"""An egress as server-sent events: with curl alone, and a client that keeps its place, does not read, or goes away."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, patient, wait_until
from lib.host import Host


def emit(host, payloads):
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": "e", "payload": {"emit": {"egress": "play", "payload": payload}}})
			for payload in payloads]
		for number in numbers:
			rpc.answer(number)
	host.barrier()


class Events:
	"""One event stream over the control socket."""

	def __init__(self, host, query="", headers=()):
		self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		self.socket.connect(str(host.control))
		lines = [f"GET /v1/egresses/play{query} HTTP/1.0", "Accept: text/event-stream", *headers]
		self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
		self.text = b""
		self._more(b"\r\n\r\n")
		self.head, _, self.text = self.text.partition(b"\r\n\r\n")

	def _more(self, until, deadline_s=10.0):
		end = time.monotonic() + patient(deadline_s)
		while until not in self.text:
			self.socket.settimeout(max(0.01, end - time.monotonic()))
			data = self.socket.recv(1 << 16)
			if not data:
				raise EOFError("the stream has ended")
			self.text += data

	def next(self, deadline_s=10.0):
		"""(event, id, data) of the next event; comments are passed over."""
		while True:
			self._more(b"\n\n", deadline_s)
			block, _, self.text = self.text.partition(b"\n\n")
			fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
			if fields:
				return fields.get("event"), fields.get("id"), json.loads(fields["data"])

	def ended(self):
		try:
			while True:
				self.next()
		except EOFError:
			return True

	def close(self):
		self.socket.close()


def test_with_curl_alone(test):
	if not shutil.which("curl"):
		raise Skip("no curl")
	host = Host(test).start()
	emit(host, range(3))
	curl = subprocess.Popen(["curl", "-sN", "--unix-socket", str(host.control), "-H", "Accept: text/event-stream",
		"http://localhost/v1/egresses/play?from=1&limit=4"], stdout=subprocess.PIPE)
	emit(host, range(3, 9))
	text = curl.communicate(timeout=20)[0].decode()
	expect_equal(curl.returncode, 0, "curl ends when the limit is reached")
	events = [block for block in text.split("\n\n") if block and not block.startswith(":")]
	records = host.http.get("/v1/egresses/play")["records"]
	expect_equal(events, [f"id: {n}\ndata: " + json.dumps(records[n], separators=(",", ":")) for n in range(1, 5)], "events")
	wrong = subprocess.run(["curl", "-s", "--unix-socket", str(host.control), "-H", "Accept: text/event-stream", "-o", "/dev/stdout",
		"-w", "%{http_code}", "http://localhost/v1/egresses/nobody"], capture_output=True, text=True, timeout=20)
	expect(wrong.stdout.endswith("404") and "unknown_egress" in wrong.stdout, wrong.stdout)


def test_a_client_goes_on_where_it_was(test):
	host = Host(test).start()
	emit(host, range(5))
	events = Events(host)
	expect(b"200" in events.head.split(b"\r\n")[0] and b"text/event-stream" in events.head, f"{events.head}")
	last = [events.next() for _ in range(3)][-1]
	expect_equal((last[0], last[1], last[2]["payload"]), (None, "2", 2), "the third")
	events.close()
	host.kill()
	host.restart()
	again = Events(host, "?from=earliest", [f"Last-Event-ID: {last[1]}"])
	emit(host, [5])
	expect_equal([again.next()[2]["payload"] for _ in range(3)], [3, 4, 5], "the rest")
	latest = Events(host, "?from=latest")
	beyond = Events(host, "?from=100")
	emit(host, [6])
	expect_equal(latest.next()[2]["payload"], 6, "latest")
	expect_equal((beyond.next()[::2], beyond.next()[2]["payload"]), (("forked", {"from": 6}), 6), "beyond the end")
	host.stop()
	expect(again.ended() and latest.ended(), "the host's stop ends streams")


def test_streams_that_are_not_read_or_go_away(test):
	test.need_plain_build("it counts memory")
	host = Host(test).start()
	lazy = [Events(host) for _ in range(3)]
	gone = [Events(host) for _ in range(20)]
	payload = "x" * 20000
	before = host.resident_bytes()
	for _ in range(20):
		emit(host, [payload] * 100)
	grown = host.resident_bytes() - before
	for events in gone:
		events.close()
	fresh = Events(host, "?from=latest")
	emit(host, ["end"])
	expect_equal(fresh.next()[2]["payload"], "end", "others are served")
	test.note(f"39 MiB emitted while 23 streams did not read: resident grew by {grown >> 20} MiB")
	expect(grown < 120 << 20, f"memory grew by {grown >> 20} MiB")
	for index in range(2001):
		expect_equal(int(lazy[0].next()[1]), index, "the lazy one gets all of it")
	wait_until(lambda: len(list(Path(f"/proc/{host.worker}/fd").iterdir())) < 60, 10, "closed streams are gone")


def test_tail_follows_across_kills(test):
	host = Host(test).start()
	emit(host, range(10))
	tail = subprocess.Popen([str(test.find("sofun")), "--data", str(host.data), "--json", "tail", "play", "--follow", "--count", "100",
		"--patience", "30"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
	first = tail.stdout.readline()  # it has begun: from here on it waits for a host that is away
	for start in range(10, 100, 30):
		emit(host, range(start, start + 15))
		host.kill()
		host.restart()
		emit(host, range(start + 15, start + 30))
	out, errors = tail.communicate(timeout=40)
	lines = [json.loads(line) for line in [first, *out.splitlines()]]
	expect_equal(([line["offset"] for line in lines], [line["payload"] for line in lines]), (list(range(100)), list(range(100))), "records")
	expect_equal((tail.returncode, errors), (0, b""), "exit code, errors")


if __name__ == "__main__":
	harness.main(globals())
