#!/usr/bin/python3
"""Memory stays within limits.memory_bytes whatever waits and however much state there is; and all of it is counted in the end,
SIGKILL included."""

import select
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, patient, wait_until
from lib.host import Host
from lib.http import Http
from lib.rpc import request_bytes

LIMIT = 96 << 20


REPLY_BYTES = 8000


class Watch(threading.Thread):
	"""Looks at the memory of a host all the time: what it says (memory_bytes) and what it has (resident)."""

	def __init__(self, host):
		super().__init__(daemon=True)
		self.host = host
		self.said = 0
		self.has = 0
		self.ended = False

	def run(self):
		http = Http(self.host.control)
		while not self.ended:
			try:
				self.said = max(self.said, http.get("/v1/status")["memory_bytes"])
				self.has = max(self.has, self.host.resident_bytes())
			except (OSError, ValueError, KeyError):
				pass  # between two lives of the host
			time.sleep(0.02)


def watched(test, host, what, function):
	"""Runs function() and then asserts that memory stayed within the limit all the while."""
	watch = Watch(host)
	watch.start()
	value = function()
	watch.ended = True
	watch.join()
	test.note(f"{what}: it said at most {watch.said >> 20} MiB, it had at most {watch.has >> 20} MiB of {LIMIT >> 20}")
	expect(watch.said > 0 and watch.has > 0, "the memory was seen")
	expect(watch.said <= LIMIT, f"{what}: memory_bytes {watch.said} within {LIMIT}")
	expect(watch.has <= LIMIT, f"{what}: resident {watch.has} within {LIMIT}")
	return value


def counted(host):
	return sum(values["count"] for values in host.dump("demo/counter").values())


def unload(host, name):
	host.http.json("DELETE", f"/v1/plugins/{name}")
	wait_until(lambda: (host.plugin(name) or {"state": "retired"})["state"] == "retired", 20, f"{name} is gone")


def test_two_million_messages_wait_for_a_plugin_within_the_memory(test):
	test.need_plain_build("its own memory counts too")
	"""One call fans out to a type without live version."""
	host = Host(test, plugins=("counter", "fan"), shards=2, settings={"limits.memory_bytes": f"{LIMIT >> 20}MiB"}).start()
	messages, ids = 2_000_000, 1000
	unload(host, "counter")

	def fan_out():
		with host.rpc() as rpc:
			expect_equal(rpc.call("fan/out", "one", [messages, ids]), messages, "the call's reply")
		wait_until(lambda: host.status()["in_flight"] == messages, 120, "all of them wait", every_s=0.05)
	watched(test, host, "fan-out", fan_out)
	for shards in (1, 4):
		host.kill()
		host.shards = shards
		host.start(deadline_s=60)
		expect_equal(host.status()["in_flight"], messages, f"messages that wait after SIGKILL, on {shards} shards")

	def handle():
		host.http.post("/v1/plugins", {"path": str(test.plugin("counter"))})
		wait_until(lambda: host.status()["handled"] > messages // 4, 60, "a quarter is handled", every_s=0.002)
		host.kill()
		host.start(deadline_s=60)
		host.barrier(timeout_ms=180000)
	watched(test, host, "handling", handle)
	expect_equal(counted(host), messages, "messages counted")
	expect_equal(host.status()["in_flight"], 0, "left over")


def test_state_of_four_times_the_memory(test):
	test.need_plain_build("its own memory counts too")
	host = Host(test, plugins=("hoard",), shards=2, settings={"limits.memory_bytes": f"{LIMIT >> 20}MiB"}).start()
	size = 8192
	boxes = 4 * LIMIT // size
	stuff = lambda number: f"{number:08d}" * (size // 8)

	def fill():
		with host.rpc(timeout=120) as rpc:
			asked = []
			for number in range(boxes):
				asked.append(rpc.request("send", {"to": "hoard/box", "id": f"b{number}", "payload": stuff(number)}))
				if len(asked) == 256:
					rpc.answer(asked.pop(0))
			for one in asked:
				rpc.answer(one)
		host.barrier(timeout_ms=120000)
	watched(test, host, "filling", fill)
	host.kill()
	host.start(deadline_s=60)

	def look():
		with host.rpc() as rpc:
			for number in test.random.sample(range(boxes), test.by_scale(3000, boxes)):
				expect(rpc.call("hoard/box", f"b{number}", None) == stuff(number), f"box {number} is as it was kept")
		expect_equal(len(host.ids("hoard/box")), boxes, "boxes")
	watched(test, host, "looking", look)


def test_a_caller_that_does_not_read_is_not_read(test):
	"""160 MB of answers are asked for and not taken: the host stops reading that connection, keeps its memory, serves the others,
	and answers all of it once the caller reads."""
	test.need_plain_build("resident memory is measured")
	host = Host(test, plugins=("counter", "hoard"), shards=2, settings={"limits.memory_bytes": f"{LIMIT >> 20}MiB"}).start()
	calls = test.by_scale(20000, 100000)
	with host.rpc() as greedy, host.rpc() as other:
		greedy.call("hoard/box", "a", "x" * REPLY_BYTES)
		frames = b"".join(request_bytes(number, "call", {"to": "hoard/box", "id": "a", "payload": None, "timeout_ms": 600000})
			for number in range(calls))

		def ask():
			sent = send_until_stopped(greedy.socket, frames)
			expect(sent < len(frames), "the host stops reading")
			expect_equal([other.call("demo/counter", "c", 1) for _ in range(100)], list(range(1, 101)), "answers to another")
			return sent
		sent = watched(test, host, "not read", ask)
		test.note(f"{sent} of {len(frames)} bytes of requests went before the host stopped reading")
		answered = watched(test, host, "read again", lambda: exchange(greedy, frames[sent:], calls))
	expect_equal(answered, set(range(calls)), "calls answered")


def send_until_stopped(connection, data):
	sent = 0
	connection.settimeout(1.0)
	try:
		while sent < len(data):
			sent += connection.send(data[sent:sent + 65536])
	except socket.timeout:
		pass
	return sent


def exchange(client, data, calls):
	"""Writes the rest and reads all the answers at once; the numbers that were answered with the whole value."""
	client.socket.setblocking(False)
	answered, sent, end = set(), 0, time.monotonic() + patient(120)
	while len(answered) < calls:
		expect(time.monotonic() < end, f"{calls - len(answered)} answers are missing")
		readable, writable, _ = select.select([client.socket], [client.socket] if sent < len(data) else [], [], 1.0)
		if writable:
			sent += client.socket.send(data[sent:sent + 65536])
		if readable:
			client.unpacker.feed(client.socket.recv(1 << 18))
		for _, number, error, result in client.unpacker:
			expect(error is None and len(result["payload"]) == REPLY_BYTES, f"answer {number}: {error}")
			answered.add(number)
	return answered


if __name__ == "__main__":
	harness.main(globals())
