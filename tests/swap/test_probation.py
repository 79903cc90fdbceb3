#!/usr/bin/python3
"""A new version's probation: what fails for good on it waits in sight for the verdict, a rollback runs it anew and in its order, trust
makes it dead letters; and a version that fails more than the one before goes back by itself, for good. Versions of the fixture
`fickle` (tests/fixtures/fickle/fickle.c)."""

import http.client
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import Closed, RpcError

TYPE = "test/fickle"
TWO_ATTEMPTS = {"retry.attempts": 2, "retry.backoff_ms": 1}
BY_HAND = {**TWO_ATTEMPTS, "rollback.error_percent": 0}


# ---- questions ----

def load(test, host, name):
	return host.http.post("/v1/plugins", {"path": str(test.find(f"fixtures/{name}.so"))})


def order(host, action, **more):
	return host.http.post(f"/v1/plugins/fickle/{action}", more)


def version(host):
	return (host.plugin("fickle") or {}).get("version")


def settled(host):
	"""Until nothing is on its way: all that is loaded has a share, and nothing leaves."""
	def through():
		status = host.status()
		shares = sum(row["share_percent"] > 0 for row in status["plugins"])
		return status["images"]["loaded"] == shares and all(row["state"] != "draining" for row in status["plugins"])
	wait_until(through, 20, "nothing drains")


def started(test, settings, first="fickle", second="fickle_2", **more):
	host = Host(test, plugins=(), settings=settings, **more).start()
	load(test, host, first)
	load(test, host, second)
	settled(host)
	return host


def send(host, id, *numbers):
	with host.rpc() as rpc:
		for number in numbers:
			rpc.send(TYPE, id, number)


def send_many(host, numbers):
	"""To an address each."""
	with host.rpc() as rpc:
		requests = [rpc.request("send", {"to": TYPE, "id": f"m{at}", "payload": number}) for at, number in enumerate(numbers)]
		for request in requests:
			rpc.answer(request)


def undecided(host, count):
	wait_until(lambda: host.status()["undecided"]["count"] == count, 20, f"{count} addresses wait for the verdict")
	return {row["id"]: row for row in host.status()["undecided"]["addresses"]}


def waits(host):
	return sorted((one["reason"], one["address"].rsplit("/")[-1]) for row in host.status()["plugins"] for one in row["waiting_for"])


def handled(host, id):
	"""[version, number] of what came out for an address, in order."""
	return [row["payload"] for row in host.egress("fickle") if row["source"]["id"] == id]


def versions(host):
	return {row["version"]: row for row in host.http.get("/v1/plugins/fickle/versions")["versions"]}


class Call(threading.Thread):
	"""A call that may wait for the verdict."""

	def __init__(self, host, id, number):
		super().__init__()
		self.host, self.id, self.number, self.answer = host, id, number, None
		self.start()

	def run(self):
		try:
			with self.host.rpc() as rpc:
				self.answer = rpc.call(TYPE, self.id, self.number)
		except RpcError as error:
			self.answer = error.code


# ---- waiting for the verdict ----

def test_a_rollback_runs_it_anew_and_in_order(test):
	host = started(test, BY_HAND, shards=2)
	send(host, "a", 1, -2, 3, 4)
	send(host, "b", -5, 6)
	rows = undecided(host, 2)
	expect_equal(set(rows), {"a", "b"}, "who waits")
	expect("-2 is below zero" in rows["a"]["reason"], rows["a"])
	wait_until(lambda: host.status()["retrying"] == 2, 20, "addresses that wait")
	expect_equal(host.dead(), [], "dead letters")
	wait_until(lambda: waits(host) == [("probation", "a"), ("probation", "b")], 20, "by name, at their version")
	expect(0 < host.plugin("fickle")["probation_ms"] <= 60000, host.plugin("fickle"))
	for shards in (4, 1):
		host.kill()
		host.restart(shards=shards)
		expect_equal(set(undecided(host, 2)), {"a", "b"}, f"who waits after SIGKILL, on {shards} shards")
	call = Call(host, "c", -7)
	undecided(host, 3)
	order(host, "rollback")
	call.join(60)
	expect_equal(call.answer, -7, "the caller's answer, once it was decided")
	host.barrier()
	expect_equal(handled(host, "a"), [[2, 1], [1, -2], [1, 3], [1, 4]], "what came of a")
	expect_equal(handled(host, "b"), [[1, -5], [1, 6]], "what came of b")
	expect_equal((host.dead(), host.status()["undecided"]["count"]), ([], 0), "dead letters, who waits")


def test_a_promotion_makes_it_a_dead_letter(test):
	host = started(test, BY_HAND)
	send(host, "a", -2, 3)
	call = Call(host, "b", -4)
	undecided(host, 2)
	order(host, "promote")
	call.join(60)
	expect_equal(call.answer, "function_failed", "the caller's answer")
	host.barrier()
	rows = [(row["id"], row["code"], row["version"], row["attempts"], row["payload"]) for row in host.dead()]
	expect_equal(sorted(rows), [("a", "function_failed", "2.0.0", 2, -2), ("b", "function_failed", "2.0.0", 2, -4)], "dead letters")
	expect("below zero" in host.dead()[0]["reason"], host.dead()[0])
	expect_equal(handled(host, "a"), [[2, 3]], "what stood behind it")
	send(host, "c", -5)
	host.barrier()
	expect_equal(len(host.dead()), 3, "dead letters once it is trusted: nobody waits")
	expect_equal(raised(HttpError, lambda: order(host, "promote")).status, 409, "a second promotion")


def test_the_end_of_the_probation_decides(test):
	host = started(test, {"retry.attempts": 1, "rollback.error_percent": 0, "retry.block_ms_max": 120000},
		flags=("--test-clock", "1000000"))
	send(host, "a", -1, 2)
	undecided(host, 1)
	host.http.post("/v1/clock", {"advance_ms": 59999})
	expect_equal((len(host.dead()), host.status()["undecided"]["count"]), (0, 1), "a millisecond before")
	host.http.post("/v1/clock", {"advance_ms": 1})
	host.barrier()
	expect_equal((len(host.dead()), host.status()["undecided"]["count"]), (1, 0), "at its end")
	expect_equal(handled(host, "a"), [[2, 2]], "what stood behind it")
	send(host, "a", -3)
	host.barrier()
	expect_equal(len(host.dead()), 2, "behind it")


def test_nobody_waits_longer_for_a_verdict_than_for_retries(test):
	host = started(test, {"retry.attempts": 1, "rollback.error_percent": 0, "retry.block_ms_max": 1000},
		flags=("--test-clock", "1000000"))
	send(host, "a", -1, 2)
	undecided(host, 1)
	host.http.post("/v1/clock", {"advance_ms": 999})
	expect_equal(len(host.dead()), 0, "dead letters before retry.block_ms_max")
	host.http.post("/v1/clock", {"advance_ms": 1})
	host.barrier()
	expect_equal((len(host.dead()), handled(host, "a")), (1, [[2, 2]]), "dead letters, and what stood behind")


def test_without_probation_nothing_waits(test):
	host = started(test, {"retry.attempts": 1, "crash.probation_ms": 0})
	send_many(host, [-1] * 100)
	host.barrier()
	expect_equal((len(host.dead()), version(host)), (100, "2.0.0"), "dead letters, and the version")


def test_versions_stand_side_by_side(test):
	host = Host(test, plugins=(), settings={**BY_HAND, "plugins.policy": "manual"}).start()
	load(test, host, "fickle")
	load(test, host, "fickle_2")
	order(host, "swap", version="2.0.0", canary=50)
	settled(host)
	send_many(host, [-1 if n % 4 == 0 else n for n in range(400)])
	wait_until(lambda: host.status()["in_flight"] == host.status()["undecided"]["count"] > 0, 20, "all but those that wait")
	rows = {version: row["figures"][0] for version, row in versions(host).items()}
	waiting = host.status()["undecided"]["count"]
	expect_equal(sum(row["messages"] for row in rows.values()), 400, "messages of both")
	expect_equal((rows["1.0.0"]["failures"], rows["1.0.0"]["error_percent"]), (0, 0), "the base's failures")
	bad = rows["2.0.0"]
	expect_equal((bad["messages_failed"], bad["failures"], bad["retries"], bad["exhausted"]), (waiting, 2 * waiting, waiting, waiting),
		"the canary's failures")
	expect_equal(bad["attempts"], bad["messages"] + bad["retries"], "its attempts")
	expect(15 < bad["error_percent"] < 35 and bad["p99_s"] >= bad["p50_s"] > 0, bad)
	metrics = host.metrics()
	for version, row in rows.items():
		labels = f'{{function="{TYPE}",version="{version}"}}'
		shown = [metrics[f"sofun_version_{name}_total{labels}"] for name in ("attempts", "failures", "retries", "exhausted")]
		expect_equal(shown, [row["attempts"], row["failures"], row["retries"], row["exhausted"]], f"metrics of {version}")
	expect_equal(metrics["sofun_undecided_addresses"], waiting, "the gauge")
	for command in (["versions", "fickle"], ["top", "--interval", "0.2"]):
		text = subprocess.run([test.find("sofun"), "--data", host.data, *command], check=True, capture_output=True, text=True).stdout
		lines = [line.split() for line in text.splitlines() if line.startswith(TYPE)]
		expect_equal([line[:2] for line in lines], [[TYPE, "1.0.0"], [TYPE, "2.0.0"]], f"{command}: {text}")
	order(host, "swap", version="1.0.0")
	settled(host)
	order(host, "swap", version="2.0.0")
	settled(host)
	expect_equal(versions(host)["2.0.0"]["figures"][0]["attempts"], 0, "a version that comes again counts from nothing")


# ---- going back by itself ----

def went_back(host, to="1.0.0"):
	wait_until(lambda: version(host) == to, 20, f"back to {to}")
	settled(host)
	host.barrier()


def test_a_version_that_fails_more_goes_back_by_itself(test):
	host = started(test, TWO_ATTEMPTS)
	numbers = [-n if n % 4 == 0 else n for n in range(1, 401)]
	send_many(host, numbers)
	went_back(host)
	expect_equal(sorted(row["payload"][1] for row in host.egress("fickle")), sorted(numbers), "each number once")
	expect_equal(host.dead(), [], "dead letters")
	expect("plugin_rollback" in host.errors() and "messages failed at first" in host.errors(), host.errors())
	for _ in range(2):
		why = versions(host)["2.0.0"]["went_back"]
		expect("failed more than 1.0.0" in why["message"] and "of" in why["found"], why)
		expect_equal(version(host), "1.0.0", "the version")
		host.kill()
		host.restart()
	host.drop("fickle_2", test.find("fixtures/fickle_2.so"))
	wait_until(lambda: any("failed more" in row["message"] for row in host.status()["refused"]), 20, "it is not staged again")
	expect_equal(version(host), "1.0.0", "the version when the file came again")
	load(test, host, "fickle_2")
	expect_equal((version(host), versions(host)["2.0.0"]["went_back"]), ("2.0.0", None), "by hand it is tried again")


def test_a_canary_is_compared_with_what_runs_beside_it(test):
	host = Host(test, plugins=(), settings={**TWO_ATTEMPTS, "plugins.policy": "manual"}).start()
	load(test, host, "fickle")
	load(test, host, "fickle_2")
	order(host, "swap", version="2.0.0", canary=50)
	settled(host)
	send_many(host, [None] * 200)  # fails on both
	wait_until(lambda: sum(row["figures"][0]["exhausted"] for row in host.status()["plugins"]) == 200, 20, "all have failed")
	wait_until(lambda: len(host.dead()) + host.status()["undecided"]["count"] == 200, 20, "dead letters of the one, waiting ones of the other")
	undecided_of_canary = host.status()["undecided"]["count"]
	expect(50 < undecided_of_canary < 150, undecided_of_canary)
	shown = {row["version"]: row["figures"][0]["error_percent"] for row in host.status()["plugins"]}
	expect_equal(shown, {"1.0.0": 100, "2.0.0": 100}, "percent of the messages that failed, side by side")
	with host.rpc() as rpc:
		for n in range(400):
			rpc.send(TYPE, f"n{n}", -1)
	went_back(host)
	expect_equal(sorted(row["payload"][0] for row in host.egress("fickle")), [1] * 400, "all of them by the base, in the end")
	expect_equal(len(host.dead()), 200, "dead letters: what fails on both")


# ---- under kills ----

ADDRESSES = 40


def number_of(address, round):
	"""Each address its own: every fifth fails on the versions behind 1.0.0."""
	number = round * ADDRESSES + address + 1
	return -number if (round + address) % 5 == 0 else number


def round_send(host, round, killed):
	"""One message to each address, under a key of its own, until all are durable. `killed`: in the middle of it."""
	waiting = set(range(ADDRESSES))
	while waiting:
		try:
			with host.rpc() as rpc:
				requests = {address: rpc.request("send", {"to": TYPE, "id": f"a{address}", "payload": number_of(address, round),
					"key": f"{round}"}) for address in sorted(waiting)}
				if killed:
					killed()
					killed = None
				for address, request in requests.items():
					rpc.answer(request)
					waiting.discard(address)
		except (Closed, OSError, EOFError):
			pass
		except RpcError as error:
			expect_equal(error.code, "conflict", "while the same key runs, or is told so")


def swap_again(host):
	"""True once 2.0.0 is live again, or was for a moment."""
	try:
		order(host, "swap", version="2.0.0")
	except HttpError as error:
		expect_equal(error.code, "conflict", "a swap while another change goes on")


def decided(host):
	"""Nothing is left to handle. Where a kill came before enough was counted the verdict is the user's: he goes back."""
	status = host.status()
	if status["undecided"]["count"] > 0 and version(host) == "2.0.0":
		try:
			order(host, "rollback")
		except HttpError as error:
			expect_equal(error.code, "conflict", "a rollback while another change goes on")
	return status["in_flight"] == 0


def rollbacks(test):
	return sum(path.read_text().count("plugin_rollback name=fickle") for path in test.dir.glob("*.err"))


def test_kills_while_it_goes_back(test):
	rounds = test.by_scale(60, 400)
	host = started(test, {**TWO_ATTEMPTS, "crash.probation_ms": 3600000}, shards=2)  # no verdict by time, however long it takes
	kills = 0

	def kill():
		nonlocal kills
		kills += 1
		host.kill()
		host.restart(shards=test.random.choice((1, 2, 4)))

	round = 0
	while round < rounds or (rollbacks(test) < 2 and round < 10 * rounds):  # a kill may come before each of them
		round_send(host, round, kill if test.random.random() < 0.2 else None)
		if round % 7 == 3 and host.status()["undecided"]["count"] > ADDRESSES // 2:
			decided(host)  # a kill came before enough was counted: all addresses wait, and nothing more is
		elif round % 7 == 3:
			swap_again(host)
		round += 1
	wait_until(lambda: decided(host), 30, "nobody waits for the verdict")
	host.barrier()
	records = host.egress("fickle")
	for address in range(ADDRESSES):
		came = [row["payload"][1] for row in records if row["source"]["id"] == f"a{address}"]
		expect_equal(came, [number_of(address, past) for past in range(round)], f"what came of address {address}, in order, once")
	failed = sorted(row["payload"][0] for row in records if row["payload"][1] < 0)
	expect_equal((set(failed), host.dead(), host.status()["undecided"]["count"]), ({1}, [], 0), "who took what fails on 2.0.0; dead letters")
	by_new = sum(row["payload"][0] == 2 for row in records)
	backs = rollbacks(test)
	test.note(f"{kills} kills, {backs} rollbacks, {by_new} of {len(records)} messages by 2.0.0")
	expect(kills >= 3 and backs >= 2 and by_new > 0, f"{kills} kills, {backs} rollbacks, {by_new} messages by 2.0.0")


# ---- across schemas (rule 36) ----

def schemas(host):
	return {row["schema"]: row["instances"] for row in host.status()["schemas"] if row["type"] == TYPE}


def crash_twice(host, ids=("x", "y")):
	"""Two messages that kill the versions behind 1.0.0."""
	for id, number in zip(ids, (-2000000, -2000001)):
		try:
			send(host, id, number)
		except (Closed, OSError):
			pass  # it died before the answer was durable; if it was not accepted it is sent again below


def answering(host):
	"""The status; between two lives, or in the last moment of one, that of nobody."""
	host.http.close()
	try:
		return host.status()
	except (OSError, http.client.HTTPException, HttpError):
		return {"plugins": []}


def test_a_crash_goes_back_across_schemas(test):
	host = started(test, TWO_ATTEMPTS, second="fickle_3")
	send(host, "a", 5)
	send(host, "b", 6)
	host.barrier()
	expect_equal((version(host), schemas(host)), ("3.0.0", {2: 2}), "the newer schema")
	crash_twice(host)
	wait_until(lambda: (lambda status: status["plugins"] and status["plugins"][0]["version"] == "1.0.0")(answering(host)), 30,
		"1.0.0 is back")
	expect("killed the host" in versions(host)["3.0.0"]["went_back"]["message"], versions(host))
	wait_until(lambda: schemas(host).get(2, 0) == 0, 20, "all instances are down, by the way of the version that went")
	wait_until(lambda: "3.0.0" not in [row["version"] for row in host.status()["plugins"]], 20, "it is needed no more")
	send(host, "a", 7)
	host.barrier()
	expect_equal(host.values(TYPE, "b"), {"last": 6}, "the state")
	expect_equal(handled(host, "a"), [[3, 5], [1, 7]], "what came of a")
	expect_equal(host.dead(), [], "nobody is charged")
	host.kill()
	host.restart()
	expect_equal((version(host), versions(host)["3.0.0"]["state"]), ("1.0.0", "quarantined"), "after a restart")


def test_without_a_way_back_a_crash_quarantines(test):
	host = Host(test, plugins=(), settings={**TWO_ATTEMPTS, "plugins.policy": "manual"}).start()
	load(test, host, "fickle")
	load(test, host, "fickle_3_up")
	order(host, "swap", version="3.1.0", no_way_back=True)
	settled(host)
	send(host, "a", 5)
	send_many(host, [-1] * 100)  # it fails more, and cannot go back: said once, and nothing done
	wait_until(lambda: "plugin_rollback_refused" in host.errors(), 20, "it is said")
	undecided(host, 100)
	expect_equal(version(host), "3.1.0", "it stays")
	crash_twice(host)
	wait_until(lambda: any(row["state"] == "quarantined" for row in answering(host)["plugins"]), 30, "it is quarantined")
	expect("plugin_no_way_back" in host.errors() + "".join(p.read_text() for p in test.dir.glob("*.err")), "the log says why")
	send(host, "a", 8)
	expect_equal((host.dead(), schemas(host)), ([], {2: 1}), "its messages wait, its state stays")
	expect(host.status()["in_flight"] >= 101, host.status()["in_flight"])


CANARY_IDS = [f"i{number}" for number in range(100)]


def send_each(host, number):
	with host.rpc() as rpc:
		for id in CANARY_IDS:
			rpc.send(TYPE, id, number)

def handled_alive(host, id):
	"""Without what killed: it was accepted or not, and is handled once at most."""
	rows = handled(host, id)
	expect(sum(number < -1000000 for _, number in rows) <= 1, rows)
	return [row for row in rows if row[1] >= -1000000]


def canary_crashed(test, version, **more):
	"""A host whose canary with the newer schema killed it twice; and the ids that the canary had."""
	host = Host(test, plugins=(), settings={**TWO_ATTEMPTS, "plugins.policy": "manual"}).start()
	load(test, host, "fickle")
	load(test, host, {"3.0.0": "fickle_3", "3.1.0": "fickle_3_up"}[version])
	send_each(host, 5)
	order(host, "swap", version=version, canary=40, **more)
	send_each(host, 6)
	host.barrier()
	canary = [row["source"]["id"] for row in host.egress("fickle") if row["payload"] == [3, 6]]
	expect(15 <= len(canary) <= 65, f"about 40 % of 100 ids on the canary: {len(canary)}")
	expect_equal(schemas(host), {1: 100 - len(canary), 2: len(canary)}, "the canary's ids have the newer schema")
	crash_twice(host, canary[:2])
	wait_until(lambda: [row["version"] for row in answering(host)["plugins"] if row["share_percent"] == 100] == ["1.0.0"], 30,
		"1.0.0 has all ids")
	expect("killed the host" in versions(host)[version]["went_back"]["message"], versions(host))
	return host, canary


def test_a_canary_that_crashes_goes_across_schemas(test):
	host, canary = canary_crashed(test, "3.0.0")
	wait_until(lambda: schemas(host) == {1: 100}, 20, "all instances are down, by the way of the canary that went")
	wait_until(lambda: "3.0.0" not in [row["version"] for row in host.status()["plugins"]], 20, "it is needed no more")
	expect_equal(versions(host)["3.0.0"]["state"], "quarantined", versions(host))
	send_each(host, 7)
	host.barrier()
	for id in CANARY_IDS:
		expect_equal(handled_alive(host, id), [[1, 5], [3 if id in canary else 1, 6], [1, 7]], f"what came of {id}")
	expect_equal((host.dead(), host.status()["blocked"]["count"]), ([], 0), "dead letters, and who waits")


def test_what_a_canary_leaves_without_a_way_back_waits_in_sight(test):
	host, canary = canary_crashed(test, "3.1.0", no_way_back=True)
	expect_equal(versions(host)["3.1.0"]["state"], "quarantined", versions(host))
	send_each(host, 7)
	wait_until(lambda: host.status()["blocked"]["count"] == len(canary), 20, "every id that the canary had is blocked")
	blocked = {row["id"] for row in host.status()["blocked"]["addresses"]}
	expect(blocked and blocked <= set(canary), f"who is named: {blocked}")
	rest = [id for id in CANARY_IDS if id not in canary]
	wait_until(lambda: all(handled(host, id) == [[1, 5], [1, 6], [1, 7]] for id in rest), 20, "all others are handled")
	host.kill()
	host.restart()
	wait_until(lambda: host.status()["blocked"]["count"] == len(canary), 20, "the same after SIGKILL")
	expect_equal((schemas(host), host.dead()), ({1: len(rest), 2: len(canary)}, []), "their state stays, nobody is charged")
	load(test, host, "fickle_3_mended")
	order(host, "swap", version="3.2.0", drain="running")  # else 1.0.0 finishes what it owes, by the way down that has come
	wait_until(lambda: all(handled(host, id)[-1:] == [[3, 7]] for id in canary), 30, "a version that reads them takes what waited")
	for id in canary:
		expect_equal(handled_alive(host, id), [[1, 5], [3, 6], [3, 7]], f"what came of {id}")
	expect_equal((host.dead(), host.status()["blocked"]["count"]), ([], 0), "dead letters, and who waits")


if __name__ == "__main__":
	harness.main(globals())
