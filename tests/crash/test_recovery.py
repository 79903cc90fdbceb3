#!/usr/bin/python3
"""The start itself: what it costs, killed in its middle again and again, on a full disk, with a file of the store gone or
unreadable. Whatever it meets, it says what that is, and nothing is lost."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal
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


if __name__ == "__main__":
	harness.main(globals())
