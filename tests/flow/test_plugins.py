#!/usr/bin/python3
"""A plugin's life as a user sees it: dropped, live, unloaded, there again after a restart; what waits for it meanwhile."""

import shutil
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import RpcError

refusal = partial(raised, HttpError)


def unload(host, name):
	"""Removes the plugin by the control plane and waits until no image of it is mapped."""
	host.http.json("DELETE", f"/v1/plugins/{name}")
	wait_until(lambda: (host.plugin(name) or {"state": "retired"})["state"] not in ("live", "draining"), 20, f"{name} is gone")


def test_a_dropped_file_goes_live(test):
	host = Host(test, plugins=()).start()
	expect_equal(host.status()["plugins"], [], "plugins of an empty directory")
	host.drop("counter")
	host.wait_live("counter")
	plugin = host.plugin("counter")
	expect_equal(plugin["functions"], ["demo/counter"], "functions")
	expect_equal(plugin["routers"], [{"ingress": "counter", "format": "line"}], "routers")
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 1, "it answers")
	images = host.status()["images"]
	expect_equal((images["loaded"], images["stuck"]), (1, 0), "images")


def test_a_file_that_is_still_growing_is_waited_for(test):
	host = Host(test, plugins=()).start()
	whole = test.plugin("counter").read_bytes()
	target = host.plugins_dir() / "counter.so"
	step = max(1, len(whole) // 12)
	with open(target, "wb", buffering=0) as file:
		for at in range(0, len(whole), step):
			file.write(whole[at:at + step])
			expect(not host.status()["refused"], f"refused while it grows: {host.status()['refused']}")
			time.sleep(0.05)  # the pace of a slow copy, the thing under test
	host.wait_live("counter")
	expect_equal(host.status()["refused"], [], "refused")


def test_a_renamed_in_file_goes_live(test):
	host = Host(test, plugins=()).start()
	shutil.copyfile(test.plugin("counter"), host.data / "counter.part")
	(host.data / "counter.part").rename(host.plugins_dir() / "counter.so")
	host.wait_live("counter")


def test_a_file_that_is_no_plugin_is_refused_in_one_line(test):
	host = Host(test, plugins=("counter",), settings={"stage.patience_ms": 200}).start()
	(host.plugins_dir() / "junk.so").write_bytes(b"not an ELF file\n" * 100)
	refused = wait_until(lambda: host.status()["refused"], 20, "the refusal shows")[0]
	expect("junk.so" in refused["file"], f"file: {refused}")
	for field in ("code", "found", "expected", "hint"):
		expect(refused[field] and "\n" not in refused[field], f"{field} in one line: {refused}")
	expect_equal(host.plugin("counter")["state"], "live", "the other plugin")


def test_load_and_unload_by_http(test):
	test.need_plain_build("it keeps every image mapped")
	host = Host(test, plugins=()).start()
	answer = host.http.post("/v1/plugins", {"path": str(test.plugin("counter"))})
	expect_equal((answer["name"], answer["state"]), ("counter", "live"), "answer of load")
	expect((host.plugins_dir() / "counter.so").exists(), "load copies into the plugins directory")
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 1, "it answers")
	unload(host, "counter")
	wait_until(lambda: host.status()["images"]["loaded"] == 0, 20, "no image is mapped")
	expect(b"counter" not in Path(f"/proc/{host.worker}/maps").read_bytes(), "no mapping names the plugin")
	expect_equal(refusal(lambda: host.http.json("DELETE", "/v1/plugins/counter")).status, 404, "unload of what is not there")


def test_messages_wait_for_a_type_without_live_version(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 1)
		unload(host, "counter")
		for n in range(100):
			rpc.send("demo/counter", f"w{n % 10}", 1)
		waiting = rpc.request("call", {"to": "demo/counter", "id": "a", "payload": 1})
		wait_until(lambda: host.status()["in_flight"] == 101, 10, "the waiting messages are visible")
		error = refusal(lambda: host.barrier(timeout_ms=200))
		expect_equal(error.code, "timeout", "the barrier sees them as unhandled")
		host.http.post("/v1/plugins", {"path": str(test.plugin("counter"))})
		expect_equal(rpc.answer(waiting)["payload"], 2, "the call that waited, with the state of before")
	host.barrier()
	expect_equal(sum(host.values("demo/counter", f"w{n}")["count"] for n in range(10)), 100, "all were handled")
	expect_equal(host.dead(), [], "dead letters")


def test_waiting_messages_survive_a_kill(test):
	host = Host(test, plugins=("counter",), shards=2).start()
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 1)
		unload(host, "counter")
		for n in range(500):
			rpc.send("demo/counter", f"w{n % 10}", 1)
	for shards in (4, 1):
		host.kill()
		host.restart(shards=shards)
		status = host.status()
		expect_equal(status["in_flight"], 500, "messages that wait")
		expect_equal([(row["type"], row["messages"]) for row in status["waiting"]], [("demo/counter", 500)], "by name")
	host.http.post("/v1/plugins", {"path": str(test.plugin("counter"))})
	host.barrier()
	expect_equal(sum(host.values("demo/counter", f"w{n}")["count"] for n in range(10)), 500, "all were handled, once")
	expect_equal(host.status()["waiting"], [], "nothing waits any more")


def test_addresses_in_backoff_are_counted(test):
	host = Host(test, plugins=("play",), shards=2, flags=["--test-clock", "1000"]).start()
	with host.rpc() as rpc:
		for n in range(7):
			rpc.send("test/play", f"b{n}", {"add": 1, "fail_times": 1})
		wait_until(lambda: host.status()["retrying"] == 7, 20, "seven addresses in backoff")
		host.http.post("/v1/clock", {"advance_ms": 1000})
		host.barrier()
	expect_equal(host.status()["retrying"], 0, "all were tried again")
	expect_equal(host.status()["in_flight"], 0, "nothing waits")


def test_a_removed_file_unloads(test):
	test.need_plain_build("it keeps every image mapped")
	host = Host(test, plugins=("counter",)).start()
	(host.plugins_dir() / "counter.so").unlink()
	wait_until(lambda: (host.plugin("counter") or {"state": "retired"})["state"] == "retired", 20, "counter is unloaded")
	with host.rpc() as rpc:
		number = rpc.request("call", {"to": "demo/counter", "id": "a", "payload": 1})
		host.drop("counter")
		expect_equal(rpc.answer(number)["payload"], 1, "the call waited for the plugin")


def test_a_changed_file_of_a_live_plugin_is_refused(test):
	host = Host(test, plugins=("counter",)).start()
	changed = bytearray(test.plugin("counter").read_bytes()) + b"\0" * 64
	(host.data / "changed").write_bytes(changed)
	(host.data / "changed").rename(host.plugins_dir() / "counter.so")
	wait_until(lambda: host.status()["refused"], 20, "the refusal shows")
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 1, "the live version goes on")


def test_live_plugins_are_live_after_a_restart(test):
	host = Host(test, plugins=("counter", "play")).start()
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 41)
	for end in (host.kill, host.stop):
		end()
		host.restart()
		expect_equal(sorted(plugin["name"] for plugin in host.status()["plugins"] if plugin["state"] == "live"),
			["counter", "play"], "live plugins in the ready host")
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 42, "the state")


def test_an_unloaded_plugin_stays_unloaded_after_a_restart(test):
	host = Host(test, plugins=("counter",)).start()
	unload(host, "counter")
	host.kill()
	host.restart()
	expect((host.plugin("counter") or {"state": "retired"})["state"] != "live", f"counter: {host.plugin('counter')}")


def test_a_file_removed_while_the_host_was_down_keeps_its_plugin(test):
	"""The store is the truth (INVARIANTS 32, 33): only a removal that is seen while running unloads."""
	host = Host(test, plugins=("counter",)).start()
	host.kill()
	(host.plugins_dir() / "counter.so").unlink()
	host.restart()
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 1, "the plugin that was live")


def test_messages_in_backoff_when_their_plugin_was_parked_at_the_start(test):
	"""The image is gone (a disk that lost it), so the type has no function at recovery; the inbox brings it back. What waited for
	its next attempt must then find its state as ever."""
	host = Host(test, shards=2, settings={"retry.backoff_ms": 300}).start()
	with host.rpc() as rpc:
		rpc.call("test/play", "a0", {"add": 5, "reply": True})
		for number in range(10):
			rpc.send("test/play", f"a{number}", {"add": 1, "fail_times": 1, "send": [{"id": "b", "msg": {"add": 1}}]})
	wait_until(lambda: host.status()["retried"] == 10, 20, "all ten have failed once")
	host.kill()
	for image in (host.data / "images").glob("*.so"):
		image.unlink()
	host.start()
	host.barrier()
	expect_equal(host.dead(), [], "dead letters")
	expect_equal((host.values("test/play", "a0")["count"], host.values("test/play", "b")["count"]), (6, 10), "counts")


def test_unload_finishes_what_was_accepted(test):
	"""Draining: what stands before the fence is handled by the image that leaves."""
	host = Host(test, plugins=("counter",), shards=2).start()
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "demo/counter", "id": f"d{n % 100}", "payload": 1}) for n in range(5000)]
		rpc.answer(numbers[-1])
		unload(host, "counter")
		for number in numbers[:-1]:
			rpc.answer(number)
	expect_equal(host.status()["in_flight"], 0, "nothing waits")
	expect_equal(sum(values["count"] for values in host.dump("demo/counter").values()), 5000, "all handled, state still readable")


def test_loading_and_unloading_under_traffic_loses_nothing(test):
	host = Host(test, plugins=("counter", "play"), shards=2).start()
	rounds = test.by_scale(10, 100)
	with host.rpc() as rpc:
		sent = 0
		for round in range(rounds):
			numbers = [rpc.request("send", {"to": "demo/counter", "id": f"t{n % 37}", "payload": 1}) for n in range(400)]
			sent += len(numbers)
			if round % 2 == 0:
				unload(host, "counter")
			else:
				host.http.post("/v1/plugins", {"path": str(test.plugin("counter"))})
			for number in numbers:
				rpc.answer(number)
	host.barrier()
	expect_equal(sum(values["count"] for values in host.dump("demo/counter").values()), sent, "counted")
	unloads = (rounds + 1) // 2
	stuck = unloads if test.sanitizer() in ("address", "thread") else 0  # these keep every image mapped
	images = host.status()["images"]
	expect_equal((images["loaded"], images["stuck"]), (2 + stuck, stuck), "images: loaded = live + draining + stuck")
	expect_equal(images["unloaded"], unloads - stuck, "images unloaded, one a round")


def test_unknown_methods_and_types_name_their_code(test):
	host = Host(test, plugins=()).start()
	with host.rpc() as rpc:
		expect_equal(raised(RpcError, lambda: rpc.do("frobnicate")).code, "unknown_method", "method")
		expect_equal(raised(RpcError, lambda: rpc.call("demo/counter", "a", 1)).code, "unknown_type", "type never declared")


if __name__ == "__main__":
	harness.main(globals())
