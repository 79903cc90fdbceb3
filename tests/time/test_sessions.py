#!/usr/bin/python3
"""The plugin sessions: state that ends by idleness, with a summary. Against a Python count written from the rule, on a
generated access log always, on a real one where it is present. The test clock is driven by the running maximum of the log's
own times (lines step back), with kills on the way."""

import datetime
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, Skip, expect, expect_equal, raised
from lib.host import Host
from lib.http import HttpError

IDLE_MS = 30 * 60 * 1000
LOG = REPOSITORY.parent / "shared" / "data" / "apache_access.log"
LINE = re.compile(rb'^(\S+) [^\[]*\[([^\]]+)\] "(?:[^"\\]|\\.)*" \S+ (\S+)')
FORMAT = "%d/%b/%Y:%H:%M:%S %z"


def parsed(line):
	"""(client, time as it stands, milliseconds since 1970, bytes)"""
	client, time, size = (part.decode() for part in LINE.match(line).groups())
	return client, time, int(datetime.datetime.strptime(time, FORMAT).timestamp() * 1000), int(size) if size.isdigit() else 0


def counted(lines):
	"""The rule: a client's session ends once the clock, the running maximum of the times, is 30 minutes past its last request."""
	open_sessions, ended, clock_ms = {}, [], 0
	for client, time, time_ms, size in map(parsed, lines):
		clock_ms = max(clock_ms, time_ms)
		session = open_sessions.get(client)
		if session and session["touched"] + IDLE_MS <= clock_ms:
			ended.append(open_sessions.pop(client))
			session = None
		if session is None:
			session = open_sessions[client] = {"client": client, "requests": 0, "bytes": 0, "first": time}
		session.update(requests=session["requests"] + 1, bytes=session["bytes"] + size, last=time, touched=clock_ms)
	ended += open_sessions.values()
	return sorted(({key: session[key] for key in ("client", "requests", "bytes", "first", "last")} for session in ended),
		key=lambda session: (session["client"], session["first"], session["requests"]))


def batches(lines):
	"""(clock, lines that come at it), in order."""
	clock_ms, batch = 0, []
	for line in lines:
		time_ms = parsed(line)[2]
		if time_ms > clock_ms:
			if batch:
				yield clock_ms, batch
			clock_ms, batch = time_ms, []
		batch.append(line)
	if batch:
		yield clock_ms, batch


def streamed(test, lines, kills):
	start_ms = parsed(lines[0])[2] - 1
	host = Host(test, plugins=("sessions",), shards=2, flags=["--test-clock", str(start_ms)]).start()
	host.wait_live("sessions")
	work = list(batches(lines))
	kill_at = {len(work) * (kill + 1) // (kills + 1) for kill in range(kills)}
	rpc, position = host.rpc(), 0
	for index, (clock_ms, batch) in enumerate(work):
		if index in kill_at:
			rpc.close()
			host.kill()
			host.restart(shards=test.random.choice((1, 2, 4)))
			rpc = host.rpc()
		host.http.post("/v1/clock", {"to_ms": clock_ms})
		position += len(batch)
		expect_equal(rpc.ingest("accesslog", "log", position - len(batch) + 1, batch), position, "durable")
		host.barrier()  # the host's order of client and clock is the log's
	rpc.close()
	clock_ms = work[-1][0]
	host.http.post("/v1/clock", {"to_ms": clock_ms + IDLE_MS - 1})
	before = len(host.egress("sessions"))
	host.http.post("/v1/clock", {"to_ms": clock_ms + IDLE_MS})
	expect(len(host.egress("sessions")) > before, "the last session ends in the last millisecond")
	return host


def compare(test, lines, kills):
	wanted = counted(lines)
	host = streamed(test, lines, kills)
	found = sorted((record["payload"] for record in host.egress("sessions")),
		key=lambda session: (session["client"], session["first"], session["requests"]))
	expect_equal(len(found), len(wanted), "sessions")
	wrong = [(got, want) for got, want in zip(found, wanted) if got != want]
	expect(not wrong, f"{len(wrong)} sessions differ, as {wrong[:2]}")
	expect_equal(host.ids("web/session"), [], "instances that are left")
	expect_equal(host.dead(), [], "dead letters")
	test.note(f"{len(lines)} lines, {len(found)} sessions, {kills} kills")


def generated(random, lines):
	"""Requests in bursts and pauses, about half of the lines with a time before that of the line before."""
	clients = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(40)]
	now, made = 1_431_857_103, []
	for _ in range(lines):
		now += random.choice((0, 1, 2, 30, 400, 2500)) if random.random() < 0.5 else 0
		time = datetime.datetime.fromtimestamp(now - random.choice((0, 0, 1, 5, 3000)), datetime.timezone.utc).strftime(FORMAT)
		size = random.choice(("-", str(random.randrange(100000))))
		made.append(f'{random.choice(clients)} - - [{time}] "GET /a\\"b[{random.randrange(9)}] HTTP/1.1" 200 {size} "-" "test"'.encode())
	return made


def test_a_generated_log(test):
	compare(test, generated(test.random, test.by_scale(1500, 10000)), kills=3)


def test_a_real_log(test):
	if not LOG.exists():
		raise Skip("no ../shared/data/apache_access.log beside the tree")
	lines = LOG.read_bytes().splitlines()
	compare(test, lines if test.by_scale(0, 1) else lines[:2500], kills=2)


def test_state_says_when_it_will_expire(test):
	start_ms = 1_431_857_103_000
	host = Host(test, plugins=("sessions",), shards=2, flags=["--test-clock", str(start_ms)]).start()
	host.wait_live("sessions")
	line = b'1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 7'
	with host.rpc() as rpc:
		rpc.ingest("accesslog", "log", 1, [line])
		host.barrier()
		shown = host.http.get("/v1/state/web/session/1.2.3.4")
		expect_equal(shown["expires"], {"*": start_ms + IDLE_MS}, "expires")
		host.http.post("/v1/clock", {"advance_ms": IDLE_MS - 1})
		rpc.ingest("accesslog", "log", 2, [line])
		host.barrier()
		shown = host.http.get("/v1/state/web/session/1.2.3.4")
		expect_equal((shown["values"]["requests"], shown["expires"]), (2, {"*": start_ms + 2 * IDLE_MS - 1}), "after a touch")
		host.http.post("/v1/clock", {"advance_ms": IDLE_MS})
		error = raised(HttpError, lambda: host.http.get("/v1/state/web/session/1.2.3.4"))
		expect_equal((error.status, host.ids("web/session")), (404, []), "once it has expired")
		rpc.ingest("accesslog", "log", 3, [line])
		host.barrier()
		expect_equal(host.values("web/session", "1.2.3.4")["requests"], 1, "requests of the next session")


def test_what_expired_while_the_host_was_down_ends_at_the_start(test):
	start_ms = 1_431_857_103_000
	host = Host(test, plugins=("sessions",), shards=2, flags=["--test-clock", str(start_ms)]).start()
	host.wait_live("sessions")
	with host.rpc() as rpc:
		rpc.ingest("accesslog", "log", 1, generated(test.random, 500))
	host.barrier()
	clients = len(host.ids("web/session"))
	host.kill()
	host.flags = ["--test-clock", str(start_ms + IDLE_MS)]
	host.start()
	host.http.post("/v1/clock", {"to_ms": 0})
	expect_equal((len(host.egress("sessions")), host.ids("web/session")), (clients, []), "sessions told, instances left")


if __name__ == "__main__":
	harness.main(globals())
