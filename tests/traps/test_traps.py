#!/usr/bin/python3
"""The 19 traps of ABI-NOTES, each against the true binary. The number of the trap is in the test's name; README.md has the
table. A live plugin stands beside every refusal, and must not notice."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Skip, expect, expect_equal, wait_until
from lib.host import Host
from lib.http import Http, HttpError
from traps_lib import (call, fixture, images_add_up, load, load_refused, mapped, plain_build, refused, tree, unload,
	wait_refused)


def rename_in(host, path, name):
	shutil.copyfile(path, host.plugins_dir() / f".{name}.part")
	(host.plugins_dir() / f".{name}.part").rename(host.plugins_dir() / name)


# ---- 1 to 4: paths, names and inodes ----

def test_trap_01_one_path_many_files(test):
	"""Always the same user's path, by copy, hard link and symbolic link: always the new code, never the path itself."""
	plain_build(test)
	host = Host(test, plugins=()).start()
	target = host.plugins_dir() / "p.so"
	for round, name in enumerate(["plain", "plain_patch", "plain", "plain_patch"]):
		source = test.dir / f"source{round}.so"
		shutil.copyfile(fixture(test, name), source)
		staged = host.plugins_dir() / ".staged"
		(shutil.copyfile, os.link, os.symlink)[round % 3](source, staged)
		staged.rename(target)
		host.wait_live("plain")
		expect_equal(host.plugin("plain")["version"], "1.0.1" if name == "plain_patch" else "1.0.0", f"version in round {round}")
		expect_equal(call(host, "trap/plain"), round + 1, "state goes on")
		expect(all("/images/" in path for path in mapped(host)), f"mapped: {mapped(host)}")
		unload(host, "plain")
		expect_equal(mapped(host), set(), "mapped after the unload")
		if round == 0:
			expect_equal(tree(host), [], "the file went with its plugin")


def test_trap_02_names_are_never_used_twice(test):
	plain_build(test)
	host = Host(test, plugins=()).start()
	names = set()
	for _ in range(5):
		load(host, fixture(test, "plain"))
		names |= mapped(host)
		unload(host, "plain")
	expect_equal(len(names), 5, f"five loads of the same bytes have five names: {names}")
	host.stop()
	host.start()
	load(host, fixture(test, "plain"))
	expect_equal(len(names | mapped(host)), 6, "and a sixth after a restart")


def test_trap_03_images_are_files(test):
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "plain"))
	maps = Path(f"/proc/{host.worker}/maps").read_text()
	expect("memfd:" not in maps and "/proc/self/fd" not in maps, maps)
	images = list(mapped(host))
	expect_equal(len(images), 1, "one image")
	expect(Path(images[0]).name.startswith("plain-1.0.0-"), images[0])


def test_trap_04_writing_over_the_users_file(test):
	"""Overwritten in place or cut off, the user's file is not what runs."""
	host = Host(test, plugins=(), settings={"stage.patience_ms": 200}).start()
	target = host.plugins_dir() / "plain.so"
	shutil.copyfile(fixture(test, "plain"), target)
	host.wait_live("plain")
	with open(target, "r+b") as file:
		file.write(b"\xcc" * target.stat().st_size)
	expect_equal(call(host, "trap/plain"), 1, "after the overwriting")
	with open(target, "r+b") as file:
		file.truncate(100)
	expect_equal(call(host, "trap/plain"), 2, "after the truncation")
	wait_refused(host, "plain.so")
	expect_equal(host.plugin("plain")["state"], "live", "the live one is untouched")
	expect_equal(oct(Path(next(iter(mapped(host)))).stat().st_mode & 0o777), "0o444", "mode of the copy")


# ---- 5, 6: half of a file ----

def test_trap_05_cut_at_many_places(test):
	host = Host(test, plugins=("counter",), settings={"stage.patience_ms": 100}).start()
	whole = fixture(test, "plain").read_bytes()
	cuts = test.by_scale(53, 400)
	for number in range(1, cuts):
		(host.plugins_dir() / f"cut{number}.so").write_bytes(whole[:len(whole) * number // cuts])
	wait_until(lambda: len(host.status()["refused"]) == cuts - 1, 60, "all cut files are refused")
	for one in host.status()["refused"]:
		expect("incomplete" in one["message"], f"the words: {one}")
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")
	(host.plugins_dir() / "cut7.so").write_bytes(whole)
	host.wait_live("plain")
	expect(refused(host, "cut7.so") is None, "what became whole is not refused any more")


def test_trap_05_a_file_cut_off_at_the_start_does_not_hold_the_host(test):
	host = Host(test, plugins=("counter",), settings={"stage.patience_ms": 300})
	(host.plugins_dir() / "cut.so").write_bytes(fixture(test, "plain").read_bytes()[:5000])
	host.start()
	expect("incomplete" in refused(host, "cut.so")["message"], "judged before the ready line")
	expect_equal(host.plugin("counter")["state"], "live", "the good one is live")


def test_trap_06_zero_tails(test):
	"""Full length, but the end was not written yet: every size is right, and the loader would die of it."""
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	whole = fixture(test, "plain").read_bytes()
	spoiled = [whole[:len(whole) * number // 26].ljust(len(whole), b"\0") for number in range(1, 26)]
	# and a page here or there that was not written, as after a crash of the machine that copied it
	spoiled += [whole[:at] + b"\0" * 4096 + whole[at + 4096:] for at in range(4096, len(whole) - 4096, 4096)]
	killers = 0
	for number, content in enumerate(spoiled):
		path = test.dir / f"tail{number}.so"
		path.write_bytes(content)
		try:
			load(host, path)
			unload(host, "plain")  # only padding or debug information was lost
		except HttpError as error:
			expect_equal(error.code, "refused", f"{path.name}: {error}")
			killers += "probe" in error.error["message"]
	test.note(f"{killers} of {len(spoiled)} killed the probe, none the host")
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")


# ---- 7 to 10: what does not go, and what should not have stayed ----

def test_trap_07_what_stays_is_counted_and_named(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	for count, name in enumerate(["nodelete", "unique", "tls_destructor"], 1):
		load(host, fixture(test, name))
		expect_equal(call(host, f"trap/{name}"), 1, f"{name} answers")
		answer = unload(host, name)
		expect_equal(answer["state"], "stuck", f"{name} after its unload")
		images = images_add_up(host.status())
		expect_equal((images["loaded"], images["stuck"]), (1 + count, count), f"images after {name}")
		expect_equal(len(mapped(host)), images["loaded"], f"what is really mapped after {name}")
		expect(host.plugin(name)["waiting_for"][0]["reason"], "the reason is shown")
	load(host, fixture(test, "nodelete"))  # a new image beside the one that stays
	expect_equal(call(host, "trap/nodelete", "b"), 1, "the new one answers")
	images_add_up(host.status())
	host.stop()
	host.start()
	expect_equal(host.status()["images"], {"loaded": 2, "unloaded": 0, "stuck": 0}, "a restart lets go of them")


def test_trap_08_threads_left_behind(test):
	"""Of init: the probe refuses. Started later: the image stays, and the host with it."""
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	error = load_refused(host, fixture(test, "thread_left"))
	expect("threads" in error["message"], error)
	load(host, fixture(test, "thread_late"))
	call(host, "trap/thread_late")
	answer = unload(host, "thread_late")
	expect_equal(answer["state"], "stuck", "with its thread alive")
	expect("thread" in answer["waiting_for"][0]["reason"], answer)
	images_add_up(host.status())
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")
	load(host, fixture(test, "plain"))
	call(host, "trap/plain")
	expect_equal(unload(host, "plain")["state"], "retired", "another's thread keeps nobody else")


def test_trap_08_busy_shards_keep_nothing_mapped(test):
	"""The host's own threads, however busy, are no strays of a plugin's."""
	plain_build(test)
	host = Host(test, plugins=("counter",), shards=2).start()
	stop = threading.Event()

	def traffic():
		with host.rpc() as rpc:
			while not stop.is_set():
				numbers = [rpc.request("call", {"to": "demo/counter", "id": f"x{n}", "payload": 1}) for n in range(64)]
				for number in numbers:
					rpc.answer(number)

	threads = [threading.Thread(target=traffic) for _ in range(2)]
	for thread in threads:
		thread.start()
	try:
		for _ in range(10):
			load(host, fixture(test, "plain"))
			call(host, "trap/plain")
			expect_equal(unload(host, "plain")["state"], "retired", "under traffic")
		host.drop("sleeper")
		host.wait_live("sleeper")
	finally:
		stop.set()
		for thread in threads:
			thread.join()
	host.stop()
	host.start()  # the images of its recovery come before the shards
	expect_equal(unload(host, "counter")["state"], "retired", "an image of the recovery")
	expect_equal(host.status()["images"]["stuck"], 0, "stuck")


def test_trap_09_and_10_what_runs_after_the_unloading(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	for name, words in (("key_destructor", "thread-specific destructor"), ("atexit_crashes", "atexit"), ("fini_crashes", "fini")):
		error = load_refused(host, fixture(test, name))
		expect(words in error["message"], error)
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")
	expect_equal(host.status()["images"], {"loaded": 1, "unloaded": 0, "stuck": 0}, "images")
	host.stop()  # fini, no dlclose; exit code 0


# ---- 11 to 16: whose symbols ----

def test_trap_11_and_13_everybody_keeps_his_own_symbols(test):
	"""Both plugins export a function of the host's name and one of each other's."""
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "symbols_shared_a"))
	load(host, fixture(test, "symbols_shared_b"))
	expect_equal(call(host, "trap/shared_a"), 11, "a calls a's")
	expect_equal(call(host, "trap/shared_b"), 22, "b calls b's")
	exported = subprocess.run(["nm", "-D", "--defined-only", test.find("sofund")], capture_output=True, text=True).stdout
	ours = [line for line in exported.splitlines() if " T " in line and not line.split()[-1].startswith("_")]
	expect_equal(ours, [], "functions that sofund exports")


def test_trap_12_private_helpers(test):
	host = Host(test, plugins=("counter",)).start()
	expect("$ORIGIN" in load_refused(host, fixture(test, "helper_origin"))["found"], "RUNPATH")
	error = load_refused(host, fixture(test, "helper_beside/helper_beside"))
	expect("libtrap_helper.so" in error["found"] and "statically" in error["hint"], error)
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")


def test_trap_14_a_missing_symbol_shows_at_the_stage(test):
	host = Host(test, plugins=("counter",)).start()
	expect("trap_nobody_has_this" in load_refused(host, fixture(test, "symbol_missing"))["found"], "the symbol")
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")


def test_trap_15_initial_exec_tls(test):
	host = Host(test, plugins=("counter",)).start()
	expect("DF_STATIC_TLS" in load_refused(host, fixture(test, "tls_initial_exec"))["found"], "the flag")


def test_trap_16_no_namespaces(test):
	"""More images than dlmopen has namespaces, at once; and the host does not know the word."""
	undefined = subprocess.run(["nm", "-D", "--undefined-only", test.find("sofund")], capture_output=True, text=True).stdout
	expect("dlmopen" not in undefined, "sofund calls dlmopen")
	plain_build(test)
	host = Host(test, plugins=()).start()
	for _ in range(20):
		load(host, fixture(test, "nodelete"))
		unload(host, "nodelete")
	load(host, fixture(test, "plain"))
	expect_equal(call(host, "trap/plain"), 1, "the 21st image")
	expect_equal(images_add_up(host.status())["loaded"], 21, "mapped at once")


# ---- 17 to 19: where files lie, and how long ----

def test_trap_17_a_noexec_data_directory(test):
	if os.geteuid() != 0:
		raise Skip("mounting needs root")
	data = test.dir / "noexec"
	data.mkdir()
	script = (f"mount -t tmpfs -o noexec,size=64m none {data} 2>/dev/null || exit 77; "
		f"exec {test.find('sofund')} --data {data} --set durability=none")
	done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60)
	if done.returncode in (1, 77) and "noexec" not in done.stderr:
		raise Skip(f"no mount namespace here: {done.stderr.strip()}")
	expect_equal(done.returncode, 3, f"exit code ({done.stderr})")
	expect("noexec" in done.stderr, done.stderr)


def test_trap_18_the_copy_lives_as_long_as_its_image(test):
	plain_build(test)
	host = Host(test, plugins=()).start()
	load(host, fixture(test, "plain"))
	(image,) = mapped(host)
	expect(Path(image).exists(), "debuggers find the file")
	expect(Path(image).name.count("-") == 3, f"name, version, generation, hash: {image}")
	unload(host, "plain")
	wait_until(lambda: not Path(image).exists(), 10, "the copy of a retired image is gone")


def test_trap_19_kept_images(test):
	host = Host(test, plugins=("counter",), flags=("--keep-images",)).start()
	answer = unload(host, "counter")
	expect_equal(answer["state"], "stuck", "under --keep-images")
	expect(any("counter-1" in path for path in mapped(host)), "it stays mapped")
	images = images_add_up(host.status())
	expect_equal((images["loaded"], images["stuck"]), (1, 1), "images")
	load(host, test.plugin("counter"))
	expect_equal(call(host, "demo/counter", payload=1), 1, "a new image beside it")


# ---- what holds at every moment ----

def test_images_add_up_at_every_moment(test):
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	stop = threading.Event()
	wrong = []

	def watch():
		http = Http(host.control)
		while not stop.is_set():
			try:
				images_add_up(http.get("/v1/status"))
			except Exception as error:
				wrong.append(error)
				return

	watcher = threading.Thread(target=watch)
	watcher.start()
	for _ in range(test.by_scale(20, 300)):
		load(host, fixture(test, "plain"))
		load_refused(host, fixture(test, "init_fails"))
		unload(host, "plain")
	stop.set()
	watcher.join()
	expect(not wrong, f"{wrong}")
	expect_equal(host.status()["images"], {"loaded": 1, "unloaded": test.by_scale(20, 300), "stuck": 0}, "at the end")
	expect_equal(len(mapped(host)), 1, "what is really mapped")


def test_inspect_runs_nothing(test):
	"""The constructor of this one aborts whoever loads it."""
	done = subprocess.run([test.find("bin/sofun"), "--json", "inspect", fixture(test, "constructor_aborts")],
		capture_output=True, text=True)
	expect_equal(done.returncode, 0, f"exit ({done.stderr})")
	expect('"name":"constructor_aborts"' in done.stdout.replace(" ", ""), done.stdout)
	expect('"trap/constructor_aborts"' in done.stdout, done.stdout)
	plain_build(test)
	host = Host(test, plugins=("counter",)).start()
	expect("loaded" in load_refused(host, fixture(test, "constructor_aborts"))["message"], "refused by the host")
	expect_equal(call(host, "demo/counter", payload=1), 1, "the host lives")


if __name__ == "__main__":
	harness.main(globals())
