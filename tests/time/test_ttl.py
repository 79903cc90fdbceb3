#!/usr/bin/python3
"""When state ends by itself: times that plugins declare, settings above them, the command above both; changed on state that is
there already, exact to the reader from that moment on. Versions of the fixture `mayfly`; time is --test-clock's."""

import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, raised, wait_until
from lib.http import HttpError
from lib.mayfly import TYPE, call, clock, ended, expires, filed, load, settings, started, ttl, values

YEAR_MS = 365 * 86400 * 1000


# ---- from none to some, shorter, longer, and back to none ----

def test_a_setting_ends_state_that_was_never_touched_since(test):
	host = started(test)
	for id in ("a", "b", "c"):
		call(host, id, 1, "m", "n")
	clock(host, 500)
	expect_equal(settings(host, idle_ttl_ms=1000)["changed"][0]["to"], f"{TYPE}.idle_ttl_ms: 1000", "what was changed")
	expect_equal(expires(host, "a"), {"*": 1500}, "time counts from when it was introduced")
	clock(host, 1000)
	expect_equal(call(host, "b", 1), [1, "m", "n"], "one that is touched meanwhile")
	filed(host)
	clock(host, 1499)
	expect_equal((values(host, "a")["count"], ended(host)), (1, []), "a millisecond before")
	clock(host, 1500)
	expect_equal((values(host, "a"), host.ids(TYPE)), ({}, ["b"]), "then")
	expect_equal(sorted(ended(host)), [("a", [1, "m", "n"]), ("c", [1, "m", "n"])], "and each was told of, without a message")
	expect_equal(call(host, "a", 5), [0, "", ""], "the next message finds nothing")
	clock(host, 2000)
	expect_equal(host.ids(TYPE), ["a"], "b ends by its last touch")
	host.kill()
	host.start()
	expect_equal(expires(host, "a"), {}, "a request's setting is gone with the host")
	clock(host, 10_000)
	expect_equal(values(host, "a"), {"count": 5}, "and with it the end")


def test_a_time_is_made_shorter_and_longer(test):
	host = started(test)
	ttl(host, idle_ttl_ms=YEAR_MS)
	for id in ("a", "b", "c"):
		call(host, id, 1)
	clock(host, 1000)
	call(host, "b", 1)
	ttl(host, idle_ttl_ms=600)
	expect_equal(host.ids(TYPE), ["b"], "what is too old for the shorter time is gone at once")
	expect_equal(call(host, "c", 1), [0, "", ""], "for messages, too")
	ttl(host, idle_ttl_ms=3000)
	filed(host)
	expect_equal(sorted(id for id, _ in ended(host)), ["a", "c"], "what ended is told of, although nobody asked")
	clock(host, 2000)
	expect_equal((expires(host, "b"), expires(host, "c")), ({"*": 4000}, {"*": 4000}), "longer")
	ttl(host, idle_ttl_ms=0)
	clock(host, 5000)
	expect_equal(sorted(host.ids(TYPE)), ["b", "c"], "never")
	call(host, "d", 1)
	ttl(host, idle_ttl_ms=4500)
	expect_equal((expires(host, "b"), expires(host, "d")), ({"*": 5500}, {"*": 9500}), "times were kept all along")
	filed(host)
	clock(host, 9500)
	expect_equal(host.ids(TYPE), [], "and ends")
	expect_equal(sum(payload[0] for _, payload in ended(host)), 1 + 1 + 2 + 1 + 1, "all that was counted was told once")


def test_a_value_ends_by_itself(test):
	host = started(test)
	call(host, "a", 1, "m", "n")
	settings(host, values={"mark": {"expire_after_write_ms": 100}, "note": {"expire_after_invoke_ms": 50}})
	expect_equal(expires(host, "a"), {"mark": 100, "note": 50}, "introduced")
	clock(host, 49)
	expect_equal(call(host, "a", 1), [1, "m", "n"], "before")
	clock(host, 99)
	expect_equal((values(host, "a"), expires(host, "a")), ({"count": 2, "mark": "m"}, {"mark": 100}), "the one is unset")
	clock(host, 100)
	expect_equal(call(host, "a", 1, "again", "again"), [2, "", ""], "then both")
	ttl(host, values={"mark": {"expire_after_write_ms": 10}})
	expect_equal(expires(host, "a"), {"mark": 110, "note": 150}, "shorter")
	clock(host, 109)
	expect_equal(values(host, "a")["mark"], "again", "a millisecond before")
	clock(host, 110)
	expect("mark" not in values(host, "a"), "then")
	ttl(host, values={"mark": {"expire_after_write_ms": None}})
	expect_equal(values(host, "a").get("mark"), None, "what has ended does not come back")
	clock(host, 200)
	expect_equal(values(host, "a"), {"count": 3}, "swept, without a message")


def test_a_longer_time_wakes_nothing_that_has_ended(test):
	host = started(test)
	ttl(host, idle_ttl_ms=1000, values={"mark": {"expire_after_write_ms": 100}})
	call(host, "a", 1, "m", "n")
	clock(host, 99)
	call(host, "b", 1, "m")
	host.http.json("DELETE", "/v1/plugins/mayfly")  # nobody sweeps
	clock(host, 1050)
	expect_equal((values(host, "a"), values(host, "b")), ({}, {"count": 1}), "ended")
	ttl(host, idle_ttl_ms=10_000, values={"mark": {"expire_after_write_ms": 10_000}})
	expect_equal((values(host, "a"), values(host, "b")), ({}, {"count": 1}), "and so with longer times")
	ttl(host, idle_ttl_ms=0, values={"mark": {"expire_after_write_ms": 0}})
	host.kill()
	host.restart(shards=4)
	expect_equal((values(host, "a"), values(host, "b"), host.ids(TYPE)), ({}, {"count": 1}, ["b"]), "and without any")
	load(host, "mayfly")
	expect_equal((call(host, "a", 1), call(host, "b", 1)), ([0, "", ""], [1, "", ""]), "for messages, too")
	wait_until(lambda: ended(host) == [("a", [1, "", "n"])], 20, "and the sweep")
	clock(host, 50_000)
	expect_equal((values(host, "a"), values(host, "b")), ({"count": 1}, {"count": 2}), "what is new stays")


# ---- who has the last word ----

def word(host, key="idle_ttl_ms"):
	shown = ttl(host)[key]
	return [shown[who] for who in ("ms", "plugin", "settings", "command")]


def test_the_command_wins_over_settings_and_they_over_the_plugin(test):
	host = started(test, "mayfly_2")
	expect_equal(word(host), [1000, 1000, None, None], "as the plugin has it")
	expect_equal(ttl(host)["values"]["mark"]["expire_after_write_ms"]["ms"], 100, "a value's")
	settings(host, idle_ttl_ms=2000)
	expect_equal(word(host), [2000, 1000, 2000, None], "with a setting")
	ttl(host, idle_ttl_ms=3000, values={"mark": {"expire_after_write_ms": 7}})
	expect_equal(word(host), [3000, 1000, 2000, 3000], "with the command's word")
	call(host, "a", 1, "m")
	host.kill()
	host.start()
	expect_equal(word(host), [3000, 1000, None, 3000], "after a kill")
	expect_equal(expires(host, "a"), {"*": 3000, "mark": 7}, "of the instance")
	load(host, "mayfly_3")
	expect_equal(word(host), [3000, 1000, None, 3000], "with a new version")
	call(host, "a", 1)
	expect_equal(expires(host, "a"), {"*": 3000, "mark": 7}, "in another schema")
	host.http.post("/v1/config", {f"functions.{TYPE}.idle_ttl_ms": 500})
	ttl(host, clear=True)
	expect_equal(word(host), [500, 1000, 500, None], "taken back")
	host.http.post("/v1/config", {f"functions.{TYPE}.idle_ttl_ms": None})
	expect_equal(word(host), [1000, 1000, None, None], "and the setting")


def test_the_command_sofun_ttl(test):
	host = started(test)
	call(host, "a", 1, "m")
	sofun = [str(test.find("sofun")), "--data", str(host.data)]

	def run(*arguments, exit=0):
		done = subprocess.run([*sofun, *arguments], capture_output=True, timeout=60)
		expect_equal(done.returncode, exit, f"exit code of {arguments}: {done.stderr.decode()}")
		return done.stdout.decode() + done.stderr.decode()

	expect("idle" in run("ttl", TYPE), "the table")
	run("ttl", TYPE, "--idle", "5000", "--value", "mark", "--after-write", "100")
	expect_equal(expires(host, "a"), {"*": 5000, "mark": 100}, "expires")
	expect("5000 ms" in run("ttl", TYPE), "the time stands in the table")
	run("ttl", TYPE, "--idle", "never")
	expect_equal(word(host), [0, 0, None, 0], "never")
	run("ttl", TYPE, "--idle", "default")
	expect_equal(word(host), [0, 0, None, None], "default")
	expect("expires at" not in run("state", TYPE, "a"), "sofun state, without idle")
	run("ttl", TYPE, "--clear", "--idle", "60000")
	expect("expires at" in run("state", TYPE, "a"), "sofun state")
	expect_equal(expires(host, "a"), {"*": 60000}, "after --clear")
	run("ttl", TYPE, "--idle", "soon", exit=2)
	run("ttl", TYPE, "--value", "mark", exit=2)
	run("ttl", TYPE, "--after-write", "1", exit=2)
	run("ttl", TYPE, "--value", "nothing", "--after-write", "1", exit=4)
	run("ttl", "no/type", exit=4)


def test_what_is_no_time_is_refused(test):
	host = started(test)
	for body in ({}, {"idle_ttl_ms": -1}, {"idle_ttl_ms": "1000"}, {"idle_ttl_ms": 10 ** 15}, {"values": []}, {"clear": 1},
			{"values": {"mark": 5}}, {"values": {"mark": {"idle": 5}}}, {"values": {"mark": {"expire_after_write_ms": 1.5}}}):
		error = raised(HttpError, lambda: host.http.post(f"/v1/ttl/{TYPE}", body))
		expect_equal((error.status, error.code), (400, "bad_request"), f"answer to {body}")
	for body in ({"functions": {TYPE: {"idle": 5}}}, {"functions": {"mayfly": {"idle_ttl_ms": 5}}},
			{"functions": {TYPE: {"idle_ttl_ms": "soon"}}}, {"functions": {TYPE: {"values": {"Mark": {"expire_after_write_ms": 1}}}}}):
		error = raised(HttpError, lambda: host.http.post("/v1/config", body))
		expect_equal((error.status, error.code), (400, "bad_request"), f"answer to {body}")
	expect_equal(ttl(host)["idle_ttl_ms"]["ms"], 0, "nothing was changed")


def check_config(test, text):
	path = test.dir / "checked.yaml"
	path.write_text(text)
	done = subprocess.run([str(test.find("sofund")), "--check-config", "--config", str(path)], capture_output=True, timeout=60)
	return done.returncode, done.stderr.decode() + done.stdout.decode()


def test_the_file_and_sighup(test):
	code, text = check_config(test, f"shards: 2\nfunctions:\n  {TYPE}:\n    idle_ttl_ms: soon\n")
	expect(code == 2 and "checked.yaml:4:18: " in text, f"a wrong time is refused with its place: {text}")
	code, text = check_config(test, f"functions:\n  {TYPE}:\n    values:\n      mark: {{expire_after_writ_ms: 5}}\n")
	expect(code == 2 and "checked.yaml:4:14: " in text, f"an unknown key is refused with its place: {text}")
	code, text = check_config(test, f'functions: {{"{TYPE}": {{idle_ttl_ms: 5, values: {{mark: {{expire_after_write_ms: 5}}}}}}}}\n')
	expect_equal(code, 0, f"a good one: {text}")
	host = started(test)
	call(host, "a", 1, "m")
	path = host.data / "sofun.yaml"
	path.write_text(f"functions:\n  {TYPE}:\n    idle_ttl_ms: 1000\n    values:\n      mark: {{expire_after_write_ms: 200}}\n")
	host.process.send_signal(signal.SIGHUP)
	wait_until(lambda: expires(host, "a") == {"*": 1000, "mark": 200}, 20, "the file is read")
	settings(host, idle_ttl_ms=3000)
	path.write_text("")
	host.process.send_signal(signal.SIGHUP)
	wait_until(lambda: expires(host, "a") == {"*": 3000}, 20, "a request wins over the file, and the rest is gone")
	path.write_text(f"functions.{TYPE}.idle_ttl_ms: 5000\n")
	clock(host, 100)
	host.kill()
	host.start()
	expect_equal(expires(host, "a"), {"*": 5000}, "at a start, of what was introduced before")


def without_effect(host):
	return {row["key"]: row["why"] for row in host.status()["settings_without_effect"]}


def warned(host):
	return host.errors().count("setting_without_effect")


def test_a_setting_that_nobody_declares_is_shown(test):
	host = started(test)
	expect_equal((without_effect(host), warned(host)), ({}, 0), "none")
	type_key, value_key = "functions.test/maifly.idle_ttl_ms", f"functions.{TYPE}.values.marc.expire_after_write_ms"
	(host.data / "sofun.yaml").write_text(f"{type_key}: 1000\n{value_key}: 5\nfunctions.{TYPE}.idle_ttl_ms: 700\n")
	host.process.send_signal(signal.SIGHUP)
	shown = wait_until(lambda: without_effect(host), 20, "shown")
	expect_equal(shown, {type_key: "no plugin has declared the function type",
		value_key: "no version of the function has declared the value"}, "which, and why")
	wait_until(lambda: warned(host) == 2, 20, "said in the log")
	printed = subprocess.run([test.find("bin/sofun"), "--control", host.control, "status"], check=True, capture_output=True, text=True).stdout
	expect(f"setting without effect: {type_key}: no plugin has declared" in printed, printed)
	host.kill()
	host.start()
	wait_until(lambda: warned(host) == 2, 20, "at a start, once plugins are known")
	settings(host, all={"test/fickle": {"idle_ttl_ms": 5}})
	expect_equal(len(without_effect(host)), 3, "one of a plugin that comes later")
	load(host, "fickle")
	expect_equal(set(without_effect(host)), {type_key, value_key}, "that one has come")


# ---- versions ----

def test_a_new_version_has_other_times(test):
	host = started(test)
	call(host, "a", 1, "m", "n")
	call(host, "b", 2, "m", "n")
	clock(host, 300)
	load(host, "mayfly_2")
	expect_equal(expires(host, "a"), {"*": 1300, "mark": 400, "note": 350}, "introduced by a version")
	filed(host)
	clock(host, 1300)
	expect_equal((host.ids(TYPE), sorted(ended(host))), ([], [("a", [1, "", ""]), ("b", [2, "", ""])]), "ended, values first")
	call(host, "c", 1)
	host.http.post("/v1/plugins/mayfly/rollback", {})
	wait_until(lambda: host.plugin("mayfly")["version"] == "1.0.0", 20, "the version before is live")
	expect_equal(expires(host, "c"), {}, "which has no times")
	clock(host, 9000)
	expect_equal(host.ids(TYPE), ["c"], "nothing ends")


def test_a_migration_is_no_write_and_wakes_nothing_that_has_ended(test):
	host = started(test, "mayfly_2")
	clock(host, 1000)
	for id in ("a", "b", "c"):
		call(host, id, 1, "m", "n")
	clock(host, 1040)
	call(host, "c", 1, None, None)
	load(host, "mayfly_3")
	expect_equal(expires(host, "a"), {"*": 2000, "mark": 1100, "note": 1050}, "of a schema before")
	clock(host, 1060)
	expect_equal(call(host, "a", 1), [1, "m", ""], "migrated by a message: what had ended is not carried over")
	expect_equal(expires(host, "a"), {"*": 2060, "mark": 1100}, "and the mark keeps its time")
	host.http.post("/v1/plugins/mayfly/migrate", {})
	wait_until(lambda: host.http.get(f"/v1/state/{TYPE}/c")["schema"] == 2, 20, "migrated in the background")
	expect_equal((values(host, "b"), expires(host, "b")), ({"count": 1, "mark": "m"}, {"*": 2000, "mark": 1100}), "untouched by that")
	expect_equal(expires(host, "c"), {"*": 2040, "mark": 1100, "note": 1090}, "one whose note lives")
	clock(host, 1100)
	expect_equal([values(host, id) for id in "abc"], [{"count": 2}, {"count": 1}, {"count": 2}], "all marks end in time")
	clock(host, 2000)
	expect_equal(host.ids(TYPE), ["a", "c"], "and instances")


def test_while_no_version_is_live_readers_see_the_end_and_the_sweep_waits(test):
	host = started(test, "mayfly_2")
	call(host, "a", 1, "m", "n")
	clock(host, 500)
	call(host, "b", 2, "m", "n")
	host.http.json("DELETE", "/v1/plugins/mayfly")
	clock(host, 550)
	expect_equal(values(host, "b"), {"count": 2, "mark": "m"}, "a value that has ended")
	clock(host, 1000)
	expect_equal((values(host, "a"), host.ids(TYPE)), ({}, ["b"]), "an instance that has ended")
	ttl(host, idle_ttl_ms=600)
	clock(host, 1100)
	expect_equal((values(host, "b"), host.ids(TYPE)), ({}, []), "by a time that was changed meanwhile")
	expect_equal(ended(host), [], "nobody was told")
	host.kill()
	host.start()
	expect_equal((host.ids(TYPE), ended(host)), ([], []), "after a kill")
	load(host, "mayfly")
	wait_until(lambda: len(ended(host)) == 2, 20, "the sweep goes on with the next version")
	expect_equal(sorted(ended(host)), [("a", [1, "", ""]), ("b", [2, "", ""])], "and what has ended stays so")


# ---- the sweep ----

def test_entries_are_made_again_across_kills(test):
	host = started(test)
	ttl(host, idle_ttl_ms=YEAR_MS)
	number = test.by_scale(3000, 100_000)
	with host.rpc() as rpc:
		for first in range(0, number, 500):
			rpc.ingest("mayfly", "p", first + 1, [[f"i{index}", [1, None, None]] for index in range(first, first + 500)])
	host.barrier()
	ttl(host, idle_ttl_ms=1000)
	for _ in range(3):
		host.kill()
		host.restart(shards=test.random.choice([1, 2, 4]))
	filed(host)
	clock(host, 1000)
	expect_equal(len(ended(host)), number, "instances that ended, each once")
	metrics = host.metrics()
	expect_equal(host.ids(TYPE), [], "instances that are left")
	expect_equal(metrics[f'sofun_expired_total{{function="{TYPE}"}}'], number, "counted")


def test_an_on_expire_that_fails_is_tried_again_then_a_dead_letter(test):
	host = started(test, "mayfly_2", settings={"retry.backoff_ms": 5, "retry.attempts": 3})
	call(host, "a", 13)
	call(host, "b", 14)
	clock(host, 1000)
	expect_equal((ended(host), host.ids(TYPE)), ([("b", [14, "", ""])], []), "the other one ended; nobody sees this one")
	clock(host, 2000)
	dead = host.dead()
	expect_equal([(letter["id"], letter["code"], letter["reason"], letter["attempts"]) for letter in dead],
		[("a", "expire_failed", "thirteen", 3)], "the dead letter")
	expect_equal(call(host, "a", 1), [0, "", ""], "it ended all the same")


if __name__ == "__main__":
	harness.main(globals())
