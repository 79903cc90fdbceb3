#!/usr/bin/python3
"""`subscribe` and `ack`: every offset once and in order, windows, names, slow readers, kills, restarts."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import Failed, expect, expect_equal, patient, raised, wait_until
from lib.host import Host
from lib.rpc import Closed, RpcError


def emit(host, payloads, id="e", egress="play"):
	"""One record for each payload, durable when it returns."""
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": id, "payload": {"emit": {"egress": egress, "payload": payload}}})
			for payload in payloads]
		for number in numbers:
			rpc.answer(number)
	host.barrier()


class Subscriber:
	"""One subscription on a connection of its own; checks that offsets rise by one, but for what is said to be skipped."""

	def __init__(self, host, egress="play", **params):
		self.egress = egress
		self.rpc = host.rpc()
		answer = self.rpc.do("subscribe", egress=egress, **params)
		self.number, self.next, self.incarnation = answer["subscription"], answer["next"], answer["incarnation"]
		self.forked = answer.get("forked")
		self.skipped = 0
		self.records = []

	def take(self, deadline_s=10.0):
		"""One notification more."""
		frame = self.rpc.notification(time.monotonic() + patient(deadline_s))
		expect_equal(frame[:2], [2, "records"], "notification")
		params = frame[2][0]
		expect_equal(params["subscription"], self.number, "subscription")
		skipped = params.get("skipped", 0)
		expect_equal(params["records"][0].get("skipped", 0), skipped, "skipped in the first record")
		expect_equal(params["first"], self.next + skipped, "first")
		self.next = params["first"] + len(params["records"])
		self.skipped += skipped
		self.records += params["records"]
		return params["records"]

	def until(self, next, deadline_s=20.0):
		while self.next < next:
			self.take(deadline_s)
		return self

	def payloads(self):
		return [record["payload"] for record in self.records]

	def silent(self, seconds=0.3):
		try:
			frame = self.rpc.notification(time.monotonic() + seconds)
		except TimeoutError:
			return True
		raise Failed(f"unexpected: {str(frame)[:200]}")

	def ack(self, name, next):
		return self.rpc.do("ack", egress=self.egress, name=name, next=next)["next"]

	def close(self):
		self.rpc.close()


def test_what_is_there_and_what_comes(test):
	host = Host(test).start()
	emit(host, range(10))
	reader = Subscriber(host, **{"from": "earliest"})
	expect_equal(reader.next, 0, "next")
	reader.until(10)
	emit(host, range(10, 15))
	reader.until(15)
	expect_equal(reader.payloads(), list(range(15)), "payloads")
	record = reader.records[3]
	expect_equal(record["source"], {"type": "test/play", "id": "e"}, "source")
	expect(abs(record["time_ms"] - time.time() * 1000) < 60000, "time_ms")
	expect_equal(sorted(record), ["payload", "source", "time_ms"], "members")
	expect(reader.silent(), "and no more")


def test_where_a_subscriber_begins(test):
	host = Host(test).start()
	emit(host, range(20))
	for place, next in (("earliest", 0), ("latest", 20), (7, 7), (20, 20)):
		reader = Subscriber(host, **{"from": place})
		expect_equal((reader.next, reader.forked), (next, None), f"from {place}")
		if next < 20:
			expect_equal(reader.until(20).payloads(), list(range(next, 20)), f"from {place}")
		reader.close()
	reader = Subscriber(host, **{"from": 25})
	expect_equal((reader.next, reader.forked), (20, 20), "beyond the end")
	unseen = Subscriber(host, name="new", **{"from": "acked"})
	expect_equal(unseen.next, 0, "a name that never acknowledged begins at the first record")
	emit(host, [20])
	latest = Subscriber(host, **{"from": "latest"})
	emit(host, [21])
	expect_equal(latest.until(22).payloads(), [21], "latest")


def test_an_egress_that_was_never_used(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		expect_equal(raised(RpcError, lambda: rpc.do("subscribe", egress="none", **{"from": 0})).code, "unknown_egress", "code")
		expect_equal(raised(RpcError, lambda: rpc.do("ack", egress="none", name="n", next=0)).code, "unknown_egress", "code")
	reader = Subscriber(host, **{"from": "earliest"})  # play declares it
	expect_equal(reader.next, 0, "next")
	emit(host, ["first"])
	expect_equal(reader.until(1).payloads(), ["first"], "the first record of all")


def test_the_window_is_kept(test):
	host = Host(test).start()
	emit(host, range(30))
	reader = Subscriber(host, name="w", window=8, **{"from": "earliest"})
	reader.until(8)
	expect(reader.silent(), "eight are not acknowledged")
	expect_equal(reader.ack("w", 3), 3, "ack")
	reader.until(11)
	expect(reader.silent(), "again eight")
	expect_equal(reader.ack("w", 2), 3, "an older acknowledgement takes nothing back")
	expect(reader.silent(), "and refills nothing")
	while reader.next < 30:
		expect_equal(reader.ack("w", reader.next), reader.next, "ack")
		reader.take()
		expect(reader.next <= 30, "bound")
	expect_equal(reader.payloads(), list(range(30)), "payloads")
	error = raised(RpcError, lambda: reader.ack("w", 31))
	expect_equal(error.code, "conflict", "beyond the end")


def test_acknowledgements_are_durable(test):
	host = Host(test).start()
	emit(host, range(50))
	reader = Subscriber(host, name="d", **{"from": "acked"}).until(50)
	expect_equal(reader.ack("d", 20), 20, "ack")
	host.kill()
	host.restart()
	with host.rpc() as rpc:
		expect_equal(rpc.do("ack", egress="play", name="d", next=0)["next"], 20, "the row of a name that nobody subscribes by")
	reader = Subscriber(host, name="d", **{"from": "acked"})
	expect_equal(reader.next, 20, "after SIGKILL")
	expect_equal(reader.until(50).payloads(), list(range(20, 50)), "the rest")
	reader.ack("d", 45)
	host.stop()
	host.restart(shards=4)
	expect_equal(Subscriber(host, name="d", **{"from": "acked"}).next, 45, "after SIGTERM")
	expect_equal(Subscriber(host, name="other", **{"from": "acked"}).next, 0, "another name")
	back = Subscriber(host, name="d", **{"from": 10})
	expect_equal(back.ack("d", 12), 12, "who goes back writes the earlier place")
	back.close()
	expect_equal(Subscriber(host, name="d", **{"from": "acked"}).next, 12, "the earlier place")


def test_a_younger_subscriber_takes_the_name(test):
	host = Host(test).start()
	emit(host, range(5))
	older = Subscriber(host, name="n", **{"from": "acked"}).until(5)
	younger = Subscriber(host, name="n", **{"from": "acked"}).until(5)
	frame = older.rpc.notification(time.monotonic() + patient(10))
	expect_equal((frame[1], frame[2][0]["subscription"], frame[2][0]["code"]), ("ended", older.number, "conflict"), "the older")
	emit(host, [5])
	younger.until(6)
	expect(older.silent(), "nothing more to the older")


def test_wrong_requests(test):
	host = Host(test).start()
	with host.rpc() as rpc:
		def refused(method, **params):
			return raised(RpcError, lambda: rpc.do(method, **params)).code
		for params in ({"egress": "play"}, {"egress": "play", "from": "first"}, {"egress": "play", "from": -1},
				{"egress": "play", "from": "acked"}, {"egress": "play", "from": 0, "window": 0},
				{"egress": "play", "from": 0, "name": ""}, {"egress": "play", "from": 0, "name": "x" * 201},
				{"egress": "play", "from": 0, "more": 1}):
			expect_equal(refused("subscribe", **params), "bad_request", f"{params}")
		expect_equal(refused("ack", egress="play", name="n"), "bad_request", "no next")
		expect_equal(refused("ack", egress="play", next=1), "bad_request", "no name")


def test_a_reader_that_does_not_read_is_paused(test):
	test.need_plain_build("it counts memory")
	host = Host(test, settings={"limits.memory_bytes": "128MiB"}).start()
	lazy = Subscriber(host, **{"from": "earliest"})
	fast = Subscriber(host, **{"from": "earliest"})
	payload = "x" * 50000
	total = test.by_scale(1500, 6000)
	before = host.resident_bytes()
	for start in range(0, total, 100):
		emit(host, [payload] * 100)
		fast.until(start + 100)
	grown = host.resident_bytes() - before
	test.note(f"{total * 50000 >> 20} MiB emitted while one did not read; resident grew by {grown >> 20} MiB")
	expect(grown < 160 << 20, f"memory grew by {grown >> 20} MiB")
	expect_equal(len(lazy.until(total).records), total, "the lazy one gets all of it, later")


def call_times(host, count=400):
	"""Sorted seconds of single calls, one after the other, while records are emitted beside them."""
	times = []
	with host.rpc() as rpc:
		for n in range(count):
			numbers = [rpc.request("send", {"to": "test/play", "id": f"e{k}", "payload": {"emit": {"egress": "play", "payload": "x" * 2000}}})
				for k in range(5)]
			start = time.monotonic()
			rpc.call("test/play", f"c{n % 7}", {"add": 1, "reply": True})
			times.append(time.monotonic() - start)
			for number in numbers:
				rpc.answer(number)
	return sorted(times)


def test_nobody_notices_readers_that_do_not_read(test):
	test.need_plain_build("it measures")
	host = Host(test).start()
	call_times(host, 50)
	best = 1e9
	for attempt in range(6):  # a machine that others use, too: one quiet round is enough
		alone = call_times(host)
		lazy = [Subscriber(host, **{"from": "earliest"}) for _ in range(100)]
		beside = call_times(host)
		for reader in lazy:
			reader.close()
		best = min(best, beside[-4] / alone[-4])
		test.note(f"p99 of a call {alone[-4] * 1000:.2f} ms alone, {beside[-4] * 1000:.2f} ms beside 100 that do not read")
		if best <= 1.5:
			return
	raise Failed(f"p99 grew {best:.2f} times")


def test_ten_thousand_subscriptions(test):
	test.need_plain_build("it counts memory")
	host = Host(test, settings={"limits.memory_bytes": "128MiB"}).start()
	emit(host, [0])
	before = host.resident_bytes()
	count, rpc = 10000, host.rpc()
	for start in range(0, count, 1000):
		numbers = [rpc.request("subscribe", {"egress": "play", "from": "latest"}) for _ in range(1000)]
		for number in numbers:
			expect_equal(rpc.answer(number)["next"], 1, "next")
	grown = host.resident_bytes() - before
	test.note(f"{count} idle subscriptions: {grown // count} bytes each")
	expect(grown < 20 << 20, "memory of idle subscriptions")
	cpu = Path(f"/proc/{host.worker}/stat").read_text().split()[13:15]
	time.sleep(1)  # not a wait: what an idle host does in a second is measured
	again = Path(f"/proc/{host.worker}/stat").read_text().split()[13:15]
	expect(sum(map(int, again)) - sum(map(int, cpu)) < 20, "an idle host does nothing for them")
	with host.rpc() as other:
		emit(host, [1])
		got = set()
		while len(got) < count:
			params = rpc.notification(time.monotonic() + 30)[2][0]
			expect_equal((params["first"], len(params["records"])), (1, 1), "the new record")
			got.add(params["subscription"])
		expect_equal(other.call("test/play", "x", {"reply": True}), 0, "others are served")
	rpc.close()


def test_offsets_across_kills(test):
	"""Subscribers with and without a name while the host is killed: every offset once and in order, from where they were."""
	host = Host(test, plugins=("play",), settings={"retry.backoff_ms": 1}).start()
	chance = random.Random(test.seed)
	reader, named, sent, next, acked = None, None, 0, 0, 0
	seen, seen_named = [], []
	incarnation = None
	for life in range(test.by_scale(8, 30)):
		more = {} if incarnation is None else {"incarnation": incarnation}
		reader = Subscriber(host, **{"from": next}, **more)
		expect_equal((reader.next, reader.forked), (next, None), "goes on where it was")
		incarnation = reader.incarnation
		named = Subscriber(host, name="k", window=50, **{"from": "acked"})
		expect(named.next >= acked, f"acknowledged {acked}, begins at {named.next}")
		seen_named = seen_named[:named.next]
		expect_equal(len(seen_named), named.next, "no offset is passed over")
		rpc = host.rpc()
		end = time.monotonic() + chance.uniform(0.2, 0.6)
		try:
			while time.monotonic() < end:
				numbers = [rpc.request("send", {"to": "test/play", "id": f"i{n % 5}",
					"payload": {"emit": {"egress": "play", "payload": sent + n}}}) for n in range(20)]
				sent += 20
				for number in numbers:
					rpc.answer(number)
				seen += [record["payload"] for record in reader.take()]
				seen_named += [record["payload"] for record in named.take()]
				acked = named.ack("k", named.next)
		except (Closed, TimeoutError) as error:
			raise Failed(f"the host ended by itself: {error}") from error
		host.kill()
		for one, list in ((reader, seen), (named, seen_named)):
			try:
				while True:
					list += [record["payload"] for record in one.take(1)]
			except (Closed, TimeoutError):
				pass
			one.close()
		next = reader.next
		rpc.close()
		host.restart(shards=chance.choice((1, 2, 4)))
	host.barrier()
	all = [record["payload"] for record in host.egress("play")]
	expect_equal(seen, all[:len(seen)], "what the unnamed one saw is a beginning of the egress")
	expect_equal(seen_named, all[:len(seen_named)], "and what the named one saw, its repeats taken out")
	test.note(f"{len(all)} records, {len(seen)} seen, {len(seen_named)} by name")
	expect(len(seen) > 100, "the test did something")


def segments(host, egress="play"):
	return sorted((host.data / "egress" / egress).glob("*.log"))


def test_retention_by_size(test):
	"""Whole segments go at a checkpoint, which an orderly stop makes. Who was away is told how many records it has missed."""
	host = Host(test, settings={"egress.retention_bytes": "1MiB"}).start()
	payload = "x" * 1000
	emit(host, [payload] * 50)
	reader = Subscriber(host, name="r", **{"from": "acked"}).until(50)
	reader.ack("r", 40)
	for _ in range(5):
		emit(host, [payload] * 600)
		host.stop()
		host.restart()
	kept = sum(path.stat().st_size for path in segments(host))
	expect(kept < 1200 << 10, f"kept {kept >> 10} KiB")
	start, end = int(segments(host)[0].stem), 3050
	expect(1500 < start < end, f"start {start}")
	for params, next in (({"from": "acked", "name": "r"}, 40), ({"from": 7}, 7), ({"from": start}, start), ({"from": "earliest"}, start)):
		reader = Subscriber(host, window=5000, **params)
		expect_equal((reader.next, reader.forked), (next, None), f"{params}")
		reader.until(end)
		expect_equal((reader.skipped, len(reader.records)), (start - next, end - start), f"skipped and read from {params}")
	page = host.http.get("/v1/egresses/play?from=3&limit=2")
	expect_equal((page["first"], page["records"][0]["offset"], page["next"]), (start, start, start + 2), "a page by HTTP")
	slow = Subscriber(host, name="slow", window=10, **{"from": start})
	slow.until(start + 10)
	host.stop()
	host.restart(settings={"egress.retention_bytes": "2MiB"})
	emit(host, [payload])
	expect_equal(int(segments(host)[0].stem), start, "more is kept from here on")
	host.stop()
	verify = subprocess.run([str(test.find("sofund")), "--verify", str(host.data)], capture_output=True, text=True, timeout=60)
	expect_equal((verify.returncode, "FOUND" in verify.stdout), (0, False), f"--verify: {verify.stdout}")


def test_retention_by_age(test):
	hour = 3600
	host = Host(test, settings={"egress.retention_s": hour}, flags=["--test-clock", "1700000000000"]).start()
	emit(host, range(10))
	host.stop()
	host.restart()
	expect_equal(len(segments(host)), 1, "an hour is not over")
	reader = Subscriber(host, name="a", **{"from": "earliest"}).until(10)
	reader.ack("a", 5)
	reader.close()
	host.http.post("/v1/clock", {"advance_ms": 2 * hour * 1000})
	with host.rpc() as rpc:
		rpc.call("test/play", "x", {"add": 1, "reply": True})
	host.stop()
	host.restart()
	expect_equal(segments(host), [], "all of it is too old")
	again = Subscriber(host, name="a", **{"from": "acked"})
	expect_equal(again.next, 5, "the position stands")
	emit(host, ["new"])
	again.until(11)
	expect_equal((again.skipped, again.payloads()), (5, ["new"]), "what it missed, and what is new")
	host.kill()
	host.restart()
	expect_equal(Subscriber(host, **{"from": "earliest"}).until(11).payloads(), ["new"], "offsets go on after a kill")


def test_retention_acts_on_an_idle_host(test):
	"""Nobody sends anything, and nobody stops the host: what is too old goes all the same, from the table and from the log."""
	host = Host(test, settings={"egress.retention_s": 3600}, flags=["--test-clock", "1700000000000"]).start()
	first = lambda: host.http.get("/v1/egresses/play")["first"]
	emit(host, range(10))
	host.http.post("/v1/clock", {"advance_ms": 3500000})
	time.sleep(5)  # not a wait: what the host leaves alone in that time is looked at
	expect_equal(first(), 0, "an hour is not over")
	host.http.post("/v1/clock", {"advance_ms": 2 * 3600000})
	wait_until(lambda: first() == 10, 30, "all of it is too old")
	expect_equal(segments(host), [], "files")
	emit(host, range(10, 20))
	host.kill()
	host.restart()
	expect_equal(first(), 10, "the young ones are there, behind a kill")
	host.http.post("/v1/config", {"egress.retention_s": 60})
	host.http.post("/v1/clock", {"advance_ms": 61000})
	wait_until(lambda: first() == 20, 30, "by the setting that was lowered")
	reader = Subscriber(host, **{"from": 0})
	emit(host, ["new"])
	expect_equal((reader.until(21).skipped, reader.payloads()), (20, ["new"]), "offsets go on")
	checkpoints = host.metrics()["sofun_checkpoints_total"]
	time.sleep(5)  # not a wait: an idle host with nothing to trim makes no checkpoint
	expect_equal(host.metrics()["sofun_checkpoints_total"], checkpoints, "checkpoints of an idle host")


def test_a_data_directory_from_a_backup_is_a_fork(test):
	"""Offsets mean other records there (rule 11): who comes with the incarnation in which it saw them is told."""
	host = Host(test).start()
	emit(host, range(10))
	first = Subscriber(host, **{"from": "earliest"}).until(10)
	host.stop()
	backup = test.dir / "backup"
	shutil.copytree(host.data, backup)
	host.restart()
	expect_equal(Subscriber(host, incarnation=first.incarnation, **{"from": 10}).forked, None, "a restart is no fork")
	emit(host, range(10, 20))
	seen = Subscriber(host, **{"from": 5}).until(20)
	host.stop()
	shutil.rmtree(host.data)
	shutil.copytree(backup, host.data)
	host.restart()
	emit(host, range(100, 130))
	old = Subscriber(host, incarnation=first.incarnation, **{"from": 10})
	expect_equal((old.next, old.forked), (10, None), "what both have in common")
	forked = Subscriber(host, incarnation=seen.incarnation, **{"from": 20})
	expect(forked.forked is not None and forked.forked <= 10 and forked.next == forked.forked, f"forked {forked.forked}")
	forked.until(40)
	expect_equal(forked.payloads()[-30:], list(range(100, 130)), "the records of this history")


if __name__ == "__main__":
	harness.main(globals())
