"""The runner of the test files: arguments, seeds, scale, skips, temporary folders, waiting for conditions.

A test file defines functions `test_NAME(test)` and ends with `harness.main(globals())`. Exit: 0 all passed (skips are
printed), 1 something failed, 77 everything was skipped."""

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# Where each sanitizer looks for its options, and what the caller (ctest) has set already.
SANITIZER_OPTIONS = {"address": "ASAN_OPTIONS", "undefined": "UBSAN_OPTIONS", "thread": "TSAN_OPTIONS"}
SANITIZER_OPTIONS_GIVEN = {name: os.environ.get(name, "") for name in SANITIZER_OPTIONS.values()}


# A deadline is for a machine that is quiet; a busy one is given so many times more before a test says that the host is wrong.
# Not when a mutant is looked for, which may well make the host wait for ever.
PATIENCE = 1 if "--mutant" in sys.argv else 5
PATIENCE_S_MAX = 180.0  # ctest gives a test ten minutes, and says then that it was late, and not what it waited for


def patient(deadline_s):
	return max(deadline_s, min(PATIENCE * deadline_s, PATIENCE_S_MAX))


class Skip(Exception):
	"""Raised by a test that cannot run here; the text says why."""


class Failed(AssertionError):
	"""What a test raises when the host is wrong."""


def expect(condition, text):
	if not condition:
		raise Failed(text)


def expect_equal(got, wanted, what):
	if got != wanted:
		raise Failed(f"{what}: got {got!r}, expected {wanted!r}")


def raised(kind, function):
	"""The exception of that kind that function() must raise."""
	try:
		value = function()
	except kind as error:
		return error
	raise Failed(f"no error ({kind}), but {value!r}")


def wait_until(condition, deadline_s=30.0, what="condition", every_s=0.005):
	"""Asks until condition() is true, and returns its value; the pause between two questions grows to 50 ms."""
	deadline_s = patient(deadline_s)
	end = time.monotonic() + deadline_s
	while True:
		value = condition()
		if value:
			return value
		if time.monotonic() > end:
			raise Failed(f"not within {deadline_s:g} s: {what}")
		time.sleep(every_s)
		every_s = min(every_s * 1.5, 0.05)


class Test:
	"""One running test: its seed, its scale, its folder. Hosts register here and are ended with it."""

	def __init__(self, arguments, name):
		self.arguments = arguments
		self.name = name
		self.build = Path(arguments.build).resolve()
		self.scale = arguments.scale
		self.seed = arguments.seed
		self.random = random.Random(f"{arguments.seed}:{name}")
		self.hosts = []
		# Short, for socket paths end at 107 bytes; on a disk, for /dev/shm knows no sync.
		self.dir = Path(tempfile.mkdtemp(prefix="sofun-", dir=arguments.temp))
		self._reports_begin()

	def full(self):
		return self.scale == "full"

	def by_scale(self, ci, full, sanitized=None):
		"""sanitized: instead of ci under a sanitizer, where a message costs twenty times as much."""
		if self.full():
			return full
		return ci if sanitized is None or not self.sanitizer() else sanitized

	def note(self, text):
		print(f"  {text}", flush=True)

	def sanitizer(self):
		"""What the build looks for ("address", "thread", ...); "" in a plain build."""
		found = re.search(r"^SOFUN_SANITIZER:\w+=(.*)$", (self.build / "CMakeCache.txt").read_text(), re.MULTILINE)
		return found[1] if found else ""

	def _reports_begin(self):
		"""A sanitizer writes what it finds into files here: so a process counts, too, whose end no test looks at."""
		name = SANITIZER_OPTIONS.get(self.sanitizer())
		if name:
			os.environ[name] = f"{SANITIZER_OPTIONS_GIVEN[name]}:log_path={self.dir}/report".lstrip(":")

	def reports(self):
		return [path.read_text(errors="replace") for path in sorted(self.dir.glob("report.*"))]

	def need_plain_build(self, why):
		if self.sanitizer():
			raise Skip(f"not under a sanitizer: {why}")

	def find(self, name):
		"""A built file by the end of its path, e.g. "sofund" or "next/play.so"; never one from a source folder."""
		found = [path for path in self.build.rglob(name.split("/")[-1]) if str(path).endswith("/" + name) and path.is_file()]
		if not found:
			raise Skip(f"{name} is not built in {self.build}")
		found.sort(key=lambda path: ("/next/" in str(path) and "next/" not in name, len(path.parts), str(path)))
		return found[0]

	def plugin(self, name):
		return self.find(f"{name}.so")

	def end(self):
		"""Ends what still runs, and looks at what the sanitizer has found in all of it."""
		for host in self.hosts:
			host.end(orderly=self.sanitizer() == "address")  # leaks are looked for at an orderly stop
		expect(not self.reports(), "the sanitizer has found something")

	def finish(self, keep):
		for host in self.hosts:
			host.end()
		if not keep:
			for folder, _, _ in os.walk(self.dir):
				os.chmod(folder, 0o700)
			shutil.rmtree(self.dir, ignore_errors=True)


def _run_one(arguments, name, function):
	test = Test(arguments, name)
	start = time.monotonic()
	keep = arguments.keep
	try:
		function(test)
		test.end()
	except Skip as reason:
		print(f"skip {name}: {reason}", flush=True)
		return "skip"
	except Exception:
		traceback.print_exc()
		for host in test.hosts:
			print(host.last_words(), file=sys.stderr, flush=True)
		for report in test.reports():
			print(report, file=sys.stderr, flush=True)
		print(f"FAIL {name}  (seed {arguments.seed}, scale {arguments.scale})", flush=True)
		if keep:
			print(f"  kept: {test.dir}", flush=True)
		return "FAIL"
	finally:
		test.finish(keep)
	print(f"ok   {name}  {time.monotonic() - start:.1f} s", flush=True)
	return "ok"


def arguments_parser(description):
	parser = argparse.ArgumentParser(description=description)
	parser.add_argument("--build", required=True, help="the build folder")
	parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
	parser.add_argument("--scale", choices=("ci", "full"), default="ci")
	parser.add_argument("--only", help="run the tests whose name contains this")
	parser.add_argument("--keep", action="store_true", help="keep the data folders")
	parser.add_argument("--mutant", help="start the host with this mutant (a host built with SOFUN_MUTANTS)")
	parser.add_argument("--temp", default=os.environ.get("TMPDIR", "/tmp"))
	return parser


def main(names, parser=None):
	arguments = (parser or arguments_parser(names.get("__doc__") or "")).parse_args()
	if arguments.seed is None:
		arguments.seed = int.from_bytes(os.urandom(4), "little")
	print(f"seed {arguments.seed} scale {arguments.scale}", flush=True)
	tests = [(name, value) for name, value in names.items() if name.startswith("test_") and callable(value)]
	results = [_run_one(arguments, name, function) for name, function in tests
		if not arguments.only or arguments.only in name]
	if "FAIL" in results:
		sys.exit(1)
	sys.exit(77 if results and all(result == "skip" for result in results) else 0)
