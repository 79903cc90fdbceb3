#!/usr/bin/python3
"""While a version drains: how many messages are left on each shard, the oldest, what each waits for by name; in the status, in the
list of versions, in the refusal of a third version and in the events. Past its deadline what waits goes to the new version, and a
call that still runs holds its image, and nobody else. What waits in backoff waits for a clock that stands until all has been looked at."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.events import Events
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.nap import Nap
from lib.shards import Places

BACKOFF = {"retry.backoff_ms": 2500, "retry.backoff_ms_max": 2500}
STANDING = ("--test-clock", "1000000000000")


def two_versions(test, plugin="play", **more):
	"""A host with 1.0.0 live and 1.1.0 ready."""
	host = Host(test, plugins=(), settings={"plugins.policy": "manual", **more.pop("settings", {})}, **more).start()
	for name in (plugin, f"next/{plugin}"):
		host.http.post("/v1/plugins", {"path": str(test.plugin(name))})
	return host


def swap(host, version, plugin="play", **more):
	return host.http.post(f"/v1/plugins/{plugin}/swap", {"version": version, **more})


def version(host, version, plugins=("play", "sleeper")):
	return next((row for row in host.status()["plugins"] if row["version"] == version and row["name"] in plugins), None)


def clock(host, advance_ms):
	host.http.post("/v1/clock", {"advance_ms": advance_ms})


def gone(host, number, deadline_s=20, plugins=("play", "sleeper")):
	"""Under a sanitizer nothing is unmapped: it stays, and owes nothing."""
	def gone_now():
		row = version(host, number, plugins)
		return row is None or (row["state"] == "stuck" and row["drain"] is None)
	wait_until(gone_now, deadline_s, f"{number} has gone")


def waits(row):
	return {(one["reason"], one["address"]) for one in row["waiting_for"]}


def test_a_drain_names_what_it_waits_for(test):
	host = two_versions(test, shards=2, settings=BACKOFF, flags=STANDING)
	ids = [f"i{number}" for number in range(12)] + ["a b/ü"]
	events = Events(host)
	with host.rpc() as rpc:
		for id in ids:  # each a little later than the one before, so that one is the oldest
			rpc.send("test/play", id, {"fail_times": 1, "add": 1})
			clock(host, 1)
		for _ in range(5):  # these wait behind the one that failed
			rpc.send("test/play", ids[0], {"add": 1})
		row = wait_until(lambda: len((row := version(host, "1.0.0"))["waiting_for"]) == len(ids) and row, 10, "all have failed once")
		expect_equal((row["state"], row["drain"], {one["reason"] for one in row["waiting_for"]}), ("live", None, {"retry"}), "before it drains")
		swap(host, "1.1.0")
		for id in ids[:3]:
			rpc.send("test/play", id, {"add": 100})  # born behind the fence: not the old version's
	row = version(host, "1.0.0")
	addresses = [f"test/play/{id}" for id in ids[:-1]] + ["test/play/a%20b%2F%C3%BC"]
	expect_equal(waits(row), {("retry", address) for address in addresses}, "what it waits for")
	expect_equal([one["since_ms"] for one in row["waiting_for"]], sorted(one["since_ms"] for one in row["waiting_for"]), "oldest first")
	expect_equal(row["waiting_total"], len(ids), "addresses")
	places = Places(host.data)
	left = [sum(places.shard(id, 2) == shard for id in ids) + 5 * (places.shard(ids[0], 2) == shard) for shard in range(2)]
	drain = row["drain"]
	expect_equal((drain["shards"], drain["left"], drain["drain"]), (left, len(ids) + 5, "accepted"), "what is left on each shard")
	expect_equal(drain["oldest_ms"], row["waiting_for"][0]["since_ms"], "the oldest")
	expect(all(places.shard(one["address"].rsplit("/")[-1], 2) == one["shard"] for one in row["waiting_for"] if "%" not in one["address"]), row)
	listed = next(one for one in host.http.get("/v1/plugins/play/versions")["versions"] if one["version"] == "1.0.0")
	expect_equal((waits(listed), listed["drain"]["left"]), (waits(row), len(ids) + 5), "the list of versions")
	for third in (lambda: swap(host, "1.0.0"), lambda: host.http.post("/v1/plugins/play/rollback"),
			lambda: host.http.json("DELETE", "/v1/plugins/play")):
		error = raised(HttpError, third)
		expect_equal((error.status, error.code), (409, "conflict"), "a third version")
		expect(re.search(rf"play 1.0.0 .*{len(ids) + 5} messages left, of test/play/i\d+ \(retry\)", error.error["found"]), f"it names what is awaited: {error.error}")
	shown = subprocess.run([test.find("bin/sofun"), "--data", host.data, "status"], capture_output=True, text=True, check=True).stdout
	expect(f"play 1.0.0 drains: {len(ids) + 5} left, on shard 0: {left[0]}, 1: {left[1]}" in shown, f"the command: {shown}")
	expect("waits for: retry test/play/i3 since" in shown, f"the command: {shown}")
	clock(host, 2500)
	gone(host, "1.0.0")
	told = []
	while True:
		kind, event = events.next()
		if kind == "drain" and "left" in event:
			told.append((event["left"], event["shards"], {one["reason"] for one in event["waiting_for"]}))
		if kind in ("retired", "stuck"):
			break
	expect_equal(told[0], (len(ids) + 5, left, {"retry"}), "what was told first")
	expect([left for left, _, _ in told] == sorted((left for left, _, _ in told), reverse=True) and len(told) <= 20, f"less and less, not too often: {told}")
	events.close()
	host.barrier()
	expect_equal({id: host.values("test/play", id)["count"] for id in ids}, {id: 1 + 100 * (id in ids[:3]) + 5 * (id == ids[0]) for id in ids}, "counts")


def test_many_are_counted_and_the_oldest_named(test):
	host = two_versions(test, shards=2, settings=BACKOFF, flags=STANDING)
	with host.rpc() as rpc:
		rpc.send("test/play", "first", {"fail_times": 1, "add": 1})
		wait_until(lambda: version(host, "1.0.0")["waiting_total"] == 1, 10, "the first waits")
		clock(host, 20)  # the others come later
		numbers = [rpc.request("send", {"to": "test/play", "id": f"i{n}", "payload": {"fail_times": 1, "add": 1}}) for n in range(1000)]
		for number in numbers:
			rpc.answer(number)
	wait_until(lambda: version(host, "1.0.0")["waiting_total"] == 1001, 10, "all wait")
	swap(host, "1.1.0")
	row = version(host, "1.0.0")
	expect_equal((row["waiting_total"], len(row["waiting_for"]), row["drain"]["left"]), (1001, 100, 1001), "how many")
	expect_equal(row["waiting_for"][0]["address"], "test/play/first", "the oldest")
	clock(host, 2500)
	gone(host, "1.0.0")


def test_past_the_deadline_what_waits_goes_to_the_new_version(test):
	"""The witness: a message that fails with its last attempt is a dead letter that names the version."""
	host = two_versions(test, shards=2, settings={**BACKOFF, "retry.attempts": 2, "crash.probation_ms": 1}, flags=STANDING)
	with host.rpc() as rpc:
		for id in ("a", "b", "c"):
			rpc.send("test/play", id, {"fail": "x"})
			rpc.send("test/play", id, {"add": 7})
	wait_until(lambda: version(host, "1.0.0")["waiting_total"] == 3, 10, "all have failed once")
	swap(host, "1.1.0", deadline_ms=3000)
	expect_equal(version(host, "1.0.0")["drain"]["left"], 6, "left")
	gone(host, "1.0.0")  # before the second attempt: the clock stands
	expect_equal(host.status()["in_flight"], 6, "they still wait")
	host.kill()
	host.restart()
	clock(host, 2500)
	wait_until(lambda: host.status()["in_flight"] == 0, 20, "all are handled")
	expect_equal([(row["id"], row["version"], row["attempts"]) for row in sorted(host.dead(), key=lambda row: row["id"])],
		[(id, "1.1.0", 2) for id in ("a", "b", "c")], "the new version had the second attempt")
	expect_equal({id: host.values("test/play", id)["count"] for id in ("a", "b", "c")}, {"a": 7, "b": 7, "c": 7}, "nothing is dropped")


def test_both_versions_are_shown_while_a_drain_is_cut_short(test):
	"""That is a fence, too, which takes as long as the disk does; but who is live, and who leaves, is known."""
	test.need_plain_build("the sanitizer's library must come first")
	slow = test.dir / "slow"
	host = two_versions(test, settings=BACKOFF, flags=STANDING, environment={"LD_PRELOAD": str(test.find("failing_sync.so")), "SLOW_SYNC": str(slow)})
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"fail_times": 1, "add": 1})
	wait_until(lambda: version(host, "1.0.0")["waiting_total"] == 1, 10, "it has failed once")
	swap(host, "1.1.0", deadline_ms=500)
	slow.touch()
	wait_until(lambda: "plugin_drain_late" in host.errors(), 10, "the drain is cut short")
	status = host.status()
	expect_equal({row["version"]: row["state"] for row in status["plugins"]}, {"1.0.0": "draining", "1.1.0": "live"}, "versions")
	expect_equal(status["images"]["loaded"], 2, "images")
	slow.unlink()
	gone(host, "1.0.0")


def test_a_call_past_the_deadline_holds_its_image_and_nobody_else(test):
	test.need_plain_build("nothing is unmapped there")
	host = two_versions(test, "sleeper", shards=2)
	places = Places(host.data)
	nap = next(f"n{number}" for number in range(100) if places.shard(f"n{number}", 2) == 0)
	beside = [f"m{number}" for number in range(100) if places.shard(f"m{number}", 2) == 1][:5]
	behind = next(f"b{number}" for number in range(100) if places.shard(f"b{number}", 2) == 0)
	with Nap(host, nap) as long, host.rpc() as rpc, host.rpc() as other:
		wait_until(lambda: waits(version(host, "1.0.0")) == {("running", f"sleeper/nap/{nap}")}, 2, "the call is shown")
		after = rpc.request("call", {"to": "sleeper/nap", "id": behind, "payload": 1})
		swap(host, "1.1.0", "sleeper", deadline_ms=1000)
		expect_equal(version(host, "1.0.0")["state"], "draining", "it drains")
		row = wait_until(lambda: (row := version(host, "1.0.0"))["state"] == "stuck" and row, 10, "it is stuck")
		expect(("running", f"sleeper/nap/{nap}") in waits(row), f"what for: {row}")
		expect_equal((row["drain"]["left"], row["drain"]["shards"]), (1, [1, 0]), "one call is left, on its shard")
		expect_equal(host.status()["images"], {"loaded": 2, "unloaded": 0, "stuck": 1}, "images")
		for id in beside:
			expect_equal(other.call("sleeper/nap", id, 2), 2, "the other shard goes on")
		error = raised(HttpError, lambda: swap(host, "1.0.0", "sleeper"))
		expect_equal((error.status, error.code), (409, "conflict"), "back to what is stuck")
		expect("1 calls left" in error.error["found"] and nap in error.error["found"], f"a third version: {error.error}")
		long.end()
		expect_equal(rpc.answer(after)["payload"], 1, "what was behind it is answered")
	gone(host, "1.0.0")
	wait_until(lambda: host.status()["images"] == {"loaded": 1, "unloaded": 1, "stuck": 0}, 10, "its image is unmapped")


def test_a_backlog_is_shown_as_accepted(test):
	"""What has not had its turn: sends of one message, on a shard whose thread another plugin's call keeps."""
	host = two_versions(test, shards=1)
	host.http.post("/v1/plugins", {"path": str(test.plugin("sleeper"))})
	sends = [{"id": f"i{number}", "msg": {"add": 1}} for number in range(5000)]
	for fans in range(1, 11):  # the nap may come when all of them have had their turn
		before, next_one = ("1.0.0", "1.1.0") if fans % 2 == 1 else ("1.1.0", "1.0.0")
		with host.rpc() as rpc:
			fan = rpc.request("send", {"to": "test/play", "id": "fan", "payload": {"add": 1, "send": sends}})
			nap = Nap(host, "n")
			wait_until(lambda: waits(host.plugin("sleeper")) == {("running", "sleeper/nap/n")}, 5, "the nap")
			swap(host, next_one)
			row = version(host, before, ("play",))
			left = row["drain"]["left"]
			if left > 0:
				expect(left <= 5000 and row["drain"]["shards"] == [left], f"left: {row['drain']}")
				next_turns = {("backlog", f"test/play/i{number}") for number in range(5000 - left, min(5100 - left, 5000))}
				expect(waits(row) and waits(row) <= next_turns, f"whose turn is next: {waits(row) - next_turns}")  # those in memory nearby
				expect_equal({one["since_ms"] for one in row["waiting_for"]}, {row["drain"]["since_ms"]}, "since the fence")
			nap.end()
			rpc.answer(fan)
		gone(host, before, plugins=("play",))
		host.barrier()
		if left > 0:
			break
	expect(left > 0, "a backlog behind the nap")
	expect_equal(set(values["count"] for values in host.dump("test/play").values()), {fans}, "counts")
	expect_equal(len(host.ids("test/play")), 5001, "instances")


if __name__ == "__main__":
	harness.main(globals())
