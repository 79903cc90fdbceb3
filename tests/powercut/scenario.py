#!/usr/bin/python3
"""Writes files in every way that powercut.so watches, says on stdout what it may rely on, and kills itself.

    scenario.py DIR SEED    prints one JSON line at the end: for each name what was promised and what was written last

A page holds its version, 4,096 bytes alike in pieces of 8; versions only grow, so a page is right if it has the version of
its file's last sync or one written since."""

import json
import mmap
import os
import random
import signal
import struct
import sys

PAGE = 4096
FILES = 6
STEPS = 160


class File:
	def __init__(self, fd):
		self.fd = fd
		self.synced = []    # version of each page at the last sync
		self.pages = []     # every version each page had since then, the synced one first
		self.sizes = [0]    # sizes since the last sync, in pages
		self.now = []


class Scenario:
	def __init__(self, directory, seed):
		self.directory = directory
		self.random = random.Random(f"scenario {seed}")
		self.version = 0
		self.files = {}        # name → File, as a reader would see it now
		self.names_synced = {} # name → number of the file, at the last sync of the directory
		self.names_since = []  # (name, number or None), since then
		self.all = []
		os.makedirs(directory, exist_ok=True)

	def content(self, count):
		self.version += 1
		return struct.pack("<Q", self.version) * (PAGE // 8 * count)

	def create(self, name):
		file = File(os.open(os.path.join(self.directory, name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
		self.all.append(file)
		self.files[name] = file
		self.names_since.append((name, len(self.all) - 1))

	def put(self, file, first, count, how):
		data = self.content(count)
		if how == "pwrite":
			os.pwrite(file.fd, data, first * PAGE)
		elif how == "pwritev":
			os.pwritev(file.fd, [data[:100], data[100:]], first * PAGE)
		elif how == "mmap":
			if first + count > len(file.now):
				os.ftruncate(file.fd, (first + count) * PAGE)
			with mmap.mmap(file.fd, count * PAGE, offset=first * PAGE) as view:
				view[:] = data
		else:
			os.lseek(file.fd, first * PAGE, os.SEEK_SET)
			(os.write if how == "write" else lambda fd, data: os.writev(fd, [data[:5000 % len(data)], data[5000 % len(data):]]))(
				file.fd, data)
		for page in range(first, first + count):
			while page >= len(file.now):
				file.now.append(0)
				file.pages.append([0])
			file.now[page] = self.version
			file.pages[page].append(self.version)
		file.sizes.append(len(file.now))

	def write(self):
		file = self.random.choice(list(self.files.values()))
		first = self.random.randint(0, len(file.now))
		self.put(file, first, self.random.randint(1, 5), self.random.choice(("write", "writev", "pwrite", "pwritev", "mmap")))

	def shrink(self):
		file = self.random.choice(list(self.files.values()))
		size = self.random.randint(0, len(file.now))
		os.ftruncate(file.fd, size * PAGE)
		file.now = file.now[:size]
		file.sizes.append(size)
		for page in range(size, len(file.pages)):
			file.pages[page].append(0)

	def sync(self):
		file = self.random.choice(self.all)
		self.random.choice((os.fsync, os.fdatasync))(file.fd)
		file.synced = list(file.now)
		file.pages = [[version] for version in file.now]
		file.sizes = [len(file.now)]

	def rename(self):
		old, new = self.random.choice(list(self.files)), f"f{self.random.randint(0, FILES)}"
		if old == new:
			return
		os.rename(os.path.join(self.directory, old), os.path.join(self.directory, new))
		file = self.files.pop(old)
		self.files[new] = file
		self.names_since += [(old, None), (new, self.all.index(file))]

	def unlink(self):
		if len(self.files) > 1:
			name = self.random.choice(list(self.files))
			os.unlink(os.path.join(self.directory, name))
			del self.files[name]
			self.names_since.append((name, None))

	def sync_names(self):
		fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
		os.fsync(fd)
		os.close(fd)
		self.names_synced = {name: self.all.index(file) for name, file in self.files.items()}
		self.names_since = []

	def step(self):
		missing = [name for name in (f"f{number}" for number in range(FILES)) if name not in self.files]
		if not self.files or (missing and self.random.random() < 0.1):
			self.create(self.random.choice(missing))
		else:
			self.random.choices((self.write, self.sync, self.shrink, self.rename, self.unlink, self.sync_names),
				(60, 14, 4, 3, 2, 3))[0]()

	def promise(self):
		return {
			"names_synced": self.names_synced,
			"names_since": self.names_since,
			"files": [{"pages": file.pages, "sizes": file.sizes} for file in self.all],
		}


def main():
	scenario = Scenario(sys.argv[1], sys.argv[2])
	for _ in range(STEPS):
		scenario.step()
	print(json.dumps(scenario.promise()), flush=True)
	os.kill(os.getpid(), signal.SIGKILL)


main()
