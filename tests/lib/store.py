"""Data directories as files: stores made by a host and then copied, cut, damaged or mixed. No host has them open."""

import os
import shutil
import subprocess

from lib.campaign import Producer
from lib.harness import expect
from lib.host import Host

# What a store is made of, beside sockets, the lock, images and the plugins' inbox, which a copy gets anew or as they are.
SEGMENT_HEADER_BYTES = 4096
BLOCK_BYTES = 4096


def table_bytes(data):
	"""Of the types' databases on the disk, beside a host that compacts: a file may go between its name and its size."""
	def size(path):
		try:
			return path.stat().st_size
		except FileNotFoundError:
			return 0
	return sum(size(path) for path in (data / "types").rglob("*.ldb"))


def fed(test, program, plugins=("play",), shards=2, settings=None, records=None):
	"""A running host that has taken the first `records` records of the program, all durable; (host, producer)."""
	host = Host(test, plugins=plugins, shards=shards, settings=settings).start()
	feed(test, host, program.packed[:records])
	return host


def feed(test, host, packed, name="campaign", batch=4, window=4):
	producer = Producer(host.socket, packed, test.random, name=name, batch=batch, window=window, overlap=0)
	producer.start()
	producer.finish(120)


def copy(data, target):
	"""Copies a data directory, holes staying holes (segments are written in advance and mostly empty)."""
	subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", f"{data}/.", f"{target}/"], check=True)
	for name in ("control.sock", "data.sock"):
		(target / name).unlink(missing_ok=True)
	return target


def copied_host(test, data, **more):
	"""A host (not started) on a copy of a data directory."""
	host = Host(test, plugins=(), **more)
	host.data.mkdir(parents=True, exist_ok=True)
	copy(data, host.data)
	return host


def drop(host):
	"""Ends a host on a copy and deletes the copy: a campaign over hundreds of them would fill the disk."""
	host.end()
	host.test.hosts.remove(host)
	shutil.rmtree(host.data, ignore_errors=True)


def segments(data):
	"""The journal's files that hold records, in the order of their sequence numbers; not those prepared in advance."""
	found = []
	for path in (data / "journal").glob("*.segment"):
		with open(path, "rb") as file:
			header = file.read(SEGMENT_HEADER_BYTES)
		if any(header) and used_bytes(path) > SEGMENT_HEADER_BYTES:
			found.append((int.from_bytes(header[16:24], "little"), path))
	return [path for _, path in sorted(found)]


def used_bytes(path):
	"""Where the last byte that is not zero lies, rounded up to a block."""
	size = os.path.getsize(path)
	with open(path, "rb") as file:
		while size > 0:
			start = max(0, size - (1 << 20))
			file.seek(start)
			data = file.read(size - start).rstrip(b"\0")
			if data:
				end = start + len(data)
				return (end + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES
			size = start
	return 0


def zero_from(path, offset):
	"""Cuts a segment's content at the offset; the file keeps its size, as a file that is written in advance does."""
	size = os.path.getsize(path)
	os.truncate(path, offset)
	os.truncate(path, size)


def flip(path, offset, mask=0x01):
	with open(path, "r+b") as file:
		file.seek(offset)
		byte = file.read(1)[0]
		file.seek(offset)
		file.write(bytes([byte ^ mask]))


def databases(data):
	"""Every LevelDB below the data directory."""
	return sorted(path.parent for path in data.rglob("CURRENT"))


def refused(host, words, deadline_s=30.0):
	"""Starts the host, which must refuse its data directory: exit 3 and a text with one of the words in it."""
	host.spawn()
	code = host.wait_exit(deadline_s)
	text = host.errors()
	expect(code == 3, f"exit code {code} instead of 3: {text[-400:]}")
	expect(any(word in text.lower() for word in words), f"none of {words} in: {text[-400:]}")
	return text


def verify(test, data):
	"""(exit code, text) of `sofund --verify`."""
	done = subprocess.run([str(test.find("sofund")), "--verify", str(data)], capture_output=True, text=True, timeout=120)
	return done.returncode, done.stdout + done.stderr
