#!/usr/bin/python3
"""A campaign that cannot fail proves nothing: each mutant of the host, built with -DSOFUN_MUTANTS=ON, must be caught by one.

    tests/mutants/run.py --build DIR [--seed N] [--only NAME]

Exit: 0 every mutant was caught and the unchanged host passed the same campaigns; 1 one got through; 77 no mutants here."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TRIES = 3  # with other seeds: a campaign is random, a mutant may hide from one run of it

# mutant → what it breaks, and the campaign that must notice: file, test
MUTANTS = {
	"drop_message": ("a message that crosses shards is lost now and then", "crash/test_exactly_once.py", "kills_on_two_shards"),
	"skip_dedupe": ("a record that comes twice counts twice", "crash/test_exactly_once.py", "kills_on_two_shards"),
	"ack_before_sync": ("an answer leaves before its epoch is durable", "power/test_power_cuts.py", "answered"),
	"no_sync": ("fdatasync does nothing", "power/test_power_cuts.py", "answered"),
	"naive_trim": ("the journal is trimmed before the databases are flushed", "power/test_power_cuts.py", "checkpoint"),
}


def campaign(arguments, file, test, seed, mutant=None):
	"""(exit code, output) of one campaign."""
	line = ["/usr/bin/python3", str(TESTS / file), "--build", arguments.build, "--seed", str(seed), "--only", test]
	done = subprocess.run(line + (["--mutant", mutant] if mutant else []), capture_output=True, text=True)
	return done.returncode, done.stdout + done.stderr


def has_mutants(build):
	"""Whether the host takes --mutant: asked with a name that none has."""
	host = next((path for path in Path(build).rglob("sofund") if path.is_file() and os.access(path, os.X_OK)), None)
	if host is None:
		return False
	done = subprocess.run([str(host), "--mutant", "no_such_mutant"], capture_output=True, text=True, timeout=20)
	return "no_such_mutant" in done.stderr


def verdict_line(output):
	"""The line that says what was noticed."""
	lines = [line for line in output.splitlines() if line.startswith(("lib.harness.Failed", "FAIL"))]
	return (lines or ["no reason given"])[0].replace("lib.harness.Failed: ", "")[:150]


def caught(arguments, name, file, test):
	for attempt in range(TRIES):
		code, output = campaign(arguments, file, test, arguments.seed + attempt, name)
		if code == 77:
			print(f"skip {name}: {output.strip().splitlines()[-1]}", flush=True)
			return None
		if code != 0:
			print(f"caught {name} by {file} (seed {arguments.seed + attempt}): {verdict_line(output)}", flush=True)
			return True
	print(f"NOT CAUGHT {name}: {TRIES} runs of {file} passed", flush=True)
	return False


def main():
	parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
	parser.add_argument("--build", required=True)
	parser.add_argument("--seed", type=int, default=1)
	parser.add_argument("--only")
	arguments = parser.parse_args()
	if not has_mutants(arguments.build):
		print(f"skip: the host in {arguments.build} has no mutants; build it with -DSOFUN_MUTANTS=ON")
		sys.exit(77)
	failures, start = 0, time.monotonic()
	chosen = {name: rest for name, rest in MUTANTS.items() if not arguments.only or arguments.only in name}
	for file, test in sorted({(file, test) for _, file, test in chosen.values()}):
		code, output = campaign(arguments, file, test, arguments.seed)
		print(f"{'ok' if code == 0 else 'skip' if code == 77 else 'FAIL'} unchanged host: {file} {test}", flush=True)
		if code not in (0, 77):
			print(output)
			failures += 1
	for name, (what, file, test) in chosen.items():
		print(f"{name}: {what}", flush=True)
		failures += caught(arguments, name, file, test) is not True
	print(f"{len(chosen)} mutants in {time.monotonic() - start:.0f} s, {failures} failures")
	sys.exit(1 if failures else 0)


if __name__ == "__main__":
	main()
