#!/usr/bin/python3
"""State that ends by itself against a model: random writes, reads, calls, steps of the clock, SIGKILL, other numbers of shards, other
versions, and times that change by setting, by the command and by a version. Host and model agree at every read, and what
on_expire told in the end is what the model says has ended. The model is written from plugin-api/ABI.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.mayfly import TYPE, call, clock, ended, expires, filed, load, settings, started, ttl, values

IDLE, MARK, NOTE = "idle", "mark", "note"
TERMS = (IDLE, MARK, NOTE)
DECLARED = {1: {IDLE: 0, MARK: 0, NOTE: 0}, 2: {IDLE: 1000, MARK: 100, NOTE: 50}, 3: {IDLE: 1000, MARK: 100, NOTE: 50}}
WORDS = {MARK: "expire_after_write_ms", NOTE: "expire_after_invoke_ms"}


class Instance:
	def __init__(self, now):
		self.count, self.mark, self.note, self.touched, self.written = 0, "", "", now, now

	def state(self):
		return [self.count, self.mark, self.note]


class Model:
	def __init__(self):
		self.now, self.version = 0, 1
		self.settings, self.command = {}, {}
		self.since, self.held = {}, {term: 0 for term in TERMS}
		self.instances, self.told = {}, []

	def time(self, term):
		"""The command before the settings before the plugin."""
		return self.command.get(term, self.settings.get(term, DECLARED[self.version][term]))

	def changed(self):
		"""What has ended by the times of before has ended; then the new ones hold."""
		self.sweep()
		for term in TERMS:
			self.held[term] = self.time(term)
			if self.held[term] and term not in self.since:
				self.since[term] = self.now

	def due(self, term, instance):
		"""None: never."""
		if not self.held[term]:
			return None
		last = instance.written if term == MARK else instance.touched
		return max(last, self.since[term]) + self.held[term]

	def over(self, term, instance):
		due = self.due(term, instance)
		return due is not None and due <= self.now

	def sweep(self):
		"""Whatever has ended by now; whole instances with the state that they had then."""
		for id, instance in list(self.instances.items()):
			until = min(self.now, self.due(IDLE, instance) or self.now)
			for term in (MARK, NOTE):
				due = self.due(term, instance)
				if due is not None and due <= until:
					setattr(instance, term, "")
			if not any(instance.state()):
				del self.instances[id]
			elif self.over(IDLE, instance):
				self.told.append((id, instance.state()))
				del self.instances[id]

	def call(self, id, count, mark, note):
		self.sweep()
		instance = self.instances.get(id) or Instance(self.now)
		before = instance.state()
		instance.touched = self.now
		if count is not None:
			instance.count += count
		if mark is not None:
			instance.mark, instance.written = mark, self.now
		if note is not None:
			instance.note = note
		self.instances[id] = instance
		return before

	def values(self, id):
		self.sweep()
		if id not in self.instances:
			return {}
		shown = {"count": self.instances[id].count, "mark": self.instances[id].mark, "note": self.instances[id].note}
		return {name: value for name, value in shown.items() if value}

	def expires(self, id):
		instance = self.instances[id]
		dues = {"*": self.due(IDLE, instance)}
		dues.update({term: self.due(term, instance) for term in (MARK, NOTE) if getattr(instance, term)})
		return {name: due for name, due in dues.items() if due is not None}


class Run:
	def __init__(self, test):
		self.test, self.random, self.model, self.settings = test, test.random, Model(), {}
		self.host = started(test, settings={"retry.backoff_ms": 1})
		self.ids = [f"i{number}" for number in range(12)]
		self.reads = self.kills = self.changes = 0

	def id(self):
		return self.random.choice(self.ids)

	def calls(self):
		id, text = self.id(), f"t{self.random.randrange(1000)}"
		words = [1 if self.random.random() < 0.6 else None, self.random.choice((None, None, text, "")), self.random.choice((None, text, ""))]
		expect_equal(call(self.host, id, *words), self.model.call(id, *words), f"what {id} was before a call at {self.model.now}")

	def reading(self):
		id = self.id()
		self.reads += 1
		wanted = self.model.values(id)
		expect_equal(values(self.host, id), wanted, f"values of {id} at {self.model.now}")
		if wanted:
			expect_equal(expires(self.host, id), self.model.expires(id), f"when {id} ends, at {self.model.now}")

	def listing(self):
		self.model.sweep()
		self.reads += 1
		expect_equal(sorted(self.host.ids(TYPE)), sorted(self.model.instances), f"instances at {self.model.now}")

	def clocks(self):
		step = self.random.choice((1, 5, 49, 50, 51, 99, 100, 101, 333, 999, 1000, 1001))
		self.model.sweep()
		self.model.now += step
		expect_equal(clock(self.host, self.model.now), self.model.now, "the clock")

	def words(self, term):
		"""As a request says it."""
		ms = self.random.choice((0, 1, 30, 60, 120, 400, 900, 1500, 5000))
		return ms, {"idle_ttl_ms": ms} if term == IDLE else {"values": {term: {WORDS[term]: ms}}}

	def change(self):
		self.changes += 1
		term = self.random.choice(TERMS)
		kind = self.random.choice(("settings", "command", "command back", "settings back", "clear", "version"))
		ms, body = self.words(term)
		if kind == "settings":
			settings(self.host, **body)
			self.model.settings[term] = ms
		elif kind == "command":
			ttl(self.host, **body)
			self.model.command[term] = ms
		elif kind == "command back":
			ttl(self.host, **({"idle_ttl_ms": None} if term == IDLE else {"values": {term: {WORDS[term]: None}}}))
			self.model.command.pop(term, None)
		elif kind == "settings back":
			key = "idle_ttl_ms" if term == IDLE else f"values.{term}.{WORDS[term]}"
			self.host.http.post("/v1/config", {f"functions.{TYPE}.{key}": None})
			self.model.settings.pop(term, None)
		elif kind == "clear":
			ttl(self.host, clear=True)
			self.model.command.clear()
		else:
			self.versions()
		self.model.changed()

	def versions(self):
		if self.model.version < 3:
			self.model.version += 1
			load(self.host, f"mayfly_{self.model.version}")
			wait_until(lambda: not self.host.plugin("mayfly")["waiting_for"] and len(self.living()) == 1, 20, "one version is live")

	def living(self):
		return [plugin for plugin in self.host.status()["plugins"] if plugin["state"] in ("live", "draining")]

	def kill(self):
		self.kills += 1
		self.host.kill()
		self.host.restart(shards=self.random.choice((1, 2, 4)))
		self.model.settings.clear()  # a request's settings end with the process
		self.model.changed()

	def steps(self, count):
		deeds = [self.calls] * 8 + [self.reading] * 8 + [self.clocks] * 5 + [self.listing] * 2 + [self.change] * 2
		for number in range(count):
			self.random.choice(deeds)()
			if number % 60 == 59:
				self.kill()

	def end(self):
		"""Everything that ends has ended, and each was told of once."""
		filed(self.host)
		self.model.now += 10
		clock(self.host, self.model.now)
		self.model.sweep()
		self.listing()
		for id in self.ids:
			expect_equal(values(self.host, id), self.model.values(id), f"values of {id} in the end")
		expect_equal(sorted(ended(self.host)), sorted((id, state) for id, state in self.model.told), "what on_expire told")
		expect_equal(self.host.dead(), [], "dead letters")


def test_host_and_model_agree_at_every_read(test):
	for _ in range(test.by_scale(2, 30)):
		run = Run(test)
		run.steps(test.by_scale(400, 1500))
		run.end()
		run.host.end()
		test.note(f"{run.reads} reads, {run.changes} changes of times, {run.kills} kills, {len(run.model.told)} instances told of")


if __name__ == "__main__":
	harness.main(globals())
