#!/usr/bin/python3
"""A disk that runs full and gets space again: nothing is answered that is not durable, nothing is lost, the host goes on by
itself; killed while the disk is full, it comes back too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer, verify
from lib.disk import fill_disk, free_bytes, small_disk, started_on_full_disk
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.program import Program, Shape

DISK_BYTES = 512 << 20
# One message a record with a body of 30 kB: the disk is what gives in first.
HEAVY = Shape(instances=100, nodes=1, emit=1.0, pad=30000)


def health(host):
	"""(HTTP status, body) of /healthz."""
	status, _, body = host.http.raw("GET", "/healthz")
	return status, body


def start_on(test, disk):
	host = Host(test, shards=2, data=disk / "data").start()
	program = Program(test.random, test.by_scale(16000, 40000), HEAVY)
	producer = Producer(host.socket, program.packed, test.random, batch=4, window=4)
	producer.start()
	producer.gate.set()
	return host, program, producer


def until_full(host, producer, disk):
	"""Ballast beside the working host until it says that it waits for space."""
	wait_until(lambda: producer.check() or producer.durable > 100, 60, "the host works")
	ballast = fill_disk(disk)

	def full():
		producer.check()
		expect(producer.is_alive(), f"the program of {len(producer.records)} records fitted the disk")
		return health(host)[0] == 503
	wait_until(full, 120, "healthz says 503 on a full disk")
	return ballast


def test_a_full_disk_gets_space_again(test):
	with small_disk(test, DISK_BYTES) as disk:
		host, program, producer = start_on(test, disk)
		for _ in range(2):
			ballast = until_full(host, producer, disk)
			expect(b"space" in health(host)[1].lower(), f"the reason: {health(host)[1]!r}")
			stood = producer.durable
			expect(host.alive(), "the host stays")
			ballast.unlink()
			wait_until(lambda: health(host)[0] == 200, 60, "healthz is 200 again once there is space")
			wait_until(lambda: producer.check() or producer.durable > stood, 60, "it goes on by itself")
			if free_bytes(disk) < DISK_BYTES // 4:
				break
		finish(host, program, producer, disk)


def finish(host, program, producer, disk):
	"""What is durable by now is all that is compared: the disk is too small for the whole program."""
	producer.stopped = True
	wait_until(lambda: not producer.is_alive(), 60, "the producer stops")
	with host.rpc() as rpc:
		position = rpc.position("play", "campaign")
	expect(position >= producer.durable, f"position {position}, answered {producer.durable}")
	verify(host, program, position)


def test_a_kill_on_a_full_disk(test):
	with small_disk(test, DISK_BYTES) as disk:
		host, program, producer = start_on(test, disk)
		ballast = until_full(host, producer, disk)
		answered = producer.durable
		producer.stopped = True
		host.kill()
		ready_on_full = started_on_full_disk(host)
		ballast.unlink()
		if not ready_on_full:
			host.start()
		wait_until(lambda: health(host)[0] == 200, 60, "healthz is 200 once there is space")
		with host.rpc() as rpc:
			position = rpc.position("play", "campaign")
		expect(position >= answered, f"position {position}, answered {answered}")
		verify(host, program, position)


def test_reads_go_on_while_the_disk_is_full(test):
	with small_disk(test, DISK_BYTES) as disk:
		host, _, producer = start_on(test, disk)
		until_full(host, producer, disk)
		expect_equal(host.http.get("/v1/state/test/play?limit=1")["instances"] != [], True, "state is read")
		expect(host.status()["in_flight"] >= 0, "status is answered")
		producer.stopped = True
		refusal = harness.raised((HttpError, OSError), lambda: host.barrier(timeout_ms=300))
		test.note(f"a barrier on a full disk: {refusal}")


if __name__ == "__main__":
	harness.main(globals())
