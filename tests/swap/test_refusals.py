#!/usr/bin/python3
"""Every way a stage can fail, as a newer version of a plugin that is live and under traffic: the live version goes on as if nothing had
been, nothing of the refused one stays, and the refusal says in one line each what was found, what was expected and what to do."""

import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "traps"))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.rpc import Closed, RpcError
from traps_lib import fixture, images_add_up, load, load_refused

# What is refused → a word of its refusal.
NEWER = {
	"constructor_aborts": "loaded", "init_fails": "no licence was found", "init_crashes": "", "fini_crashes": "", "thread_left": "thread",
	"key_destructor": "", "atexit_crashes": "", "symbol_missing": "trap_nobody_has_this", "tls_initial_exec": "DF_STATIC_TLS",
	"helper_origin": "$ORIGIN", "manifest_minor": "1.99", "manifest_word": "marvel", "descriptor_none": "", "descriptor_magic": "",
	"descriptor_major": "2", "descriptor_minor": "99", "descriptor_small": "16", "descriptor_version": "1.0.1",
}
SLOW = {"init_hangs": ""}  # ten seconds until the probe gives up
PLAIN = {"plain_other_bytes": "other bytes", "plain_schema": "", "plain_values": "", "plain_thief": "plain"}
KILLERS = ("init_kills_host", "init_exits", "init_sigkill")  # they pass the probe, and end the host when it runs them


class Traffic(threading.Thread):
	"""Calls to both live plugins without a pause, and records to the router of one; every call must be answered."""

	def __init__(self, host, survives=False):
		super().__init__(daemon=True)
		self.host, self.survives = host, survives
		self.stopped, self.failure = False, None
		self.calls, self.records = 0, 0

	def run(self):
		try:
			while not self.stopped:
				try:
					self._stream()
				except (Closed, TimeoutError):
					if not self.survives:
						raise
		except Exception as error:  # raised by whoever ends it
			self.failure = error

	def _stream(self):
		with self.host.rpc() as rpc:
			self.records = rpc.position("plain", "p")
			while not self.stopped:
				expect_equal(rpc.call("trap/target", f"t{self.calls % 7}"), 1, "the live version's answer")
				rpc.ingest("plain", "p", self.records + 1, [b"one"])
				self.records += 1
				self.calls += 1

	def end(self):
		self.stopped = True
		self.join(20)
		expect(self.failure is None, f"the traffic: {self.failure!r}")


def started(test, survives=False):
	host = Host(test, plugins=(), shards=2).start()
	for name in ("target", "plain"):
		load(host, fixture(test, name))
	traffic = Traffic(host, survives)
	traffic.start()
	wait_until(lambda: traffic.calls > 10, 10, "traffic")
	return host, traffic


def seen(host):
	"""What a refusal must leave as it was."""
	status = host.status()
	return ({(row["name"], row["version"], row["state"], row["share_percent"], row["content_hash"]) for row in status["plugins"]},
		status["images"], {path.name for path in (host.data / "images").iterdir()}, {path.name for path in host.plugins_dir().iterdir()})


def damaged(test, host):
	"""Files that are no plugins, made of the one that is: (name, bytes)."""
	whole = fixture(test, "plain_newer").read_bytes()
	machine = bytearray(whole)
	machine[18] = 0xB7  # another processor
	yield from (("empty", b""), ("text", b"#!/bin/sh\necho no plugin\n" * 50), ("half", whole[:len(whole) // 2]),
		("head", whole[:200]), ("zero_tail", whole[:len(whole) // 3] + bytes(len(whole) - len(whole) // 3)), ("machine", bytes(machine)))


def refusals(test, host):
	"""(path, word) of each."""
	for name, word in NEWER.items():
		yield fixture(test, f"newer/{name}"), word
	for name, word in PLAIN.items():
		yield fixture(test, name), word
	for name, content in damaged(test, host):
		path = test.dir / f"{name}.so"
		path.write_bytes(content)
		yield path, ""
	for name, word in SLOW.items() if test.full() else ():
		yield fixture(test, f"newer/{name}"), word


def test_each_refusal_leaves_the_live_version_alone(test):
	test.need_plain_build("crash fixtures would show the sanitizer's report")
	host, traffic = started(test)
	before, refused = seen(host), 0
	for path, word in refusals(test, host):
		calls = traffic.calls
		error = load_refused(host, path)
		expect(word in " ".join(error.values()), f"{path.name}: {error}")
		expect_equal(seen(host), before, f"after {path.name}")
		images_add_up(host.status())
		wait_until(lambda: traffic.calls > calls, 10, f"the traffic goes on after {path.name}")
		refused += 1
	done = subprocess.run([test.find("bin/sofun"), "--data", host.data, "load", fixture(test, "newer/init_fails")], capture_output=True, text=True)
	expect_equal((done.returncode, done.stdout), (5, ""), "the command's exit")
	expect("no licence was found" in done.stderr and done.stderr.count("\n") == 1, f"one line: {done.stderr}")
	traffic.end()
	host.barrier()
	expect_equal(host.values("trap/plain", "one")["calls"], traffic.records, "each record was counted once")
	expect_equal(host.dead(), [], "dead letters")
	shown = {row["file"] for row in host.status()["refused"]}
	test.note(f"{refused} refusals, {traffic.calls} calls and records meanwhile; {len(shown)} are shown")
	expect({f"{name}.so" for name in NEWER} <= {Path(file).name for file in shown}, f"each is shown: {shown}")
	host.kill()
	host.restart()
	expect_equal(seen(host)[0], before[0], "after a restart")


def test_a_version_that_ends_the_host_leaves_the_live_version_alone(test):
	"""It costs a restart and no more: what was live is live, and the file is not tried again."""
	test.need_plain_build("crash fixtures would show the sanitizer's report")
	host, traffic = started(test, survives=True)
	before = seen(host)[0]
	for name in KILLERS if test.full() else KILLERS[:2]:
		calls = traffic.calls
		host.drop(name, fixture(test, f"newer/{name}"))
		row = wait_until(lambda: _refused(host, f"{name}.so"), 60, f"{name} is refused")
		for field in ("message", "found", "expected", "hint"):
			expect(row.get(field) and "\n" not in row[field], f"{field} in one line: {row}")
		wait_until(lambda: traffic.calls > calls + 10, 20, f"the traffic goes on after {name}")
		expect_equal(seen(host)[0], before, f"after {name}")
	traffic.end()
	host.barrier()
	expect_equal(host.values("trap/plain", "one")["calls"], traffic.records, "each record was counted once")
	expect_equal(host.dead(), [], "dead letters")


def _refused(host, file):
	try:
		return next((row for row in host.status()["refused"] if row["file"] == file), None)
	except OSError:
		return None


if __name__ == "__main__":
	harness.main(globals())
