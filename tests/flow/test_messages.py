#!/usr/bin/python3
"""The way of a message, seen from outside: send, call, egress, failures, retries, dead letters, the barrier, the clock."""

import sys
import time
from functools import partial
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import RpcError

failure = partial(harness.raised, RpcError)
refusal = partial(harness.raised, HttpError)


def test_call_answers_the_new_count(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		expect_equal([rpc.call("demo/counter", "a", n) for n in (None, 4, -2, 0)], [1, 5, 3, 3], "replies")
		expect_equal(rpc.call("demo/counter", b"\x00\xff", 7), 7, "an id that is not text")
		expect_equal(rpc.call("demo/counter", "x" * 255, 7), 7, "an id of 255 bytes")
	expect_equal(host.values("demo/counter", "a"), {"count": 3}, "state")
	expect_equal(host.values("demo/counter", b"\x00\xff"), {"count": 7}, "state of a binary id")
	expect_equal(sorted(host.ids("demo/counter"), key=str), sorted(["a", b"\x00\xff", "x" * 255], key=str), "ids")
	listed = [instance["id"] for instance in host.http.get("/v1/state/demo/counter")["instances"]]
	expect({"base64": "AP8="} in listed, f"an id that is not text, in JSON: {listed}")


def test_state_of_an_instance_names_its_type_and_version(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 1)
	state = host.http.get("/v1/state/demo/counter/a")
	expect_equal((state["type"], state["id"], state["values"]), ("demo/counter", "a", {"count": 1}), "state")
	expect("version" in state and "schema" in state, f"version and schema: {state}")
	expect_equal(refusal(lambda: host.values("demo/counter", "nobody")).status, 404, "an instance without state")


def test_state_is_listed_in_pages(test):
	host = Host(test, plugins=("counter",), shards=4).start()
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "demo/counter", "id": f"{n:04d}", "payload": n}) for n in range(700)]
		for number in numbers:
			rpc.answer(number)
	host.barrier()
	page = host.http.get("/v1/state/demo/counter?limit=10")
	expect_equal(len(page["instances"]), 10, "instances of a page")
	expect(page["next"] is not None, "there is a next page")
	listed = host.ids("demo/counter")
	expect_equal(sorted(listed), [f"{n:04d}" for n in range(700)], "all ids, each once")


def test_send_is_answered_with_its_epoch(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		epochs = [rpc.send("test/play", "a", {"add": 1}) for _ in range(20)]
	expect(epochs == sorted(epochs) and epochs[0] > 0, f"epochs do not go back: {epochs}")
	expect(host.barrier() >= epochs[-1], "the barrier's epoch is not before the last send's")
	expect_equal(host.values("test/play", "a")["count"], 20, "count")


def test_pipelined_calls_over_several_connections(test):
	host = Host(test, plugins=("counter",), shards=2).start()
	clients = [host.rpc() for _ in range(8)]
	asked = [(client, client.request("call", {"to": "demo/counter", "id": f"c{n % 5}", "payload": 1}))
		for n in range(200) for client in clients]
	answers = [client.answer(number)["payload"] for client, number in asked]
	expect_equal(sorted(answers), sorted(list(range(1, 321)) * 5), "each count of each of the five was answered once")


def test_sends_between_instances_emit_and_reply(test):
	host = Host(test, shards=4).start()
	message = {"add": 1, "reply": True, "emit": {"egress": "play", "payload": "root"},
		"send": [{"id": f"k{n}", "msg": {"add": n, "emit": {"egress": "play", "payload": n}}} for n in range(50)]}
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "root", message), 1, "the reply")
	host.barrier()
	counts = {id: values["count"] for id, values in host.dump("test/play").items() if values.get("count")}
	expect_equal(counts, {"root": 1, **{f"k{n}": n for n in range(1, 50)}}, "counts")
	records = host.egress("play")
	expect_equal(sorted(str(record["payload"]) for record in records), sorted(["root", *map(str, range(50))]), "egress")
	root = next(record for record in records if record["payload"] == "root")
	expect_equal(root["source"], {"type": "test/play", "id": "root"}, "source of a record")
	expect(abs(root["time_ms"] / 1000 - time.time()) < 600, f"time of a record: {root['time_ms']}")


def test_egress_is_read_in_pages_and_from_an_offset(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		for n in range(25):
			rpc.send("test/play", "one", {"emit": {"egress": "play", "payload": n}})
	host.barrier()
	answer = host.http.get("/v1/egresses/play?from=5&limit=10")
	expect_equal([record["offset"] for record in answer["records"]], list(range(5, 15)), "offsets")
	expect_equal([record["payload"] for record in answer["records"]], list(range(5, 15)), "payloads, in order of one sender")
	expect_equal(answer["first"], 5, "the offset of the first record in the answer")
	expect_equal(answer["next"], 15, "where to go on")
	expect_equal([record["payload"] for record in host.egress("play", page=7)], list(range(25)), "all, in pages of seven")
	expect_equal(refusal(lambda: host.http.get("/v1/egresses/nobody")).status, 404, "an egress that nobody declares")


def test_a_failing_function_fails_the_call_and_leaves_a_dead_letter(test):
	host = Host(test, plugins=("counter", "play"), settings={"retry.backoff_ms": 1}).start()
	with host.rpc() as rpc:
		error = failure(lambda: rpc.call("test/play", "a", {"add": 5, "fail": "no luck today"}))
		expect_equal(error.code, "function_failed", "code")
		expect("no luck today" in error.error["message"], f"the function's text: {error.error}")
		expect_equal(failure(lambda: rpc.call("demo/counter", "b", "text")).code, "function_failed", "counter with a text")
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "the address goes on, without the failed add")
	dead = host.dead()
	expect_equal(len(dead), 2, "dead letters")
	first = next(letter for letter in dead if letter["to"] == "test/play")
	expect_equal((first["id"], first["code"], first["attempts"]), ("a", "function_failed", 5), "dead letter")
	expect("no luck today" in first["reason"], f"reason: {first}")
	expect_equal(first["payload"], {"add": 5, "fail": "no luck today"}, "payload")
	expect_equal(host.http.get(f"/v1/dead/{first['number']}")["number"], first["number"], "one dead letter by its number")
	expect_equal(host.status()["dead"], 2, "status counts dead letters")


def test_a_failed_attempt_leaves_no_effect(test):
	"""Write, send, emit, then fail: the bytes are as before (INVARIANTS 24). `play` fails first, so counter's overflow helps."""
	host = Host(test, plugins=("counter",), settings={"retry.backoff_ms": 1}).start()
	with host.rpc() as rpc:
		largest = (1 << 63) - 1
		expect_equal(rpc.call("demo/counter", "a", largest), largest, "the largest count")
		expect_equal(failure(lambda: rpc.call("demo/counter", "a", 1)).code, "function_failed", "overflow")
	expect_equal(host.values("demo/counter", "a"), {"count": largest}, "the count is as before")


def test_retries_act_once_in_the_end(test):
	host = Host(test, settings={"retry.backoff_ms": 2, "retry.factor": 2}).start()
	with host.rpc() as rpc:
		for times in range(1, 5):
			count = rpc.call("test/play", f"r{times}", {"add": 3, "fail_times": times, "reply": True,
				"send": [{"id": "target", "msg": {"add": 1}}]})
			expect_equal(count, 3, f"reply after {times} failed attempts")
		expect_equal(failure(lambda: rpc.call("test/play", "r5", {"add": 3, "fail_times": 5, "reply": True})).code,
			"function_failed", "five failed attempts are all there are")
	host.barrier()
	expect_equal(host.values("test/play", "target")["count"], 4, "each sent once")
	expect_equal([letter["id"] for letter in host.dead()], ["r5"], "dead letters")
	expect(host.status()["retried"] >= 10, f"retried: {host.status()['retried']}")


def test_others_pass_an_address_that_waits_for_its_next_attempt(test):
	host = Host(test, shards=1, settings={"retry.backoff_ms": 800, "retry.backoff_ms_max": 800}, flags=["--test-clock", "1000000"]).start()
	with host.rpc() as rpc:
		slow = rpc.request("call", {"to": "test/play", "id": "slow", "payload": {"add": 1, "fail_times": 2, "reply": True}})
		behind = rpc.request("call", {"to": "test/play", "id": "slow", "payload": {"add": 10, "reply": True}})
		wait_until(lambda: host.status()["retrying"] == 1, 20, "it waits for its second attempt")
		expect_equal(rpc.call("test/play", "other", {"add": 1, "reply": True}), 1, "another address is handled while time stands")
		for _ in range(2):
			host.http.post("/v1/clock", {"advance_ms": 800})
		expect_equal(rpc.answer(slow)["payload"], 1, "the one that waited is handled first")
		expect_equal(rpc.answer(behind)["payload"], 11, "the one behind it second")


def test_unknown_type_is_a_dead_letter_and_an_error(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		expect_equal(failure(lambda: rpc.call("no/such", "a", 1)).code, "unknown_type", "call")
		expect_equal(failure(lambda: rpc.send("no/such", "b", 1)).code, "unknown_type", "send")
		expect_equal(rpc.call("demo/counter", "a", 1), 1, "the connection goes on")
	dead = host.dead()
	expect_equal(sorted((letter["to"], letter["id"], letter["code"]) for letter in dead),
		[("no/such", "a", "unknown_type"), ("no/such", "b", "unknown_type")], "dead letters")


def test_a_call_without_a_reply_times_out_and_its_effects_stand(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		error, seconds = host.timed(lambda: failure(lambda: rpc.call("test/play", "a", {"add": 2}, timeout_ms=300)))
		expect_equal(error.code, "timeout", "code")
		expect(0.25 < seconds < 5, f"it took {seconds:.2f} s")
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 3, "the effects stand")


def test_notifications_are_taken_without_an_answer(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		rpc.raw(msgpack.packb([2, "send", [{"to": "demo/counter", "id": "n", "payload": 5}]]))
		rpc.raw(msgpack.packb([2, "no_such_method", [{}]]))
		expect_equal(rpc.call("demo/counter", "n", 1), 6, "the notification was handled before the call behind it")


def test_barrier_waits_for_all_that_was_accepted(test):
	host = Host(test, shards=4).start()
	deep = {"add": 1}
	for level in range(10):
		deep = {"add": 1, "send": [{"id": f"l{level}-{n}", "msg": deep} for n in range(2)]}
	with host.rpc() as rpc:
		for n in range(10):
			rpc.send("test/play", f"root{n}", deep)
	host.barrier()
	total = sum(values.get("count", 0) for values in host.dump("test/play").values())
	expect_equal(total, 10 * (2 ** 11 - 1), "all counted when the barrier is answered")
	expect_equal(host.status()["in_flight"], 0, "in flight")


def test_barrier_gives_up_at_its_timeout(test):
	host = Host(test, settings={"retry.backoff_ms": 30000, "retry.backoff_ms_max": 30000}).start()
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"add": 1, "fail_times": 1})
	error = refusal(lambda: host.barrier(timeout_ms=200))
	expect_equal((error.status, error.code), (408, "timeout"), "a retry in backoff counts as unhandled")


def test_the_clock_drives_backoff(test):
	start = 1_900_000_000_000
	host = Host(test, flags=["--test-clock", str(start)],
		settings={"retry.backoff_ms": 1000, "retry.factor": 4, "retry.backoff_ms_max": 60000}).start()
	expect_equal(host.status()["time_ms"], start, "time at the start")
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"add": 1, "fail_times": 2, "emit": {"egress": "play", "payload": 1}})
		wait_until(lambda: host.status()["retrying"] == 1, 10, "the first attempt failed")
		expect_equal(rpc.call("test/play", "b", {"add": 1, "reply": True}), 1, "others are handled while time stands")
	absent = lambda: refusal(lambda: host.values("test/play", "a")).status
	for advance, what in ((999, "one millisecond before the second attempt"), (1, "the second attempt fails"),
			(3999, "one millisecond before the third")):
		time_ms = host.http.post("/v1/clock", {"advance_ms": advance})["time_ms"]
		expect_equal(absent(), 404, f"nothing has acted: {what}")
	expect_equal(time_ms, start + 4999, "the clock's answer")
	expect_equal(host.http.post("/v1/clock", {"to_ms": start + 5000})["time_ms"], start + 5000, "to_ms")
	expect_equal(host.values("test/play", "a")["count"], 1, "acted in the same call that made it due")
	expect_equal([record["time_ms"] for record in host.egress("play")], [start + 5000], "the time of its record")
	host.kill()
	host.flags = ["--test-clock", "5"]
	host.restart()
	expect_equal(host.status()["time_ms"], start + 5000, "the store's last time is not gone behind")


def test_attempts_are_counted_across_kills(test):
	"""Attempts and due time stand in the durable header: a restart neither forgives nor charges one."""
	start = 1_900_000_000_000
	host = Host(test, flags=["--test-clock", str(start)],
		settings={"retry.backoff_ms": 1000, "retry.factor": 1, "retry.backoff_ms_max": 1000}).start()
	with host.rpc() as rpc:
		rpc.send("test/play", "lucky", {"add": 1, "fail_times": 4})
		rpc.send("test/play", "late", {"add": 1, "fail_times": 5})
	for _ in range(4):
		wait_until(lambda: host.status()["in_flight"] == 2, 10, "both wait")
		host.kill()
		host.restart()
		host.http.post("/v1/clock", {"advance_ms": 1000})
	host.barrier()
	expect_equal(host.values("test/play", "lucky")["count"], 1, "the fifth attempt acted")
	expect_equal([(letter["id"], letter["attempts"]) for letter in host.dead()], [("late", 5)], "the other is dead after five")


def test_the_clock_is_forbidden_without_its_flag(test):
	error = refusal(lambda: Host(test).start().http.post("/v1/clock", {"advance_ms": 1}))
	expect_equal((error.status, error.code), (403, "forbidden"), "clock")


if __name__ == "__main__":
	harness.main(globals())
