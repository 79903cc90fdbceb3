#!/usr/bin/python3
"""The power-cut shim itself (INVARIANTS 43): it loses what a power cut may lose, it loses nothing that was synced, and rule
1's naive use of LevelDB fails under it."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cut
from lib import harness
from lib.harness import expect, expect_equal

HERE = Path(__file__).resolve().parent
PAGE = 4096
KEYS = 160000


def killed(test, line, directory, lie=False):
	"""Runs the line under the shim until it kills itself; its stdout."""
	shutil.rmtree(directory, ignore_errors=True)
	shutil.rmtree(f"{directory}.powercut", ignore_errors=True)
	environment = dict(os.environ, **cut.environment(test.find("powercut.so"), directory, lie))
	done = subprocess.run(line, capture_output=True, text=True, env=environment)
	expect_equal(done.returncode, -signal.SIGKILL, f"end of {line[0]} ({done.stderr[-400:]})")
	return done.stdout


# ---- rule 1 ----

def keys_after_cut(test, how, seed, lie=False):
	"""(keys that were believed durable, keys found after the cut; None if the database did not open)"""
	naive, directory = str(test.find("powercut-naive")), test.dir / "db"
	durable = int(killed(test, [naive, "write", str(directory), str(KEYS), how], directory, lie).split()[1])
	cut.cut(directory, seed)
	done = subprocess.run([naive, "count", str(directory), str(durable)], capture_output=True, text=True)
	return durable, int(done.stdout.split()[1]) if done.returncode == 0 else None


def test_a_synced_put_does_not_sync_what_came_before(test):
	"""Keys go, mostly with no error: half a log that paranoid checks refuse is the lucky case."""
	lost, silent = [], 0
	while len(lost) < test.by_scale(4, 20) or (silent == 0 and len(lost) < 40):
		seed = len(lost)
		durable, found = keys_after_cut(test, "naive", f"{test.seed} {seed}")
		lost.append(durable - found if found is not None else "refused")
		silent += found is not None and durable - found > 1000
	test.note(f"keys lost by the naive form, of {KEYS} and a few: {lost}")
	expect(sum(count == "refused" or count > 1000 for count in lost) * 2 >= len(lost), f"lost {lost}: the shim sees nothing")
	expect(silent > 0, f"lost {lost}: no key went silently")


def test_a_checkpoint_by_rule_1_loses_nothing(test):
	for seed in range(test.by_scale(3, 20)):
		durable, found = keys_after_cut(test, "checkpoint", f"{test.seed} {seed}")
		expect_equal(found, durable, "keys after a checkpoint and a power cut")


def test_lying_syncs_are_caught(test):
	results = [keys_after_cut(test, "checkpoint", f"{test.seed} {seed}", lie=True) for seed in range(2)]
	expect(any(found != durable for durable, found in results), f"nothing lost though no sync was done: {results}")


# ---- plain files ----

def version_of(page):
	"""The version that fills the page; -1 if it is a mixture."""
	version, = struct.unpack_from("<Q", page)
	return version if page == struct.pack("<Q", version) * (PAGE // 8) else -1


def file_judge(content, promised, counts):
	"""Every page has a version it had since the last sync, or is the hole of one that was lost."""
	expect(len(content) % PAGE == 0, f"size {len(content)}")
	size = len(content) // PAGE
	smallest, largest = min(promised["sizes"]), max(promised["sizes"])
	expect(smallest <= size <= largest, f"{size} pages, but its sizes since the sync were {promised['sizes']}")
	for number in range(size):
		versions = promised["pages"][number]
		version = version_of(content[number * PAGE:(number + 1) * PAGE])
		expect(version in versions, f"page {number} has version {version}, not one of {versions}")
		if len(set(versions)) > 1:
			counts["kept" if version == versions[-1] else "lost"] += 1


def names_judge(found, promise, counts):
	"""A name means what it meant at the last sync of the directory or after a change since."""
	meanings = {name: [number] for name, number in promise["names_synced"].items()}
	for name, number in promise["names_since"]:
		meanings.setdefault(name, [None]).append(number)
	expect(found <= set(meanings), f"names that never were: {found - set(meanings)}")
	for name, numbers in meanings.items():
		expect(name in found or None in numbers, f"{name} was synced and is gone")
		expect(name not in found or any(number is not None for number in numbers), f"{name} was removed and is back")
		if len(numbers) > 1:
			counts["names kept" if (name in found) == (numbers[-1] is not None) else "names lost"] += 1
	return meanings


def scenario_run(test, seed, counts, lie=False):
	directory = test.dir / "files"
	line = ["/usr/bin/python3", str(HERE / "scenario.py"), str(directory), seed]
	promise = json.loads(killed(test, line, directory, lie))
	cut.cut(directory, seed)
	found = set(os.listdir(directory)) if directory.is_dir() else set()
	for name, numbers in names_judge(found, promise, counts).items():
		if name not in found:
			continue
		content, errors = (directory / name).read_bytes(), []
		for number in (number for number in numbers if number is not None):
			try:
				file_judge(content, promise["files"][number], counts)
				break
			except harness.Failed as error:
				errors.append(str(error))
		else:
			raise harness.Failed(f"seed {seed}: {name}: {errors}")


def test_files_keep_what_was_synced_and_lose_some_of_the_rest(test):
	counts = dict.fromkeys(("kept", "lost", "names kept", "names lost"), 0)
	for number in range(test.by_scale(60, 600)):
		scenario_run(test, f"{test.seed} {number}", counts)
	test.note(f"unsynced pages and names: {counts}")
	expect(all(count > 5 for count in counts.values()), f"not everything happened: {counts}")


def test_files_under_lying_syncs_are_caught(test):
	caught = 0
	for number in range(5):
		try:
			scenario_run(test, f"{test.seed} {number}", dict.fromkeys(("kept", "lost", "names kept", "names lost"), 0), lie=True)
		except harness.Failed:
			caught += 1
	expect(caught >= 3, f"only {caught} of 5 runs without syncs were caught")


WRITE_AND_DIE = """
import os, sys
directory, letter, sync = sys.argv[1:]
file = os.open(directory + "/f", os.O_RDWR | os.O_CREAT)
os.pwrite(file, letter.encode() * 4096, 0)
if sync == "sync":
	os.fsync(file)
	os.fsync(os.open(directory, os.O_RDONLY))
os.kill(os.getpid(), 9)
"""


def test_notes_outlive_a_kill_without_a_cut(test):
	"""Killed, restarted, killed: what the first process did not sync may still be lost."""
	directory = test.dir / "twice"
	shim = cut.environment(test.find("powercut.so"), directory)
	found = set()
	for seed in range(30):
		shutil.rmtree(directory, ignore_errors=True)
		directory.mkdir()
		for letter, sync in (("a", "sync"), ("b", "no"), ("c", "no")):
			subprocess.run(["/usr/bin/python3", "-c", WRITE_AND_DIE, str(directory), letter, sync], env=dict(os.environ, **shim))
		cut.cut(directory, seed)
		found.add((directory / "f").read_bytes()[:1])
	expect_equal(found, {b"a", b"c"}, "contents after the cuts")


if __name__ == "__main__":
	harness.main(globals())
