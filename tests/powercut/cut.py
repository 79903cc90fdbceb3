#!/usr/bin/python3
"""Makes of a directory that was written under powercut.so what a power cut might have left of it.

    cut.py DIR SEED        DIR.powercut holds the notes (shim.h); it is emptied: what is left now is on the disk

Every process that wrote there must be gone. Of each file's unsynced pages some go back to what they were, by a chance that
is drawn for each file; its size too; of the unsynced changes of names some are undone. In a folder of LevelDB, which are those
with a CURRENT, they are undone from the last one backwards only, as every journaling file system does it: LevelDB puts a new
CURRENT in place and removes the old manifest without a sync between, so no use of it survives more."""

import os
import random
import shutil
import struct
import sys
from pathlib import Path

PAGE = 4096
UNDO = struct.Struct("<QII4096s")
NAME = struct.Struct("<QIIQQQ984s")
UNDO_PAGE, UNDO_SIZE = 0, 1
NAME_CHANGE, NAME_SYNC, NAME_MKDIR, NAME_RMDIR = 1, 2, 3, 4


def records(path, shape):
	content = path.read_bytes() if path.exists() else b""
	return [shape.unpack_from(content, at) for at in range(0, len(content) - shape.size + 1, shape.size)]


def environment(shim, directory, lie=False):
	"""What a process needs to be watched."""
	watched = {"LD_PRELOAD": str(shim), "POWERCUT_DIR": os.path.realpath(directory)}
	return dict(watched, POWERCUT_SYNC="lie") if lie else watched


class Cut:
	def __init__(self, directory, seed):
		self.directory = Path(os.path.realpath(directory))
		self.notes = Path(f"{self.directory}.powercut")
		self.random = random.Random(seed)
		self.pages_lost = self.pages_kept = self.names_lost = self.names_kept = 0

	def chance(self):
		"""How likely a change is lost: for each file its own, so that some lose all, some nothing, some a little."""
		return self.random.choice((0.0, 0.05, 0.5, 0.95, 1.0))

	# ---- contents ----

	def file(self, undo):
		inode = self.notes / "files" / undo.name
		found = records(undo, UNDO)
		if not found or not inode.exists():
			return
		lost = self.chance()
		now = inode.stat().st_size
		old = next((place for place, _, kind, _ in found if kind == UNDO_SIZE), now)
		size = self.random.choice((old, now, self.random.randint(min(old, now), max(old, now)) // PAGE * PAGE))
		size = max(size, min(old, now))
		with open(inode, "r+b") as file:
			file.truncate(max(now, old))
			for page, bytes_there, kind, content in found:
				if kind == UNDO_PAGE and self.random.random() < lost:
					self.pages_lost += 1
					file.seek(page * PAGE)
					file.write(content[:bytes_there] + bytes(PAGE - bytes_there))
				elif kind == UNDO_PAGE:
					self.pages_kept += 1
			file.truncate(size)

	# ---- names ----

	def pending(self):
		"""Changes of names that no sync of their directory has followed, in order."""
		waiting = []
		for operation, kind, _, before, after, _, path in records(self.notes / "names", NAME):
			path = path.rstrip(b"\0").decode(errors="surrogateescape")
			if kind == NAME_SYNC:
				waiting = [change for change in waiting if os.path.dirname(change["path"]) != path]
			else:
				waiting.append({"operation": operation, "kind": kind, "before": before, "after": after, "path": path})
		return waiting

	def is_leveldb(self, folder, changes):
		names = [os.path.basename(change["path"]) for change in changes if os.path.dirname(change["path"]) == folder]
		return "CURRENT" in names or (self.directory / folder / "CURRENT").exists()

	def choose(self, changes):
		"""{operation: whether it is kept}"""
		kept, folders = {}, {}
		for change in changes:
			folders.setdefault(os.path.dirname(change["path"]), []).append(change["operation"])
		lost = self.chance()
		for folder, operations in folders.items():
			ordered = self.is_leveldb(folder, changes)
			last = self.random.randint(0, len(operations))
			for number, operation in enumerate(operations):
				kept.setdefault(operation, number < last if ordered else self.random.random() >= lost)
		return kept

	def names(self):
		changes = self.pending()
		kept = self.choose(changes)
		final = {}
		for change in changes:
			final.setdefault(change["path"], change["before"])
			if kept[change["operation"]]:
				final[change["path"]] = change["after"]
			self.names_kept += kept[change["operation"]]
			self.names_lost += not kept[change["operation"]]
		directories = {change["path"]: kept[change["operation"]] for change in changes
			if change["kind"] in (NAME_MKDIR, NAME_RMDIR)}
		for path, link in final.items():
			if path not in directories:
				self.name_put(path, link)
		for change in changes:
			if change["kind"] == NAME_RMDIR and not kept[change["operation"]]:
				(self.directory / change["path"]).mkdir(exist_ok=True)
			if change["kind"] == NAME_MKDIR and not kept[change["operation"]]:
				shutil.rmtree(self.directory / change["path"], ignore_errors=True)

	def name_put(self, path, link):
		place, source = self.directory / path, self.notes / "links" / str(link)
		if link == 0:
			if place.is_file() or place.is_symlink():
				place.unlink()
		elif source.exists() and place.parent.is_dir() and not (place.exists() and place.samefile(source)):
			temporary = Path(f"{place}.powercut")
			os.link(source, temporary)
			os.replace(temporary, place)

	def run(self):
		for undo in sorted((self.notes / "undo").glob("*"), key=lambda path: int(path.name)):
			self.file(undo)
		self.names()
		shutil.rmtree(self.notes)
		return self


def cut(directory, seed):
	"""The power cut; returns what was lost and kept of it."""
	return Cut(directory, seed).run()


def main():
	if len(sys.argv) != 3:
		sys.exit(__doc__)
	done = cut(sys.argv[1], sys.argv[2])
	print(f"pages lost {done.pages_lost} kept {done.pages_kept} names lost {done.names_lost} kept {done.names_kept}")


if __name__ == "__main__":
	main()
