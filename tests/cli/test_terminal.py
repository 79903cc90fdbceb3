#!/usr/bin/python3
"""The command on a terminal: tables that fit, colour only there, the bar that survives a host restart, `top`, and completion
with names from the host."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, Failed, expect, expect_equal, patient, wait_until
from lib.host import Host
from lib.http import Http

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
	"""A program whose stdin, stdout and stderr are a terminal of so many columns."""

	def __init__(self, arguments, columns=80, rows=24):
		self.master, child = pty.openpty()
		fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
		self.process = subprocess.Popen([str(word) for word in arguments], stdin=child, stdout=child, stderr=child, start_new_session=True)
		os.close(child)
		self.shown = ""
		self.reader = threading.Thread(target=self._read, daemon=True)
		self.reader.start()

	def _read(self):
		while True:
			try:
				data = os.read(self.master, 65536)
			except OSError:  # the other end is closed
				return
			if not data:
				return
			self.shown += data.decode(errors="replace")

	def wait_for(self, pattern, deadline_s=20):
		try:
			wait_until(lambda: re.search(pattern, self.shown), deadline_s)
		except Failed:
			raise Failed(f"not on the screen within {patient(deadline_s)} s: {pattern}, but {self.shown[-500:]!r}") from None

	def type(self, text):
		os.write(self.master, text.encode())

	def end(self, deadline_s=30):
		"""The exit code, once it has ended by itself."""
		code = self.process.wait(patient(deadline_s))
		self.reader.join(patient(5))
		os.close(self.master)
		return code

	def lines(self):
		return ESCAPE.sub("", self.shown).replace("\r", "").splitlines()


def started(test, plugins=("counter", "play"), **more):
	host = Host(test, plugins=plugins, **more).start()
	for name in plugins:
		host.wait_live(name)
	return host, [str(test.find("bin/sofun")), "--data", str(host.data)]


def test_a_table_fits_the_terminal(test):
	host, sofun = started(test, settings={"retry.attempts": 1})
	for i in range(3):
		subprocess.run([*sofun, "call", "test/play", f"{'éx' * 40}{i}", json.dumps({"fail": "because " * 30})], capture_output=True)
	for columns in (60, 100, 200):
		terminal = Terminal([*sofun, "dead"], columns=columns)
		expect_equal(terminal.end(), 0, "exit")
		lines = terminal.lines()
		expect_equal(len(lines), 5 if columns == 60 else 4, f"a head and three letters: {lines}")
		expect(all(len(line) <= columns for line in lines), f"no line is longer than {columns}: {lines}")
		expect(all("…" in line and "\ufffd" not in line for line in lines[1:4]), f"what is cut says so, and no character is: {lines}")
	number = host.dead()[0]["number"]
	terminal = Terminal([*sofun, "dead", "show", str(number)], columns=60)
	expect_equal(terminal.end(), 0, "exit")
	expect("because " * 30 in terminal.shown.replace("\r\n", ""), "one letter is shown whole")
	whole = subprocess.run([*sofun, "dead"], capture_output=True, text=True).stdout
	expect("because " * 30 in whole.replace("…", "?") and "…" not in whole, "nothing is cut where nobody looks")


FIGURES = ["FUNCTION", "VERSION", "SHARE", "MESSAGES", "/S", "FAILED AT FIRST", "RETRIES", "EXHAUSTED", "P50 MS", "P99 MS"]
TOP = ["FUNCTION", "VERSION", "IN/S", "OUT/S", "EMIT/S", "FAIL/S", "RETRY/S", "P50 MS", "P99 MS", "WAIT", "IDS"]


def heads_whole(lines, heads, columns):
	"""The heads of the table's first line, each whole; those that are left out are named below, and no others are."""
	head = next(line for line in lines if line.startswith("FUNCTION "))
	shown = re.split(r" {2,}", head.rstrip())
	expect(set(shown) <= set(heads), f"each head is whole: {head}")
	expect_equal(shown, [name for name in heads if name in shown], "in their order")
	omitted = [name for name in heads if name not in shown]
	told = [line for line in lines if line.startswith("left out for want of room: ")]
	expect(not omitted or f"left out for want of room: {', '.join(omitted)}"[:columns - 1] in [line.rstrip("…") for line in told],
		f"what is left out is named: {omitted}, {told}")
	return shown


def test_heads_are_never_cut(test):
	host, sofun = started(test)
	for id in "abc":
		host.rpc().call("demo/counter", id, 1)
	for columns in (40, 60, 80, 100, 160):
		terminal = Terminal([*sofun, "versions", "counter"], columns=columns)
		expect_equal(terminal.end(), 0, "exit")
		lines = terminal.lines()
		expect(all(len(line) <= columns for line in lines), f"no line is longer than {columns}: {lines}")
		shown = heads_whole(lines, FIGURES, columns)
		if columns >= 60:
			expect(any(line.startswith("demo/counter  1.0.0") for line in lines), f"the function's name is whole: {lines}")
		expect({"FUNCTION", "VERSION", "FAILED AT FIRST"} <= set(shown), f"what matters most is there: {shown}")
		expect(columns < 160 or shown == FIGURES, f"all of it where there is room: {shown}")
		terminal = Terminal([*sofun, "top", "--interval", "0.1", "--count", "1"], columns=columns)
		expect_equal(terminal.end(), 0, "exit")
		lines = ESCAPE.sub("\n", terminal.shown).replace("\r", "").splitlines()
		shown = heads_whole(lines, TOP, columns)
		expect({"FUNCTION", "IN/S", "FAIL/S"} <= set(shown), f"what matters most is there: {shown}")
		expect(columns < 80 or all(len(line) <= columns for line in lines), f"no line is longer than {columns}: {lines}")
	piped = subprocess.run([*sofun, "versions", "counter"], capture_output=True, text=True).stdout
	expect_equal(re.split(r" {2,}", next(line for line in piped.splitlines() if line.startswith("FUNCTION ")).rstrip()), FIGURES,
		"all of it where nobody looks")


def test_colour_on_a_terminal_only(test):
	host, sofun = started(test)
	on_terminal = lambda *words: (lambda terminal: (terminal.end(), terminal.shown)[1])(Terminal([*sofun, *words]))
	piped = lambda *words: subprocess.run([*sofun, *words], capture_output=True, text=True)
	expect("\x1b[1m" in on_terminal("status"), "a head on a terminal")
	expect("\x1b" not in on_terminal("status", "--color", "never"), "never")
	expect("\x1b" not in piped("status").stdout, "no colour in a pipe")
	expect("\x1b[1m" in piped("status", "--color=always").stdout, "always")
	expect("\x1b[31m" in on_terminal("call", "no/such", "1"), "an error on a terminal")
	expect("\x1b" not in piped("call", "no/such", "1").stderr, "an error in a pipe")
	expect_equal(piped("status", "--color", "green").returncode, 2, "exit for a wrong word")
	environment = dict(os.environ, NO_COLOR="1", CLICOLOR_FORCE="1")
	done = subprocess.run([*sofun, "status"], capture_output=True, text=True, env=environment)
	expect("\x1b" not in done.stdout, "the environment is not read")


def test_the_bar_survives_a_host_restart(test):
	host, sofun = started(test)
	total = 30000
	file = test.dir / "lines"
	file.write_bytes(b"".join(b"id-%d\n" % (i % 100) for i in range(total)))
	terminal = Terminal([*sofun, "ingest", "counter", file, "--producer", "p", "--rate", total // 4, "--patience", "60"], columns=70)
	terminal.wait_for(r"\[#+\.+\] +\d+ %  \d+ records  \d+/s  \d+ s left")
	host.kill()
	terminal.wait_for("trying again")
	host.start()
	expect_equal(terminal.end(60), 0, f"exit: {terminal.lines()[-3:]}")
	expect(f"accepted {total} " in terminal.shown, f"the result: {terminal.lines()[-3:]}")
	drawn = re.findall(r"\r\x1b\[K([^\r\n]*)", terminal.shown)[:-1]  # behind the last one stands the result
	expect(len(drawn) > 10 and all(len(line) < 70 for line in drawn), f"no line of the bar wraps: {max(drawn, key=len)}")
	subprocess.run([*sofun, "wait"], check=True, capture_output=True)
	counts = [values["count"] for values in host.dump("demo/counter").values()]
	expect_equal((len(counts), set(counts)), (100, {total // 100}), "each counted once")


DRAINING = {"retry.backoff_ms": 200, "retry.factor": 1, "retry.attempts": 40, "plugins.policy": "manual"}


def draining(test, fail_times):
	"""Two versions of play, and messages of the first that are done one after the other: each fails so many times."""
	host, sofun = started(test, plugins=("play",), settings=DRAINING, flags=("--test-clock", "1000000000000"))
	subprocess.run([*sofun, "load", str(test.plugin("next/play"))], check=True, capture_output=True)
	with host.rpc() as rpc:
		for number, times in enumerate(fail_times):
			rpc.send("test/play", f"i{number}", {"fail_times": times, "add": 1})
	return host, sofun


class Ticks(threading.Thread):
	"""Time goes on, so that what is in backoff has its next attempt: once the command has been seen to wait for it."""

	def __init__(self, host):
		super().__init__()
		self.http, self.over = Http(host.control), threading.Event()

	def __enter__(self):
		self.start()

	def __exit__(self, *_):
		self.over.set()
		self.join()

	def run(self):
		while not self.over.wait(0.2):
			self.http.post("/v1/clock", {"advance_ms": 200})


def bar_until_gone(host, words, gone):
	"""The command shows less and less of what is left, and returns when the version has gone."""
	terminal = Terminal(words, columns=78)
	terminal.wait_for(rf"\[#*\.+\] +{re.escape(gone)} drains  \d+ left  \d+/s")
	with Ticks(host):
		expect_equal(terminal.end(60), 0, f"exit: {terminal.lines()[-3:]}")
	drawn = re.findall(r"\r\x1b\[K([^\r\n]*)", terminal.shown)
	left = [int(number) for number in re.findall(r"(\d+) left", " ".join(drawn))]
	expect(left == sorted(left, reverse=True) and left[0] >= 4 and len(set(left)) > 2, f"less and less: {left}")
	expect(all(len(line) < 78 for line in drawn), f"no line of the bar wraps: {max(drawn, key=len)}")
	expect(not any(plugin["drain"] for plugin in host.status()["plugins"]), "it returned when the version had gone")


def test_the_bar_of_a_drain(test):
	host, sofun = draining(test, range(4, 12))
	bar_until_gone(host, [*sofun, "swap", "play", "1.1.0"], "1.0.0")
	terminal = Terminal([*sofun, "rollback", "play"])  # only what runs is waited for: there is nothing to see
	expect_equal((terminal.end(60), terminal.lines()[0][:15]), (0, "live play 1.0.0"), "rollback")
	with host.rpc() as rpc:
		for number in range(4, 12):
			rpc.send("test/play", f"u{number}", {"fail_times": number, "add": 1})
	bar_until_gone(host, [*sofun, "unload", "play"], "1.0.0")
	expect_equal(host.status()["plugins"], [], "unloaded")


def test_a_drain_where_there_is_no_terminal(test):
	host, sofun = draining(test, range(3, 14, 2))
	run = lambda *words: subprocess.run([*sofun, *words], capture_output=True, text=True, check=True).stdout
	lines = run("swap", "play", "1.1.0").splitlines()
	expect(lines[0].startswith("live play 1.1.0") and re.match(r"play 1.0.0 drains: [1-6] left, on shard 0: \d+, 1: \d+$", lines[1]), f"{lines}")
	expect_equal(len(lines), 2, f"it does not wait: {lines}")
	with Ticks(host):
		wait_until(lambda: not any(plugin["drain"] for plugin in host.status()["plugins"]), 30, "the old version has gone")
	with host.rpc() as rpc:
		for number in range(3, 14, 2):
			rpc.send("test/play", f"j{number}", {"fail_times": number, "add": 1})
	swap = subprocess.Popen([*sofun, "swap", "play", "1.0.0", "--wait"], stdout=subprocess.PIPE, text=True)
	waited = [swap.stdout.readline(), swap.stdout.readline()]
	with Ticks(host):
		waited += swap.stdout.read().splitlines()
	expect_equal(swap.wait(patient(30)), 0, "exit")
	left = [int(re.search(r"drains: (\d+) left", line)[1]) for line in waited[1:]]
	expect(len(left) > 1 and left == sorted(left, reverse=True), f"a line now and then: {waited}")
	expect(not any(plugin["drain"] for plugin in host.status()["plugins"]), "it returned when the version had gone")
	one = json.loads(run("--json", "swap", "play", "1.1.0", "--wait"))
	expect_equal((one["version"], one["state"]), ("1.1.0", "live"), "one value")
	expect_equal(json.loads(run("--json", "unload", "play"))["state"], "retired", "one value of unload")


def test_a_swap_that_is_over_at_once_says_no_more(test):
	host, sofun = started(test, plugins=("play",), settings={"plugins.policy": "manual"})
	subprocess.run([*sofun, "load", str(test.plugin("next/play"))], check=True, capture_output=True)
	for words in (["swap", "play", "1.1.0"], ["rollback", "play"], ["swap", "play", "1.1.0", "--wait"]):
		host.settle(1)
		lines = subprocess.run([*sofun, *words], check=True, capture_output=True, text=True).stdout.splitlines()
		expect_equal((len(lines), lines[0].startswith("live play ")), (1, True), f"nothing is left to tell of: {lines}")


def test_a_call_says_what_it_waits_for(test):
	host, sofun = started(test)
	subprocess.run([*sofun, "unload", "counter"], check=True, capture_output=True)
	call = lambda *words: Terminal([*sofun, *words], columns=200)
	waiting, silent = call("call", "demo/counter", "a", "1"), call("call", "test/play", "a", '{"add":1}', "--timeout", "5")
	waiting.wait_for("no version of demo/counter is live: .*sofun load FILE.so.*; waiting until 30 s are over")
	silent.wait_for("test/play has not replied yet: .*sofun status.*; waiting until 5 s are over")
	expect_equal(silent.end(), 6, "exit")
	expect("no reply after 5000 ms" in silent.shown, f"{silent.shown}")
	host.drop("counter")
	expect_equal((waiting.end(), waiting.lines()[-1]), (0, "1"), f"handled: {waiting.shown}")
	subprocess.run([*sofun, "unload", "counter"], check=True, capture_output=True)
	late = call("call", "demo/counter", "a", "1", "--timeout", "0.2")
	expect_equal(late.end(), 6, "exit")
	expect(late.shown.count("\n") == 1 and "found no live version of demo/counter" in late.shown, f"only the error: {late.shown}")
	for words in (["--json", "call"], ["call"]):
		done = subprocess.run([*sofun, *words, "test/play", "a", '{"add":1}', "--timeout", "1.2"], capture_output=True, text=True)
		expect_equal((done.returncode, done.stderr.count("\n"), "not replied" in done.stderr), (6, 1, False), f"where nobody looks: {done.stderr}")


def test_ctrl_c_says_where_it_stood(test):
	host, sofun = started(test)
	file = test.dir / "lines"
	file.write_bytes(b"one\n" * 50000)
	words = [*sofun, "--json", "ingest", "counter", str(file), "--rate", "5000"]
	run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
	wait_until(lambda: host.status()["accepted"] > 1000, 30, "some are taken")
	run.send_signal(signal.SIGINT)
	_, errors = run.communicate(timeout=patient(30))
	expect_equal(run.returncode, 1, "exit")
	told = re.search(r"records up to (\d+) are durable: go on with --producer (\S+)", json.loads(errors)["message"])
	expect(told, f"the position and the producer: {errors}")
	again = json.loads(subprocess.run([*sofun, "--json", "ingest", "counter", str(file), "--producer", told[2]], check=True, capture_output=True).stdout)
	expect(again["skipped"] >= int(told[1]) and again["durable"] == 50000, f"it went on: {again}")
	subprocess.run([*sofun, "wait"], check=True, capture_output=True)
	expect_equal(host.dump("demo/counter"), {"one": {"count": 50000}}, "each counted once")


def test_tail_follows_across_a_restart(test):
	host, sofun = started(test)
	emit = lambda i: host.rpc().send("test/play", "x", {"emit": {"egress": "play", "payload": i}})
	emit(0)
	follow = subprocess.Popen([*sofun, "--json", "tail", "play", "--follow", "--count", "4"], stdout=subprocess.PIPE, text=True)
	expect_equal(json.loads(follow.stdout.readline())["payload"], 0, "the first")
	for i in (1, 2):
		host.kill()
		host.start()
		host.wait_live("play")
		emit(i)
		expect_equal(json.loads(follow.stdout.readline())["payload"], i, "behind a kill")
	emit(3)
	expect_equal(json.loads(follow.stdout.readline()), host.egress("play")[3], "the last")
	expect_equal(follow.wait(patient(20)), 0, "exit")


def test_top_on_a_terminal(test):
	host, sofun = started(test)
	terminal = Terminal([*sofun, "top", "--interval", "0.2"], columns=90)
	terminal.wait_for(r"demo/counter +1\.")
	host.rpc().send("demo/counter", "a", 1)
	host.kill()
	terminal.wait_for("trying again")
	host.start()
	count = terminal.shown.count("SHARD")
	wait_until(lambda: terminal.shown.count("SHARD") > count, 20, "it goes on")
	terminal.type("q")
	expect_equal(terminal.end(), 0, "exit")
	expect(terminal.shown.rstrip().endswith("\x1b[?1049l"), "the screen is given back")


def test_top_elsewhere(test):
	host, sofun = started(test)
	before = json.loads(subprocess.run([*sofun, "--json", "top", "--interval", "0.2"], check=True, capture_output=True).stdout)
	expect_equal((before["pid"], len(before["shards"]), before["handled_per_s"]), (host.process.pid, 2, 0), "an idle host")
	expect_equal([row["type"] for row in before["functions"]], ["demo/counter", "test/play"], "functions")
	run = subprocess.Popen([*sofun, "--json", "top", "--interval", "1.5"], stdout=subprocess.PIPE, text=True)
	rpc = host.rpc()
	sent = 0
	while run.poll() is None:
		rpc.call("demo/counter", "a", 1)
		sent += 1
	rate = json.loads(run.stdout.read())["handled_per_s"]
	expect(0 < rate <= sent / 1.5 * 1.5, f"{rate} a second, where {sent} were sent in 1.5 s and a bit")
	text = subprocess.run([*sofun, "top", "--interval", "0.2"], check=True, capture_output=True, text=True).stdout
	expect("\x1b" not in text and text.count("FUNCTION") == 1 and "demo/counter" in text, f"one snapshot: {text}")
	for words, code in ((["top", "--interval", "0"], 2), (["top", "extra"], 2)):
		expect_equal(subprocess.run([*sofun, *words], capture_output=True).returncode, code, f"exit of {words}")
	host.stop()
	expect_equal(subprocess.run([*sofun, "top"], capture_output=True).returncode, 3, "exit without a host")


def completions(test, host, line):
	"""What bash offers behind the line, by its own machinery."""
	script = f"""
		PATH={test.find('bin/sofun').parent}:$PATH
		source {REPOSITORY}/tools/sofun/sofun.bash
		compopt() {{ :; }}
		COMP_WORDS=({line}); [[ "{line}" != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _sofun; printf '%s\\n' "${{COMPREPLY[@]}}" """
	done = subprocess.run(["bash", "-c", script], cwd=host.data, capture_output=True, text=True)
	expect_equal((done.returncode, done.stderr), (0, ""), "bash")
	return done.stdout.split()


def test_completion_with_names_from_the_host(test):
	host, _ = started(test, plugins=("counter", "play", "authwatch"))
	rpc = host.rpc()
	for id in ("ada", "adam", "bob", "$(touch broken)", "a b", "`id`"):
		rpc.call("demo/counter", id, 1)
	ask = lambda words: completions(test, host, f"sofun --data . {words}")
	expect_equal(sorted(ask("unload ")), ["authwatch", "counter", "play"], "plugins, as they came")
	expect_equal(ask("unload p"), ["play"], "plugins by their first letter")
	expect_equal(ask("call demo/"), ["demo/counter"], "types")
	expect_equal(ask("state demo/counter ad"), ["ada", "adam"], "ids")
	expect_equal(set(ask("state demo/counter ")), {"ada", "adam", "bob"}, "no id that a shell would run")
	expect_equal(sorted(ask("tail ")), ["bans", "play"], "egresses")
	expect_equal(sorted(ask("ingest ")), ["authlog", "counter", "play"], "ingresses")
	expect_equal(ask("swap play "), ["1.0.0"], "versions")
	expect_equal(ask("dead "), ["list", "show", "retry", "drop"], "words")
	expect_equal(ask("swap play 1.0.0 --drain "), ["accepted", "running"], "words of an option")
	expect_equal(ask("load "), [], "files are the shell's own")
	expect_equal(ask("st"), ["status", "state"], "commands")
	host.stop()
	expect_equal(ask("unload "), [], "silent without a host")


if __name__ == "__main__":
	harness.main(globals())
