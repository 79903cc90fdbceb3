"""A small disk of its own, and what a host does when it is full."""

import contextlib
import errno
import os
import subprocess

from lib.harness import Failed, Skip, expect, expect_equal


@contextlib.contextmanager
def small_disk(test, size):
	"""A folder on a disk of so many bytes."""
	if os.geteuid() != 0:
		raise Skip("only root can mount a small disk")
	folder = test.dir / "disk"
	folder.mkdir()
	done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "sofun-test", str(folder)],
		capture_output=True, text=True)
	if done.returncode != 0:
		raise Skip(f"cannot mount a small disk here: {done.stderr.strip()}")
	try:
		yield folder
	finally:
		for host in test.hosts:
			host.end()
		subprocess.run(["umount", "-l", str(folder)], check=True)


def free_bytes(folder):
	space = os.statvfs(folder)
	return space.f_bavail * space.f_frsize


def fill_disk(folder):
	"""Takes what is left of the disk, beside a host that takes it too."""
	ballast = folder / "ballast"
	with open(ballast, "wb", buffering=0) as file:
		try:
			while file.write(b"\xaa" * (1 << 20)) > 0:
				pass
		except OSError as error:
			expect_equal(error.errno, errno.ENOSPC, "why the ballast ends")
	return ballast


def started_on_full_disk(host):
	"""On a full disk a start either waits for space or ends with a word about it."""
	host.spawn()
	try:
		host.wait_ready(10)
		return True
	except Failed:
		if host.alive():
			host.kill()
			return False
		expect_equal(host.wait_exit() in (3, 4), True, f"exit code on a full disk: {host.errors()[-300:]}")
		expect("space" in host.errors().lower(), f"it says why: {host.errors()[-300:]}")
		return False
