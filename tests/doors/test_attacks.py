#!/usr/bin/python3
"""What nobody means well by: connections that come and go by thousands, settings and files that change under load, subscribers
that race retention. The host gives back what it took, counts right, and answers."""

import os
import signal
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

JSON = b"Content-Type: application/json\r\n"
SUBSCRIBE = {"egress": "play", "from": "latest"}


def frame(method, params):
	return msgpack.packb([0, 1, method, [params]])


# What a client says before it goes away without a word, by the door where it says it.
GONE = {
	"nothing, at control": ("control", b""),
	"half a request": ("control", b"GET /v1/status HT"),
	"a request that is not waited for": ("control", b"POST /v1/functions/test/play/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + JSON + b"\r\n{}"),
	"half a body": ("control", b"POST /v1/functions/test/play/a HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n" + JSON + b"\r\n{"),
	"a stream of an egress": ("control", b"GET /v1/egresses/play HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"),
	"a stream of events": ("control", b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n"),
	"nothing, at data": ("socket", b""),
	"half a frame": ("socket", frame("send", {"to": "test/play"})[:9]),
	"a call that is not waited for": ("socket", frame("call", {"to": "test/play", "id": "a", "payload": {}})),
	"a subscription with a name": ("socket", frame("subscribe", {**SUBSCRIBE, "name": "n"})),
}


def test_ten_thousand_connections_leave_nothing_open(test):
	host = Host(test, settings={"call.timeout_ms": 2000}).start()  # so long a call is answered for that nobody waits for
	host.http.post("/v1/functions/test/play/a", {"reply": True, "emit": {"egress": "play", "payload": 1}})
	worker = host.status()["worker_pid"]
	files = lambda: len(os.listdir(f"/proc/{worker}/fd"))
	before, count = files(), test.by_scale(100, 1000)
	for what, (door, words) in GONE.items():
		for _ in range(count):
			with connected(getattr(host, door), 20) as sock:
				if words:
					sock.sendall(words)
		expect_equal(host.status()["worker_pid"], worker, f"the worker, after {what}")
	wait_until(lambda: files() <= before, 60, "descriptors as before")
	test.note(f"{count * len(GONE)} connections, {before} files before and {files()} after")


def during(seconds, *work):
	"""Runs each work(stop) in a thread of its own for so long; gives what they raised."""
	stop, raised = threading.Event(), []

	def run(one):
		try:
			one(stop)
		except Exception as error:  # looked at by the caller
			raised.append(error)
	threads = [threading.Thread(target=run, args=(one,)) for one in work]
	for thread in threads:
		thread.start()
	time.sleep(seconds)  # not a wait: so long it goes on
	stop.set()
	for thread in threads:
		thread.join(60)
	return raised


def test_settings_change_under_load(test):
	"""SIGHUPs by the hundred over a file that is sometimes nonsense, requests that set and take back, and traffic."""
	host = Host(test, shards=2)
	host.data.mkdir(parents=True, exist_ok=True)
	file = host.data / "sofun.yaml"
	file.write_text("retry.attempts: 3\n")
	host.start()
	done = [0, 0]
	hangups = []

	def traffic(index, stop):
		with host.rpc() as rpc:
			while not stop.is_set():
				rpc.call("test/play", f"i{index}", {"add": 1, "reply": True})
				done[index] += 1

	def settings(stop):
		web = Http(host.control)
		for n in iter(lambda: 0, 1):
			if stop.is_set():
				return
			n = len(hangups)
			for body in ({"limits.message_bytes": "64KiB"}, {"limits.message_bytes": None}, {"limits.nesting": n % 60 + 4}, {"log.level": ("debug", "error")[n % 2]},
					{"log.format": ("json", "text")[n % 2]}, {"plugins.policy": ("manual", "auto")[n % 2]}, {"idempotency.keys_max": n + 1}, {"call.timeout_ms": 20000 + n}):
				web.post("/v1/config", body)

	def hangup(stop):
		fresh = host.data / "fresh"
		while not stop.is_set():
			fresh.write_text(f"retry.factor: {len(hangups) % 9 + 1}\n" if len(hangups) % 7 else "nonsense: [\n")
			os.replace(fresh, file)
			for _ in range(10):
				os.kill(host.process.pid, signal.SIGHUP)
			hangups.append(1)
			stop.wait(0.005)
	raised = during(test.by_scale(4, 40), lambda stop: traffic(0, stop), lambda stop: traffic(1, stop), settings, settings, hangup)
	expect_equal(raised, [], "errors")
	file.write_text("retry.factor: 9\n")
	host.http.post("/v1/config/reload")
	expect_equal(next(one["value"] for one in host.http.get("/v1/config")["settings"] if one["key"] == "retry.factor"), 9, "the last word")
	host.barrier()
	expect_equal([host.values("test/play", f"i{index}")["count"] for index in range(2)], done, "counts")
	test.note(f"{len(hangups) * 10} SIGHUPs, {sum(done)} calls")
	host.stop()


def test_subscribers_race_retention(test):
	"""Records go while they are read: every offset comes once and in order, or is said to be skipped."""
	host = Host(test, shards=4, settings={"egress.retention_bytes": "1MiB", "egress.retention_s": 1}).start()
	seen, skipped = [], []

	def emit(index, stop):
		with host.rpc() as rpc:
			while not stop.is_set():
				rpc.call("test/play", f"e{index}", {"add": 1, "reply": True, "emit": {"egress": "play", "payload": "x" * 2000}})

	def read(start, stop):
		while not stop.is_set():
			with host.rpc() as rpc:
				next = rpc.answer(rpc.request("subscribe", {"egress": "play", "from": start}))["next"]
				end = time.monotonic() + test.random.random()
				while time.monotonic() < end:
					try:
						batch = rpc.frame(end)[2][0]
					except TimeoutError:
						break
					gone = batch.get("skipped", 0)
					expect_equal(batch["first"], next + gone, f"offset behind {next}, with {gone} skipped")
					next = batch["first"] + len(batch["records"])
					seen.append(len(batch["records"]))
					skipped.append(gone)

	def page(stop):
		web = Http(host.control)
		while not stop.is_set():
			page = web.get(f"/v1/egresses/play?from={test.random.choice(('0', 'earliest', 'latest'))}&limit=50")
			offsets = [record["offset"] for record in page["records"]]
			expect_equal(offsets, list(range(offsets[0], offsets[0] + len(offsets))) if offsets else [], "offsets of a page")
			expect(not offsets or page["first"] <= offsets[0], f"first of {page['first']}, {offsets[:1]}")
	raised = during(test.by_scale(8, 60), *(lambda stop, n=n: emit(n, stop) for n in range(3)), *(lambda stop, start=start: read(start, stop) for start in (0, "earliest", "latest")), page)
	expect_equal(raised, [], "errors")
	expect(sum(seen) > 0 and sum(skipped) > 0, f"{sum(seen)} records seen, {sum(skipped)} skipped")
	wait_until(lambda: host.http.get("/v1/egresses/play?from=earliest")["records"] == [], 30, "what is left goes, too")
	test.note(f"{sum(seen)} records seen, {sum(skipped)} skipped")


if __name__ == "__main__":
	harness.main(globals())
