#!/usr/bin/python3
"""Delayed messages on the true binary: sent when due and not before, in order, once, or never once cancelled; across SIGKILL,
another number of shards, a clock that jumps, and far more of them than memory has room for. Time is --test-clock's: nobody
waits for it."""

import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, mayfly
from lib.clock import SystemClock
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.http import Http
from lib.rpc import Closed, RpcError

START_MS = 1_000_000_000


def clocked(test, **arguments):
	return Host(test, plugins=("play",), flags=["--test-clock", str(START_MS)], **arguments)


def clock(host, to_ms):
	return host.http.post("/v1/clock", {"to_ms": to_ms})["time_ms"]


def count(host, id):
	host.barrier()
	return host.values("test/play", id).get("count", 0) if id in host.ids("test/play") else 0


def after(ms, id, msg, token=None):
	send = {"id": id, "msg": msg, "after_ms": ms}
	return dict(send, token=token) if token is not None else send


def send(host, id, **msg):
	with host.rpc() as rpc:
		rpc.send("test/play", id, msg)


def test_a_message_comes_when_it_is_due(test):
	host = clocked(test, shards=2).start()
	send(host, "a", send=[after(1000, "b", {"add": 1}), after(2000, "b", {"add": 10}), after(1000, "c", {"add": 1})])
	expect_equal(clock(host, START_MS + 999), START_MS + 999, "the clock's answer")
	expect_equal(count(host, "b"), 0, "a millisecond before it is due")
	clock(host, START_MS + 1000)
	expect_equal((count(host, "b"), count(host, "c")), (1, 1), "when the first are due")
	clock(host, START_MS + 5000)
	expect_equal(count(host, "b"), 11, "when the last is due")


def test_what_a_timer_sets_in_turn_comes_in_the_same_move(test):
	host = clocked(test, shards=2).start()
	msg = {"add": 1}
	for _ in range(20):
		msg = {"add": 1, "send": [after(7, "b" if "send" in msg and len(str(msg)) % 2 else "c", msg)]}
	send(host, "a", send=[after(7, "b", msg)])
	clock(host, START_MS + 7 * 21)
	expect_equal(count(host, "b") + count(host, "c"), 21, "links of the chain that came in one move")


def test_a_cancelled_one_never_comes_and_its_token_is_free_again(test):
	host = clocked(test, shards=2, settings={"retry.attempts": 1}).start()
	send(host, "a", send=[after(1000, "b", {"add": 1}, "t")])
	with host.rpc() as rpc:
		try:
			rpc.call("test/play", "a", {"send": [after(1, "b", {"add": 100}, "t")], "add": 1})
			raise harness.Failed("a token in use was taken")
		except RpcError as error:
			expect_equal(error.code, "function_failed", "code of a token in use")
			expect("token" in str(error), f"the text names the token: {error}")
	expect_equal(count(host, "a"), 0, "effects of the call that failed")
	send(host, "z", cancel="t")  # another address: not its timer
	send(host, "a", cancel="t")
	send(host, "a", send=[after(3000, "b", {"add": 5}, "t")])
	clock(host, START_MS + 2000)
	expect_equal(count(host, "b"), 0, "after the cancelled one would have been due")
	metrics = host.metrics()
	expect_equal([metrics[f"sofun_timers_{what}_total"] for what in ("set", "sent", "cancelled")], [2, 0, 1], "figures")
	host.kill()
	host.start()
	clock(host, START_MS + 3000)
	expect_equal(count(host, "b"), 5, "the one that took the token again")
	send(host, "a", cancel="t")
	send(host, "a", send=[after(0, "b", {"add": 1}, "t")])
	clock(host, START_MS + 3000)
	expect_equal(count(host, "b"), 6, "a timer without delay, its token free since the other was sent")


def pending(host):
	"""What the status says of delayed messages, and what the command makes of it."""
	host.barrier()
	harness.wait_until(lambda: not host.status()["timers"]["more"], what="all timers to stand in memory")
	timers = host.status()["timers"]
	printed = subprocess.run([host.test.find("bin/sofun"), "--control", host.control, "status"], check=True, text=True, capture_output=True).stdout
	return (timers["pending"], timers["next_ms"]), [line for line in printed.splitlines() if "delayed message" in line]


def test_the_status_tells_how_many_are_pending(test):
	host = clocked(test, shards=2).start()
	expect_equal(pending(host), ((0, None), []), "before any is set")
	for id in "abcdef":  # of both shards
		send(host, id, send=[after(2000, "x", {"add": 1}), after(1000 + ord(id), "x", {"add": 1}, "t")])
	send(host, "a", cancel="t")
	due_ms = START_MS + 1000 + ord("b")
	expected = (11, due_ms)
	expect_equal(pending(host)[0], expected, "after six were set twice, and one cancelled")
	expect("11 delayed messages wait" in pending(host)[1][0], f"the command: {pending(host)[1]}")
	host.kill()
	host.start()
	expect_equal(pending(host)[0], expected, "after a kill")
	clock(host, due_ms)
	expect_equal(pending(host)[0], (10, due_ms + 1), "after the first came")
	clock(host, START_MS + 2000)
	expect_equal(pending(host), ((0, None), []), "after all came")


def test_the_clock_may_jump(test):
	host = clocked(test, shards=2).start()
	send(host, "a", send=[after(60_000, "b", {"add": 1})])
	host.barrier()
	host.kill()
	host.flags = ["--test-clock", "5"]  # far back: time goes on from where it was
	host.start()
	expect_equal(clock(host, 6), START_MS, "time after a start with a clock far behind")
	clock(host, START_MS + 59_999)
	expect_equal(count(host, "b"), 0, "before it is due")
	host.kill()
	host.flags = ["--test-clock", str(START_MS + 10 ** 9)]  # far ahead: it became due while the host was down
	host.start()
	clock(host, 0)
	expect_equal(count(host, "b"), 1, "after a start with a clock far ahead")


def test_the_system_clock_jumps_both_ways(test):
	"""Rule 38: forward is adopted, back goes at half speed; timers come in due order, once, and not before the host's own time
	says so, with kills between."""
	if test.sanitizer():
		raise harness.Skip("a sanitizer's runtime wants to be first in the process")
	clock_ms, minute = SystemClock(test), 60_000
	host = Host(test, plugins=("play",), shards=2, environment=clock_ms.environment).start()
	host.wait_live("play")
	now = lambda: host.status()["time_ms"]

	def set_timers(number, delay_ms):
		with host.rpc() as rpc:
			rpc.call("test/play", "a", {"reply": True, "send": [after(delay_ms + index, "b", {"add": 1,
				"emit": {"egress": "play", "payload": [number, index]}}) for index in range(20)]})

	def came():
		return [record["payload"] for record in host.egress("play")]

	def waited(number, deadline_s=20):
		harness.wait_until(lambda: len(came()) >= 20 * number, deadline_s, f"the timers of the first {number} sets")
		expect_equal(came(), [[set, index] for set in range(number) for index in range(20)], "timers, in due order, once")

	set_timers(0, 10 * minute)
	before = now()
	clock_ms.shift(10 * minute - 5000)
	harness.wait_until(lambda: now() >= before + 10 * minute - 5000, 20, "a jump forward is adopted")
	expect_equal(came(), [], "what is not due yet")
	clock_ms.shift(10 * minute + 1000)
	waited(1)
	clock_ms.shift(-20 * minute)
	start, begun = now(), time.monotonic()
	set_timers(1, 1500)
	host.kill()
	host.start()
	expect(now() >= start, "time does not go back across a kill")
	waited(2)
	took = time.monotonic() - begun
	expect(took > 2.5, f"1.5 s of a clock at half speed took {took:.2f} s")
	set_timers(2, 45 * minute)
	host.kill()
	clock_ms.shift(15 * minute)  # ahead of the last time by less than the timers' delay
	host.restart(shards=4)
	expect(now() >= start and came()[40:] == [], "nothing came early")
	clock_ms.shift(70 * minute)
	waited(3)
	host.kill()
	host.restart(shards=1)
	set_timers(3, 10)
	waited(4)
	expect_equal(count(host, "b"), 80, "all of them, each once")


def test_the_ends_of_what_can_be_asked(test):
	"""A delay beyond all time waits for ever and can be cancelled; a token of 255 bytes is one, a longer one is refused."""
	host = Host(test, plugins=("play",), shards=1, settings={"retry.attempts": 1}).start()
	host.wait_live("play")
	with host.rpc() as rpc:
		for delay in (2 ** 63, 2 ** 64 - 1):
			rpc.send("test/play", "a", {"send": [after(delay, "b", {"add": 1}, "far")]})
			host.barrier()
			next_ms = harness.wait_until(lambda: host.status()["timers"]["next_ms"], 20, "the status tells of it")
			expect(next_ms > host.status()["time_ms"], f"it is due at {next_ms}, long ago")
			rpc.call("test/play", "a", {"cancel": "far", "reply": True})
		rpc.call("test/play", "a", {"send": [after(2 ** 62, "b", {"add": 1}, "x" * 253)], "reply": True})
		error = harness.raised(RpcError, lambda: rpc.call("test/play", "a", {"send": [after(1, "b", {}, "x" * 254)]}))
		expect_equal(error.code, "function_failed", "a token of 256 bytes, its head counted")
		rpc.call("test/play", "a", {"send": [after(30, "b", {"add": 7})], "reply": True})
	harness.wait_until(lambda: count(host, "b") == 7, 20, "one that is due by the machine's own clock")
	host.kill()
	host.start()
	expect_equal(count(host, "b"), 7, "after a kill")


class Plan:
	"""Records that set timers and cancel some, and what must be counted when all are due."""

	def __init__(self, random, records, instances, span_ms):
		self.records, self.expected, self.tokens = [], {}, {}
		for number in range(records):
			sender, target = (f"i{random.randrange(instances)}" for _ in range(2))
			mine = self.tokens.setdefault(sender, [])
			msg = {"add": 1}
			self.expected[sender] = self.expected.get(sender, 0) + 1
			if mine and random.random() < 0.3:
				token, lost = mine.pop(random.randrange(len(mine)))
				msg["cancel"] = token
				self.expected[lost] -= 1
			token = f"t{number}" if random.random() < 0.5 else None
			msg["send"] = [after(random.randrange(1, span_ms), target, {"add": 1}, token)]
			self.expected[target] = self.expected.get(target, 0) + 1
			if token:
				mine.append((token, target))
			self.records.append({"id": sender, "msg": msg})


def feed(host, plan, batch=128):
	"""Sends what is not accepted yet; raises Closed when the host dies."""
	with host.rpc() as rpc:
		first = rpc.position("play", "plan") + 1
		while first <= len(plan.records):
			first = rpc.ingest("play", "plan", first, plan.records[first - 1:first - 1 + batch]) + 1


def kill_after(host, seconds):
	killer = threading.Timer(seconds, host.process.kill)
	killer.start()
	return killer


def counts_check(host, plan):
	found = {id: values.get("count", 0) for id, values in host.dump("test/play").items()}
	wrong = {id: (found.get(id, 0), count) for id, count in plan.expected.items() if found.get(id, 0) != count}
	expect(not wrong, f"{len(wrong)} counts are wrong, as {dict(list(wrong.items())[:5])} (found, expected)")


def test_kills_while_timers_are_set_and_sent(test):
	"""Everything is set and cancelled while time stands; then it moves, in steps. Kills in both parts; other shards each time."""
	span_ms, steps = 100_000, 25
	plan = Plan(test.random, test.by_scale(20_000, 100_000, sanitized=5_000), 1000, span_ms)
	host = clocked(test, shards=2).start()
	host.wait_live("play")
	kills = 0
	for _ in range(6):
		killer = kill_after(host, test.random.uniform(0.05, 0.6))
		try:
			feed(host, plan)
		except (Closed, TimeoutError):
			pass
		killer.join()
		host.kill()
		kills += 1
		host.restart(shards=test.random.choice([1, 2, 4]))
	feed(host, plan)
	host.barrier()
	for step in range(1, steps + 1):
		killed = step % 4 == 0
		killer = kill_after(host, test.random.uniform(0.0, 0.05)) if killed else None
		try:
			clock(host, START_MS + span_ms * step // steps)
		except (OSError, ValueError):
			expect(killed, "nobody else ends the host")
		if killed:
			killer.join()
			host.kill()
			kills += 1
			host.restart(shards=test.random.choice([1, 2, 4]))
	clock(host, START_MS + span_ms)
	host.barrier()
	counts_check(host, plan)
	test.note(f"{len(plan.records)} records, {kills} kills")


def test_far_more_timers_than_memory_has_room_for(test):
	test.need_plain_build("it measures memory")
	limit = 64 << 20
	timers = test.by_scale(300_000, 10_000_000)
	host = clocked(test, shards=2, settings={"limits.memory_bytes": limit}).start()
	host.wait_live("play")
	each = 100
	with host.rpc() as rpc:
		for first in range(0, timers // each, 500):
			records = [{"id": f"s{number}", "msg": {"send": [
				after(1000 * (1 + (number * 7919 + index * 104729) % 600), f"t{(number + index) % 5000}",
					{"add": 1}) for index in range(each)]}}
				for number in range(first, min(first + 500, timers // each))]
			rpc.ingest("play", "many", first + 1, records)
	host.http.close()  # idle for so long that the host has closed it
	host.barrier(timeout_ms=300_000)
	waiting = host.resident_bytes()
	test.note(f"{timers} timers wait in {waiting >> 20} MiB resident")
	expect(waiting < limit + (48 << 20), f"{waiting >> 20} MiB resident while {timers} timers wait, of {limit >> 20} allowed")
	told = host.status()["timers"]
	expect(0 < told["pending"] < timers and told["more"], f"those in memory are not all: {told}")
	expect_equal(told["next_ms"], START_MS + 1000, "when the first is due")
	host.kill()
	host.start()
	for second in range(30, 301, 30):  # each answered in time, however many are due
		clock(host, START_MS + second * 1000)
	half = sum(values.get("count", 0) for values in host.dump("test/play").values())
	expect(0 < half < timers, f"{half} of {timers} came by half time")
	for second in range(330, 701, 30):
		clock(host, START_MS + second * 1000)
	host.barrier(timeout_ms=300_000)
	total = sum(values.get("count", 0) for values in host.dump("test/play").values())
	expect_equal(total, timers, "timers that came")


class Backlog:
	"""What the metrics say meanwhile that is due and not swept."""

	def __init__(self, host):
		self.http, self.most, self.ended = Http(host.control), 0, threading.Event()
		self.thread = threading.Thread(target=self.watch)

	def now(self):
		shown = f'sofun_expiry_backlog{{function="{mayfly.TYPE}"}} '
		return sum(int(line[len(shown):]) for line in self.http.text("GET", "/metrics").splitlines() if line.startswith(shown))

	def watch(self):
		while not self.ended.is_set():
			self.most = max(self.most, self.now())

	def __enter__(self):
		self.thread.start()
		return self

	def __exit__(self, *_):
		self.ended.set()
		self.thread.join()


def test_a_delayed_message_goes_past_sweeps_in_the_store(test):
	"""100,000 instances end when it is due, and were filed before it; each says so in the egress in which it says that it came."""
	sweeps = 100_000
	host = clocked(test, shards=1, settings={"limits.memory_bytes": 64 << 20}).start()
	mayfly.load(host)
	host.http.post(f"/v1/ttl/{mayfly.TYPE}", {"idle_ttl_ms": 60_000})
	with host.rpc() as rpc:
		for first in range(0, sweeps, 500):
			rpc.ingest("mayfly", "p", first + 1, [[f"i{index}", [1, None, None]] for index in range(first, first + 500)])
	send(host, "a", send=[after(60_000, "b", {"emit": {"egress": "mayfly", "payload": "here"}})])
	host.barrier(timeout_ms=300_000)
	host.kill()
	host.start()  # nothing of it is in memory but what is due first
	with Backlog(host) as backlog:
		clock(host, START_MS + 70_000)
	told = [record["payload"] for record in host.egress("mayfly", page=10_000)]
	expect_equal(len(told), sweeps + 1, "what came")
	place = told.index("here")
	test.note(f"it came ahead of all but {place} of {sweeps} sweeps")
	expect(place < sweeps // 10, f"it waited for {place} of {sweeps} sweeps")
	expect(backlog.most > sweeps // 10, f"{backlog.most} sweeps were seen in the backlog, of {sweeps}, most of them in the store")
	expect(backlog.most <= sweeps * 1.2, f"{backlog.most} sweeps in a backlog of {sweeps} at most, and of those on their way")
	expect_equal(backlog.now(), 0, "the backlog at the end")


if __name__ == "__main__":
	harness.main(globals())
