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
from lib.nap import Nap
from lib.rpc import RpcError
from lib.shards import Places

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


def napping(host):
	return any(one["reason"] == "running" for row in host.status()["plugins"] for one in row["waiting_for"])


def test_a_long_call_on_shard_0_holds_up_no_letter_of_others(test):
	"""While it lasts letters of other shards are sent again, dropped, and dropped by a filter."""
	shards = 4
	host = Host(test, plugins=("play",), shards=shards)
	died(host, 32)
	numbers = {letter["id"]: letter["number"] for letter in host.dead()}
	host.drop("sleeper")
	host.wait_live("sleeper")
	play, sleeper = Places(host.data, 1), Places(host.data, 2)  # numbered as they came
	others = [id for id in numbers if play.shard(id, shards) != 0]
	again, dropped, filtered = others[:6], others[6:10], others[10]
	with Nap(host, next(f"n{n}" for n in range(1000) if sleeper.shard(f"n{n}", shards) == 0)) as nap:
		wait_until(lambda: napping(host), 5, "the nap")
		for id in again:
			host.http.post(f"/v1/dead/{numbers[id]}/retry")
		for id in dropped:
			host.http.json("DELETE", f"/v1/dead/{numbers[id]}")
		expect_equal(host.http.post("/v1/dead/drop", {"type": "test/play", "id": filtered})["count"], 1, "dropped by a filter")
		expect(napping(host), "all of it was answered while the call ran")
		nap.end()
	left = set(numbers) - {*again, *dropped, filtered}
	for lives in ("before", "behind"):
		expect_equal((counts(host), {letter["id"] for letter in host.dead()}), ({id: 1 for id in again}, left), f"{lives} a kill")
		host.kill()
		host.restart(shards=2)


def test_numbers_of_letters_that_went_on_many_shards_are_not_given_again(test):
	host = Host(test, shards=4)
	greatest = max(died(host, 60))
	expect_equal(host.http.post("/v1/dead/drop", {"all": True})["count"], 60, "dropped, in few epochs")
	host.kill()
	host.restart(shards=4)
	with host.rpc() as rpc:
		rpc.send("test/play", "x", FAILS_ONCE)
	host.barrier()
	letter, = host.dead()
	expect(letter["number"] > greatest, f"a new number: {letter['number']} behind {greatest}")


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


def bulk(host, action, **body):
	return host.http.post(f"/v1/dead/{action}", body)


def all_bulk(host, action, **body):
	"""Until nothing is left, as a client does it: the letters that were met."""
	count = 0
	while True:
		answer = bulk(host, action, **body)
		count += answer["count"]
		if answer["next"] is None:
			return count
		body.update(after=answer["next"], through=answer["through"])


def test_a_filter_means_what_has_all_of_it(test):
	host = Host(test, plugins=("play", "counter"), shards=2, settings={"retry.attempts": 1}, flags=["--test-clock", "1700000000000"]).start()
	with host.rpc() as rpc:
		for id in ("a", "b", b"\xff"):
			rpc.send("test/play", id, {"fail": "never"})
		failure(lambda: rpc.send("no/such", "a", 1))
		rpc.ingest("counter", "p", 1, [""])
		host.barrier()
		host.http.post("/v1/clock", {"advance_ms": 5000})
		rpc.send("test/play", "a", {"fail": "later"})
	host.barrier()
	letters = {letter["number"]: letter for letter in host.dead()}
	expect_equal(len(letters), 6, "letters")
	last = max(letters)
	later = letters[last]["time_ms"]
	raw = {"base64": "/w=="}
	for query, body, wanted in (("type=test/play", {"type": "test/play"}, 4), ("type=ingress/counter", {"type": "ingress/counter"}, 1),
			("code=unknown_type", {"code": "unknown_type"}, 1), ("plugin=counter", {"plugin": "counter"}, 1), ("plugin=play&id=a", {"plugin": "play", "id": "a"}, 2),
			("id=%FF", {"id": raw}, 1), ("version=1.0.0&plugin=play", {"version": "1.0.0", "plugin": "play"}, 4), ("code=none", {"code": "none"}, 0),
			(f"since_ms={later}", {"since_ms": later}, 1), (f"before_ms={later}", {"before_ms": later}, 5), (f"type=test/play&before_ms={later}", {"type": "test/play", "before_ms": later}, 3)):
		page = host.http.get(f"/v1/dead?{query}")
		answer = bulk(host, "drop", dry_run=True, **body)
		expect_equal((len(page["dead"]), page["next"]), (wanted, None), f"list by {query}")
		expect_equal([answer[key] for key in ("matched", "count", "next", "dry_run", "epoch")], [wanted, 0, None, True, None], f"dry run with {body}")
	expect_equal({letter["number"] for letter in host.dead()}, set(letters), "a dry run changes nothing")
	one = bulk(host, "drop", type="test/play", limit=1)
	expect_equal((one["count"], one["next"], one["through"]), (1, min(letters), last), "the oldest")
	expect(one["epoch"] > 0, "its epoch")
	expect_equal(bulk(host, "retry", type="test/play", after=one["next"], through=last)["count"], 3, "the others, again")
	host.barrier()
	expect_equal(sorted(letter["number"] > last for letter in host.dead() if letter["to"] == "test/play"), [True] * 3, "they fail again: new letters")
	rest = bulk(host, "retry", all=True, through=last)
	expect_equal((rest["count"], rest["stayed"], rest["reason"]["code"]), (1, 1, "unknown_type"), "nobody takes no/such")
	expect(rest["reason"]["hint"], "what to do for it")
	expect_equal(bulk(host, "drop", all=True)["count"], 5, "all")
	expect_equal(host.dead(), [], "letters")


def test_a_mass_request_must_say_what_it_means(test):
	host = Host(test, settings={"retry.attempts": 1}).start()
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"fail": "never"})
	host.barrier()
	for body in ({}, {"dry_run": True}, {"all": False}, {"all": True, "type": "test/play"}, {"type": ""}, {"type": 3}, {"code": None}, {"plugin": {"base64": "/w=="}},
			{"all": 1}, {"all": True, "limit": 0}, {"all": True, "limit": 10001}, {"all": True, "after": -1}, {"all": True, "through": "x"},
			{"since_ms": -1}, {"before_ms": 1.5}, {"to": "test/play"}, {"all": True, "dry_run": "yes"}):
		error = refusal(lambda: bulk(host, "drop", **body))
		expect_equal((error.status, error.code), (400, "bad_request"), f"{body}")
		expect(error.error.get("expected"), f"what is expected: {error.error}")
	expect_equal(refusal(lambda: bulk(host, "drop", id=3)).code, "bad_id", "an id of 3")
	for query in ("type=", "since_ms=x", "before_ms=-1", "to=test/play"):
		expect_equal(refusal(lambda: host.http.get(f"/v1/dead?{query}")).code, "bad_request", query)
	expect_equal(len(host.dead()), 1, "the letter is still there")


def test_a_number_is_never_given_twice(test):
	"""Whoever repeats a request after a restart must not meet another letter."""
	host = Host(test, shards=2)
	numbers = died(host, 3)
	bulk(host, "drop", all=True)
	host.kill()
	host.settings["retry.attempts"] = 1
	host.restart(shards=1)
	with host.rpc() as rpc:
		rpc.send("test/play", "new", {"fail": "never"})
	host.barrier()
	expect_equal([letter["number"] for letter in host.dead()], [max(numbers) + 1], "the number of the next letter")


def test_many_letters_in_bounded_steps(test):
	count = test.by_scale(3000, 60000)
	host = Host(test, shards=4)
	died(host, count)
	asked = list(range(4))
	taken = []

	def act(web):
		body, done = {"type": "test/play", "limit": 500}, 0
		while True:
			answer = web.post("/v1/dead/retry", body)
			expect(answer["count"] + answer["gone"] == answer["matched"] <= 500, f"bounds: {answer}")
			done += answer["count"]
			if answer["next"] is None:
				break
			body.update(after=answer["next"], through=answer["through"])
		taken.append(done)
	threads = [threading.Thread(target=act, args=(Http(host.control),)) for _ in asked]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	expect_equal((len(taken), sum(taken)), (len(asked), count), f"each letter goes to one of them: {taken}")
	expect_equal(set(counts(host).values()), {1}, "counts")
	expect_equal((len(counts(host)), host.dead()), (count, []), "all acted, no letter is left")


def test_masses_act_once_under_kills(test):
	host = Host(test, shards=2)
	count = 2500
	left = set(died(host, count))
	host.settings["retry.attempts"] = 5
	told = 0
	kills = 0
	while kills < test.by_scale(6, 30) and left:
		host.http.post("/v1/config", {"retry.backoff_ms": 1})
		killer = threading.Timer(test.random.random() * 0.08, host.process.kill)
		killer.start()
		try:
			while left:
				answer = bulk(host, "retry", all=True, limit=test.random.choice((1, 20, 100)))
				told += answer["count"]
				if answer["next"] is None:
					break
		except Exception:  # whatever a client sees of a host that dies
			pass
		killer.join()
		host.wait_exit()
		kills += 1
		host.restart(shards=test.random.choice((1, 2, 4)))
		found = {letter["number"] for letter in host.dead()}
		expect(found <= left, f"{len(found - left)} letters came back that were sent again")
		left = found
		expect(count - len(left) >= told, f"{told} letters were told to be sent again, {count - len(left)} are")
	all_bulk(host, "retry", all=True)
	expect_equal(sorted(counts(host).values()), [1] * count, "counts")
	test.note(f"{kills} kills, {told} letters told before them")


if __name__ == "__main__":
	harness.main(globals())
