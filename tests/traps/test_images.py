#!/usr/bin/python3
"""What becomes of plugin files: refusals with their words, verdicts that are kept, the directory as inbox and the store as
truth (INVARIANTS 31 to 33)."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import Http, HttpError
from traps_lib import (call, fixture, images_add_up, load, load_refused, mapped, plain_build, refused, tree, unload,
	wait_refused)

REFUSALS = (
	("init_fails", "no licence was found", "init returned 7"),
	("init_crashes", "in its init", "SIGSEGV"),
	("descriptor_none", "descriptor", "sofun_plugin_descriptor"),
	("descriptor_magic", "magic", "12345678"),
	("descriptor_major", "another ABI", "ABI 2.1"),
	("descriptor_minor", "another ABI", "ABI 1.99"),
	("descriptor_small", "too small", "size 16"),
	("descriptor_version", "differ", "1.0.1"),
	("manifest_none", "no manifest", ".sofun.manifest"),
	("manifest_minor", "another ABI", "ABI 1.99"),
	("manifest_word", "manifest", "marvel new/word"),
)


def test_refusals_say_what_was_found(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	before = host.status()["images"]
	for name, words, found in REFUSALS:
		error = load_refused(host, fixture(test, name))
		expect(words in error["message"] and found in error["found"], f"{name}: {error}")
		expect_equal(refused(host, f"{name}.so")["found"], error["found"], f"{name} is shown")
	expect_equal(tree(host), ["counter.so"], "nothing refused lies in the plugins directory")
	expect_equal(host.status()["images"], before, "images")
	expect_equal([path.name.split("-")[0] for path in (host.data / "images").iterdir()], ["counter"], "copies")
	expect_equal(call(host, "demo/counter", payload=1), 1, "the live one")


def test_the_same_refusals_by_dropping(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	for name, _, _ in REFUSALS:
		host.drop(name, fixture(test, name))
	for name, words, found in REFUSALS:
		error = wait_refused(host, f"{name}.so")
		expect(error["code"] == "refused" and words in error["message"] and found in error["found"], f"{name}: {error}")
	(host.plugins_dir() / "init_fails.so").unlink()
	wait_until(lambda: refused(host, "init_fails.so") is None, 20, "a refusal goes with its file")


def test_beside_a_live_version(test):
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "plain"))
	call(host, "trap/plain")
	error = load_refused(host, fixture(test, "plain_other_bytes"))
	expect("other bytes" in error["message"] and "version" in error["hint"], error)
	answer = load(host, fixture(test, "plain"))
	expect_equal((answer["state"], answer["version"]), ("live", "1.0.0"), "the same bytes: nothing happens")
	expect_equal(host.status()["images"]["loaded"], 1, "images")
	expect_equal(call(host, "trap/plain"), 2, "the live one")
	answer = load(host, fixture(test, "plain_newer"))
	expect_equal((answer["state"], answer["version"]), ("live", "1.1.0"), "a newer one goes live")
	expect_equal(call(host, "trap/plain"), 3, "with the state")


def test_a_newer_version_after_an_unload(test):
	"""State goes on, values may be added behind the old ones; what would misread it is refused."""
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "plain"))
	call(host, "trap/plain")
	unload(host, "plain")
	error = load_refused(host, fixture(test, "plain_schema"))
	expect("schema 2" in error["found"] and "schema 1" in error["expected"], error)
	error = load_refused(host, fixture(test, "plain_values"))
	expect("value 0: total str" in error["found"] and "calls int" in error["expected"], error)
	expect_equal(load(host, fixture(test, "plain_newer"))["version"], "1.1.0", "version")
	expect_equal(call(host, "trap/plain"), 2, "its state")
	expect_equal(host.values("trap/plain", "a"), {"calls": 2, "note": "noted"}, "with the new value")
	unload(host, "plain")
	load(host, fixture(test, "plain"))  # one that knows fewer leaves the others alone
	expect_equal(call(host, "trap/plain"), 3, "its state")
	expect_equal(host.values("trap/plain", "a"), {"calls": 3, "note": "noted"}, "with the value that it does not know")


def test_a_type_belongs_to_one_plugin(test):
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "plain"))
	error = load_refused(host, fixture(test, "plain_thief"))
	expect("trap/plain" in error["message"] and "thief" in error["found"] and "plain" in error["expected"], error)
	unload(host, "plain")
	load_refused(host, fixture(test, "plain_thief"))  # its state is still there
	host.stop()
	host.restart()
	load_refused(host, fixture(test, "plain_thief"))


def test_a_judged_file_is_not_tried_again_by_itself(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	host.drop("init_hangs", fixture(test, "init_hangs"))  # ten seconds, each time that it is tried
	error = wait_refused(host, "init_hangs.so", 40)
	expect("hung in its init" in error["message"], error)
	start = time.monotonic()
	host.stop()
	host.restart()
	expect(time.monotonic() - start < 8, "the restart did not try it")
	expect_equal(refused(host, "init_hangs.so")["message"], error["message"], "shown again, in the same words")
	shutil.copyfile(fixture(test, "init_hangs"), host.plugins_dir() / "again.so")
	start = time.monotonic()
	wait_refused(host, "again.so")
	expect(time.monotonic() - start < 8, "the same bytes under another name were not tried")


def test_a_load_tries_again(test):
	"""An explicit load is a new trial: this one passes once what it asks for is there."""
	host = Host(test, plugins=()).start()
	for _ in range(2):
		load_refused(host, fixture(test, "init_fails"))
	error = raised(HttpError, lambda: load(host, "/nowhere/x.so"))
	expect_equal((error.status, error.code), (404, "not_found"), "no such file")


def test_what_killed_the_host_is_quarantined(test):
	"""The row `attempting` is durable before init; the supervisor knows what its worker died of, and one death is enough."""
	plain_build(test)
	for name, cause in (("init_kills_host", "SIGABRT"), ("init_exits", "exit code 0")):
		host = Host(test, plugins=("counter",)).start()
		host.drop(name, fixture(test, name))
		for round in range(2):
			error = wait_until(lambda: refused(host, f"{name}.so"), 20, "the plugin is refused")
			expect("quarantined" in error["message"] and cause in error["found"], error)
			expect_equal(call(host, "demo/counter", "q"), call(host, "demo/counter", "q") - 1, "the other plugin")
			crash = host.status()["crashes"][0]
			expect_equal([crash[key] for key in ("plugin", "in", "cause")], [name, "init", cause], "the culprit")
			wait_until(lambda: host.status()["crashes"][0]["verdict"] == "spared", 10, "the verdict is durable")
			host.stop()
			host.start()
		(host.plugins_dir() / f"{name}.so").unlink()
		wait_until(lambda: refused(host, f"{name}.so") is None, 20, "the refusal went with the file")


ATTEMPTS_MAX = 32  # host/registry/inside.h


def test_a_sigkill_while_it_is_loaded_is_tried_again(test):
	"""A kill, or the machine that wants its memory back, convicts nobody. Only a long row of them is no chance."""
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	host.drop("init_sigkill", fixture(test, "init_sigkill"))
	for _ in range(ATTEMPTS_MAX):
		wait_until(lambda: "cause=\"SIGKILL\" verdict=outside" in host.errors(), 30, "the plugin kills the worker")
		host.kill()
		host.spawn()
	host.wait_ready()
	error = refused(host, "init_sigkill.so")
	expect("quarantined" in error["message"] and f"{ATTEMPTS_MAX} times" in error["found"], error)
	expect_equal(call(host, "demo/counter", payload=1), 1, "the other plugin")


def test_a_kill_while_it_is_staged_convicts_nobody(test):
	"""At any instant between the drop and the life, by SIGKILL or SIGTERM: the next start takes it up again."""
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	for round in range(test.by_scale(15, 300)):
		host.drop("plain", fixture(test, "plain"))
		time.sleep(test.random.uniform(0.08, 0.25))  # the instant under test
		(host.kill if round % 2 else host.stop)()
		host.start()
		host.wait_live("plain")
		expect_equal(host.status()["refused"], [], f"refused after round {round}")
		expect_equal(sorted(path.name.split("-")[0] for path in (host.data / "images").iterdir()), ["counter", "plain"], "copies")
		expect_equal(call(host, "trap/plain"), round + 1, "its state")
		unload(host, "plain")


# ---- the directory is an inbox ----

def test_a_short_absence_is_none(test):
	host = Host(test, plugins=("counter",)).start()
	target = host.plugins_dir() / "counter.so"
	content = target.read_bytes()
	target.unlink()
	time.sleep(0.5)  # the absence under test
	target.write_bytes(content)
	time.sleep(3)  # longer than a removal takes to count
	expect_equal(host.plugin("counter")["state"], "live", "after half a second's absence")
	expect_equal(host.status()["images"], {"loaded": 1, "unloaded": 0, "stuck": 0}, "images")


def test_a_renamed_file_is_the_same_plugin(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	(host.plugins_dir() / "counter.so").rename(host.plugins_dir() / "zaehler.so")
	wait_until(lambda: host.plugin("counter")["file"] == "zaehler.so", 20, "the new name is shown")
	time.sleep(2.5)  # longer than a removal takes to count
	expect_equal(host.plugin("counter")["state"], "live", "state")
	(host.plugins_dir() / "zaehler.so").unlink()
	wait_until(lambda: host.plugin("counter") is None, 20, "and its removal unloads")


def test_a_folder_that_goes_away_unloads_nothing(test):
	"""Moved aside, exchanged for an empty one, put back: as when a file system is unmounted."""
	plain_build(test)
	host = Host(test, plugins=("counter", "play")).start()
	folder, aside = host.plugins_dir(), host.data / "aside"
	folder.rename(aside)
	time.sleep(3)  # longer than a removal takes to count
	expect_equal(len(host.status()["plugins"]), 2, "without the folder")
	folder.mkdir()
	time.sleep(3)
	expect_equal({plugin["state"] for plugin in host.status()["plugins"]}, {"live"}, "with an empty one in its place")
	shutil.copyfile(fixture(test, "plain"), folder / "plain.so")
	host.wait_live("plain")
	shutil.rmtree(folder)
	aside.rename(folder)
	time.sleep(3)
	expect_equal(host.plugin("counter")["state"], "live", "with the old one again")
	(folder / "counter.so").unlink()
	wait_until(lambda: host.plugin("counter") is None, 20, "a removal from it counts again")


def test_other_names_do_not_count(test):
	host = Host(test, plugins=("counter",)).start()
	for name in (".hidden.so", "plugin.so.part", "README", "so"):
		shutil.copyfile(fixture(test, "plain"), host.plugins_dir() / name)
	(host.plugins_dir() / "folder.so").mkdir()
	host.drop("play")
	host.wait_live("play")
	expect_equal((len(host.status()["plugins"]), host.status()["refused"]), (2, []), "plugins and refusals")


def test_what_is_no_regular_file_does_not_hold_the_stage(test):
	host = Host(test, plugins=()).start()
	os.mkfifo(host.plugins_dir() / "pipe.so")
	(host.plugins_dir() / "nowhere.so").symlink_to("/nowhere/x.so")
	error = wait_refused(host, "pipe.so")
	expect("regular file" in error["expected"], error)
	host.drop("counter")
	host.wait_live("counter")


# ---- the store is the truth ----

def test_an_unloaded_plugin_is_dropped_anew(test):
	"""Its file went with it; the same bytes, with their old times, are a new drop."""
	plain_build(test)
	host = Host(test, plugins=()).start()
	source = fixture(test, "plain")
	for round in range(3):
		shutil.copy2(source, host.plugins_dir() / "plain.so")
		host.wait_live("plain")
		expect_equal(call(host, "trap/plain"), round + 1, "its state")
		unload(host, "plain")
		expect_equal(tree(host), [], "the plugins directory after the unload")
		if round == 1:
			host.stop()
			host.restart()
			expect_equal(host.status()["plugins"], [], "after a restart")


def test_a_version_dropped_while_the_host_was_down(test):
	"""The live one comes back first; then the changed file is an event: a swap."""
	host = Host(test, plugins=()).start()
	shutil.copyfile(fixture(test, "plain"), host.plugins_dir() / "plain.so")
	host.wait_live("plain")
	host.stop()
	shutil.copyfile(fixture(test, "plain_newer"), host.plugins_dir() / "plain.so")
	host.drop("counter")
	host.start()
	expect_equal((host.plugin("plain")["version"], host.plugin("plain")["state"]), ("1.1.0", "live"), "the changed file")
	expect("name=plain version=1.1.0 canary=none percent=0 before=1.0.0" in host.errors(), "what was live was there before")
	expect_equal(host.plugin("counter")["state"], "live", "a new file")


def test_cleaning_spares_what_is_live(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	images = host.data / "images"
	live = {path.name for path in images.iterdir()}
	host.kill()
	(images / "counter-0.9.0-1-0123456789abcdef.so").write_bytes(b"old")
	(images / "rubbish").write_bytes(b"old")
	(host.plugins_dir() / ".counter.so.loading").write_bytes(b"old")
	host.restart()
	expect_equal({path.name for path in images.iterdir()}, live, "the directory of images")
	expect_equal(tree(host), ["counter.so"], "the plugins directory")


def test_a_damaged_copy_is_made_anew_from_the_directory(test):
	host = Host(test, plugins=("counter",)).start()
	call(host, "demo/counter", payload=41)
	host.kill()
	for copy in (host.data / "images").iterdir():
		copy.chmod(0o644)
		copy.write_bytes(copy.read_bytes()[:-100] + b"\0" * 100)
	host.restart()
	host.wait_live("counter")
	expect_equal(call(host, "demo/counter", payload=1), 42, "its state")


def test_a_live_plugin_that_cannot_be_loaded_parks(test):
	"""Its copy is gone, and so is the user's file: its messages wait, it is shown, and a load heals it."""
	host = Host(test, plugins=("counter",)).start()
	call(host, "demo/counter", payload=41)
	host.kill()
	for copy in (host.data / "images").iterdir():
		copy.unlink()
	(host.plugins_dir() / "counter.so").unlink()
	host.restart()
	plugin = host.plugin("counter")
	expect(plugin is not None and plugin["state"] == "refused", f"counter: {plugin}")
	expect(host.status()["refused"], "the reason is shown")
	expect_equal(images_add_up(host.status())["loaded"], 0, "images")
	with host.rpc() as rpc:
		waiting = rpc.request("call", {"to": "demo/counter", "id": "a", "payload": 1})
		wait_until(lambda: host.status()["in_flight"] == 1, 20, "the message waits")
		expect_equal(load(host, test.plugin("counter"))["state"], "live", "loaded anew")
		expect_equal(rpc.answer(waiting)["payload"], 42, "the call that waited")
	expect_equal(len(host.status()["plugins"]), 1, "one counter")


BACKOFF = {"retry.backoff_ms": 1500, "retry.backoff_ms_max": 1500}
STANDING = ("--test-clock", "1000000000000")  # what waits in backoff does so until the clock is moved


def test_a_drain_waits_for_what_was_accepted(test):
	"""A message in backoff is the old version's; who asks meanwhile is told, and what comes meanwhile waits for the next."""
	plain_build(test)
	host = Host(test, plugins=("play",), shards=2, settings=BACKOFF, flags=STANDING).start()
	answer = {}
	with host.rpc() as rpc:
		before = rpc.request("call", {"to": "test/play", "id": "a", "payload": {"fail_times": 1, "add": 5, "reply": True}})
		wait_until(lambda: host.status()["in_flight"] == 1, 10, "it waits in backoff")
		thread = threading.Thread(target=lambda: answer.update(Http(host.control).json("DELETE", "/v1/plugins/play")))
		thread.start()
		wait_until(lambda: host.plugin("play")["state"] == "draining", 10, "it drains")
		after = rpc.request("call", {"to": "test/play", "id": "b", "payload": {"add": 7, "reply": True}})
		def waits():
			waiting = host.plugin("play")["waiting_for"]
			return [(one["reason"], one["address"]) for one in waiting] == [("retry", "test/play/a")] and waiting
		waiting = wait_until(waits, 10, "what it waits for")
		expect(waiting[0]["since_ms"] > 0, f"{waiting}")
		images_add_up(host.status())
		error = raised(HttpError, lambda: unload(host, "play"))
		expect_equal((error.status, error.code), (409, "conflict"), "a second unload")
		error = raised(HttpError, lambda: load(host, test.plugin("play")))
		expect_equal((error.status, error.code), (409, "conflict"), "a load while it drains")
		host.http.post("/v1/clock", {"advance_ms": 1500})
		expect_equal(rpc.answer(before)["payload"], 5, "what was accepted before is answered")
		thread.join()
		expect_equal(answer["state"], "retired", "the unload's answer")
		expect_equal(host.status()["images"], {"loaded": 0, "unloaded": 1, "stuck": 0}, "images")
		expect_equal(host.status()["in_flight"], 1, "what came after the fence waits")
		load(host, test.plugin("play"))
		expect_equal(rpc.answer(after)["payload"], 7, "for the next version")


def test_a_file_dropped_while_its_plugin_drains_is_taken_afterwards(test):
	plain_build(test)
	host = Host(test, plugins=("play",), shards=2, settings=BACKOFF, flags=STANDING).start()
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"fail_times": 1, "add": 5})
		(host.plugins_dir() / "play.so").unlink()
		wait_until(lambda: host.plugin("play")["state"] == "draining", 10, "it drains")
		host.drop("play")
		host.drop("counter")
		host.wait_live("counter")  # so the one before it has been looked at, too, and was told to wait
		host.http.post("/v1/clock", {"advance_ms": 1500})
		wait_until(lambda: host.status()["images"]["unloaded"] == 1, 20, "the old image is gone")
		host.wait_live("play")
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 6, "its state")


def test_a_drain_goes_on_after_a_kill(test):
	plain_build(test)
	host = Host(test, plugins=("play",), shards=2, settings=BACKOFF, flags=STANDING).start()
	with host.rpc() as rpc:
		rpc.send("test/play", "a", {"fail_times": 1, "add": 5})
	wait_until(lambda: host.status()["in_flight"] == 1, 10, "it waits in backoff")
	epoch = host.status()["epoch"]
	(host.plugins_dir() / "play.so").unlink()
	wait_until(lambda: host.plugin("play")["state"] == "draining", 10, "it drains")
	wait_until(lambda: host.status()["epoch"] > epoch, 10, "the fence is durable")
	host.kill()
	host.start()
	expect_equal(host.plugin("play")["state"], "draining", "it still drains")
	host.http.post("/v1/clock", {"advance_ms": 1500})
	wait_until(lambda: host.plugin("play") is None, 30, "and then it is gone")
	expect_equal(host.values("test/play", "a"), {"count": 5}, "the old version did what was its own")
	host.stop()
	host.start()
	expect_equal(host.status()["plugins"], [], "and stays so")


def test_a_call_that_does_not_end_is_stuck_until_it_does(test):
	"""The drain has its deadline, 30 s; past it the image is shown as stuck, and who asked is told."""
	plain_build(test)
	if not test.full():
		raise Skip("takes 35 s; --scale=full")
	host = Host(test, plugins=("sleeper",), shards=1).start()
	with host.rpc() as rpc:
		call = rpc.request("call", {"to": "sleeper/nap", "id": "a", "payload": 34000, "timeout_ms": 60000})
		time.sleep(0.5)  # until the call runs: nothing shows it, for its epoch is open
		error = raised(HttpError, lambda: unload(host, "sleeper"))
		expect_equal((error.status, error.code), (408, "timeout"), "the unload's answer")
		expect_equal(host.plugin("sleeper")["state"], "stuck", "state")
		expect_equal(host.plugin("sleeper")["waiting_for"][0]["reason"], "running", "reason")
		images_add_up(host.status())
		expect_equal(rpc.answer(call)["payload"], 34000, "the call ended as if nothing was")
	wait_until(lambda: host.plugin("sleeper") is None, 20, "it is retired")
	expect_equal(host.status()["images"], {"loaded": 0, "unloaded": 1, "stuck": 0}, "images")


if __name__ == "__main__":
	harness.main(globals())
