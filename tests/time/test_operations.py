#!/usr/bin/python3
"""Asynchronous operations on the true binary (fixture errand): what comes of each returns once, to the same address, which waits
or goes on; across SIGKILL, swaps and another number of shards; with a full pool nobody else waits."""

import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import RpcError

TYPE = "errand/run"


def errands(test, **arguments):
	host = Host(test, plugins=("errand",), **arguments)
	host.gate = str(test.dir / f"g{len(test.hosts)}")
	host.trace = str(test.dir / f"t{len(test.hosts)}")
	return host.start()


def send(host, id, name="", **wish):
	with host.rpc() as rpc:
		rpc.send(TYPE, id, dict(wish, name=name))


def begin(host, id, name="1", **wish):
	"""An operation of which work waits for the gate."""
	send(host, id, name, starts=wish.pop("starts", 1), gate=host.gate, trace=host.trace, **wish)


def gate_open(host):
	Path(host.gate).touch()


def begun(host):
	"""Calls of work that were begun, over all lives."""
	try:
		return Path(host.trace).stat().st_size
	except FileNotFoundError:
		return 0


def values(host, id):
	return host.values(TYPE, id)


def results(host, id):
	state = values(host, id)
	return {status: state.get(status, 0) for status in ("succeeded", "failed", "unknown")}


def operations(host):
	return host.status()["operations"]


def running(host, count):
	wait_until(lambda: operations(host)["running"] == count, 20, f"{count} calls of work run")


def gone(test, host):
	"""The old version; a sanitizer keeps its code mapped, for its reports."""
	left = ("stuck",) if test.sanitizer() else ()
	wait_until(lambda: all(plugin["version"] != "1.0.0" or plugin["state"] in left for plugin in host.status()["plugins"]), 20,
		"the old version is gone")


def test_what_comes_of_it_returns(test):
	host = errands(test, shards=2)
	with host.rpc() as rpc:
		expect_equal(rpc.call(TYPE, "a", {"name": "x", "starts": 1, "call": True}), "x", "the reply of on_result")
		expect_equal(rpc.call(TYPE, "a", {"starts": 1, "call": True, "fail": "it rains"}), "it rains", "a failure's text")
		expect_equal(rpc.call(TYPE, "a", {"starts": 1, "call": True, "later": True}), "brought", "what a thread brings")
		expect_equal(rpc.call(TYPE, "a", {"starts": 1, "call": True, "outside": True}), "brought", "what nobody worked for")
	host.barrier()
	expect_equal(results(host, "a"), {"succeeded": 3, "failed": 1, "unknown": 0}, "results by status")
	expect_equal(values(host, "a")["messages"], 4, "messages")
	expect_equal(len(host.egress("errands")), 4, "egress records of on_result")
	shown = operations(host)
	expect_equal([shown[key] for key in ("open", "queued", "running", "started", "succeeded", "failed", "unknown", "late")],
		[0, 0, 0, 4, 3, 1, 0, 0], "the status")
	metrics = host.metrics()
	expect_equal(metrics['sofun_operations_results_total{status="success"}'], 3, "the metric")
	expect_equal(metrics["sofun_operation_seconds_count"], 4, "latencies")


def test_an_address_waits_and_others_pass(test):
	host = errands(test, shards=2)
	begin(host, "waits", "1", waits=True)
	begin(host, "goes", "1")
	running(host, 2)
	for id in ("waits", "goes"):
		for name in ("2", "3"):
			send(host, id, name)
	for number in range(50):
		send(host, f"other{number}")
	wait_until(lambda: len(host.ids(TYPE)) == 52 and values(host, "goes").get("messages") == 3, 20, "others pass")
	expect_equal(values(host, "waits")["order"], "m1", "an address that waits")
	shown = host.http.get(f"/v1/state/{TYPE}/waits")["operations"]
	expect_equal([(row["state"], row["waits"]) for row in shown], [("running", True)], "its operation")
	told = subprocess.run([test.find("bin/sofun"), "--control", host.control, "state", TYPE, "waits"], check=True, text=True,
		capture_output=True).stdout.splitlines()
	expect(any(line.startswith("operation since ") and line.endswith(": running; messages wait for its result") for line in told),
		f"the command: {told}")
	expect_equal(len(operations(host)["oldest"]), 2, "the oldest")
	error = harness.raised(HttpError, lambda: host.barrier(timeout_ms=200))
	expect_equal(error.status, 408, "a barrier over an operation that runs")
	gate_open(host)
	host.barrier()
	expect_equal(values(host, "waits")["order"], "m1 r1 m2 m3", "what waited came behind the result")
	expect_equal(values(host, "goes")["order"], "m1 m2 m3 r1", "an address that goes on")
	expect("operations" not in host.http.get(f"/v1/state/{TYPE}/waits"), "none is under way")


def test_each_that_a_kill_meets_is_unknown_once(test):
	"""Running, queued, waiting for somebody outside; waiting addresses with messages behind; on another number of shards."""
	host = errands(test, shards=2, settings={"operations.threads": 3})
	send(host, "outside", starts=5, outside=True, gate=host.gate, waits=True)
	send(host, "outside", "behind")
	def round_begins():
		for number in range(20):
			begin(host, f"a{number}", f"{number}", starts=3, waits=number % 2 == 0)
			send(host, f"a{number}", "behind")
		running(host, 3)
	for shards in (1, 4, 3):
		round_begins()
		host.kill()
		host.restart(shards=shards)
		host.wait_live("errand")
	round_begins()
	gate_open(host)
	host.barrier()
	for number in range(20):
		mine = results(host, f"a{number}")
		expect_equal(mine, {"succeeded": 3, "failed": 0, "unknown": 9}, f"results of a{number}")
		expect_equal(values(host, f"a{number}")["messages"], 8, f"messages of a{number}")
	expect_equal(results(host, "outside"), {"succeeded": 0, "failed": 0, "unknown": 5}, "those that nobody completed")
	expect_equal(values(host, "outside")["order"], "m r r r r r mbehind", "what waited for them")
	expect_equal(begun(host), 3 * 20 + 3 * 3, "calls of work that were begun: the finished, and three that each kill met")
	expect_equal(operations(host)["open"], 0, "operations under way")
	expect_equal(host.status()["in_flight"], 0, "in flight")


def test_a_swap_while_they_run(test):
	"""What the old version has begun it ends; an address does not go back; what comes meanwhile waits for its results."""
	host = errands(test, shards=2)
	begin(host, "waits", "1", waits=True)
	begin(host, "goes", "1")
	running(host, 2)
	host.drop("errand_2")
	host.wait_live("errand")
	wait_until(lambda: host.plugin("errand")["version"] == "2.0.0" or
		any(plugin["version"] == "2.0.0" and plugin["state"] == "live" for plugin in host.status()["plugins"]), 20, "2.0.0 is live")
	for id in ("waits", "goes"):
		send(host, id, "2")
	send(host, "new", "1")
	wait_until(lambda: "new" in host.ids(TYPE), 20, "the new version serves others")
	expect_equal(values(host, "new")["versions"], "2.0.0", "the version of an address without operations")
	expect_equal([values(host, id)["order"] for id in ("waits", "goes")], ["m1", "m1"], "both wait for their results")
	old = next(plugin for plugin in host.status()["plugins"] if plugin["version"] == "1.0.0")
	expect_equal(old["state"], "draining", "the old version")
	def named():
		plugin = next(plugin for plugin in host.status()["plugins"] if plugin["version"] == "1.0.0")
		rows = [row["address"] for row in plugin["waiting_for"] if row["reason"] == "operation"]
		return len(rows) == 2 and {str(row) for row in rows}
	expect("waits" in str(wait_until(named, 20, "both operations are named")), "by address")
	gate_open(host)
	host.barrier()
	for id in ("waits", "goes"):
		expect_equal((values(host, id)["order"], values(host, id)["versions"]), ("m1 r1 m2", "1.0.0 1.0.0 2.0.0"), id)
	gone(test, host)


def test_past_the_deadline_results_go_to_the_new_version(test):
	"""Its image stays as long as its work runs."""
	host = errands(test, shards=2, settings={"plugins.policy": "manual", "operations.threads": 1})
	begin(host, "a", "1", waits=True)
	begin(host, "b", "1")  # not begun yet: the new version works for it
	running(host, 1)
	host.drop("errand_2")
	wait_until(lambda: any(plugin["version"] == "2.0.0" for plugin in host.status()["plugins"]), 20, "2.0.0 is ready")
	host.http.post("/v1/plugins/errand/swap", {"version": "2.0.0", "deadline_ms": 300})
	send(host, "a", "2")
	def leaving():
		return [plugin for plugin in host.status()["plugins"] if plugin["version"] == "1.0.0" and
			[row["reason"] for row in plugin["waiting_for"]] == ["operation"]]
	wait_until(leaving, 20, "the drain is over, and the image is pinned by its work")
	send(host, "b", "2")
	wait_until(lambda: values(host, "b")["order"] == "m1 m2", 20, "b goes on with the new version")
	gate_open(host)
	host.barrier()
	expect_equal((values(host, "a")["order"], values(host, "a")["versions"]), ("m1 r1 m2", "1.0.0 2.0.0 2.0.0"), "a")
	expect_equal((values(host, "b")["order"], results(host, "b")["succeeded"]), ("m1 m2 r1", 1), "b")
	gone(test, host)


def test_a_full_pool_holds_up_nobody_else(test):
	"""More of them wait than there is memory for what they are about."""
	count, filler = test.by_scale(2000, 20000), bytes(24 << 10)
	host = errands(test, shards=2, settings={"operations.threads": 2, "limits.memory_bytes": "48MiB"})
	begin(host, "first", starts=2)
	running(host, 2)
	with host.rpc() as rpc:
		for number in range(count):
			rpc.send(TYPE, f"o{number % 500}", {"name": "", "starts": 1, "filler": filler})
	with host.rpc() as rpc:
		times = sorted(host.timed(lambda number=number: rpc.call(TYPE, f"p{number}", {"name": ""}))[1] for number in range(200))
	test.note(f"calls beside {operations(host)['queued']} operations that wait: p50 {times[100] * 1e3:.1f} ms, p99 {times[198] * 1e3:.1f} ms")
	expect(times[100] < 0.25, "half of the calls beside a full pool take longer than a quarter of a second")
	expect_equal(operations(host)["queued"], count, "operations that wait for a thread")
	memory = host.resident_bytes() >> 20
	if not test.sanitizer():
		expect(memory < 120, f"{memory} MiB resident, with {count * len(filler) >> 20} MiB of metadata under way")
	gate_open(host)
	host.barrier()
	expect_equal(sum(results(host, f"o{number}")["succeeded"] for number in range(500)), count, "results")


def test_no_more_than_the_limit(test):
	host = errands(test, shards=1, settings={"operations.pending_max": 10, "retry.attempts": 1})
	begin(host, "a", starts=10)
	running(host, 4)
	with host.rpc() as rpc:
		error = harness.raised(RpcError, lambda: rpc.call(TYPE, "b", {"starts": 1}))
	expect_equal(error.code, "function_failed", "the eleventh")
	host.settings["operations.pending_max"] = 11
	gate_open(host)
	host.barrier()
	with host.rpc() as rpc:
		rpc.call(TYPE, "b", {"starts": 1})
	host.barrier()
	expect_equal(results(host, "b")["succeeded"], 1, "once there is room again")


def test_late_results_are_counted_and_dropped(test):
	host = errands(test, shards=2)
	for number in range(10):
		send(host, f"a{number}", starts=1, outside=number % 2 == 0, later=True, twice=True)
	host.barrier()
	wait_until(lambda: operations(host)["late"] == 10, 20, "second results are late")
	expect_equal([results(host, f"a{number}")["succeeded"] for number in range(10)], [1] * 10, "first results")
	expect_equal(host.metrics()["sofun_operations_late_total"], 10, "the metric")


def test_on_result_that_fails(test):
	"""It is tried again ahead of what waits for the address, then it is a dead letter, which can be sent again."""
	host = errands(test, shards=2, settings={"retry.attempts": 3, "retry.backoff_ms": 20})
	begin(host, "a", "1", fail_times=2)
	begin(host, "b", "1", fail_times=3, waits=True)
	running(host, 2)
	send(host, "a", "2")
	send(host, "b", "2")
	gate_open(host)
	host.barrier()
	expect_equal(values(host, "a")["order"], "m1 m2 r1", "a result that failed twice")
	expect_equal(values(host, "b")["order"], "m1 m2", "the address goes on behind a dead letter")
	letter = host.dead()[0]
	expect_equal([letter[key] for key in ("to", "id", "code", "attempts", "plugin")], [TYPE, "b", "result_failed", 3, "errand"],
		"the dead letter")
	expect_equal(letter["reason"], "attempt 3 of on_result fails", "its reason")
	host.http.post(f"/v1/dead/{letter['number']}/retry", {})
	host.barrier()
	expect_equal([row["reason"] for row in host.dead()], ["attempt 3 of on_result fails"], "sent again it went to on_result")
	expect_equal(values(host, "b")["messages"], 2, "and not to invoke")
	begin(host, "c", "1", fail_times=2, waits=True)
	send(host, "c", "2")
	host.barrier()
	expect_equal(values(host, "c")["order"], "m1 r1 m2", "a result that fails keeps its place ahead")


def test_an_orderly_stop(test):
	"""Work that returns when the host ends has a result; work that does not is left, and unknown."""
	host = errands(test, shards=2)
	begin(host, "a", waits=True)
	running(host, 1)
	host.stop(deadline_s=20)
	host.start()
	host.barrier()
	expect_equal(results(host, "a"), {"succeeded": 1, "failed": 0, "unknown": 0}, "work that was asked to return")
	test.need_plain_build("its exit code is the sanitizer's")
	send(host, "b", starts=1, crash="hang", trace=host.trace)
	running(host, 1)
	host.stop(deadline_s=30)
	expect("work_abandoned" in host.errors(), "the log says so")
	host.start()
	host.barrier()
	expect_equal(results(host, "b"), {"succeeded": 0, "failed": 0, "unknown": 1}, "work that does not return")


if __name__ == "__main__":
	harness.main(globals())
