#!/usr/bin/python3
"""The supervisor: the worker may die any death, the started process, the lock and the sockets stay; and they go together."""

import http.client
import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import Producer
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host, _gone
from lib.http import Http
from lib.program import Program, Shape
from lib.rpc import Closed


def worker_of(host):
	"""Asked on a connection of its own, which waits while there is no worker."""
	return Http(host.control).get("/v1/status")["worker_pid"]


def another_worker(host, before):
	"""None while it is not there, and whoever asks may be answered by the one that is about to die."""
	try:
		after = worker_of(host)
	except (OSError, http.client.HTTPException):
		return None
	return after if after != before else None


def killed_worker(host, number=signal.SIGKILL):
	before = worker_of(host)
	os.kill(before, number)
	after = wait_until(lambda: another_worker(host, before), 20, "another worker")
	host.worker = after
	return after


def test_a_killed_worker_comes_back(test):
	host = Host(test, plugins=("counter",)).start()
	expect(host.worker != host.process.pid, "the worker is a process of its own")
	expect_equal(host.status()["pid"], host.process.pid, "pid is the started one")
	with host.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "one", 5), 5, "the first count")
	for round in range(test.by_scale(6, 40)):
		# a sanitizer answers the others with a report
		others = [] if test.sanitizer() else [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS]
		killed_worker(host, test.random.choice([signal.SIGKILL, *others]))
		status = host.status()
		expect_equal((status["recovered"], status["pid"]), ("crash", host.process.pid), "after the kill")
		with host.rpc() as rpc:
			expect_equal(rpc.call("demo/counter", "one", 1), 6 + round, "the count goes on")
	expect_equal(host.stdout.count(b"\n"), 1, "one ready line")
	expect_equal(host.dead(), [], "a kill from outside convicts nobody")
	host.stop()


def test_clients_wait_on_the_open_sockets(test):
	"""Whoever connects while there is no worker is served by the next one: nobody is refused."""
	host = Host(test, plugins=("counter",)).start()
	ended, refusals, served = threading.Event(), [], [0]

	def caller(number):
		while not ended.is_set():
			try:
				with host.rpc(timeout=20) as rpc:
					rpc.call("demo/counter", f"c{number}", 1)
					served[0] += 1
			except Closed as error:
				if "refused" in str(error) or "No such file" in str(error):
					refusals.append(error)
			except OSError as error:
				refusals.append(error)
	callers = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(4)]
	for thread in callers:
		thread.start()
	for _ in range(test.by_scale(8, 40)):
		before = served[0]
		killed_worker(host)
		wait_until(lambda: served[0] > before + 4, 20, "callers are served")
	ended.set()
	for thread in callers:
		thread.join()
	expect_equal(refusals, [], "refused connections")


def test_the_worker_goes_with_the_started_process(test):
	host = Host(test, plugins=("counter",)).start()
	for _ in range(test.by_scale(5, 30)):
		worker = host.worker
		start = time.monotonic()
		os.kill(host.process.pid, signal.SIGKILL)
		host.process.wait()
		wait_until(lambda: _gone(worker), 2, "the worker is gone", every_s=0.001)
		expect(time.monotonic() - start < 2, "within 2 s")
		host.process.stdout.close()
		host.start()


def test_a_stop_while_there_is_no_worker(test):
	"""SIGTERM at any instant around a death of the worker ends it all, with 0."""
	for _ in range(test.by_scale(10, 60)):
		host = Host(test, plugins=("counter",)).start()
		os.kill(host.worker, signal.SIGKILL)
		time.sleep(test.random.uniform(0, 0.05))  # the instant under test
		host.stop()


def test_exit_codes_pass_through_and_do_not_loop(test):
	host = Host(test, plugins=("counter",)).start()
	host.stop()
	journal = next((host.data / "journal").glob("*"))
	journal.write_bytes(b"\xff" * 4096)
	start = time.monotonic()
	host.spawn()
	expect_equal(host.wait_exit(), 3, "a store that is damaged")
	expect(time.monotonic() - start < 5, "it does not loop")
	expect("worker_died" not in host.errors(), "nothing crashed")
	expect(not host.control.exists() and not host.socket.exists(), "no socket is left")


def test_workers_killed_under_a_stream(test):
	"""Records in flight at each kill: nothing is lost, nothing counts twice, and the started process stays the same."""
	program = Program(test.random, test.by_scale(20000, 100000), Shape(retry=0.01))
	host = Host(test, shards=2, settings={"retry.backoff_ms": 3}).start()
	producer = Producer(host.socket, program.packed, test.random)
	producer.start()
	producer.gate.set()
	started = host.process.pid
	for _ in range(test.by_scale(8, 40)):
		time.sleep(test.random.uniform(0.05, 0.3))  # the instant under test
		killed_worker(host)
	producer.finish(120)
	expect_equal(host.process.pid, started, "the started process")
	host.barrier()
	from lib.campaign import Campaign
	Campaign(test, host, program, producer).verify()


if __name__ == "__main__":
	harness.main(globals())
