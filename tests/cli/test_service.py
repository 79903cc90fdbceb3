#!/usr/bin/python3
"""What a service manager sees of the host: ready, alive, stopping, by the protocol of sd_notify(3); and that a host whose loop
hangs is no longer called alive."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host

WATCHDOG_S = 2.0


class Manager:
	"""The socket of a service manager, and a host that it starts."""

	def __init__(self, test, abstract=False, **more):
		self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		path = f"@sofun-{os.getpid()}-{test.name}" if abstract else str(test.dir / "notify")
		self.socket.bind("\0" + path[1:] if abstract else path)
		environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
		self.host = Host(test, plugins=("play",), environment=environment, **more)

	def word(self, deadline_s=20.0):
		"""What the host says next; None: nothing in time."""
		self.socket.settimeout(deadline_s)
		try:
			return self.socket.recv(4096).decode()
		except socket.timeout:
			return None

	def wait_word(self, wanted):
		said = []
		wait_until(lambda: (said.append(self.word()), wanted in (said[-1] or "").split("\n"))[1], 30, f"{wanted} among {said}")

	def alive_within(self, seconds):
		"""How often the host says that it lives."""
		end, count = time.monotonic() + seconds, 0
		while time.monotonic() < end:
			count += self.word(max(0.01, end - time.monotonic())) == "WATCHDOG=1"
		return count


def test_ready_alive_and_stopping(test):
	manager = Manager(test)
	manager.host.start()
	manager.wait_word("READY=1")
	expect(manager.alive_within(2 * WATCHDOG_S) >= 4, "a sign of life well within the watchdog's interval")
	manager.host.stop()
	manager.wait_word("STOPPING=1")


def test_an_abstract_socket(test):
	manager = Manager(test, abstract=True)
	manager.host.start()
	manager.wait_word("READY=1")


def test_a_loop_that_hangs_is_not_alive(test):
	manager = Manager(test)
	manager.host.start()
	manager.wait_word("READY=1")
	os.kill(manager.host.worker, signal.SIGSTOP)
	manager.alive_within(WATCHDOG_S / 2)  # what was due before
	expect_equal(manager.alive_within(2 * WATCHDOG_S), 0, "signs of life of a worker that stands")
	os.kill(manager.host.worker, signal.SIGCONT)
	manager.wait_word("WATCHDOG=1")


def test_a_worker_that_comes_back_is_alive(test):
	manager = Manager(test)
	manager.host.start()
	manager.wait_word("READY=1")
	os.kill(manager.host.worker, signal.SIGKILL)
	wait_until(lambda: manager.host.status()["worker_pid"] != manager.host.worker, 20, "another worker")
	manager.alive_within(WATCHDOG_S / 2)
	expect(manager.alive_within(2 * WATCHDOG_S) >= 3, "signs of life of the new worker")


def test_a_socket_that_nobody_reads_changes_nothing(test):
	host = Host(test, plugins=(), environment={"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "100000"}).start()
	host.stop()
	host = Host(test, plugins=(), environment={"NOTIFY_SOCKET": "nonsense"}).start()
	host.stop()


if __name__ == "__main__":
	harness.main(globals())
