#!/usr/bin/python3
"""Versions of a plugin, as a user sees them: what goes live by itself, what waits, swap, rollback, and all of it after a
restart."""

import shutil
import sys
import threading
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import Http, HttpError

refusal = partial(raised, HttpError)


def load(host, test, name):
	return host.http.post("/v1/plugins", {"path": str(test.plugin(name))})


def swap(host, version, **more):
	return host.http.post("/v1/plugins/play/swap", {"version": version, **more})


def versions(host, name="play"):
	return {row["version"]: (row["state"], row["share_percent"]) for row in host.http.get(f"/v1/plugins/{name}/versions")["versions"]}


def settled(host):
	"""Until one image of play is loaded, and nothing of it is on its way."""
	host.settle(1)


def answers(host, id, count):
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", id, {"add": 1, "reply": True}), count, "the count goes on")


def test_a_swap_waits_for_an_image_that_is_being_closed(test):
	"""One behind the other, without a pause: each is taken, though the version before it has not gone yet."""
	host = Host(test, shards=2).start()
	host.wait_live("play")
	load(host, test, "next/play")
	host.settle(1)
	for n in range(20):
		swap(host, ("1.0.0", "1.1.0")[n % 2])
		answers(host, "a", n + 1)
	for n in range(10):
		host.http.post("/v1/plugins/play/rollback")
		swap(host, "1.1.0")
		answers(host, "a", n + 21)
	settled(host)


def test_a_swap_waits_for_an_image_while_the_disk_is_slow(test):
	"""What closes an image is rows that must be durable: on a disk that others keep busy that is seconds, and no reason to refuse."""
	test.need_plain_build("the sanitizer's library must come first")
	slow = test.dir / "slow"
	host = Host(test, plugins=(), shards=2, environment={"LD_PRELOAD": str(test.find("failing_sync.so")), "SLOW_SYNC": str(slow)}).start()
	for name in ("play", "next/play"):
		load(host, test, name)
	settled(host)
	slow.touch()
	for version in ("1.0.0", "1.1.0"):
		expect_equal(swap(host, version)["version"], version, "what is live")
	slow.unlink()
	settled(host)


def test_a_newer_version_goes_live_by_itself(test):
	host = Host(test, shards=2).start()
	answers(host, "a", 1)
	host.drop("next/play")
	wait_until(lambda: (host.plugin("play") or {}).get("version") == "1.1.0", 20, "1.1.0 is live")
	settled(host)
	answers(host, "a", 2)
	expect_equal(versions(host), {"1.1.0": ("live", 100), "1.0.0": ("retired", 0)}, "versions")


def test_an_older_version_is_kept_ready(test):
	host = Host(test, plugins=(), shards=2).start()
	load(host, test, "next/play")
	answer = load(host, test, "play")
	expect_equal((answer["version"], answer["state"], answer["share_percent"]), ("1.0.0", "ready", 0), "answer of load")
	expect_equal(host.plugin("play")["version"], "1.1.0", "what is live")
	expect_equal(host.status()["images"]["loaded"], 1, "a ready one is not loaded")
	swap(host, "1.0.0")
	settled(host)
	expect_equal(versions(host), {"1.0.0": ("live", 100), "1.1.0": ("retired", 0)}, "versions")


def test_the_policy_manual_waits_for_swap(test):
	host = Host(test, shards=2, settings={"plugins.policy": "manual"}).start()
	expect_equal(host.plugin("play")["state"], "live", "a first version goes live")
	answer = load(host, test, "next/play")
	expect_equal((answer["version"], answer["state"]), ("1.1.0", "ready"), "answer of load")
	host.kill()
	host.restart()
	expect_equal(versions(host), {"1.0.0": ("live", 100), "1.1.0": ("ready", 0)}, "after a kill")
	answers(host, "a", 1)
	answer = swap(host, "1.1.0")
	expect_equal((answer["version"], answer["state"], answer["share_percent"]), ("1.1.0", "live", 100), "answer of swap")
	answers(host, "a", 2)


def test_rollback_is_one_step(test):
	host = Host(test, shards=2).start()
	load(host, test, "next/play")
	settled(host)
	for end in (host.kill, host.stop):
		end()
		host.restart()
		expect_equal(versions(host), {"1.1.0": ("live", 100), "1.0.0": ("retired", 0)}, "after a restart")
	answer = host.http.post("/v1/plugins/play/rollback")
	expect_equal((answer["version"], answer["state"]), ("1.0.0", "live"), "answer of rollback")
	settled(host)
	answers(host, "a", 1)
	error = refusal(lambda: host.http.post("/v1/plugins/play/rollback"))
	expect_equal((error.status, error.code), (409, "conflict"), "a second step")
	host.kill()
	host.restart()
	wait_until(lambda: not host.status()["refused"], 5, "nothing is refused")
	expect_equal(versions(host)["1.0.0"], ("live", 100), "the file of 1.1.0 in the directory does not bring it back")


def test_of_two_rollbacks_at_once_one_is_a_conflict(test):
	"""While the one stages its version the other finds no copy of it to be staged: that is no missing file, but a change under way."""
	host = Host(test, shards=2).start()
	load(host, test, "next/play")
	for round in range(5):
		settled(host)
		answers = []

		def ask():
			answers.append(Http(host.control).raw("POST", "/v1/plugins/play/rollback", "{}"))
		threads = [threading.Thread(target=ask) for _ in range(2)]
		for thread in threads:
			thread.start()
		for thread in threads:
			thread.join()
		expect_equal(sorted(status for status, _, _ in answers), [200, 409], f"round {round}: {answers}")
		settled(host)
		expect_equal(versions(host)["1.0.0"], ("live", 100), "what is live")
		swap(host, "1.1.0")


def test_the_same_version_with_other_bytes_is_refused(test):
	host = Host(test, shards=2).start()
	load(host, test, "next/play")
	settled(host)
	for name in ("play", "next/play"):
		other = host.data / "other.so"
		other.write_bytes(test.plugin(name).read_bytes() + b"\0" * 64)
		error = refusal(lambda: host.http.post("/v1/plugins", {"path": str(other)}))
		expect_equal((error.status, error.code), (422, "refused"), f"{name} with other bytes")
		expect("other bytes" in error.error["message"], error.error)
	expect_equal(versions(host), {"1.1.0": ("live", 100), "1.0.0": ("retired", 0)}, "the live one is untouched")


def test_requests_that_make_no_sense(test):
	host = Host(test, shards=1).start()
	for path, body, status in (
			("nobody/swap", {"version": "1.0.0"}, 404), ("play/swap", {"version": "9.9.9"}, 404), ("play/swap", {}, 400),
			("play/swap", {"version": "1.0.0", "drain": "never"}, 400), ("play/swap", {"version": "1.0.0", "canary": 101}, 400),
			("play/swap", {"version": "1.0.0", "deadline_ms": -1}, 400), ("play/promote", {}, 409), ("play/rollback", {}, 409),
			("nobody/rollback", {}, 404)):
		error = refusal(lambda: host.http.post(f"/v1/plugins/{path}", body))
		expect_equal(error.status, status, f"{path} {body}: {error.error}")
		expect("\n" not in error.error["message"], "one line")
	expect_equal(refusal(lambda: host.http.get("/v1/plugins/nobody/versions")).status, 404, "versions of nobody")
	expect_equal(swap(host, "1.0.0")["state"], "live", "a swap to what is live changes nothing")
	answers(host, "a", 1)


def test_a_swap_beside_another_plugin_that_is_staged(test):
	host = Host(test, shards=2).start()
	load(host, test, "next/play")
	settled(host)
	for version in ("1.0.0", "1.1.0"):
		host.drop("counter")
		swap(host, version)
		host.wait_live("counter")
		host.settle(2)
		host.http.json("DELETE", "/v1/plugins/counter")
		settled(host)


def test_unload_forgets_what_was_kept(test):
	host = Host(test, shards=2).start()
	load(host, test, "next/play")
	settled(host)
	host.http.json("DELETE", "/v1/plugins/play")
	wait_until(lambda: host.status()["images"]["loaded"] == 0, 20, "all gone")
	expect_equal(list((host.data / "images").iterdir()), [], "copies")
	load(host, test, "play")
	answers(host, "a", 1)


if __name__ == "__main__":
	harness.main(globals())
