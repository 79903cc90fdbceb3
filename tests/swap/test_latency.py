#!/usr/bin/python3
"""No shard waits for another at a swap: while a call keeps the thread of one shard, another plugin is swapped, and that call's own; calls
to addresses of the other shards, of both versions and of plugins that have nothing to do with it, take as long as before."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Failed, expect, expect_equal, wait_until
from lib.host import Host
from lib.nap import Nap
from lib.shards import Places

SHARDS = 4
TRIES = 8  # of which one must find the machine quiet
TYPES = {"demo/counter": 1, "test/play": 2, "sleeper/nap": 3}  # as they are declared: plugins are loaded in this order
PAYLOADS = {"demo/counter": 1, "test/play": {"add": 1, "reply": True}, "sleeper/nap": 0}


def started(test):
	host = Host(test, plugins=(), shards=SHARDS, settings={"plugins.policy": "manual"}).start()
	for name in ("counter", "play", "sleeper", "next/play", "next/sleeper"):
		host.http.post("/v1/plugins", {"path": str(test.plugin(name))})
	return host


def addresses(host, type, shards, count=8):
	places = Places(host.data, TYPES[type])
	ids = (f"a{number}" for number in range(10000))
	return [id for id in ids if places.shard(id, SHARDS) in shards][:count]


class Caller(threading.Thread):
	"""One call in flight, to the addresses of a type in turns; seconds of each with when it began."""

	def __init__(self, host, type, ids):
		super().__init__(daemon=True)
		self.host, self.type, self.ids = host, type, ids
		self.taken, self.counts = [], {}
		self.failure = None
		self.stopped = False

	def run(self):
		try:
			with self.host.rpc() as rpc:
				while not self.stopped:
					id, start = self.ids[len(self.taken) % len(self.ids)], time.monotonic()
					self.counts[id] = rpc.call(self.type, id, PAYLOADS[self.type])
					self.taken.append((start, time.monotonic() - start))
		except Exception as error:  # raised by whoever ends it
			self.failure = error

	def between(self, start, end):
		return sorted(took for began, took in self.taken if start <= began <= end)


def percentile(taken, share):
	return taken[min(len(taken) - 1, int(len(taken) * share))]


def version_live(host, plugin):
	return next(row["version"] for row in host.status()["plugins"] if row["name"] == plugin and row["state"] == "live")


def passed(start, seconds):
	wait_until(lambda: time.monotonic() - start > seconds, 5, f"{seconds} s")


def swapped_during_a_nap(host, plugin, callers):
	"""{type: (latencies before, latencies in the second around the swap)}, and the swap's own seconds. That the swap is answered, and
	calls are, before the nap ends says that none of them has waited for it."""
	id = addresses(host, "sleeper/nap", {0})[0]
	version = "1.0.0" if version_live(host, plugin) == "1.1.0" else "1.1.0"
	start = time.monotonic()
	passed(start, 1.0)
	begun = time.monotonic()
	with Nap(host, id) as nap:
		wait_until(lambda: any(one["reason"] == "running" for row in host.status()["plugins"] for one in row["waiting_for"]), 2, "the nap")
		asked = time.monotonic()
		host.http.post(f"/v1/plugins/{plugin}/swap", {"version": version})
		answered = time.monotonic()
		before = [len(caller.taken) for caller in callers]
		wait_until(lambda: all(len(caller.taken) > count + 1 for caller, count in zip(callers, before)), 20, "calls are answered during the nap")
		passed(asked, 1.0)
		end = time.monotonic()
		nap.end()
	return {caller.type: (caller.between(start, begun), caller.between(asked, end)) for caller in callers}, answered - asked


def unmoved(test, plugin):
	host = started(test)
	callers = [Caller(host, type, addresses(host, type, {1, 2, 3})) for type in TYPES]
	for caller in callers:
		caller.start()
	try:
		for _ in range(TRIES):
			measured, took = swapped_during_a_nap(host, plugin, callers)
			moved = [took >= 1.0]
			for type, (before, during) in measured.items():
				moved.append(not before or during[-1] >= 1.0)
				if not before:
					continue
				p50, p99 = percentile(before, 0.5), percentile(before, 0.99)
				test.note(f"{type}: p50 {p50 * 1e3:.2f} → {percentile(during, 0.5) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} → {percentile(during, 0.99) * 1e3:.2f}, "
					f"longest {during[-1] * 1e3:.1f}, the swap {took * 1e3:.0f}")
				moved.append(percentile(during, 0.99) > 2 * p99 + 0.005 or percentile(during, 0.5) > 1.5 * p50 + 0.001)
			host.settle(3)
			if not any(moved):
				return
		raise Failed(f"calls to the other shards took longer at a swap than before, {TRIES} times")
	finally:
		for caller in callers:
			caller.stopped = True
		for caller in callers:
			caller.join(10)
			expect(caller.failure is None, f"{caller.type}: {caller.failure!r}")
		counts = {id: values["count"] for id, values in host.dump("test/play").items()}
		expect_equal(counts, callers[1].counts, "counts of the plugin that was swapped")


def test_another_plugin_is_swapped(test):
	unmoved(test, "play")


def test_the_plugin_of_the_call_is_swapped(test):
	test.need_plain_build("nothing is unmapped there")
	unmoved(test, "sleeper")


if __name__ == "__main__":
	harness.main(globals())
