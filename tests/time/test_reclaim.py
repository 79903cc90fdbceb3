#!/usr/bin/python3
"""What the sweep leaves behind: instances that expired are gone from the disk, too, without anybody asking, while messages are
handled at their usual pace. Sizes are read from the disk."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.harness import expect, expect_equal, patient, wait_until
from lib.mayfly import TYPE, call, clock, load, started

MIB = 1 << 20
TEXT = "x" * 400


def disk_bytes(host):
	return store.table_bytes(host.data)


def fill(host, number, batch=500, text=TEXT, first=0):
	with host.rpc() as rpc:
		for first in range(first, first + number, batch):
			rpc.ingest("mayfly", "p", first + 1, [[f"i{index:08}", [1, text, None]] for index in range(first, first + batch)])
	host.barrier(timeout_ms=300_000)


def paced(host, calls):
	"""Milliseconds of each."""
	took = []
	for index in range(calls):
		start = time.monotonic()
		call(host, f"busy{index % 50}", 1)
		took.append((time.monotonic() - start) * 1000)
	return sorted(took)


def test_the_disk_comes_back_after_a_sweep(test):
	number = test.by_scale(40_000, 1_000_000)
	host = started(test, "mayfly", settings={"limits.memory_bytes": 32 * MIB})
	host.http.post(f"/v1/ttl/{TYPE}", {"idle_ttl_ms": 1000})
	fill(host, number)
	fill_bytes = disk_bytes(host)
	expect(fill_bytes > number * len(TEXT) // 2, f"{fill_bytes} bytes of {number} instances are on the disk, before")
	quiet = paced(host, 200)
	start = time.monotonic()
	clock(host, 100_000)
	swept_s = time.monotonic() - start
	expect_equal(host.metrics()[f'sofun_expired_total{{function="{TYPE}"}}'], number + 50, "expired instances")
	load(host, "mayfly_2")
	# counted once a compaction has come to its end, while the last of its pieces may have made the difference already
	fine = lambda: disk_bytes(host) < fill_bytes // 8 and host.metrics()["sofun_compactions_total"] >= 1
	# what goes on makes the checkpoints that bring the removals to the databases
	with host.rpc() as rpc:
		first = number + 1
		deadline = time.monotonic() + patient(test.by_scale(60, 600))
		while True:
			rpc.ingest("mayfly", "p", first, [[f"k{index}", [1, TEXT, None]] for index in range(200)])
			first += 200
			if fine():
				break
			expect(time.monotonic() < deadline, f"{disk_bytes(host)} bytes are left on the disk, of {fill_bytes}")
	busy = paced(host, 200)
	test.note(f"{number} instances, {fill_bytes // MIB} MiB on disk, {disk_bytes(host) // 1024} KiB after; swept in {swept_s:.1f} s "
		f"({number / swept_s:.0f} a second); a call beside it p99 {busy[-3]:.1f} ms, before {quiet[-3]:.1f} ms")
	host.kill()
	host.start()
	expect_equal(len(host.ids(TYPE)), 250, "what is left, after a kill")


def test_an_idle_host_gives_the_last_of_it_back(test):
	number, text = 20_000, "x" * 150
	host = started(test)
	host.http.post(f"/v1/ttl/{TYPE}", {"idle_ttl_ms": 1000})
	fill(host, number, text=text)
	host.stop()  # with a checkpoint; what is swept below is far less than what another one comes for by itself
	host.start()
	fill_bytes = disk_bytes(host)
	expect(fill_bytes > number * len(text) // 2, f"{fill_bytes} bytes of {number} instances are on the disk, before")
	clock(host, 100_000)
	expect_equal(host.metrics()[f'sofun_expired_total{{function="{TYPE}"}}'], number, "expired instances")
	epoch = host.status()["epoch"]
	expect(host.metrics()["sofun_table_entries"] >= number, "the tables have it: on the disk nothing tells that it is gone")
	wait_until(lambda: host.metrics()["sofun_table_entries"] == 0, 30, "a checkpoint, though nobody does anything")
	wait_until(lambda: disk_bytes(host) < fill_bytes // 8, 60, "the disk is given back")
	expect_equal(host.status()["epoch"], epoch, "epochs meanwhile")


def test_half_of_it_comes_back_over_a_restart(test):
	"""Large rows, written before the last start, or removed before it and not compacted yet: a compaction that took them for
	small ones, or knew of none, never came."""
	number, text, later = test.by_scale(12_000, 100_000), "x" * 2000, 50_000
	for restart_before_the_end in (True, False):
		host = started(test, settings={"limits.memory_bytes": 32 * MIB})  # so that checkpoints bring it all to the disk
		host.http.post(f"/v1/ttl/{TYPE}", {"idle_ttl_ms": 100_000})
		fill(host, number, text=text)
		clock(host, later)
		fill(host, number, text=text, first=number)
		if restart_before_the_end:
			host.stop()
			host.start()
		fill_bytes = disk_bytes(host)
		expect(fill_bytes > number * len(text) * 3 // 2, f"{fill_bytes} bytes of {2 * number} instances are on the disk")
		clock(host, 100_000 + later // 2)
		if not restart_before_the_end:
			host.stop()  # with the checkpoint that brings the removals to the database
			host.start()
		# up to a quarter of a database may be rows that were removed: two thirds of what was there
		wait_until(lambda: disk_bytes(host) < 2 * number * len(text) * 7 // 10, 60,
			f"the disk is given back, restart before the end: {restart_before_the_end}")
		test.note(f"{2 * number} instances, {fill_bytes // MIB} MiB on disk, {disk_bytes(host) // MIB} MiB after")
		host.kill()
		host.start()
		expect_equal(len(host.ids(TYPE)), number, "what is left, after a kill")
		host.end()


if __name__ == "__main__":
	harness.main(globals())
