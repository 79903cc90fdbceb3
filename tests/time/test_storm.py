#!/usr/bin/python3
"""State that ends by itself while everything changes at once: versions with other times and another schema, by swap, canary, promote,
rollback and unload; times by the command; the machine's clock, both ways; the number of shards, by SIGKILL, some of them within starts.
What a message adds is told once: by on_expire when its instance ends, or by the instance that is still there."""

import sys
import time
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer
from lib.clock import SystemClock
from lib.harness import Failed, expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.mayfly import TYPE, load, ttl, values
from lib.rpc import Closed, RpcError

FILES = {"1.0.0": "mayfly", "2.0.0": "mayfly_2", "3.0.0": "mayfly_3", "4.0.0": "mayfly_4"}
INSTANCES = 300
ADD = 7  # no sum of these is one that mayfly fails on
SHIFT_MS_MAX = 1_000_000


class PatientProducer(Producer):
	"""While no version is live there is no router either."""

	def _stream(self):
		try:
			super()._stream()
		except RpcError as error:
			if error.code != "unknown_ingress":
				raise
			raise Closed("no router") from error


class Storm:
	def __init__(self, test, host, system):
		self.random, self.host, self.system, self.shift_ms = test.random, host, system, 0
		self.done = dict.fromkeys(("swap", "canary", "promote", "rollback", "unload", "kill", "times", "clock"), 0)

	def act(self):
		kind = self.random.choices(list(self.done), [3, 3, 2, 2, 1, 4, 4, 3])[0]
		self.done[kind] += getattr(self, kind)() is not False

	def order(self, what, **body):
		"""False: it does not fit now, as another change is under way, or there is nothing to go back to."""
		try:
			self.host.http.post(f"/v1/plugins/mayfly/{what}", body)
			return True
		except HttpError as error:
			expect(error.status in (404, 409, 422), f"{what} {body}: {error}")
			return False

	def swap(self):
		return self.order("swap", version=self.random.choice(list(FILES)), drain=self.random.choice(["accepted", "running"]),
			deadline_ms=self.random.choice([1, 50, 1000]))

	def canary(self):
		return self.order("swap", version=self.random.choice(list(FILES)), canary=self.random.choice([1, 10, 50, 99]))

	def promote(self):
		return self.order("promote")

	def rollback(self):
		return self.order("rollback")

	def unload(self):
		try:
			self.host.http.json("DELETE", "/v1/plugins/mayfly")
		except HttpError as error:
			expect_equal(error.status, 409, f"an unload: {error}")
			return False
		return self.come_back()

	def come_back(self):
		"""Any version that reads what there is; the first one is live at once."""
		def loaded():
			for file in self.random.sample(list(FILES.values()), len(FILES)):
				try:
					load(self.host, file)
				except HttpError as error:
					expect(error.status in (409, 422), f"load of {file}: {error}")
			return self.live() or any(self.order("swap", version=version) for version in FILES)
		return wait_until(loaded, 30, "some version is live")

	def live(self):
		return any(plugin["state"] == "live" for plugin in self.host.status()["plugins"])

	def kill(self):
		time.sleep(self.random.random() * 0.05)  # not a wait: the instants of kills are part of the seed's play
		self.host.kill()
		while self.random.random() < 0.4:
			self.host.shards = self.random.choice([1, 2, 3, 5, 8])
			self.host.spawn()
			time.sleep(self.random.random() * 0.15)
			self.host.kill()
		self.host.restart(shards=self.random.choice([1, 2, 3, 4, 7]))

	def times(self):
		some = lambda: self.random.choice([None, 0, self.random.randint(20, 3000)])
		try:
			ttl(self.host, idle_ttl_ms=some(), values={"mark": {"expire_after_write_ms": some()}, "note": {"expire_after_invoke_ms": some()}})
		except HttpError as error:
			expect_equal(error.status, 409, f"times: {error}")
			return False

	def clock(self):
		self.shift_ms += self.random.choice([-1, 1]) * self.random.choice([1000, 20_000, 120_000])
		self.shift_ms = max(-SHIFT_MS_MAX, min(self.shift_ms, SHIFT_MS_MAX))
		self.system.shift(self.shift_ms)


def sums(host):
	"""(what ended instances told, what the others have)"""
	host.barrier()
	told = sum(record["payload"][0] for record in host.egress("mayfly", page=10_000))
	return told, sum(values(host, id).get("count", 0) for id in host.ids(TYPE))


def all_there(host, added):
	"""All that was added is told, or there; it says what is not, and what the host says of it."""
	try:
		wait_until(lambda: sum(sums(host)) == added, 60, f"{added} in all, told or there")
	except Failed as failure:
		status = host.status()
		shown = {name: status[name] for name in ("in_flight", "schemas", "migrations", "blocked", "waiting", "timers", "time_ms")}
		versions = [(plugin["version"], plugin["state"], plugin["share_percent"]) for plugin in status["plugins"]]
		raise Failed(f"{failure}: (told, there) is {sums(host)}; {versions}, {shown}, {ttl(host)}, dead: {host.dead()[:3]}") from failure


def test_what_was_added_is_told_once(test):
	if test.sanitizer():
		raise harness.Skip("a sanitizer's runtime wants to be first in the process")
	system = SystemClock(test)
	host = Host(test, plugins=(), shards=2, environment=system.environment,
		settings={"plugins.policy": "manual", "crash.probation_ms": test.random.choice([0, 300, 60_000])}).start()
	for file in FILES.values():
		load(host, file)
	storm = Storm(test, host, system)
	storm.order("swap", version="1.0.0")
	count, acts = test.by_scale(15_000, 200_000), test.by_scale(50, 800)
	records = [msgpack.packb([f"i{test.random.randrange(INSTANCES)}", [ADD, test.random.choice([None, "m"]), test.random.choice([None, "n", ""])]])
		for _ in range(count)]
	producer = PatientProducer(host.socket, records, test.random, ingress="mayfly", name="storm", batch=16, window=6)
	producer.limit = 0
	producer.start()
	producer.gate.set()
	for act in range(acts):
		producer.limit = count * (act + 1) // acts
		storm.act()
		producer.check()
	if not storm.live():
		storm.come_back()
	producer.finish(120)
	all_there(host, ADD * count)
	def end():
		"""Whatever is there has 20 ms left."""
		try:
			return ttl(host, idle_ttl_ms=20)
		except HttpError:
			return None
	wait_until(end, 30, "a last change of times")
	wait_until(lambda: host.ids(TYPE) == [], 30, "all have ended")
	wait_until(lambda: sums(host) == (ADD * count, 0), 60, "all is told")
	expect_equal(host.dead(), [], "dead letters")
	test.note(f"{count} messages, {storm.done}, {host.starts} starts")


if __name__ == "__main__":
	harness.main(globals())
