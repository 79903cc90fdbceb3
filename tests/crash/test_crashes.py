#!/usr/bin/python3
"""Plugins that end the host: the service comes back, nothing is lost, the culprit is named or nobody is, and no innocent
message becomes a dead letter."""

import http.client
import subprocess
import sys
import time
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer, play_counts
from lib.campaign import tally
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http, HttpError
from lib.program import Program, Shape, difference, emitted_numbers
from lib.rpc import Closed, RpcError

# Without probation each message is judged for itself; short limits, so that a loop is over soon.
ALONE = {"crash.probation_ms": 0, "limits.invocation_cpu_ms": 300}


def started(test, plugin="play", settings=None, shards=2):
	test.need_plain_build("it dies by signals that a sanitizer turns into reports")
	return Host(test, plugins=(plugin,) if plugin else (), shards=shards, settings=dict(ALONE, **(settings or {}))).start()


def fresh(host):
	"""The status, asked on a connection of its own: it waits while there is no worker, and asks the next one if one died over it."""
	return wait_until(lambda: seen(lambda: Http(host.control).get("/v1/status")), 30, "a status")


def sent(host, to, id, payload, deadline_s=30):
	"""Repeats a send until it is durable, as a client does whose host died over it; so it may count twice."""
	end = time.monotonic() + deadline_s
	while True:
		try:
			with host.rpc(timeout=20) as rpc:
				return rpc.send(to, id, payload)
		except (Closed, OSError):
			expect(time.monotonic() < end, f"{id} is not durable within {deadline_s} s")


def given(test, host, *messages):
	"""(id, message) each to `play`, in this order, each once: a producer knows what the host has."""
	records = [msgpack.packb({"id": id, "msg": message}) for id, message in messages]
	producer = Producer(host.socket, records, test.random, name=f"given{test.random.random()}")
	producer.start()
	producer.finish(60)


def calm(host):
	"""Until everything that was accepted is handled, over however many lives that takes."""
	def through():
		try:
			return Http(host.control, timeout=30).post("/v1/barrier", {"timeout_ms": 20000})
		except (OSError, http.client.HTTPException):
			return False
		except HttpError as error:
			expect_equal(error.code, "timeout", "a barrier")
			return False
	wait_until(through, 60, "everything is handled")
	host.http.close()


def seen(look):
	"""What it gives, or False: whoever asks may be answered by the one that is about to die."""
	try:
		return look()
	except (OSError, http.client.HTTPException):
		return False


def another_worker(host, before):
	return fresh(host)["worker_pid"] != before


def convicted(host, id):
	return seen(lambda: any(letter["id"] == id for letter in host.dead()))


def crashed_letters(host):
	return sorted((letter["id"], letter["plugin"], letter["version"]) for letter in host.dead() if letter["code"] == "crashed")


def test_each_way_to_die_is_named_and_costs_one_message(test):
	"""The poison waits, runs alone twice, and is a dead letter; what came before and behind it is handled."""
	host = started(test)
	too_long = ("300 ms of CPU time", "3000 ms of wall time")  # the second where others have the cores
	for kind, causes in (("segv", ("SIGSEGV",)), ("abort", ("SIGABRT",)), ("stack", ("SIGSEGV",)), ("loop", too_long)):
		before = fresh(host)["worker_pid"]
		given(test, host, *((f"{kind}{number}", {"add": number}) for number in range(20)), (f"bad-{kind}", {"add": 3}),
			(f"bad-{kind}", {"crash": kind}), (f"bad-{kind}", {"add": 4}))
		calm(host)
		letter = wait_until(lambda: [letter for letter in host.dead() if letter["id"] == f"bad-{kind}"], 20, "the dead letter")[0]
		expect_equal([letter[key] for key in ("to", "code", "plugin", "version", "payload")],
			["test/play", "crashed", "play", "1.0.0", {"crash": kind}], "the dead letter")
		expect(any(cause in letter["reason"] for cause in causes), letter["reason"])
		expect_equal(host.values("test/play", f"bad-{kind}")["count"], 7, "what came before and behind it")
		status = fresh(host)
		crash = status["crashes"][0]
		expect(crash["cause"] in causes, f"the cause in the status: {crash}")
		expect_equal([crash[key] for key in ("plugin", "version", "function", "id", "verdict", "deaths", "alone", "in")],
			["play", "1.0.0", "test/play", f"bad-{kind}", "dead", 3, 2, "function"], "the status")
		expect(f'function=test/play id="bad-{kind}"' in host.errors(), "the log")
		expect(status["worker_pid"] != before and status["recovered"] == "crash", "another worker")
		expect_equal(status["suspects"], [], "nobody is suspected any more")
	expect_equal(len(host.dead()), 4, "dead letters")
	shown = subprocess.run([test.find("sofun"), "--data", host.data, "status"], capture_output=True, text=True, check=True).stdout
	expect("crash: SIGABRT, 3 times, 2 alone, in play 1.0.0 (function), a message to test/play bad-abort: dead\n" in shown, shown)
	for kind in ("segv", "abort", "stack", "loop"):
		for number in range(1, 20):
			expect_equal(host.values("test/play", f"{kind}{number}")["count"], number, "an innocent one")
	host.stop()
	host.start()
	expect_equal(len(fresh(host)["crashes"]), 4, "the supervisor remembers")


def test_a_suspect_that_lives_is_cleared(test):
	"""The n-th call of a process dies, whoever it is: alone it is the first, and lives."""
	host = started(test, "crasher")
	for number in range(12):
		sent(host, "crasher/call", f"c{number}", 5)
	calm(host)
	expect_equal(host.dead(), [], "dead letters")
	expect(all(host.values("crasher/call", f"c{number}")["count"] >= 1 for number in range(12)), "all are handled")
	verdicts = {crash["verdict"] for crash in fresh(host)["crashes"]}
	expect(verdicts <= {"cleared"}, f"verdicts: {verdicts}")


def test_heap_that_glibc_finds_broken(test):
	host = started(test, "crasher")
	sent(host, "crasher/call", "good", 0)
	sent(host, "crasher/call", "bad", "heap")
	calm(host)
	expect_equal(set(crashed_letters(host)), {("bad", "crasher", "1.0.0")}, "dead letters")
	expect_equal(fresh(host)["crashes"][0]["cause"], "SIGABRT", "glibc's abort")


def test_a_function_that_exits(test):
	"""exit() is told by its own handler; _exit() only by the note, and by the trial."""
	host = started(test, "crasher")
	sent(host, "crasher/call", "exits", "exit")
	calm(host)
	expect_equal(set(crashed_letters(host)), {("exits", "crasher", "1.0.0")}, "dead letters")
	expect_equal(fresh(host)["crashes"][0]["cause"], "exit(1)", "cause")


def test_equal_messages_are_convicted_one_by_one(test):
	"""Several with one payload at one address, of one epoch and of others: each verdict is durable before the next of them runs,
	so each costs three deaths, and what stands between them is handled."""
	host = started(test)
	poison = ("bad", {"crash": "segv"})
	given(test, host, ("bad", {"add": 1}), *[poison] * 3, ("bad", {"add": 4}), poison, ("bad", {"add": 2}))
	calm(host)
	letters = [letter for letter in host.dead() if letter["code"] == "crashed"]
	expect_equal([letter["payload"] for letter in letters], [poison[1]] * 4, "dead letters")
	expect_equal([(crash["verdict"], crash["deaths"], crash["alone"]) for crash in fresh(host)["crashes"]], [("dead", 3, 2)] * 4,
		"no death after a verdict")
	expect_equal(host.values("test/play", "bad")["count"], 7, "what came before, between and behind them")


def test_equal_records_are_convicted_one_by_one(test):
	"""The same of records that kill their router."""
	host = started(test, "crasher")
	records = [msgpack.packb(line) for line in ("before", "boom", "boom", "between", "boom", "behind")]
	producer = Producer(host.socket, records, test.random, ingress="crasher")
	producer.start()
	producer.finish(60)
	calm(host)
	expect_equal(len([letter for letter in host.dead() if letter["code"] == "crashed"]), 3, "dead letters")
	expect_equal([(crash["verdict"], crash["deaths"], crash["alone"]) for crash in fresh(host)["crashes"]], [("dead", 3, 2)] * 3,
		"no death after a verdict")
	expect_equal([host.values("crasher/call", id)["count"] for id in ("before", "between", "behind")], [1, 1, 1], "the others")


def test_a_thread_of_a_plugin_names_its_image_and_no_message(test):
	host = started(test, "crasher")
	for how, cause in (("thread", "SIGSEGV"), ("thread abort", "SIGABRT")):
		before = fresh(host)["worker_pid"]
		try:
			with host.rpc(timeout=20) as rpc:
				rpc.send("crasher/call", "starter", how)
		except (Closed, OSError):
			pass
		wait_until(lambda: another_worker(host, before), 20, "the worker died")
		crash = fresh(host)["crashes"][0]
		expect_equal([crash[key] for key in ("plugin", "verdict", "cause")], ["crasher", "image", cause], how)
		expect("function" not in crash, "no message is blamed")
	calm(host)
	expect_equal(host.dead(), [], "dead letters")


def test_a_crash_in_a_pool_thread(test):
	"""Plugin, function and address are named; the work is not run again: its address is told that nobody knows, and goes on."""
	host = started(test, "errand", settings={"operations.limit_ms": 500})
	trace = test.dir / "trace"
	ways = (("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "exit(1)"), ("hang", "500 ms of wall time"))
	for how, cause in ways:
		before = fresh(host)["worker_pid"]
		wish = {"name": how, "starts": 1, "waits": True, "crash": how, "trace": str(trace)}
		try:
			with host.rpc(timeout=20) as rpc:
				rpc.send("errand/run", f"bad-{how}", wish)
		except (Closed, OSError):
			pass  # work begins once the message is durable, and may be quicker than its answer
		wait_until(lambda: another_worker(host, before), 20, f"the worker died of {how}")
		calm(host)
		status = fresh(host)
		crash = status["crashes"][0]
		expect_equal([crash.get(key) for key in ("plugin", "version", "function", "id", "verdict", "cause", "in")],
			["errand", "1.0.0", "errand/run", f"bad-{how}", "image", cause, "work"], how)
		expect(f'in=work function=errand/run id="bad-{how}"' in host.errors(), "the log")
		state = host.values("errand/run", f"bad-{how}")
		expect_equal((state["unknown"], state["order"]), (1, f"m{how} r{how}"), "its address was told")
	expect_equal(trace.stat().st_size, len(ways), "each was begun once")
	expect_equal(host.dead(), [], "dead letters")
	shown = subprocess.run([test.find("sofun"), "--data", host.data, "status"], capture_output=True, text=True, check=True).stdout
	expect("in errand 1.0.0 (work), an operation of errand/run bad-segv: image\n" in shown, shown)
	host.stop()
	host.start()
	expect_equal([crash["id"] for crash in fresh(host)["crashes"]], [f"bad-{how}" for how, _ in reversed(ways)], "remembered")


def test_a_plugin_that_kills_the_process_convicts_nobody(test):
	"""SIGKILL looks the same whoever sent it."""
	host = started(test, "crasher")
	before = fresh(host)["worker_pid"]
	try:
		with host.rpc(timeout=20) as rpc:
			rpc.send("crasher/call", "killer", "kill")
	except (Closed, OSError):
		pass
	wait_until(lambda: another_worker(host, before), 20, "the worker died")
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["verdict"], crash["cause"]), ("outside", "SIGKILL"), "the verdict")
	expect("plugin" not in crash and host.dead() == [], "nobody is blamed")


def test_a_record_that_kills_its_router(test):
	"""The position goes past it; the records around it are counted once."""
	host = started(test, "crasher")
	records = [f"l{number}" for number in range(50)]
	records[20] = "boom"
	with_producer = Producer(host.socket, [msgpack.packb(record) for record in records], test.random, ingress="crasher", name="lines")
	with_producer.start()
	with_producer.finish(60)
	calm(host)
	letters = host.dead()
	expect_equal([(letter["to"], letter["id"], letter["code"], letter["payload"]) for letter in letters],
		[("ingress/crasher", "lines", "crashed", "boom")], "dead letters")
	expect_equal(sorted(host.dump("crasher/call").items()),
		sorted((record, {"count": 1}) for record in records if record != "boom"), "counts")
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["ingress"], crash["producer"], crash["verdict"], crash["in"]), ("crasher", "lines", "dead", "router"), "status")


def test_an_abort_in_on_expire(test):
	"""By a sweep, and ahead of a message that met the idle instance: the end is the culprit, told once, and it ended all the same."""
	host = started(test, "mayfly_2", settings={"retry.backoff_ms": 300, "retry.factor": 1, "retry.attempts": 8})
	sent(host, "test/mayfly", "met", [666, None, None])
	sent(host, "test/mayfly", "met", True)
	wait_until(lambda: fresh(host)["crashes"], 20, "a death")
	sent(host, "test/mayfly", "met", [5, None, None])
	calm(host)
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["function"], crash["id"], crash["verdict"]), ("test/mayfly", "met", "dead"), "status")
	expect(2 <= crash["deaths"] <= 3, f"two deaths alone convict, behind one in company: {crash}")
	sent(host, "test/mayfly", "swept", [666, None, None])
	wait_until(lambda: seen(lambda: "swept" in [letter["id"] for letter in host.dead()]), 20, "the other letter")
	calm(host)
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["id"], crash["verdict"]), ("swept", "dead"), "status")
	expect(2 <= crash["deaths"] <= 3, f"two deaths alone convict, behind one in company: {crash}")
	expect_equal(crashed_letters(host), [(id, "mayfly", "2.0.0") for id in ("met", "swept")], "dead letters")
	expect_equal([letter["id"] for letter in host.dead() if letter["code"] != "crashed"], ["met"], "the message that fails")
	wait_until(lambda: seen(lambda: host.ids("test/mayfly") == []), 20, "all ended, what came after the crashes, too")


def test_an_abort_in_fini(test):
	"""The row `retired` is durable before fini: the next life has the plugin out, and serves."""
	host = started(test, "crasher_fini")
	with host.rpc() as rpc:
		expect_equal(rpc.call("crasher/call", "one", 0), 1, "the count")
	before = fresh(host)["worker_pid"]
	try:
		host.http.json("DELETE", "/v1/plugins/crasher_fini")
	except OSError as error:  # the answer dies with the worker
		test.note(f"unload: {type(error).__name__}")
	except http.client.HTTPException as error:
		test.note(f"unload: {type(error).__name__}")
	wait_until(lambda: another_worker(host, before), 20, "the worker died")
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["plugin"], crash["in"], crash["verdict"]), ("crasher_fini", "fini", "image"), "the culprit")
	expect_equal([plugin["name"] for plugin in fresh(host)["plugins"]], [], "it is out")
	expect_equal(host.dead(), [], "dead letters")
	other = started(test, "crasher_fini")
	with other.rpc() as rpc:
		expect_equal(rpc.call("crasher/call", "one", 0), 1, "the count")
	other.stop()  # it dies in its last fini: the end is what was asked for
	other.start()
	expect_equal((fresh(other)["recovered"], other.values("crasher/call", "one")["count"]), ("crash", 1), "nothing is lost")


def test_the_same_message_again_is_judged_anew(test):
	"""A verdict is for one message, once: who sends it again may have repaired what was wrong."""
	host = started(test)
	for round in (1, 2):
		given(test, host, ("bad", {"crash": "segv"}))
		calm(host)
		expect_equal(crashed_letters(host), [("bad", "play", "1.0.0")] * round, "dead letters")
		expect_equal([crash["deaths"] for crash in fresh(host)["crashes"]], [3] * round, "deaths")


def test_suspicion_outlives_the_started_process(test):
	"""Killed between the deaths of its worker, the next host goes on where the count stood."""
	host = started(test)
	for number in range(20):  # a kill that comes too late finds it convicted
		id = f"bad{number}"
		try:
			with host.rpc(timeout=20) as rpc:
				rpc.send("test/play", id, {"crash": "abort"})
		except (Closed, OSError):
			pass
		wait_until(lambda: fresh(host)["suspects"] or convicted(host, id), 20, "a suspect")
		host.kill()
		host.start()
		status = fresh(host)
		if status["in_flight"] == 0 and not convicted(host, id):
			break
		calm(host)
	expect_equal([suspect["id"] for suspect in status["suspects"]], [id], "the suspect is known")
	given(test, host, (id, {"crash": "abort"}))
	calm(host)
	expect_equal([letter for letter in crashed_letters(host) if letter[0] == id], [(id, "play", "1.0.0")], "dead letters")
	expect_equal(fresh(host)["crashes"][0]["deaths"], 3, "it is one count")


def test_two_messages_convict_a_new_version(test):
	"""Nothing to go back to: it is quarantined, its messages wait, and nobody is charged; the repaired one handles them."""
	host = started(test, settings={"crash.probation_ms": 60000})
	given(test, host, *((f"g{number}", {"add": 1}) for number in range(10)))
	for id in ("one", "two"):
		try:
			with host.rpc(timeout=20) as rpc:
				rpc.send("test/play", id, {"crash": "abort"})
		except (Closed, OSError):
			pass
	wait_until(lambda: any("quarantined" in refused["found"] + str(refused) for refused in fresh(host)["refused"])
		or any(plugin["state"] == "quarantined" for plugin in fresh(host)["plugins"]), 30, "play is quarantined")
	expect_equal(host.dead(), [], "dead letters")
	expect("plugin_quarantined name=play" in host.errors(), "the log names it")
	worker = fresh(host)["worker_pid"]
	with host.rpc() as rpc:
		rpc.send("test/play", "g1", {"add": 1})
	expect_equal(fresh(host)["worker_pid"], worker, "the host lives")
	wait_until(lambda: not fresh(host)["suspects"], 10, "nobody is suspected any more")
	expect(fresh(host)["in_flight"] >= 1, "its messages wait")


def test_a_new_version_that_crashes_is_rolled_back(test):
	"""Two messages in its probation: the version before is back, by itself, in one restart, and the messages are not charged."""
	host = started(test, settings={"crash.probation_ms": 60000})
	given(test, host, *((f"g{number}", {"add": 1}) for number in range(10)))
	host.drop("play", test.plugin("next/play"))
	wait_until(lambda: any(plugin["version"] == "1.1.0" and plugin["state"] == "live" for plugin in fresh(host)["plugins"]), 20, "1.1.0 is live")
	calm(host)
	for id in ("one", "two"):
		try:
			with host.rpc(timeout=20) as rpc:
				rpc.send("test/play", id, {"crash": "segv"})
		except (Closed, OSError):
			pass
	wait_until(lambda: any(plugin["version"] == "1.0.0" and plugin["state"] == "live" for plugin in fresh(host)["plugins"]), 30, "1.0.0 is back")
	expect("plugin_rollback" in host.errors() and "from=1.1.0 to=1.0.0" in host.errors(), "the log")
	given(test, host, *((f"g{number}", {"add": 1}) for number in range(10)))
	calm(host)
	expect_equal([host.values("test/play", f"g{number}")["count"] for number in range(10)], [2] * 10, "counts")
	expect_equal(host.dead(), [], "dead letters")
	wait_until(lambda: not fresh(host)["suspects"], 10, "nobody is suspected any more")


def test_an_abort_in_migrate(test):
	"""The message that met the state is judged, alone, and named; what else there is moves to the new schema."""
	host = started(test, None)
	http_post = lambda path, body: Http(host.control, timeout=60).post(path, body)
	http_post("/v1/plugins", {"path": str(test.find("fixtures/moving.so"))})
	for id, text in (("bad", "crash"), ("good", "fine")):
		http_post(f"/v1/functions/test/moving/{id}", 7)
		http_post(f"/v1/functions/test/moving/{id}", text)
	http_post("/v1/plugins", {"path": str(test.find("fixtures/moving_2.so"))})
	wait_until(lambda: any(plugin["version"] == "2.0.0" and plugin["state"] == "live" for plugin in fresh(host)["plugins"]), 30, "2.0.0 is live")
	sent(host, "test/moving", "bad", 1)
	calm(host)
	letters = host.dead()
	expect_equal({(letter["id"], letter["code"], letter["version"]) for letter in letters}, {("bad", "crashed", "2.0.0")}, "dead letters")
	crash = fresh(host)["crashes"][0]
	expect_equal((crash["in"], crash["id"], crash["cause"]), ("migrate", "bad", "SIGABRT"), "the culprit")
	expect_equal(http_post("/v1/functions/test/moving/good", {})[:3], [2, 7, "fine"], "the other instance")


def test_an_abort_in_a_migration_in_the_background(test):
	"""It costs one restart: the next pass leaves that instance alone, and moves the rest."""
	host = started(test, None)
	http_post = lambda path, body: Http(host.control, timeout=60).post(path, body)
	http_post("/v1/plugins", {"path": str(test.find("fixtures/moving.so"))})
	for number in range(30):
		http_post(f"/v1/functions/test/moving/i{number}", 1)
	http_post("/v1/functions/test/moving/i7", "crash")
	http_post("/v1/plugins", {"path": str(test.find("fixtures/moving_2.so"))})
	wait_until(lambda: any(plugin["version"] == "2.0.0" and plugin["state"] == "live" for plugin in fresh(host)["plugins"]), 30, "2.0.0 is live")

	def left():
		try:
			http_post("/v1/plugins/moving/migrate", {})
		except (OSError, http.client.HTTPException, HttpError):
			pass  # it dies over it, or a pass is under way
		return {row["schema"]: row["instances"] for row in fresh(host)["schemas"]}
	wait_until(lambda: left() == {1: 1, 2: 29}, 30, "all but one are migrated")
	crashes = wait_until(lambda: fresh(host)["crashes"], 30, "the death that the last one caused")
	expect_equal([(crash["id"], crash["in"], crash["deaths"]) for crash in crashes], [("i7", "migrate", 1)], "one death")
	expect_equal(host.dead(), [], "dead letters")


def poisoned(test, program, kinds):
	"""Puts a record that crashes behind random others; gives their ids."""
	ids = []
	for number, kind in enumerate(kinds):
		id = f"poison{number}"
		ids.append(id)
		place = test.random.randrange(len(program.packed) // 4, len(program.packed))
		program.packed.insert(place, msgpack.packb({"id": id, "msg": {"add": 1, "crash": kind}}))
	return ids


def test_counts_are_exact_under_crashes(test):
	"""A stream of trees with poison in it, and SIGKILLs of the worker besides: every count is right, the dead are the poison."""
	for shards in test.by_scale([1, 2, 4], [1, 2, 4, 3]):
		host = started(test, settings={"retry.backoff_ms": 3}, shards=shards)
		program = Program(test.random, test.by_scale(8000, 100000), Shape(retry=0.01))
		kinds = [test.random.choice(["segv", "abort", "stack", "loop"]) for _ in range(test.by_scale(4, 12))]
		poison = poisoned(test, program, kinds)
		producer = Producer(host.socket, program.packed, test.random)
		producer.start()
		producer.finish(200)
		calm(host)
		counts, emits, _ = program.expected()
		got, gaps = play_counts(host)
		expect(got == counts, f"counts: {difference(got, counts)}")
		expect_equal(gaps, {}, "order")
		numbers = emitted_numbers(host.egress("play"))
		expect(numbers == emits, f"egress: {difference(tally(numbers), tally(emits))}")
		expect_equal(sorted((letter["id"], letter["code"]) for letter in host.dead()), sorted((id, "crashed") for id in poison), "dead letters")
		test.note(f"{shards} shards, {program.messages} messages: {', '.join(kinds)}; {host.errors().count(' crash ')} deaths")
		host.stop()


if __name__ == "__main__":
	harness.main(globals())
