#!/usr/bin/python3
"""When state ends while two versions are live whose times differ: 2.0.0 and 4.0.0 of the fixture `mayfly`. Nothing that has ended by
the times of its own version is seen again when it goes to the other one, and nothing ends by times that were never its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.mayfly import START_MS, TYPE, call, clock, ended, expires, filed, load, ttl, values

FILES = {"2.0.0": "mayfly_2", "4.0.0": "mayfly_4"}
DECLARED = {"2.0.0": (1000, 100, 50), "4.0.0": (6000, 600, 300)}  # whole instances, mark, note
IDS = [f"i{number}" for number in range(16)]
MANY = [f"u{number}" for number in range(64)]  # the host cuts them by chance: so many that either half has some


def settled(host, loaded):
	"""Nothing of a change is left to do."""
	host.settle(loaded)
	wait_until(lambda: not ttl(host)["filing"], 30, "entries of expiry are made")


def once_through(order, what):
	"""What the change before it has left to do is waited for."""
	def asked():
		try:
			order()
			return True
		except HttpError as error:
			expect_equal((error.status, error.error["message"]), (409, "mayfly is changing already"), what)
			return False
	wait_until(asked, 30, what)


def change(host, what, **order):
	once_through(lambda: host.http.post(f"/v1/plugins/mayfly/{what}", order), f"{what} {order}")


def unloaded(host):
	once_through(lambda: host.http.json("DELETE", "/v1/plugins/mayfly"), "unload")
	host.settle(0)


def swap(host, version, loaded, **more):
	change(host, "swap", version=version, **more)
	settled(host, loaded)


def two_versions(test, shards, base="2.0.0", settings=None):
	"""The one is live, the other ready."""
	host = Host(test, plugins=(), shards=shards, flags=["--test-clock", str(START_MS)],
		settings={"plugins.policy": "manual", "crash.probation_ms": 0, "retry.attempts": 1, **(settings or {})}).start()
	for version in FILES:
		load(host, FILES[version])
	swap(host, base, 1)
	return host


def owners(host, ids=IDS):
	"""id → the version that has it: of a message that fails, the dead letter names it. Such a message is no touch."""
	before = {letter["number"] for letter in host.dead()}
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": TYPE, "id": id, "payload": True}) for id in ids]
		for number in numbers:
			rpc.answer(number)
	host.barrier()
	letters = [letter for letter in host.dead() if letter["number"] not in before and letter["code"] == "function_failed"]
	expect_equal(len(letters), len(ids), "dead letters")
	return {letter["id"]: letter["version"] for letter in letters}


def of(ids, version):
	return sorted(id for id in ids if ids[id] == version)


# ---- what nobody has swept ----

def unswept(test, shards):
	"""While no version is live nobody sweeps; what the ids had of times stays with each of them."""
	host = two_versions(test, shards)
	swap(host, "4.0.0", 2, canary=50)
	has = owners(host, MANY)
	short, long = of(has, "2.0.0"), of(has, "4.0.0")
	expect(len(short) > 1 and len(long) > 1, f"ids of both: {has}")
	for id in MANY:
		call(host, id, 1, "m", "n")
	expect_equal((expires(host, short[0]), expires(host, long[0])),
		({"*": 1000, "mark": 100, "note": 50}, {"*": 6000, "mark": 600, "note": 300}), "when each ends")
	unloaded(host)
	return host, short, long


def test_a_longer_time_for_all_wakes_nothing_that_the_shorter_one_has_ended(test):
	for shards in (1, 2):
		host, short, long = unswept(test, shards)
		clock(host, 120)
		expect_equal((values(host, short[0]), values(host, long[0])), ({"count": 1}, {"count": 1, "mark": "m", "note": "n"}), "values")
		clock(host, 1500)
		expect_equal(sorted(host.ids(TYPE)), long, "the shorter time has ended its own only")
		host.kill()
		host.restart(shards=3 - shards)
		expect_equal(sorted(host.ids(TYPE)), long, "after a kill")
		load(host, "mayfly_4")
		swap(host, "4.0.0", 1)
		expect_equal(sorted(host.ids(TYPE)), long, "and when the longer one holds for all")
		expect_equal([call(host, id, 1) for id in (short[0], long[0])], [[0, "", ""], [1, "", ""]], "for messages, too")
		wait_until(lambda: sorted(id for id, _ in ended(host)) == short, 20, "each was told of, and nobody else")
		host.end()


def test_values_that_the_shorter_time_has_ended_stay_unset(test):
	for shards in (1, 2):
		host, short, long = unswept(test, shards)
		clock(host, 120)
		host.kill()
		host.restart()
		load(host, "mayfly_4")
		swap(host, "4.0.0", 1)
		for id in short:
			expect_equal((values(host, id), expires(host, id)), ({"count": 1}, {"*": 6000}), "ended before")
		for id in long:
			expect_equal(expires(host, id), {"*": 6000, "mark": 600, "note": 300}, "as they were")
		expect_equal((call(host, short[0]), call(host, long[0])), ([1, "", ""], [1, "m", "n"]), "for messages, too")
		host.end()


def test_what_the_shortest_time_has_ended_stays_so_behind_two_more_changes(test):
	"""Of the times that are over, the one that reached furthest decides, and not the last one."""
	host, short, long = unswept(test, 2)
	clock(host, 1500)
	for idle_ms in (6000, 5000):
		ttl(host, idle_ttl_ms=idle_ms)
		expect_equal(sorted(host.ids(TYPE)), long, f"what there is when {idle_ms} ms hold for all")
	host.kill()
	host.restart(shards=1)
	expect_equal(sorted(host.ids(TYPE)), long, "after a kill")
	load(host, "mayfly_4")
	swap(host, "4.0.0", 1)
	expect_equal([call(host, id, 1) for id in (short[0], long[0])], [[0, "", ""], [1, "", ""]], "for messages, too")
	clock(host, 4999)
	expect_equal(sorted(host.ids(TYPE)), sorted([short[0], *long]), "before the last one holds to its end")
	clock(host, 5000)
	expect_equal(sorted(host.ids(TYPE)), sorted([short[0], long[0]]), "behind it: those alone that were touched")


def test_what_a_canary_has_ended_is_not_woken_by_its_end(test):
	"""The other way round: the canary's time is the shorter one, and on_expire of what it ended has not been through yet."""
	host = two_versions(test, 2, base="4.0.0", settings={"retry.attempts": 2, "retry.backoff_ms": 5000})
	swap(host, "2.0.0", 2, canary=50)
	ids = MANY
	for id in ids:
		call(host, id, 13, "m")  # on_expire fails: it waits
	short = [id for id in ids if expires(host, id)["*"] == 1000]
	long = [id for id in ids if expires(host, id)["*"] == 6000]
	expect(len(short) > 0 and len(long) > 0 and len(short) + len(long) == len(ids), "ids of both")
	clock(host, 1000)
	expect_equal(sorted(host.ids(TYPE)), sorted(long), "the canary's have ended")
	change(host, "rollback", drain="running")
	host.settle(1)
	expect_equal(sorted(host.ids(TYPE)), sorted(long), "and stay so")
	host.kill()
	host.restart(shards=1)
	expect_equal(sorted(host.ids(TYPE)), sorted(long), "after a kill")
	expect_equal({expires(host, id)["*"] for id in long}, {6000}, "the others as ever")
	clock(host, 5999)
	clock(host, 6000)
	clock(host, 12000)
	expect_equal(host.ids(TYPE), [], "then all")
	expect_equal(sorted(letter["id"] for letter in host.dead() if letter["code"] == "expire_failed"), sorted(ids), "each in its turn")
	expect_equal(call(host, short[0], 1), [0, "", ""], "it begins anew")


def test_ids_keep_their_canary_while_their_times_differ(test):
	"""Another canary would cut the ids another way, and what each part of them has ended by could not be told apart for long."""
	host = two_versions(test, 2)
	swap(host, "4.0.0", 2, canary=40)
	ids = [f"k{number}" for number in range(60)]
	first = of(owners(host, ids), "4.0.0")
	change(host, "rollback")
	settled(host, 1)
	swap(host, "4.0.0", 2, canary=40)
	second = of(owners(host, ids), "4.0.0")
	expect(second != first, "nothing differs any more: other ids have their turn")
	clock(host, 2000)
	change(host, "promote")
	settled(host, 1)
	swap(host, "2.0.0", 2, canary=40)
	expect_equal(of(owners(host, ids), "2.0.0"), second, "what the base had ended differs from what they had")
	change(host, "rollback")
	settled(host, 1)
	clock(host, 20_000)
	swap(host, "2.0.0", 2, canary=40)
	expect(of(owners(host, ids), "2.0.0") != second, "long ago")


# ---- against a model that remembers everything ----

class Model:
	"""Of every id: what was written when, and under which times it has been since then."""

	def __init__(self):
		self.now = 0
		self.has = {}        # id → version, or the last one that had it
		self.command = [None, None, None]
		self.reigns = []     # (from_ms, {id: times})
		self.state = {}      # id → [count, mark, written_ms, note, touched_ms]

	def reign(self):
		times = {id: tuple(set if set is not None else own for set, own in zip(self.command, DECLARED[version]))
			for id, version in self.has.items()}
		self.reigns.append((self.now, times))

	def gone(self, id, way, since):
		for number, (_, times) in enumerate(self.reigns):
			until = self.reigns[number + 1][0] if number + 1 < len(self.reigns) else self.now
			if times[id][way] and since + times[id][way] <= until:
				return True
		return False

	def look(self, id):
		"""What there is of it; None: nothing."""
		if id not in self.state:
			return None
		count, mark, written, note, touched = self.state[id]
		if self.gone(id, 0, touched):
			return None
		return [count, "" if self.gone(id, 1, written) else mark, "" if self.gone(id, 2, touched) else note]

	def call(self, id, add, mark, note):
		before = self.look(id) or [0, "", ""]
		written = self.now if mark is not None or id not in self.state else self.state[id][2]
		self.state[id] = [before[0] + add, before[1] if mark is None else mark, written, before[2] if note is None else note, self.now]
		return before

	def values(self, id):
		shown = self.look(id)
		return {} if shown is None else {name: value for name, value in zip(("count", "mark", "note"), shown) if value != ""}

	def expires(self, id):
		_, _, written, _, touched = self.state[id]
		times = self.reigns[-1][1][id]
		due = {"*": touched + times[0], "mark": written + times[1], "note": touched + times[2]}
		return {name: due[name] for number, name in enumerate(due) if times[number] and (name == "*" or name in self.values(id))}


class Run:
	def __init__(self, test):
		self.test, self.random = test, test.random
		self.host = two_versions(test, self.random.choice([1, 2]))
		self.model = Model()
		self.base, self.canary, self.previous = "2.0.0", None, None
		self.owned()

	def owned(self):
		"""A change of versions has come about."""
		self.model.has = owners(self.host)
		self.model.reign()

	def other(self):
		return next(version for version in FILES if version != self.base)

	def compare(self, when):
		"""As `sofun state` shows it: what is there, and when it ends."""
		for id in IDS:
			expected = self.model.values(id)
			expect_equal(values(self.host, id), expected, f"{id} at {self.model.now}, {when}")
			if expected:
				expect_equal(expires(self.host, id), self.model.expires(id), f"when {id} ends, at {self.model.now}, {when}")

	def calls(self):
		for id in self.random.sample(IDS, 5):
			order = (1, self.random.choice([None, "m", "m2"]), self.random.choice([None, "n", ""]))
			expect_equal(call(self.host, id, *order), self.model.call(id, *order), f"what a message to {id} finds at {self.model.now}")

	def step(self):
		"""Now and then to the very millisecond that is shown for somebody."""
		shown = [id for id in IDS if self.model.values(id) and self.model.expires(id)]
		to = self.model.now + self.random.choice([1, 30, 60, 200, 400, 900, 2500])
		if shown and self.random.random() < 0.5:
			id = self.random.choice(shown)
			to = self.random.choice(sorted(self.model.expires(id).values())) - self.random.choice([0, 1])
		self.model.now = clock(self.host, max(to, self.model.now))

	def commands(self):
		way = self.random.randrange(3)
		self.model.command[way] = self.random.choice([None, 0, 80, 700, 3000])
		idle, mark, note = self.model.command
		ttl(self.host, idle_ttl_ms=idle, values={"mark": {"expire_after_write_ms": mark}, "note": {"expire_after_invoke_ms": note}})
		self.model.reign()
		filed(self.host)

	def version(self):
		"""A canary begins, gets another share, is promoted or ends; or all ids change."""
		what = self.random.choice(["share", "share", "promote", "end", "rollback"] if self.canary else ["begin", "begin", "swap", "rollback"])
		if what in ("begin", "share"):
			self.canary = self.canary or self.other()
			swap(self.host, self.canary, 2, canary=self.random.choice([10, 35, 50, 80, 99]))
		elif what == "promote":
			change(self.host, "promote")
			self.previous, self.base, self.canary = self.base, self.canary, None
		elif what == "end":
			swap(self.host, self.base, 1)
			self.canary = None
		elif what == "swap":
			self.previous = self.base
			self.base = self.other()
			swap(self.host, self.base, 1)
		elif self.canary is not None or self.previous is not None:
			change(self.host, "rollback")
			if self.canary is None:
				self.base, self.previous = self.previous, None
			self.canary = None
		settled(self.host, 2 if self.canary else 1)
		self.owned()

	def absence(self):
		"""No version is live, so nobody sweeps what ends; then one has all ids."""
		unloaded(self.host)
		self.step()
		self.compare("while no version is live")
		if self.random.random() < 0.5:
			self.kill()
		for version, file in FILES.items():
			load(self.host, file)
			if version == "2.0.0":  # the first one has all ids at once, the other is ready then
				self.model.has = {id: version for id in IDS}
				self.model.reign()
		self.base, self.canary, self.previous = self.random.choice(list(FILES)), None, None
		change(self.host, "swap", version=self.base)
		self.model.has = {id: self.base for id in IDS}
		self.model.reign()
		self.compare("before anything is swept, or after")
		settled(self.host, 1)

	def kill(self):
		self.host.kill()
		self.host.restart(shards=self.random.choice([1, 2]))


def test_against_a_model_of_all_times_that_ids_had(test):
	run = Run(test)
	for number in range(test.by_scale(60, 600)):
		action = test.random.choices([run.calls, run.step, run.version, run.commands, run.absence, run.kill], [6, 6, 4, 1, 1, 1])[0]
		action()
		run.compare(f"after {action.__name__}, which was number {number}")
	expect(len(run.model.reigns) > 5, "times changed")


if __name__ == "__main__":
	harness.main(globals())
