#!/usr/bin/python3
"""The command `sofun` against a true host: exit codes, --json on stdout, errors on stderr, what each subcommand answers."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host

OK, FAILED, USAGE, UNREACHABLE, NOT_FOUND, REFUSED, TIMEOUT = range(7)


class Command:
	"""Runs sofun for one data directory."""

	def __init__(self, test, data):
		self.path = str(test.find("bin/sofun"))
		self.data = str(data)

	def run(self, *arguments, exit=OK, input=None, flags=()):
		done = subprocess.run([self.path, "--data", self.data, *flags, *arguments], input=input, capture_output=True, timeout=60)
		words = [word if isinstance(word, str) else repr(word) for word in arguments]
		expect_equal(done.returncode, exit, f"exit of sofun {' '.join(words)} ({done.stderr[-300:]!r})")
		expect((exit == OK) == (done.stderr == b"") or exit == OK, "a failure is told on stderr")
		return done

	def text(self, *arguments, **more):
		return self.run(*arguments, **more).stdout.decode()

	def json(self, *arguments, **more):
		"""The one JSON value on stdout."""
		lines = self.run(*arguments, flags=("--json",), **more).stdout.decode().splitlines()
		expect_equal(len(lines), 1, f"lines of sofun --json {arguments}")
		return json.loads(lines[0])

	def error(self, exit, *arguments, **more):
		"""The error object on stderr, with nothing on stdout; and one readable line without --json."""
		done = self.run(*arguments, exit=exit, flags=("--json",), **more)
		expect_equal(done.stdout, b"", f"stdout of a failing sofun {arguments}")
		error = json.loads(done.stderr)
		expect(error.get("code") and error.get("message"), f"code and message: {error}")
		plain = self.run(*arguments, exit=exit, **more).stderr.decode()
		expect(plain.startswith("sofun: ") and plain.count("\n") == 1, f"one readable line: {plain!r}")
		return error


def started(test, plugins=("counter", "play"), **more):
	host = Host(test, plugins=plugins, **more).start()
	for name in plugins:
		host.wait_live(name)
	return host, Command(test, host.data)


def test_usage(test):
	command = Command(test, test.dir / "none")
	for arguments in ([], ["nonsense"], ["status", "--nonsense"], ["status", "extra"], ["load"], ["call", "a/b"], ["dead", "show"],
			["dead", "eat", "1"], ["ingest", "x", "-", "--batch", "0"], ["ingest", "x", "-", "--batch", "many"], ["wait", "--timeout"],
			["call", "a/b", "1", "{not json"], ["state", "noslash"], ["swap", "p", "1.0.0", "--drain", "never"],
			["status", "--control", "/x"]):
		expect_equal(command.error(USAGE, *arguments)["code"], "bad_request", f"code for {arguments}")


def test_what_was_probably_meant(test):
	"""A slip of the finger is answered with the name that is near; what is near nothing, with the usual hint."""
	nobody = Command(test, test.dir / "none")
	for arguments, name in ((["statsu"], "status"), (["lod", "x"], "load"), (["status", "--jsno"], "--json"), (["dead", "--tpye", "x"], "--type"),
			(["swap", "p", "1.0.0", "--cannary=5"], "--canary")):
		expect(nobody.error(USAGE, *arguments)["hint"].startswith(f"did you mean {name}? sofun "), f"{arguments}: {name}")
	for arguments in (["nonsense"], ["status", "--nonsense"]):
		expect("did you mean" not in nobody.error(USAGE, *arguments)["hint"], f"nothing is near {arguments}")
	expect_equal(nobody.error(USAGE, "promote", "play", "--canary", "5")["message"], "promote has no option --canary: it is one of swap", "")
	_, command = started(test, plugins=("counter", "play", "ledger"))
	command.run("call", "ledger/book", "a", json.dumps([["set", "k", 1], ["append", 2]]))
	for arguments, name in ((["unload", "conter"], "counter"), (["promote", "plya"], "play"), (["versions", "playy"], "play"),
			(["call", "demo/conter", "a"], "demo/counter"), (["send", "demo/cuonter", "a"], "demo/counter"),
			(["state", "test/paly"], "test/play"), (["ttl", "demo/countr"], "demo/counter"), (["tail", "paly"], "play"),
			(["ingest", "countre", "/dev/null"], "counter"), (["ttl", "demo/counter", "--value", "cuont", "--after-write", "5"], "count"),
			(["state", "ledger/book", "a", "--table", "entires"], "entries"), (["swap", "play", "1.1.0"], "1.0.0")):
		expect(command.error(NOT_FOUND, *arguments)["hint"].startswith(f"did you mean {name}? "), f"{arguments}: {name}")
	for arguments in (["unload", "nonsense"], ["state", "demo/counter", "coutner"], ["call", "no/such", "1"]):
		expect("did you mean" not in command.error(NOT_FOUND, *arguments).get("hint", ""), f"nothing is near {arguments}")


def test_help_teaches(test):
	command = Command(test, test.dir / "none")
	help = command.text("--help")
	for name in ("status", "load", "unload", "send", "call", "ingest", "state", "tail", "dead", "inspect", "wait", "swap"):
		expect(f"\n  {name} " in help, f"help names {name}")
		own = command.text(name, "--help")
		expect(f"usage: sofun {name}" in own and f"\n  sofun {name}" in own or name == "wait", f"help of {name}: {own}")


def test_version(test):
	command = Command(test, test.dir / "none")
	version = command.json("--version")["version"]
	expect_equal(command.text("--version"), f"sofun {version}\n", "as text")


def test_unreachable(test):
	command = Command(test, test.dir / "none")
	for arguments in (["status"], ["load", "/bin/true"], ["unload", "x"], ["call", "a/b", "1"], ["send", "a/b", "1"],
			["ingest", "x", "/dev/null"], ["state", "a/b"], ["tail", "x"], ["dead"], ["wait", "--timeout", "0.2"]):
		expect_equal(command.error(UNREACHABLE, *arguments)["code"], "unreachable", f"code for {arguments}")


def test_status(test):
	host, command = started(test)
	status = command.json("status")
	expect_equal(status["pid"], host.process.pid, "pid")
	text = command.text("status")
	expect("demo/counter" in text and "counter (line)" in text, f"the plugin in {text}")
	done = subprocess.run([command.path, "--control", str(host.control), "--json", "status"], capture_output=True)
	expect_equal(json.loads(done.stdout)["pid"], host.process.pid, "pid by --control")


def test_send_and_call(test):
	_, command = started(test)
	expect(command.json("send", "demo/counter", "alice", "5")["epoch"] > 0, "an epoch")
	expect_equal(command.json("call", "demo/counter", "alice", "-", input=b"2"), 7, "reply")
	expect_equal(command.json("call", "demo/counter", "alice"), 8, "reply to null")
	expect_equal(command.json("call", "demo/counter", "alice", "-3"), 5, "a negative payload is no option")
	expect_equal(command.text("call", "demo/counter", b"\xff\xfe".decode("utf-8", "surrogateescape"), "1"), "1\n", "an id of bytes")
	error = command.error(FAILED, "call", "demo/counter", "alice", '"text"')
	expect_equal(error["code"], "function_failed", "code")
	expect_equal(command.error(NOT_FOUND, "call", "no/such", "1")["code"], "unknown_type", "code")
	expect_equal(command.error(NOT_FOUND, "send", "no/such", "1")["code"], "unknown_type", "code")
	expect_equal(command.error(TIMEOUT, "call", "test/play", "1", '{"add":1}', "--timeout", "0.3")["code"], "timeout", "code")


def test_ingest(test):
	_, command = started(test)
	lines = test.dir / "lines"
	lines.write_bytes(b"".join(b"id-%d\n" % (i % 10) for i in range(1000)))
	first = command.json("ingest", "counter", str(lines), "--producer", "p")
	expect_equal([first[key] for key in ("producer", "read", "accepted", "skipped", "durable")], ["p", 1000, 1000, 0, 1000], "first")
	again = command.json("ingest", "counter", str(lines), "--producer", "p")
	expect_equal([again[key] for key in ("read", "accepted", "skipped", "durable")], [1000, 0, 1000, 1000], "resumed")
	for _ in range(10):
		text = command.text("ingest", "counter", str(lines), "--producer", "p", flags=("--json",))
		expect(re.search(r'"seconds":\d+\.\d{1,3}\}', text), f"seconds with milliseconds: {text}")
	expect_equal(command.json("ingest", "counter", "--producer", "p", "--position")["durable"], 1000, "position")
	fresh = command.json("ingest", "counter", "-", "--batch", "7", input=b"id-1\nid-2")
	expect_equal([fresh["read"], fresh["accepted"]], [2, 2], "from stdin, the last line without its end")
	expect(fresh["producer"] != command.json("ingest", "counter", "-", input=b"id-1\n")["producer"], "fresh producers differ")
	command.run("wait", "--timeout", "30")
	expect_equal(command.json("call", "demo/counter", "id-1", "0"), 102, "each counted once")
	expect_equal(command.error(NOT_FOUND, "ingest", "nobody", str(lines))["code"], "unknown_ingress", "code")
	command.error(NOT_FOUND, "ingest", "counter", str(test.dir / "absent"))


def test_ingest_tells_of_dead_letters(test):
	_, command = started(test)
	lines = b"".join(b"%s\n" % (b"x" * 300 if i % 10 == 0 else b"id-%d" % i) for i in range(1000))
	result = command.json("ingest", "counter", "-", "--producer", "p", "--batch", "64", input=lines)
	expect_equal([result[key] for key in ("accepted", "durable", "dead")], [1000, 1000, 100], "a tenth of them")
	expect_equal(command.json("ingest", "counter", "-", "--producer", "p", input=lines)["dead"], 0, "nothing is told twice")
	told = command.run("ingest", "counter", "-", "--producer", "q", input=b"\nx\n").stderr.decode()
	expect(told.startswith("1 of them became dead letters: sofun dead list "), f"told: {told!r}")
	letter, = command.json(*told.split(" shows why")[0].split("sofun ")[1].split())["dead"]
	expect_equal((letter["to"], letter["id"], letter["code"]), ("ingress/counter", "q", "router_failed"), "the letter")
	expect_equal(command.run("ingest", "counter", "-", input=b"x\n").stderr, b"", "silent where there are none")


def test_ingest_of_msgpack_objects(test):
	import msgpack
	_, command = started(test)
	records = b"".join(msgpack.packb({"id": f"i{i}", "msg": {"add": i}}) for i in range(50))
	expect_equal(command.json("ingest", "play", "-", input=records)["durable"], 50, "durable")
	command.run("wait")
	expect_equal(command.json("state", "test/play", "i7")["values"]["count"], 7, "count")


def test_ingest_goes_on_when_the_host_is_killed(test):
	host, command = started(test)
	total = 20000
	feed = subprocess.Popen([command.path, "--data", command.data, "--json", "ingest", "counter", "-", "--producer", "p",
		"--rate", str(total // 4), "--patience", "30"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
	feed.stdin.write(b"one\n" * total)
	feed.stdin.close()
	position = lambda: command.json("ingest", "counter", "--producer", "p", "--position")["durable"]
	wait_until(lambda: position() > total // 5, 30, "a fifth is durable")
	host.kill()
	host.start()
	result = json.loads(feed.stdout.read())
	expect_equal(feed.wait(), OK, "exit")
	expect_equal([result["read"], result["durable"]], [total, total], "result")
	command.run("wait")
	expect_equal(command.json("call", "demo/counter", "one", "0"), total, "each counted once")


class Breaker:
	"""Stands before a host's data socket, in a folder of its own, and cuts each connection after some thousand bytes."""

	def __init__(self, test, host, cuts):
		self.test, self.target, self.cuts = test, str(host.socket), cuts
		self.folder = test.dir / "broken"
		self.folder.mkdir()
		(self.folder / "control.sock").symlink_to(host.control)
		self.listener = socket.socket(socket.AF_UNIX)
		self.listener.bind(str(self.folder / "data.sock"))
		self.listener.listen()
		threading.Thread(target=self._serve, daemon=True).start()

	def _serve(self):
		while True:
			outer, _ = self.listener.accept()
			inner = socket.socket(socket.AF_UNIX)
			inner.connect(self.target)
			left = self.test.random.randrange(2000, 30000) if self.cuts > 0 else 1 << 60
			self._forward(outer, inner, left)
			self.cuts -= 1
			outer.close()
			inner.close()

	def _forward(self, outer, inner, left):
		"""Both ways, until so many bytes have passed or one side ends."""
		while left > 0:
			for ready in select.select([outer, inner], [], [])[0]:
				try:
					data = ready.recv(min(left, 4096))
					(inner if ready is outer else outer).sendall(data)
				except OSError:
					return
				if not data:
					return
				left -= len(data)


def test_ingest_through_connections_that_break(test):
	host, command = started(test)
	total, cuts = 100000, 20
	breaker = Breaker(test, host, cuts)
	lines = test.dir / "lines"
	lines.write_bytes(b"".join(b"id-%d\n" % (i % 10) for i in range(total)))
	result = json.loads(subprocess.run([command.path, "--control", breaker.folder / "control.sock", "--json", "ingest", "counter", lines],
		check=True, capture_output=True, timeout=120).stdout)
	expect_equal([result["read"], result["accepted"], result["durable"]], [total, total, total], "result")
	expect(breaker.cuts < cuts - 5, f"connections were cut: {cuts - breaker.cuts}")
	test.note(f"{cuts - breaker.cuts} connections were cut")
	command.run("wait")
	expect_equal({values["count"] for values in host.dump("demo/counter").values()}, {total // 10}, "each counted once")


def test_state(test):
	_, command = started(test)
	for id in ("a", "b", "c/d", "é"):
		command.run("call", "demo/counter", id, "4")
	page = command.json("state", "demo/counter", "--limit", "3", "--values")
	expect_equal(page["instances"], [{"id": id, "values": {"count": 4}, "schema": 1} for id in ("a", "b", "c/d")], "a page")
	rest = command.json("state", "demo/counter", "--after", page["next"])
	expect_equal(rest, {"instances": [{"id": "é"}], "next": None}, "the next page")
	expect_equal(command.json("state", "demo/counter", "c/d")["values"], {"count": 4}, "one instance")
	expect("count" in command.text("state", "demo/counter", "é"), "a table")
	command.error(NOT_FOUND, "state", "demo/counter", "nobody")
	expect_equal(command.error(NOT_FOUND, "state", "no/such")["code"], "unknown_type", "code")


def test_state_of_tables_and_lists(test):
	host, command = started(test, plugins=("ledger",))
	commands = [["set", f"k{i:02}", i] for i in range(20)] + [["append", i] for i in range(20)]
	command.run("call", "ledger/book", "a", json.dumps(commands))
	page = command.json("state", "ledger/book", "a", "--table", "entries", "--limit", "2", "--after", "k10")["tables"]["entries"]
	expect_equal(([entry["key"] for entry in page["entries"]], page["next"]), (["k11", "k12"], "k12"), "a page of a table")
	page = command.json("state", "ledger/book", "a", "--table", "lines", "--after", "17")["lists"]["lines"]
	expect_equal((page["items"], page["next"]), ([18, 19], None), "the end of a list")
	expect("k11" in command.text("state", "ledger/book", "a", "--table", "entries", "--after", "k10"), "a table, readable")
	command.run("call", "ledger/book", "one", json.dumps([["set", "k", 1]]))
	told = command.text("state", "ledger/book", "a") + command.text("state", "ledger/book", "one")
	for line in ("table entries: more than 10 entries; --table entries shows them", "list lines: 20 items; --table lines shows them",
			"table entries: 1 entry; --table entries shows it"):
		expect(line in told.splitlines(), f"what there is is named: {told}")
	command.error(NOT_FOUND, "state", "ledger/book", "a", "--table", "none")
	command.error(USAGE, "state", "ledger/book", "--table", "entries")


def test_tail(test):
	_, command = started(test)
	for i in range(5):
		command.run("send", "test/play", "x", json.dumps({"emit": {"egress": "play", "payload": i}}))
	command.run("wait")
	lines = [json.loads(line) for line in command.run("tail", "play", flags=("--json",)).stdout.splitlines()]
	expect_equal([(line["offset"], line["payload"]) for line in lines], [(i, i) for i in range(5)], "records")
	expect_equal(lines[0]["source"], {"type": "test/play", "id": "x"}, "source")
	text = command.text("tail", "play", "--from", "3", "--count", "1")
	expect(text.startswith("3 ") and text.count("\n") == 1, f"one record of {text!r}")
	expect_equal(command.text("tail", "play", "--from", "latest"), "", "nothing new")
	command.error(NOT_FOUND, "tail", "no-such")
	follow = subprocess.Popen([command.path, "--data", command.data, "--json", "tail", "play", "--from", "5", "--follow", "--count", "1"],
		stdout=subprocess.PIPE)
	command.run("send", "test/play", "x", '{"emit":{"egress":"play","payload":"new"}}')
	expect_equal(json.loads(follow.stdout.read())["payload"], "new", "followed")
	expect_equal(follow.wait(), OK, "exit")


def test_dead_letters(test):
	_, command = started(test, settings={"retry.attempts": 1})
	expect_equal(command.json("dead"), {"dead": [], "next": None}, "none yet")
	command.run("call", "demo/counter", "a", '"text"', exit=FAILED)
	letter, = command.json("dead", "list")["dead"]
	expect_equal((letter["to"], letter["id"], letter["code"]), ("demo/counter", "a", "function_failed"), "letter")
	expect_equal(command.json("dead", "show", str(letter["number"]))["reason"], letter["reason"], "the same letter")
	expect("function_failed" in command.text("dead"), "a table")
	for action in ("show", "retry", "drop"):
		command.error(NOT_FOUND, "dead", action, "999999")
	for id, type in (("b", "test/play"), ("c", "test/play"), ("d", "demo/counter")):
		command.run("call", type, id, '"text"', exit=FAILED)
	expect_equal([letter["id"] for letter in command.json("dead", "list", "--type", "test/play")["dead"]], ["b", "c"], "by type")
	expect_equal(command.json("dead", "drop", "--type", "test/play", "--code", "unknown_type")["count"], 0, "none fits both")
	expect_equal(command.json("dead", "drop", "--type", "test/play")["count"], 2, "dropped by type")
	expect_equal(command.json("dead", "retry", str(letter["number"]))["number"], letter["number"], "sent again")
	command.run("wait", "--timeout", "30")
	expect_equal([(one["id"], one["number"] > letter["number"]) for one in command.json("dead")["dead"]],
		[("d", True), ("a", True)], "what failed again is a new letter")
	expect("2 dead letters would be dropped" in command.text("dead", "drop", "--all", "--dry-run"), "a dry run")
	dry = command.json("dead", "drop", "--since", "1h", "--id", "d", "--dry-run")
	expect_equal((dry["matched"], dry["count"], dry["dry_run"]), (1, 0, True), "a dry run by age and id")
	expect_equal(command.json("dead", "retry", "--before", "1d")["count"], 0, "none is a day old")
	expect_equal(len(command.json("dead", "list", "--before", "99999999999999", "--limit", "1")["dead"]), 1, "a page of one")
	for arguments in (["drop", "--since", "soon", "--all"], ["drop", "--limit", "0", "--all"], ["drop", "3", "--dry-run"], ["list", "--dry-run"], ["drop"], ["retry", "3", "--id", "d"]):
		command.error(USAGE, "dead", *arguments)
	command.error(FAILED, "dead", "drop", "--type", b"\xff")
	expect_equal(len(command.json("dead")["dead"]), 2, "nothing was dropped by these")
	expect("2 dead letters" in command.text("dead", "drop", "--all"), "a sentence")
	expect_equal(command.json("dead")["dead"], [], "none is left")


def test_load_and_unload(test):
	host, command = started(test, plugins=())
	plugin = command.json("load", str(test.plugin("counter")))
	expect_equal((plugin["name"], plugin["state"]), ("counter", "live"), "loaded")
	junk = test.dir / "junk.so"
	junk.write_bytes(b"no plugin at all\n" * 300)
	error = command.error(REFUSED, "load", str(junk))
	expect(all(error.get(key) for key in ("code", "message", "found", "expected", "hint")), f"a whole refusal: {error}")
	expect_equal(command.error(NOT_FOUND, "load", str(test.dir / "absent.so"))["code"], "not_found", "no such file")
	expect_equal(command.error(NOT_FOUND, "ingest", "counter", str(test.dir / "absent"))["code"], "not_found", "the same")
	command.run("unload", "counter")
	gone = ("retired", "stuck") if test.sanitizer() else ("retired",)  # a sanitizer keeps what it has seen
	wait_until(lambda: (host.plugin("counter") or {"state": "retired"})["state"] in gone, 20, "counter is gone")
	command.error(NOT_FOUND, "unload", "nobody")


def test_inspect_needs_no_host(test):
	command = Command(test, test.dir / "none")
	facts = command.json("inspect", str(test.plugin("counter")))
	expect_equal((facts["name"], facts["functions"]), ("counter", ["demo/counter"]), "facts")
	expect(len(facts["content_hash"]) == 64 and facts["abi"] and facts["version"], f"the rest: {facts}")
	expect_equal(facts["routers"], [{"ingress": "counter", "format": "line"}], "routers")
	printed = command.text("inspect", str(test.plugin("next/authwatch")))
	rows = [line.split() for line in printed.splitlines()]
	expect(["auth/source", "2", "-", "score", "int"] in rows and ["auth/source", "1", "both", "last", "str"] in rows, f"schemas: {printed}")
	expect(max(map(len, printed.splitlines())) <= 80, f"it fits a terminal: {printed}")
	command.error(REFUSED, "inspect", "/bin/true")
	command.error(NOT_FOUND, "inspect", str(test.dir / "absent.so"))


def test_wait_times_out_behind_a_retry(test):
	_, command = started(test, settings={"retry.backoff_ms": 20000, "retry.backoff_ms_max": 20000})
	command.run("send", "test/play", "x", '{"fail":"not yet"}')
	expect_equal(command.error(TIMEOUT, "wait", "--timeout", "0.5")["code"], "timeout", "code")


def test_wait_waits_for_a_host_that_starts(test):
	host = Host(test, plugins=())
	command = Command(test, host.data)
	waiting = subprocess.Popen([command.path, "--data", command.data, "wait", "--timeout", "30"], stdout=subprocess.PIPE)
	host.start()
	expect_equal(waiting.wait(), OK, "exit")


def test_wait_asks_again_whatever_a_dying_host_does(test):
	"""One that is up, and then closes, breaks off, or says that it stops, before its next life answers."""
	data = test.dir / "dying"
	data.mkdir()

	def answer(status, body):
		return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)

	up, broken = answer(b"200 OK", b"{}"), answer(b"200 OK", b"{}")[:20]
	stops = answer(b"503 Service Unavailable", b'{"error":{"code":"stopping","message":"the host is stopping"}}')
	answers = [b"", up, b"", up, broken, up, stops, stops, up, answer(b"200 OK", b'{"epoch":7}')]
	asked = []
	with socket.socket(socket.AF_UNIX) as listener:
		listener.bind(str(data / "control.sock"))
		listener.listen()

		def play():
			for words in answers:
				connection, _ = listener.accept()
				with connection:
					asked.append(connection.recv(65536).split(b" HTTP")[0])
					connection.sendall(words)

		player = threading.Thread(target=play, daemon=True)
		player.start()
		expect("in epoch 7" in Command(test, data).text("wait", "--timeout", "20"), "the last life's word")
		player.join(20)
	expect_equal(asked.count(b"POST /v1/barrier"), 4, "barriers")
	expect_equal(len(asked), len(answers), "everything was asked")


def test_a_bar_on_a_terminal_only(test):
	_, command = started(test)
	terminal, child = pty.openpty()
	lines = test.dir / "lines"
	lines.write_bytes(b"one\n" * 2000)
	arguments = [command.path, "--data", command.data, "ingest", "counter", str(lines), "--rate", "5000"]
	done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=child)
	os.close(child)
	expect_equal(done.returncode, OK, "exit")
	expect(b"records" in os.read(terminal, 65536), "a bar")
	os.close(terminal)
	expect_equal(subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stderr, b"", "no bar in a pipe")


if __name__ == "__main__":
	harness.main(globals())
