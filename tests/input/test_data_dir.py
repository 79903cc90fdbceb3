#!/usr/bin/python3
"""Data directories that a host must not take: newer, locked, read-only, of another store, corrupt. Refused with exit 3 and a
word, never guessed at; and what a damage leaves readable is right."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.beside import Beside
from lib.campaign import play_counts
from lib.crc32c import crc32c
from lib.harness import Failed, Skip, expect, expect_equal
from lib.host import Host
from lib.http import HttpError
from lib.program import Program, Shape, difference, emitted_numbers
from lib.rpc import Closed, RpcError

SMALL = Shape(instances=50, nodes=20)


def small(test, messages=1500):
	return Program(test.random, messages, SMALL)


def killed(test, program):
	"""A data directory whose newest epochs are in the journal alone."""
	host = store.fed(test, program)
	host.barrier()
	host.kill()
	return host


def stopped(test, program):
	"""A data directory that was stopped in order."""
	host = store.fed(test, program)
	host.barrier()
	host.stop()
	return host


def test_a_journal_of_a_newer_format(test):
	host = killed(test, small(test, 200))
	path = store.segments(host.data)[-1]
	with open(path, "r+b") as file:
		block = bytearray(file.read(4096))
		block[8:12] = (int.from_bytes(block[8:12], "little") + 1).to_bytes(4, "little")
		block[0:4] = crc32c(block[4:]).to_bytes(4, "little")
		file.seek(0)
		file.write(block)
	store.refused(host, ("version", "newer", "format"))


def edit(test, database, key, value=None):
	line = [str(test.find("store_edit")), str(database), key.hex()] + ([value.hex()] if value is not None else [])
	done = subprocess.run(line, capture_output=True, text=True, check=True)
	return bytes.fromhex(done.stdout.strip())


def test_databases_of_a_newer_format(test):
	host = stopped(test, small(test, 200))
	found = store.databases(host.data)
	expect(len(found) >= 2, f"runtime and a type have a database each: {found}")
	for database in found:
		row = bytearray(edit(test, database, b"F"))
		newer = row[:8] + (int.from_bytes(row[8:12], "little") + 1).to_bytes(4, "little") + row[12:]
		edit(test, database, b"F", bytes(newer))
		expect_equal(store.verify(test, host.data)[0], 3, "exit code of --verify")
		store.refused(host, ("newer",))
		edit(test, database, b"F", bytes(row))
	host.start()


def test_a_locked_directory_beside_the_host_that_holds_it(test):
	host = Host(test, plugins=("counter", "play")).start()
	with Beside(host):
		other = Host(test, plugins=(), data=host.data)
		store.refused(other, ("lock",))


def test_a_read_only_directory(test):
	if os.geteuid() != 0:
		raise Skip("only root can mount read-only, or be refused what it owns")
	program = small(test, 300)
	host = stopped(test, program)
	host.wrapper = ["unshare", "-m", "--propagation", "private", "sh", "-c",
		'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"', str(host.data)]
	probe = subprocess.run(host.wrapper + ["true"], capture_output=True, text=True)
	if probe.returncode != 0:
		raise Skip(f"no mount namespace here: {probe.stderr.strip()}")
	store.refused(host, ("read-only", "writ", "permission"))
	host.wrapper = []
	host.start()
	counts, _ = play_counts(host)
	expect_equal(counts, program.expected()[0], "counts, once it is writable again")


def test_a_directory_that_cannot_be_made(test):
	blocked = test.dir / "file"
	blocked.write_text("no directory")
	host = Host(test, plugins=(), data=blocked / "data")
	store.refused(host, ("directory", "data"))


def test_a_folder_of_other_things_is_no_place_for_a_store(test):
	for number, names in enumerate((["notes.txt"], [".profile", "plugins/"], ["src/"], ["runtime/", "photo.jpg"])):
		host = Host(test, plugins=(), data=test.dir / f"home{number}")
		for name in names:
			(host.data / name).mkdir(parents=True) if name.endswith("/") else (host.data.mkdir(exist_ok=True),
				(host.data / name).write_text("mine"))
		before = sorted(path.name for path in host.data.rglob("*"))
		text = store.refused(host, ("holds other things",))
		expect("--data" in text, f"it says what to do: {text[-300:]}")
		expect_equal(sorted(path.name for path in host.data.rglob("*")), before, "what is in it")
	for number, prepare in enumerate((lambda data: None, Path.mkdir, lambda data: (data / "plugins").mkdir(parents=True),
			lambda data: (data.mkdir(), (data / "sofun.yaml").write_text("shards: 1\n")))):
		host = Host(test, plugins=(), data=test.dir / f"new{number}")
		prepare(host.data)
		host.start().stop()
		host.start()
		(host.data / "notes.txt").write_text("a store is there: what else stands beside it is nobody's business")
		host.stop()
		host.start()


def test_parts_of_another_store(test):
	one = stopped(test, small(test, 300))
	other = stopped(test, small(test, 300))
	parts = [path.relative_to(one.data) for path in store.databases(one.data)] + [Path("journal")]
	for part in parts:
		host = store.copied_host(test, one.data)
		shutil.rmtree(host.data / part)
		shutil.copytree(other.data / part, host.data / part)
		expect_equal(store.verify(test, host.data)[0], 3, f"exit code of --verify with another store's {part}")
		store.refused(host, ("another store", "other store"))
		store.drop(host)


def test_an_egress_log_of_another_store(test):
	one, other = stopped(test, small(test, 300)), stopped(test, small(test, 300))
	logs = [path for path in (other.data).rglob("*") if path.is_file() and "egress" in str(path.relative_to(other.data))]
	if not logs:
		raise Skip("an orderly stop leaves no egress file")
	for path in logs:
		shutil.copyfile(path, one.data / path.relative_to(other.data))
	store.refused(one, ("store", "another", "id", "egress"))


def test_a_hole_in_the_middle_of_the_journal(test):
	"""A record that was synced and is damaged is corruption: refused, with what to do; the same by --verify."""
	host = killed(test, small(test, 4000))
	segment = store.segments(host.data)[-1]
	used = store.used_bytes(segment)
	expect(used > 20 * store.BLOCK_BYTES, f"the journal has records: {used} bytes")
	for _ in range(test.by_scale(6, 40)):
		damaged = store.copied_host(test, host.data)
		path = store.segments(damaged.data)[-1]
		block = test.random.randint(2, used // store.BLOCK_BYTES // 2)
		store.flip(path, block * store.BLOCK_BYTES + test.random.randint(0, 63), 1 << test.random.randrange(8))
		text = store.refused(damaged, ("corrupt", "hole", "damag"))
		expect("journal" in text.lower() or ".segment" in text, f"it names the journal: {text[-300:]}")
		code, said = store.verify(test, damaged.data)
		expect_equal(code, 3, f"exit code of --verify, which said {said[-300:]}")
		store.drop(damaged)
	code, said = store.verify(test, host.data)
	expect_equal(code, 0, f"exit code of --verify on the whole store, which said {said[-300:]}")


def test_a_torn_end_of_the_journal_is_normal(test):
	program = small(test, 3000)
	host = killed(test, program)
	used = store.used_bytes(store.segments(host.data)[-1])
	for cut in (0, 1, 100, 4095):
		torn = store.copied_host(test, host.data)
		path = store.segments(torn.data)[-1]
		store.zero_from(path, used - store.BLOCK_BYTES + cut)
		torn.start()
		check_prefix(torn, program, len(program.packed) - 200)
		torn.kill()
		store.drop(torn)


def check_prefix(host, program, at_least):
	"""Whatever prefix of the records the host says it has: its counts and egress records are exactly those."""
	with host.rpc() as rpc:
		position = rpc.position("play", "campaign")
	expect(at_least <= position <= len(program.packed), f"position {position} of {len(program.packed)}, at least {at_least}")
	host.barrier()
	counts, emits, _ = program.expected(position)
	got, _ = play_counts(host)
	expect(got == counts, f"counts at position {position}: {difference(got, counts)}")
	expect_equal(emitted_numbers(host.egress("play")), emits, f"egress records at position {position}")
	return position


def answers_or_refuses(host, function):
	"""The function's value, or None if the host said that its store is damaged."""
	try:
		return function()
	except HttpError as error:
		expect_equal(error.code, "store_failed", "an error that a damage may show")
	except RpcError as error:
		expect_equal(error.code, "store_failed", "an error that a damage may show")
	except (OSError, ValueError):
		expect_equal(host.wait_exit(), 4, "exit code of a host that met a damage while running")
	return None


def test_flipped_bytes_anywhere_are_refused_or_harmless(test):
	"""In any file of the store: the host refuses, or says store_failed when it reads the place, or everything is right."""
	first, second = small(test, 3000), small(test, 500)
	host = stopped(test, first)
	host.start()
	store.feed(test, host, second.packed, name="second")
	host.kill()
	files = [path.relative_to(host.data) for path in host.data.rglob("*") if path.is_file() and path.stat().st_size > 0
		and path.relative_to(host.data).parts[0] not in ("plugins", "images") and path.name not in ("LOCK", "LOG", "LOG.old")]
	verdicts = {"refused": 0, "store_failed": 0, "right": 0}
	for round in range(test.by_scale(30, 400)):
		damaged = store.copied_host(test, host.data)
		path = damaged.data / files[round % len(files)]
		used = store.used_bytes(path)
		store.flip(path, test.random.randrange(max(1, min(used, path.stat().st_size))), 1 << test.random.randrange(8))
		verdict = judge(damaged, first, second)
		expect(verdict is not None, f"a flip in {files[round % len(files)]} went unseen")
		verdicts[verdict] += 1
		store.drop(damaged)
	test.note(f"{len(files)} files: {verdicts}")
	expect(verdicts["refused"] > 0, "at least one flip was refused")


def test_a_database_without_its_current_is_refused_and_keeps_its_tables(test):
	"""LevelDB would begin an empty one in its place, and delete the tables: the refusal came behind that."""
	program = small(test, 500)
	host = stopped(test, program)
	current = host.data / "runtime" / "CURRENT"
	tables = sorted(path.name for path in current.parent.glob("*.ldb"))
	current.rename(test.dir / "aside")
	store.refused(host, ("current",))
	expect_equal(sorted(path.name for path in current.parent.glob("*.ldb")), tables, "tables after the refusal")
	(test.dir / "aside").rename(current)
	host.start()
	check_prefix(host, program, len(program.packed))


def test_a_malformed_row_of_the_registry(test):
	"""Refused once, with exit 3: a supervisor does not try again what cannot pass."""
	import plyvel
	host = Host(test, plugins=("counter",)).start()
	host.wait_live("counter")
	host.stop()
	database = plyvel.DB(str(host.data / "runtime"))
	database.put(b"T\x00\x01", b"\x93\x01\x02")
	database.close()
	host.spawn()
	expect_equal(host.wait_exit(), 3, "exit code")
	expect_equal(host.errors().count("malformed"), 1, "lines that say what is wrong")


def test_the_last_record_of_a_manifest_is_missed(test):
	"""What a power cut may take (power/) was never called durable; of a store that was stopped in order it is damage, and must not
	pass for such a cut: refused, or nothing is missing."""
	first, second = small(test, 3000), small(test, 300)
	host = stopped(test, first)
	host.start()
	store.feed(test, host, second.packed, name="second")
	host.barrier()
	host.stop()
	verdicts = {"refused": 0, "store_failed": 0, "right": 0}
	for database in store.databases(host.data):
		for damage in ("flip", "table"):
			damaged = store.copied_host(test, host.data)
			folder = damaged.data / database.relative_to(host.data)
			if damage == "flip":
				manifest = folder / (folder / "CURRENT").read_text().strip()
				store.flip(manifest, manifest.stat().st_size - 5)
			else:
				max(folder.glob("*.ldb")).unlink()
			verdict = judge(damaged, first, second)
			expect(verdict is not None, f"{damage} in {folder.name} went unseen")
			verdicts[verdict] += 1
			store.drop(damaged)
	test.note(f"{verdicts}")


def judge(host, first, second):
	"""How the host dealt with a damaged store: refused, store_failed, right; None if something it shows is wrong. The first
	program was checkpointed and must be whole; of the second one, in the journal alone, the newest epoch may be gone."""
	host.spawn()
	try:
		host.wait_ready()
	except harness.Failed:
		expect(host.process.wait() in (3, 4), f"exit code {host.process.returncode}: {host.errors()[-300:]}")
		return "refused"

	def look():
		with host.rpc() as rpc:
			positions = rpc.position("play", "campaign"), rpc.position("play", "second")
		return positions, play_counts(host)[0], emitted_numbers(host.egress("play"))
	seen = answers_or_refuses(host, look)
	if seen is None:
		return "store_failed"
	(whole, prefix), counts, emits = seen
	wanted = [first.expected(), second.expected(prefix)]
	right = (whole == len(first.packed) and counts == dict(sum((Counter(one[0]) for one in wanted), Counter()))
		and emits == sorted(wanted[0][1] + wanted[1][1]))
	return "right" if right else None


# ---- files of the store that are gone, or cannot be read ----

def killed_with_all_kinds(test):
	"""A store with tables, with egress logs, and with records in the journal behind them."""
	host = Host(test, plugins=("counter", "play"), shards=1).start()
	for round in range(2):
		with host.rpc() as rpc:
			rpc.ingest("counter", f"c{round}", 1, [f"k{number % 500}" for number in range(5000)])
			rpc.ingest("play", f"p{round}", 1, [{"id": f"i{number}", "msg": {"add": 1,
				"emit": {"egress": "play", "payload": number}}} for number in range(500)])
		host.barrier()
		if round == 0:
			host.stop()
			host.start()
	host.kill()
	return host


def kinds_check(host):
	host.barrier()
	expect_equal(sum(values["count"] for values in host.dump("demo/counter").values()), 10000, "counts of counter")
	expect_equal(sum(values["count"] for values in host.dump("test/play").values()), 1000, "counts of play")
	expect_equal([record["payload"] for record in host.egress("play")], [*range(500)] * 2, "egress")


def parts_of(data):
	"""Files that a store cannot do without: of each database its tables, MANIFEST and CURRENT; the journal's segments with records;
	egress logs."""
	parts = store.segments(data) + [path for path in (data / "egress").rglob("*") if path.is_file()]
	for database in store.databases(data):
		parts += [path for path in database.iterdir() if path.suffix == ".ldb" or path.name == "CURRENT"
			or path.name.startswith("MANIFEST-")]
	return [path.relative_to(data) for path in parts]


def judge_without(host, part, unreadable):
	"""How a host without that file ends: it is refused, or says at the first read that its store has failed. What it said; None: it
	did not need to read it."""
	host.spawn()
	try:
		host.wait_ready()
		kinds_check(host)
	except (Failed, HttpError, RpcError, Closed, OSError, ValueError):
		if host.process.poll() is None:
			host.kill()
		else:
			expect(host.wait_exit() in (3, 4), f"exit code without {part}: {host.errors()[-300:]}")
		said = host.errors()
		expect("sofund: " in said or "store_failed" in said or "level=error" in said or " error " in said,
			f"without {part} it says why: {said[-300:]}")
		return said
	host.kill()
	expect(unreadable, f"{part} is gone, and nobody missed it")  # unreadable: nobody needed it, and all is right
	return None


def test_a_file_that_is_gone_or_unreadable_is_named_and_nothing_is_lost(test):
	"""Put back, it is as if nothing had been: what was refused has changed nothing that counts."""
	host = killed_with_all_kinds(test)
	parts = parts_of(host.data)
	expect({part.parts[0] for part in parts} >= {"runtime", "types", "journal", "egress"}, f"what there is: {parts}")
	for part in parts:
		for unreadable in (False, True):
			copy = store.copied_host(test, host.data, shards=1)
			path, aside = copy.data / part, test.dir / "aside"
			path.rename(aside)
			if unreadable:
				path.mkdir()  # opens, and no byte of it can be read
			said = judge_without(copy, part, unreadable)
			words = [part.name, str(part.parent), "journal", "egress"]
			expect(said is None or any(word in said for word in words), f"it names what it lacks, {part}: {said}")
			if unreadable:
				path.rmdir()
			aside.rename(path)
			copy.start()
			kinds_check(copy)
			store.drop(copy)
	test.note(f"{len(parts)} files, each once away and once unreadable")


if __name__ == "__main__":
	harness.main(globals())
