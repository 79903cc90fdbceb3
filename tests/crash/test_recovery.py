#!/usr/bin/python3
"""The start itself: what it costs, killed in its middle again and again, on a full disk. Whatever it meets, it says what that is, and nothing is lost."""

import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.disk import fill_disk, small_disk, started_on_full_disk
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host

START_MS = 1_000_000_000


def processor_s(pid):
	"""What a process has used so far."""
	fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
	return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recovered(host):
	"""The numbers of the log's line `recovered` of this start."""
	line = [line for line in host.errors().splitlines() if " recovered " in line][-1]
	return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line)}


# ---- what a start costs ----

def test_a_start_costs_the_same_whatever_waits_in_the_store(test):
	"""Timers with tokens, in the journal that is replayed and in the databases. A start that sorted the replayed rows each time
	it looked for some of another kind took three seconds of processor for 100,000 timers."""
	test.need_plain_build("it measures the processor's time")
	timers = test.by_scale(120_000, 1_000_000)
	each = 100
	host = Host(test, plugins=("play",), shards=2, flags=["--test-clock", str(START_MS)]).start()
	host.wait_live("play")
	host.kill()
	host.start()
	empty_s = processor_s(host.worker)
	with host.rpc() as rpc:
		for first in range(0, timers // each, 200):
			rpc.ingest("play", "many", first + 1, [{"id": f"s{number}", "msg": {"send": [
				{"id": f"t{(number + index) % 5000}", "msg": {"add": 1}, "after_ms": 3_600_000 + index, "token": f"k{index}"}
				for index in range(each)]}} for number in range(first, min(first + 200, timers // each))])
	host.http.close()
	host.barrier(timeout_ms=300_000)
	host.kill()
	host.start()
	full_s = processor_s(host.worker)
	phases = recovered(host)
	test.note(f"{timers} timers: {full_s:.2f} s of processor to the ready line, {empty_s:.2f} s in an empty store; {phases}")
	expect(phases["rows"] >= 2 * 40_000, f"the timers were replayed: {phases}")
	expect(full_s < empty_s + 0.3, f"a start took {full_s:.2f} s of processor, {empty_s:.2f} s without timers")
	host.http.post("/v1/clock", {"to_ms": START_MS + 3_600_000 + each})
	host.barrier(timeout_ms=300_000)
	expect_equal(sum(values.get("count", 0) for values in host.dump("test/play").values()), timers, "timers that came")


# ---- a backlog that a start with another number of shards has to move ----

def backlog(test, host, messages, size=600):
	"""So many messages wait for a type without a live version; nothing of them is handled."""
	host.start()
	host.wait_live("play")
	host.http.json("DELETE", "/v1/plugins/play")
	wait_until(lambda: (host.plugin("play") or {"state": "retired"})["state"] not in ("live", "draining"), 20, "play is unloaded")
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": f"b{number % 997}", "payload": {"add": 1,
			"emit": {"egress": "play", "payload": "x" * size}}})
			for number in range(messages)]
		for number in numbers:
			rpc.answer(number)


def backlog_check(host, messages):
	host.http.post("/v1/plugins", {"path": str(host.test.plugin("play"))})
	host.wait_live("play")
	host.barrier(timeout_ms=120_000)
	counts = [values.get("count", 0) for values in host.dump("test/play").values()]
	expect_equal((sum(counts), len(host.egress("play")), len(host.dead())), (messages, messages, 0),
		"messages that were handled, egress records, and dead letters")


def test_ten_kills_in_a_row_within_a_start_that_moves_a_backlog(test):
	"""Each start has another number of shards than the last, and dies somewhere between its first file and its ready line."""
	messages = test.by_scale(20_000, 200_000)
	host = Host(test, shards=2)
	backlog(test, host, messages)
	host.kill()
	host.shards = 1
	start = time.monotonic()
	host.start()
	took_s = time.monotonic() - start
	host.kill()
	moved = 0
	for shards in [4, 2, 1, 3, 2] * test.by_scale(2, 20):
		host.shards = shards
		host.spawn()
		time.sleep(test.random.random() * took_s)  # not a wait: the instant of the kill is part of the seed's play
		host.kill()
		moved += " mailboxes " not in host.errors()
	expect(moved > 0, "no kill came before the backlog was moved")
	host.restart(shards=test.random.choice([1, 2, 4]))
	backlog_check(host, messages)
	test.note(f"a start took {took_s:.2f} s; {moved} kills came before all was moved")


def test_a_start_that_moves_a_backlog_on_a_full_disk(test):
	"""It waits, or ends with a word about space; once there is some, everything is there."""
	messages = test.by_scale(20_000, 100_000)
	with small_disk(test, 512 << 20) as disk:
		host = Host(test, shards=1, data=disk / "data")
		backlog(test, host, messages)
		host.kill()
		ballast = fill_disk(disk)
		for shards in (2, 4, 1, 3):
			host.shards = shards
			if started_on_full_disk(host):
				host.kill()
		ballast.unlink()
		host.restart(shards=2)
		backlog_check(host, messages)


if __name__ == "__main__":
	harness.main(globals())
