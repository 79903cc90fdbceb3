#!/usr/bin/python3
"""Dead letters that are sent again or dropped: each goes once, whatever dies meanwhile, and its message acts once."""

import sys
import threading
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http, HttpError
from lib.rpc import RpcError

failure = partial(harness.raised, RpcError)
refusal = partial(harness.raised, HttpError)
FAILS_ONCE = {"fail_times": 1, "fail": "not yet", "add": 1}


def died(host, count):
	"""A host with that many letters of messages that would act at their second attempt."""
	host.settings["retry.attempts"] = 1
	host.start()
	with host.rpc() as rpc:
		for n in range(count):
			rpc.send("test/play", f"i{n}", FAILS_ONCE)
	host.barrier()
	host.http.post("/v1/config", {"retry.attempts": 5, "retry.backoff_ms": 1})
	return [letter["number"] for letter in host.dead()]


def counts(host):
	host.barrier()
	return {id: values["count"] for id, values in host.dump("test/play").items() if values.get("count")}


def test_a_letter_is_dropped_or_sent_again_once(test):
	host = Host(test, shards=2)
	numbers = died(host, 4)
	expect_equal(len(numbers), 4, "letters")
	expect(host.http.json("DELETE", f"/v1/dead/{numbers[0]}")["epoch"] > 0, "dropped")
	expect_equal(host.http.post(f"/v1/dead/{numbers[1]}/retry")["number"], numbers[1], "sent again")
	for method, path in (("DELETE", f"/v1/dead/{numbers[0]}"), ("POST", f"/v1/dead/{numbers[1]}/retry"),
			("DELETE", f"/v1/dead/{numbers[1]}"), ("POST", "/v1/dead/999999/retry")):
		expect_equal(refusal(lambda: host.http.json(method, path)).code, "not_found", f"{method} {path}")
	expect_equal(counts(host), {"i1": 1}, "counts")
	host.kill()
	host.settings["retry.attempts"] = 5
	host.restart(shards=3)
	expect_equal(sorted(letter["number"] for letter in host.dead()), sorted(numbers[2:]), "letters that are left")
	expect_equal(counts(host), {"i1": 1}, "counts behind a kill")
	for path in ("/v1/dead/x/retry", "/v1/dead/-1/retry"):
		expect_equal(refusal(lambda: host.http.post(path)).code, "bad_request", path)


def test_what_fails_again_is_a_letter_again(test):
	host = Host(test, plugins=("play", "counter"), shards=2, settings={"retry.attempts": 1}).start()
	with host.rpc() as rpc:
		failure(lambda: rpc.call("test/play", "a", {"fail": "never"}))
		rpc.ingest("counter", "p", 1, ["", "good"])
	for letter in host.dead():
		host.http.post(f"/v1/dead/{letter['number']}/retry")
	host.barrier()
	again = host.dead()
	expect_equal(sorted((letter["to"], letter["code"]) for letter in again),
		[("ingress/counter", "router_failed"), ("test/play", "function_failed")], "letters")
	expect(min(letter["number"] for letter in again) > 2, f"they are new ones: {again}")


def test_a_letter_of_an_unknown_type_waits_for_its_plugin(test):
	host = Host(test, plugins=(), shards=2).start()
	with host.rpc() as rpc:
		failure(lambda: rpc.send("demo/counter", "a", 3))
	number = host.dead()[0]["number"]
	error = refusal(lambda: host.http.post(f"/v1/dead/{number}/retry"))
	expect_equal(error.code, "unknown_type", "code")
	expect_equal(len(host.dead()), 1, "it stays")
	host.drop("counter")
	host.wait_live("counter")
	host.http.post(f"/v1/dead/{number}/retry")
	host.barrier()
	expect_equal(host.values("demo/counter", "a"), {"count": 3}, "it acted")
	expect_equal(host.dead(), [], "letters")


def test_two_who_ask_for_the_same_letter_do_not_both_get_it(test):
	host = Host(test, shards=4)
	numbers = died(host, 60)
	taken, missed = [], []

	def act(web, mine):
		for number in mine:
			try:
				web.json("POST", f"/v1/dead/{number}/retry", {})
				taken.append(number)
			except HttpError as error:
				missed.append((number, error.code))
	threads = []
	for _ in range(3):
		mine = list(numbers)
		test.random.shuffle(mine)
		threads.append(threading.Thread(target=act, args=(Http(host.control), mine)))
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	expect_equal((sorted(taken), {code for _, code in missed}), (sorted(numbers), {"not_found"}), "who got what")
	expect_equal(counts(host), {f"i{n}": 1 for n in range(60)}, "counts")


def test_letters_act_once_under_kills(test):
	host = Host(test, shards=2)
	left = set(died(host, 150))
	host.settings["retry.attempts"] = 5
	for _ in range(test.by_scale(5, 30)):
		host.http.post("/v1/config", {"retry.backoff_ms": 1})
		mine = list(left)
		killer = threading.Timer(test.random.random() * 0.3, host.process.kill)
		killer.start()
		try:
			for number in mine:
				host.http.post(f"/v1/dead/{number}/retry")
				left.discard(number)
		except Exception:  # whatever a client sees of a host that dies
			pass
		killer.join()
		host.wait_exit()
		host.restart(shards=test.random.choice((1, 2, 4)))
		found = {letter["number"] for letter in host.dead()}
		expect(found <= left, f"{len(found - left)} letters came back that were sent again")
		left = found
	done = counts(host)
	expect_equal(sorted(done.values()), [1] * (150 - len(left)), f"counts, with {len(left)} letters left")
	wait_until(lambda: host.status()["in_flight"] == 0, 10, "nothing is in flight")


if __name__ == "__main__":
	harness.main(globals())
