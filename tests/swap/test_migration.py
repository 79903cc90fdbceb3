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


if __name__ == "__main__":
	harness.main(globals())
