#!/usr/bin/python3
"""State migration: lazily at the first message, in the background with progress, up and down; what cannot be read is refused,
what cannot be migrated waits in sight. Versions of the fixture `moving` (tests/fixtures/moving/moving.c)."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import Closed, RpcError

TYPE = "test/moving"


# ---- questions ----

def fixture(test, name):
	return test.find(f"fixtures/{name}.so")


def load(test, host, name):
	return host.http.post("/v1/plugins", {"path": str(fixture(test, name))})


def unload(host):
	return host.http.json("DELETE", "/v1/plugins/moving")


def refused(test, host, name):
	error = raised(HttpError, lambda: load(test, host, name))
	expect_equal((error.status, error.code), (422, "refused"), f"loading {name}: {error}")
	for field in ("message", "found", "expected", "hint"):
		expect(error.error.get(field) and "\n" not in error.error[field], f"{field} in one line: {error.error}")
	return error.error


def call(host, id, payload):
	return host.http.post(f"/v1/functions/{TYPE}/{id}", payload)


def shown(host, id):
	"""[schema, count, text, size of blob, how often migrated up], as the live version sees them."""
	return call(host, id, {})


def schemas(host):
	return {row["schema"]: row["instances"] for row in host.status()["schemas"] if row["type"] == TYPE}


def state(host, id):
	return host.http.get(f"/v1/state/{TYPE}/{id}")


def blocked(host):
	return host.status()["blocked"]


def started(test, name="moving", **settings):
	host = Host(test, plugins=(), **settings).start()
	load(test, host, name)
	return host


def replaced(test, host, name):
	"""The one goes, the other comes."""
	unload(host)
	load(test, host, name)


# ---- one instance ----

def test_the_first_message_finds_the_new_schema(test):
	host = started(test)
	blob = list(range(500))  # about 1.3 KiB: a row of its own
	for payload in (41234, "some text", blob):
		call(host, "a", payload)
	call(host, "b", 7)
	expect_equal(schemas(host), {1: 2}, "instances by schema")
	replaced(test, host, "moving_2")
	expect_equal(schemas(host), {1: 2}, "instances by schema, before anything is touched")
	expect_equal(state(host, "a")["schema"], 1, "the schema of an untouched instance")
	expect_equal(state(host, "a")["values"], {"count": 41234, "text": "some text", "blob": blob}, "its values, by its names")
	expect_equal(call(host, "a", 1), 41235, "the count that the new version sees")
	expect_equal(shown(host, "a")[:3], [2, 41235, "some text"], "what the new version sees")
	expect_equal(schemas(host), {1: 1, 2: 1}, "instances by schema, one of two touched")
	expect_equal(state(host, "a")["values"], {"blob": blob, "parts": [41, 235], "text": "some text", "moved": 1},
		"the values as they are kept now")
	host.kill()
	host.restart()
	expect_equal(schemas(host), {1: 1, 2: 1}, "instances by schema after SIGKILL")
	expect_equal(state(host, "a")["values"]["parts"], [41, 235], "the count after SIGKILL")
	expect_equal(shown(host, "b"), [2, 7, "", 0, 1], "the other instance")
	expect_equal(schemas(host), {2: 2}, "instances by schema")


def test_a_message_that_fails_migrates_nothing(test):
	host = started(test, settings={"retry.attempts": 2})
	call(host, "a", 5)
	replaced(test, host, "moving_2")
	error = raised(HttpError, lambda: call(host, "a", True))
	expect_equal(error.code, "function_failed", "the message fails")
	expect_equal((schemas(host), state(host, "a")["values"]), ({1: 1}, {"count": 5}), "schema and values after it")
	expect_equal(shown(host, "a"), [2, 5, "", 0, 1], "what a good message sees")


def test_what_cannot_be_read_is_refused_and_changes_nothing(test):
	host = started(test)
	call(host, "a", 5)
	unload(host)
	before = host.status()["schemas"]
	for name, found in (("moving_2_alone", "1 instances of schema 1"), ("moving_3", "1 instances of schema 1"),
			("moving_2_wrong", "value 1: text raw")):
		error = refused(test, host, name)
		expect(found in error["found"], f"{name} is refused with what was found: {error}")
	expect_equal(host.status()["schemas"], before, "instances by schema")
	expect_equal(host.plugin("moving"), None, "no version is live")
	load(test, host, "moving")
	expect_equal(shown(host, "a"), [1, 5, "", 0, 0], "the first version goes on")


def test_there_is_no_way_down_without_the_version_that_brings_it(test):
	host = started(test, "moving_2")
	call(host, "a", 5)
	unload(host)
	error = refused(test, host, "moving")
	expect("1 instances of schema 2" in error["found"] and "DOWN" in error["hint"], f"found and hint: {error}")
	load(test, host, "moving_3")
	expect_equal(shown(host, "a"), [3, 5, "", 0, 1], "the third version reads the second")


def test_an_empty_store_takes_any_schema(test):
	host = started(test, "moving_2")
	unload(host)
	load(test, host, "moving")
	call(host, "a", 1)
	expect_equal(schemas(host), {1: 1}, "instances by schema")


def test_what_cannot_be_migrated_waits_in_sight(test):
	host = started(test)
	for id, text in (("a", "stuck"), ("b", "fine"), ("c", "sly")):
		call(host, id, 3)
		call(host, id, text)
	replaced(test, host, "moving_2")
	rpc = host.rpc()
	for number in (1, 2, 3):
		rpc.send(TYPE, "a", number)
	expect_equal(shown(host, "b")[:3], [2, 3, "fine"], "others pass")
	expect_equal(shown(host, "c")[:3], [2, 3, "sly"], "a migration that tries to send is told that it may not")
	waiting = wait_until(lambda: blocked(host) if blocked(host)["count"] else None, 20, "the address is shown")
	expect_equal(waiting["count"], 1, "how many addresses wait")
	address = waiting["addresses"][0]
	expect_equal((address["type"], address["id"], address["reason"]), (TYPE, "a", "the text is stuck"), "who and why")
	expect_equal((host.status()["in_flight"], host.status()["dead"]), (3, 0), "nothing is dead, all of it waits")
	row = next(row for row in host.status()["plugins"] if row["state"] == "live")["waiting_for"]
	expect_equal([(one["reason"], one["address"], one["messages"]) for one in row], [("migration", f"{TYPE}/a", 3)], "by name, at its plugin")
	host.kill()
	host.restart()
	wait_until(lambda: blocked(host)["count"] == 1, 20, "the address is shown after SIGKILL")
	expect_equal(blocked(host)["addresses"][0]["reason"], "the text is stuck", "why, after SIGKILL")


# ---- swaps ----

def plugin_call(host, what, **body):
	return host.http.post(f"/v1/plugins/moving/{what}", body)


def migrations(host):
	return {row["type"]: row for row in host.status()["migrations"]}


def migrated(host, wanted, deadline_s=120):
	"""Waits until the counts are those, and nothing is under way."""
	wait_until(lambda: schemas(host) == wanted and not migrations(host), deadline_s, f"instances by schema: {wanted}")


def versions_loaded(host):
	return {p["version"]: p["state"] for p in host.status()["plugins"] if p["name"] == "moving" and p["state"] != "ready"}


def only_version(host, version, deadline_s=60):
	wait_until(lambda: versions_loaded(host) == {version: "live"}, deadline_s, f"{version} is all that is loaded")


def test_a_swap_and_a_rollback_across_schemas(test):
	"""The newer version stays for its way down until nothing of its schema is left."""
	host = started(test)
	for id in ("a", "b", "c"):
		call(host, id, 1000)
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	expect_equal(shown(host, "a"), [2, 1000, "", 0, 1], "migrated by a message")
	call(host, "new", 2000)
	expect_equal(schemas(host), {1: 2, 2: 2}, "instances by schema")
	plugin_call(host, "rollback")
	expect_equal(shown(host, "a"), [1, 1000, "", 0, 0], "taken down by a message")
	migrated(host, {1: 4})
	only_version(host, "1.0.0")
	for id, count in (("a", 1000), ("b", 1000), ("c", 1000), ("new", 2000)):
		expect_equal(shown(host, id), [1, count, "", 0, 0], f"instance {id}")
	images = host.status()["images"]
	expect_equal(images["loaded"], 1, "images that are loaded")


def test_what_cannot_go_down_keeps_the_newer_version(test):
	host = started(test)
	call(host, "fine", 1)
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	call(host, "held", 5)
	call(host, "held", "stuck below")
	shown(host, "fine")
	plugin_call(host, "rollback")
	wait_until(lambda: schemas(host) == {1: 1, 2: 1}, 30, "one is down, one is not")
	row = wait_until(lambda: next((row for row in migrations(host).values() if row["refused"]), None), 30, "it is shown")
	expect_equal((row["schema"], row["left"], row["refused"], row["reason"]), (1, 1, 1, "the text is stuck below"), "how")
	expect_equal(versions_loaded(host), {"1.0.0": "live", "2.0.0": "draining"}, "the newer version stays")
	expect_equal(waits_of(host, "2.0.0"), [("migration", TYPE)], "what it stays for")
	host.rpc().send(TYPE, "held", 1)
	wait_until(lambda: blocked(host)["count"] == 1, 20, "its message waits in sight")
	host.kill()
	host.restart()
	wait_until(lambda: versions_loaded(host) == {"1.0.0": "live", "2.0.0": "draining"}, 20, "both, after SIGKILL")
	wait_until(lambda: blocked(host)["count"] == 1, 20, "its message waits in sight, after SIGKILL")
	plugin_call(host, "swap", version="2.0.0", drain="running")  # what waits is not for the older one to finish
	wait_until(lambda: versions_loaded(host) == {"2.0.0": "live"}, 60, "the newer one is live again")
	expect_equal(shown(host, "held"), [2, 6, "stuck below", 0, 0], "the message that waited was handled")
	expect_equal((blocked(host)["count"], host.dead()), (0, []), "nobody waits, nothing is dead")


def waits_of(host, version):
	"""[(reason, address)]"""
	return [(w["reason"], w["address"]) for p in host.status()["plugins"] if p["version"] == version for w in p["waiting_for"]]


def test_what_a_version_stays_for_is_said_while_it_drains(test):
	"""From the fence of the rollback on, and not only once its messages are done."""
	host = started(test, "moving", settings={"retry.attempts": 2, "retry.backoff_ms": 60000})
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	call(host, "held", "stuck below")
	with host.rpc() as rpc:
		rpc.send(TYPE, "late", True)
		wait_until(lambda: ("retry", f"{TYPE}/late") in waits_of(host, "2.0.0"), 30, "a message that keeps it draining waits")
	plugin_call(host, "rollback", drain="accepted")
	drain = next(p for p in host.status()["plugins"] if p["version"] == "2.0.0")["drain"]
	expect(drain is not None and drain["left"] == 1, f"it drains: {drain}")
	expect(("migration", TYPE) in waits_of(host, "2.0.0"), f"what it stays for: {waits_of(host, '2.0.0')}")


def test_a_version_that_stays_for_its_way_down_can_be_a_canary(test):
	"""It is loaded already, but a canary of it has its share of the ids and no more."""
	host = started(test)
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	call(host, "held", "stuck below")
	plugin_call(host, "rollback")
	wait_until(lambda: any(row["refused"] for row in migrations(host).values()), 30, "the newer version stays")
	plugin_call(host, "swap", version="2.0.0", canary=30)
	wait_until(lambda: versions_loaded(host) == {"1.0.0": "live", "2.0.0": "live"}, 30, "both are live")
	shares = {row["version"]: row["share_percent"] for row in host.http.get("/v1/plugins/moving/versions")["versions"]}
	expect_equal(shares, {"1.0.0": 70, "2.0.0": 30}, "shares")
	some = [f"i{number}" for number in range(200)]
	expect_equal({shown(host, id)[0] for id in some}, {1, 2}, "schemas of the versions that handled them")
	plugin_call(host, "rollback")
	wait_until(lambda: any(p["version"] == "2.0.0" and p["state"] == "draining" and p["drain"] is None
		for p in host.status()["plugins"]), 60, "the canary is over, has drained and stays")
	plugin_call(host, "swap", version="2.0.0", drain="running")
	only_version(host, "2.0.0")
	expect_equal(shown(host, "held")[0], 2, "its instance is handled again")


def test_no_way_back_must_be_said(test):
	host = started(test)
	call(host, "a", 5)
	expect_equal(load(test, host, "moving_2_up")["state"], "ready", "without a way down it does not go live by itself")
	for canary in ({}, {"canary": 50}):
		error = raised(HttpError, lambda: plugin_call(host, "swap", version="2.1.0", **canary))
		expect_equal((error.status, error.code), (422, "refused"), f"swap {canary}: {error}")
		expect("--no-way-back" in error.error["hint"], f"the hint says how: {error}")
	expect_equal((schemas(host), shown(host, "a")), ({1: 1}, [1, 5, "", 0, 0]), "nothing has changed")
	plugin_call(host, "swap", version="2.1.0", no_way_back=True)
	only_version(host, "2.1.0")
	expect_equal(shown(host, "a"), [2, 5, "", 0, 1], "migrated")
	error = raised(HttpError, lambda: plugin_call(host, "rollback"))
	expect_equal((error.status, error.code), (422, "refused"), f"rollback: {error}")
	expect_equal(shown(host, "a"), [2, 5, "", 0, 1], "the newer version goes on")


def test_a_canary_across_schemas(test):
	host = started(test, shards=4)
	ids = [f"i{number}" for number in range(400)]
	for id in ids:
		call(host, id, 7)
	fixture_path = str(fixture(test, "moving_2"))
	host.http.post("/v1/config", {"plugins.policy": "manual"})
	host.http.post("/v1/plugins", {"path": fixture_path})
	plugin_call(host, "swap", version="2.0.0", canary=30)
	seen = {id: shown(host, id)[0] for id in ids}
	share = sum(schema == 2 for schema in seen.values())
	expect(60 <= share <= 180, f"about 30 % of 400 ids on the canary: {share}")
	expect_equal(schemas(host), {1: 400 - share, 2: share}, "instances by schema")
	expect_equal(raised(HttpError, lambda: load(test, host, "moving_3")).code, "conflict", "a third version while a canary runs")
	plugin_call(host, "rollback")
	expect_equal({shown(host, id)[1] for id in ids}, {7}, "every count")
	migrated(host, {1: 400})
	only_version(host, "1.0.0")


def test_a_crash_in_migrate_is_laid_at_its_door(test):
	test.need_plain_build("the plugin aborts")
	host = started(test)
	call(host, "a", 5)
	call(host, "a", "crash")
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	host.rpc().request("send", {"to": TYPE, "id": "a", "payload": 1})
	crash = wait_until(lambda: next(iter(crashes(host)), None), 30, "the crash is told")
	expect_equal([crash[key] for key in ("plugin", "version", "in", "function", "id")],
		["moving", "2.0.0", "migrate", TYPE, "a"], "who did it")
	wait_until(lambda: schemas_seen(host) == {1: 1}, 30, "nothing was migrated")


def schemas_seen(host):
	try:
		return schemas(host)
	except (OSError, HttpError, ValueError):
		return None  # between two lives of the worker


def crashes(host):
	try:
		return host.status()["crashes"]
	except (OSError, HttpError, ValueError):
		return []  # between two lives of the worker


# ---- in the background ----

def migrate(host):
	return host.http.post("/v1/plugins/moving/migrate", {})


def test_the_background_migrates_what_no_message_meets(test):
	host = started(test)
	for number in range(300):
		call(host, f"i{number}", number)
	call(host, "i5", "stuck")
	load(test, host, "moving_2")
	only_version(host, "2.0.0")
	expect_equal(schemas(host), {1: 300}, "nothing moves by itself upwards")
	migrate(host)
	row = wait_until(lambda: next((row for row in migrations(host).values() if row["refused"]), None), 30, "one is refused")
	expect_equal((row["total"], row["left"], row["reason"]), (300, 1, "the text is stuck"), "how far it is")
	expect_equal(schemas(host), {1: 1, 2: 299}, "instances by schema")
	host.kill()
	host.restart()
	wait_until(lambda: migrations(host), 30, "it goes on after SIGKILL")
	plugin_call(host, "rollback")
	migrated(host, {1: 300})
	only_version(host, "1.0.0")
	expect_equal(call(host, "i5", "fine"), 0, "what held it up")
	plugin_call(host, "swap", version="2.0.0")
	migrate(host)
	migrated(host, {2: 300})
	for number in (0, 5, 299):
		expect_equal(shown(host, f"i{number}")[:2], [2, number], f"instance {number}")


def sofun(test, host, *arguments):
	done = subprocess.run([str(test.find("bin/sofun")), "--data", str(host.data), *arguments], stdout=subprocess.PIPE,
		stderr=subprocess.PIPE, text=True)
	return done.returncode, done.stdout, done.stderr


def test_the_command(test):
	host = started(test)
	for number in range(50):
		call(host, f"i{number}", number)
	load(test, host, "moving_2")
	code, out, _ = sofun(test, host, "migrate", "moving")
	expect_equal((code, out), (0, "50 instances of moving migrated\n"), "migrate")
	code, out, _ = sofun(test, host, "state", TYPE, "i7")
	expect(code == 0 and out.startswith("schema 2\n"), f"state shows the schema: {out}")
	call(host, "i7", "stuck below")
	sofun(test, host, "rollback", "moving")
	code, _, error = sofun(test, host, "migrate", "moving")
	expect(code == 1 and "1 instances could not be migrated" in error and "the text is stuck below" in error, f"{code} {error}")
	code, out, _ = sofun(test, host, "status")
	expect("1 of 50 instances of test/moving are still to be migrated to schema 1; 1 could not be" in out, f"status: {out}")
	code, out, _ = sofun(test, host, "--json", "inspect", str(fixture(test, "moving_2")))
	earlier = json.loads(out)["states"][TYPE]["earlier"]
	expect_equal([(row["schema"], row["migrates"]) for row in earlier], [(1, "both")], "inspect tells what it can migrate")
	expect_equal(sofun(test, host, "migrate", "nobody")[0], 4, "a plugin that is not there")
	load(test, host, "moving_2_up")
	expect_equal(sofun(test, host, "swap", "moving", "2.1.0")[0], 5, "a swap without a way back")


# ---- a million ----

BATCH = 1000


def name(number):
	return f"i{number:07d}"


class Stream:
	"""Records [id, 1] of one producer, in order, from wherever the host is; and what they must have left."""

	def __init__(self, producer):
		self.producer = producer
		self.numbers = []  # of the id of each record

	def go(self, host, until=None):
		"""Ingests what is not durable yet, up to that record; false if the host died meanwhile."""
		until = len(self.numbers) if until is None else until
		try:
			rpc = host.rpc(120)
			at = rpc.position("moving", self.producer)
			while at < until:
				batch = [[name(number), 1] for number in self.numbers[at:min(at + BATCH, until)]]
				at = rpc.ingest("moving", self.producer, at + 1, batch)
			rpc.close()
			return True
		except (Closed, OSError, TimeoutError, RpcError):
			return False


class Beside(threading.Thread):
	"""A stream beside what the test does, across the deaths of the host."""

	def __init__(self, host, stream):
		super().__init__(daemon=True)
		self.host, self.stream, self.ended = host, stream, False

	def run(self):
		while not self.stream.go(self.host):
			time.sleep(0.05)  # between two lives of the host
		self.ended = True


def killed_on_the_way(test, host, total, wanted, kills):
	"""Waits for the end of a migration in the background, killing the host at seeded points of it; what it showed."""
	points = sorted((test.random.uniform(0.2, 0.9) for _ in range(kills)), reverse=True)
	seen, deaths, start = [], 0, time.monotonic()
	while True:
		expect(time.monotonic() - start < 300, f"it comes to its end; seen {seen[-5:]}")
		row = migrations(host).get(TYPE)
		if row is not None:
			seen.append(row["left"])
			expect_equal(row["refused"], 0, "refused")
			if points and row["left"] <= points[0] * total:
				points.pop(0)
				deaths += row["left"] > 0
				host.kill()
				host.restart()
		elif schemas(host) == wanted:
			break
	expect_equal(seen, sorted(seen, reverse=True), "what is left only shrinks")
	expect(deaths >= 1 and (deaths == kills or not test.full()), f"kills while something was left: {deaths} of {kills}")
	return len(seen), time.monotonic() - start


def verify(host, counts, schema, numbers):
	"""Every value of these instances, by HTTP."""
	wrong = []
	for number in numbers:
		count = counts[number]
		row = host.http.get(f"/v1/state/{TYPE}/{name(number)}")
		wanted = {"count": count} if schema == 1 else {"parts": [count // 1000, count % 1000], "moved": 1}
		got = {key: value for key, value in row["values"].items() if key != "moved" or schema == 1}
		wanted.pop("moved", None)
		if row["schema"] != schema or got != wanted:
			wrong.append((name(number), row, wanted))
	expect(not wrong, f"{len(wrong)} of {len(numbers)} instances are wrong: {wrong[:3]}")


def test_a_million_instances_up_and_down(test):
	"""Lazily under load, in the background with progress, killed on the way, and back down; every value in the end."""
	total = 1000000 if test.full() else 200000
	some = test.random.sample(range(total), 10000)
	host = started(test, settings={"plugins.policy": "manual"})
	counts = [1] * total
	first = Stream("first")
	first.numbers = list(range(total))
	expect(first.go(host), "the instances are made")
	host.barrier()
	expect_equal(schemas(host), {1: total}, "instances by schema")
	load(test, host, "moving_2")
	plugin_call(host, "swap", version="2.0.0")
	lazy = Stream("lazy")
	lazy.numbers = test.random.sample(range(total), total // 4)
	expect(lazy.go(host), "messages to a quarter of them")
	host.barrier()
	expect_equal(schemas(host), {1: total - total // 4, 2: total // 4}, "a quarter has met a message")
	load_beside = Stream("beside")
	load_beside.numbers = [test.random.randrange(total) for _ in range(total // 2)]
	beside = Beside(host, load_beside)
	beside.start()
	migrate(host)
	looks, took_s = killed_on_the_way(test, host, total - total // 4, {2: total}, 3)
	test.note(f"up: {took_s:.1f} s with 3 kills and traffic beside it, {looks} looks at the progress")
	beside.join(300)
	expect(beside.ended, "the traffic beside it came to its end")
	host.barrier()
	for stream in lazy, load_beside:
		for number in stream.numbers:
			counts[number] += 1
	verify(host, counts, 2, some)
	plugin_call(host, "rollback")
	looks, took_s = killed_on_the_way(test, host, total, {1: total}, 3)
	test.note(f"down: {took_s:.1f} s with 3 kills, {looks} looks at the progress")
	only_version(host, "1.0.0")
	verify(host, counts, 1, range(total) if test.full() else some)
	expect_equal((host.dead(), blocked(host)["count"]), ([], 0), "no dead letter, nobody waits")


if __name__ == "__main__":
	harness.main(globals())
