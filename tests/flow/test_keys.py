#!/usr/bin/python3
"""Idempotency keys: a request that is repeated with its key gets the stored answer, and acts once, whatever dies meanwhile."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import id_quoted
from lib.rpc import Closed, RpcError

failure = partial(harness.raised, RpcError)
ADD = {"add": 1, "reply": True}
START_MS = 1_700_000_000_000


def post(host, id, body, key, mode="", content="application/json"):
	"""(status, body) of a function called by HTTP."""
	status, _, data = host.http.raw("POST", f"/v1/functions/test/play/{id_quoted(id)}{mode}", body,
		{"Content-Type": content, "Idempotency-Key": key})
	return status, data.decode()


def count(host, id):
	with host.rpc() as rpc:
		return rpc.call("test/play", id, {"reply": True})


def test_a_repeated_request_gets_the_stored_answer(test):
	host = Host(test, shards=2).start()
	with host.rpc() as rpc:
		first = rpc.call("test/play", "a", ADD, key="k1")
		epoch = rpc.send("test/play", "b", ADD, key=b"\x00k\xff")
	body = '{"add": 1, "reply": true}'
	web = post(host, "c", body, "k1")
	sent = post(host, "d", body, "k1", "?mode=send")
	expect_equal((first, web[0], sent[0]), (1, 200, 202), "answers")
	for shards, end in ((2, None), (1, host.kill), (4, host.stop), (3, host.kill)):
		if end:
			end()
			host.restart(shards=shards)
		with host.rpc() as rpc:
			expect_equal(rpc.call("test/play", "a", ADD, key="k1"), first, "call by RPC")
			expect_equal(rpc.send("test/play", "b", ADD, key=b"\x00k\xff"), epoch, "send by RPC")
			expect_equal(rpc.call("test/play", "a", ADD, key=f"other {shards} {end}"), host.starts + 1 if end else 2, "another key")
		expect_equal(post(host, "c", body, "k1"), web, "call by HTTP")
		expect_equal(post(host, "d", body, "k1", "?mode=send"), sent, "send by HTTP")
		host.barrier()
		expect_equal([count(host, id) for id in "bcd"], [1, 1, 1], "each acted once")
	expect_equal(host.metrics()["sofun_idempotency_keys"], 8, "keys that are kept")
	host.stop()
	code, said = store.verify(test, host.data)
	expect_equal(code, 0, f"exit code of --verify, which said {said[-300:]}")


def test_another_body_content_type_or_mode_is_refused(test):
	host = Host(test, shards=2).start()
	body = '{"add": 1, "reply": true}'
	expect_equal(post(host, "a", body, "k")[0], 200, "first")
	for other in ((body + " ", "k"), (body, "k", "?mode=send"), (b"\x82\xa3add\x01\xa5reply\xc3", "k", "", "application/msgpack")):
		status, text = post(host, "a", *other)
		expect_equal(status, 422, f"status of {other}")
		expect('"conflict"' in text, f"code in {text}")
	expect_equal(post(host, "b", body + " ", "k")[0], 200, "the same key for another id is another key")
	with host.rpc() as rpc:
		rpc.call("test/play", "c", ADD, key="k")
		expect_equal(failure(lambda: rpc.call("test/play", "c", {"add": 2, "reply": True}, key="k")).code, "conflict", "code")
		expect_equal(failure(lambda: rpc.send("test/play", "c", ADD, key="k")).code, "conflict", "another mode")
		for key in ("", "x" * 256):
			expect_equal(failure(lambda: rpc.send("test/play", "c", ADD, key=key)).code, "bad_request", "size of a key")
		rpc.send("test/play", "c", ADD, key="x" * 255)
	expect_equal(post(host, "a", body, "x" * 256)[0], 400, "size of a key by HTTP")
	host.barrier()
	expect_equal([count(host, id) for id in "abc"], [1, 1, 2], "counts")


def test_a_request_that_still_runs_is_told_so_until_it_has_its_answer(test):
	"""Its message is in backoff, which a clock that stands keeps it in; a kill makes no difference."""
	host = Host(test, shards=2, flags=["--test-clock", str(START_MS)], settings={"retry.backoff_ms": 1000}).start()
	slow = {"fail_times": 1, "fail": "not yet", "add": 5, "reply": True}
	with host.rpc() as rpc:
		asked = rpc.request("call", {"to": "test/play", "id": "a", "payload": slow, "key": "k"})
		wait_until(lambda: host.status()["retried"] == 1, 10, "the first attempt has failed")
		expect_equal(failure(lambda: rpc.call("test/play", "a", slow, key="k")).code, "conflict", "code while it runs")
		host.kill()
	host.restart(shards=3)
	with host.rpc() as rpc:
		expect_equal(failure(lambda: rpc.call("test/play", "a", slow, key="k")).code, "conflict", "code behind a kill")
		host.http.post("/v1/clock", {"advance_ms": 2000})
		host.barrier()
		expect_equal(rpc.call("test/play", "a", slow, key="k"), 5, "the answer that nobody waited for")
	expect_equal(count(host, "a"), 5, "it acted once")
	expect(asked > 0, "asked")


def test_a_failure_is_an_answer_too(test):
	host = Host(test, shards=2, settings={"retry.attempts": 1}).start()
	with host.rpc() as rpc:
		errors = [failure(lambda: rpc.call("test/play", "a", {"fail": "never"}, key="k")) for _ in range(3)]
	expect_equal([str(error) for error in errors], ["function_failed: never"] * 3, "failures")
	expect_equal(len(host.dead()), 1, "dead letters")


def test_an_answer_that_another_shard_gives_is_kept(test):
	"""The call is passed on: who replies is not who owns the key."""
	host = Host(test, shards=4).start()
	pass_on = lambda n: {"add": 1, "send": [{"id": f"second-{n}", "msg": {"send": [{"id": f"third-{n}", "msg": ADD}]}}]}
	for round in range(2):
		with host.rpc() as rpc:
			asked = [rpc.request("call", {"to": "test/play", "id": f"first-{n}", "payload": pass_on(n), "key": "k"}) for n in range(200)]
			expect_equal([rpc.answer(number)["payload"] for number in asked], [1] * 200, f"answers, round {round}")
		host.kill()
		host.restart(shards=3)
	counts = {id: values["count"] for id, values in host.dump("test/play").items() if "count" in values}
	expect_equal(counts, {f"{name}-{n}": 1 for name in ("first", "third") for n in range(200)}, "counts")


def test_a_full_table_refuses_and_forgets_nothing(test):
	host = Host(test, shards=2, flags=["--test-clock", str(START_MS)],
		settings={"idempotency.keys_max": 20, "idempotency.expiry_s": 60}).start()
	with host.rpc() as rpc:
		for n in range(20):
			rpc.call("test/play", f"a{n}", ADD, key="k")
		wait_until(lambda: host.metrics()["sofun_idempotency_keys"] == 20, 10, "twenty keys")
		expect_equal(failure(lambda: rpc.call("test/play", "b", ADD, key="k")).code, "keys_full", "code")
		status, text = post(host, "b", "{}", "k")
		expect_equal(status, 429, f"status of {text}")
		expect("idempotency.keys_max" in text, f"it says what to do: {text}")
		expect_equal([rpc.call("test/play", f"a{n}", ADD, key="k") for n in range(20)], [1] * 20, "those that are kept are answered")
		host.http.post("/v1/clock", {"advance_ms": 61000})
		wait_until(lambda: host.metrics()["sofun_idempotency_keys"] == 0, 20, "they have expired, and their rows are gone")
		expect_equal(rpc.call("test/play", "b", ADD, key="k"), 1, "there is room again")
	host.kill()
	host.restart()
	expect_equal(host.metrics()["sofun_idempotency_keys"], 1, "the count is durable")


def test_a_key_expires_by_the_flows_clock(test):
	host = Host(test, shards=2, flags=["--test-clock", str(START_MS)], settings={"idempotency.expiry_s": 60}).start()
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "a", ADD, key="k"), 1, "first")
		host.http.post("/v1/clock", {"advance_ms": 59000})
		expect_equal(rpc.call("test/play", "a", ADD, key="k"), 1, "a second before")
		host.http.post("/v1/clock", {"advance_ms": 1000})
		expect_equal(rpc.call("test/play", "a", ADD, key="k"), 2, "expired: the key is new, whether its row is gone or not")
		expect_equal(rpc.call("test/play", "a", ADD, key="k"), 2, "and kept again")
	host.kill()
	host.restart()
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "a", ADD, key="k"), 2, "behind a kill")
	wait_until(lambda: host.metrics()["sofun_idempotency_keys"] == 1, 20, "the old entry of the sweep took nothing new along")


def test_requests_with_and_without_keys_keep_their_order(test):
	host = Host(test, plugins=("counter",), shards=2).start()
	with host.rpc() as rpc:
		asked = []
		for n in range(2000):
			more = {"key": f"k{n}"} if test.random.random() < 0.3 else {}
			asked.append(rpc.request("call", {"to": "demo/counter", "id": "one", "payload": 1, **more}))
		expect_equal([rpc.answer(number)["payload"] for number in asked], list(range(1, 2001)), "counts in the order asked")


def answers(host, keys):
	"""The answers to requests that are repeated until each has one."""
	found, left = {}, list(keys)
	with host.rpc() as rpc:
		while left:
			asked = [(key, rpc.request("call", {"to": "test/play", "id": key[0], "payload": ADD, "key": key[1]})) for key in left]
			left = []
			for key, number in asked:
				try:
					found[key] = rpc.answer(number)["payload"]
				except RpcError as error:
					expect_equal(error.code, "conflict", f"code: {error}")  # it runs
					left.append(key)
	return found


def test_each_key_acts_once_under_kills(test):
	host = Host(test, shards=2, settings={"limits.memory_bytes": "16MiB"}).start()
	wanted, counts = {}, {}
	for life in range(test.by_scale(8, 60)):
		with host.rpc() as rpc:
			asked = {}
			for n in range(600):
				id, key = f"i{test.random.randrange(40)}", f"{life}-{n}"
				asked[rpc.request("call", {"to": "test/play", "id": id, "payload": ADD, "key": key})] = (id, key)
				wanted[(id, key)] = None
				if n == test.random.randrange(600):
					break
			try:
				for _ in range(test.random.randrange(len(asked) + 1)):
					number, error, result = rpc.next_answer()
					expect(error is None, f"{error}")
					wanted[asked.pop(number)] = result["payload"]
			except Closed:
				pass
			host.kill()
		host.restart(shards=test.random.choice((1, 2, 4)))
		for key, again in answers(host, wanted).items():
			expect(wanted[key] in (None, again), f"{key}: told {wanted[key]}, then {again}")
			wanted[key] = again
	for (id, key), told in wanted.items():
		counts.setdefault(id, []).append(told)
	for id, told in counts.items():
		expect_equal(sorted(told), list(range(1, len(told) + 1)), f"answers of {id}: each key counted once")
		expect_equal(count(host, id), len(told), f"count of {id}")
	test.note(f"{len(wanted)} keys over {host.starts} lives")


def test_many_keys_stay_within_the_memory(test):
	"""Their rows live in the store: neither keys nor dead letters nor producers are held in memory."""
	limit = 32 << 20
	host = Host(test, plugins=("counter",), shards=2, settings={"limits.memory_bytes": limit}).start()
	worst, batches = 0, test.by_scale(40, 400)
	with host.rpc() as rpc:
		for batch in range(batches):
			asked = [rpc.request("send", {"to": "demo/counter", "id": f"i{n % 1000}", "payload": 1, "key": f"{batch}-{n}"})
				for n in range(2000)]
			asked += [rpc.request("send", {"to": "no/body", "id": "x", "payload": n}) for n in range(500)]
			asked += [rpc.request("ingest", {"ingress": "counter", "producer": f"{batch}-{n}", "first": 1, "records": ["p"]})
				for n in range(500)]
			for number in asked:
				rpc.waiting[number] = rpc.waiting.get(number)
				while rpc.waiting[number] is None:
					got, error, result = rpc.next_answer()
					rpc.waiting[got] = (error, result)
				del rpc.waiting[number]
			worst = max(worst, host.resident_bytes())
	test.note(f"{batches * 2000} keys, {batches * 500} dead letters and producers: resident at most {worst >> 20} MiB")
	expect_equal(host.metrics()["sofun_idempotency_keys"], batches * 2000, "keys")
	if not test.sanitizer():
		expect(worst < limit + (16 << 20), f"resident {worst >> 20} MiB")


if __name__ == "__main__":
	harness.main(globals())
