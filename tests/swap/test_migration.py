#!/usr/bin/python3
"""State migration: lazily at the first message, in the background with progress, up and down; what cannot be read is refused,
what cannot be migrated waits in sight. Versions of the fixture `moving` (tests/fixtures/moving/moving.c)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError

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
	waiting = next(p for p in host.status()["plugins"] if p["version"] == "2.0.0")["waiting_for"]
	expect_equal([(w["reason"], w["address"]) for w in waiting], [("migration", TYPE)], "what it stays for")
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


# ---- in the background ----

def migrate(host):
	return host.http.post("/v1/plugins/moving/migrate", {})


def sends(host, pairs, window=2000):
	"""Many messages by one connection, each acknowledged."""
	rpc = host.rpc(120)
	rpc.send_many(TYPE, pairs, window)
	rpc.close()


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


if __name__ == "__main__":
	harness.main(globals())
