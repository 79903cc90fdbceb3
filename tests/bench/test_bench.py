#!/usr/bin/python3
"""`sofun bench --quick` works end to end: every workload is measured, every target has its row, nothing is left behind. No
figure is judged here: another test may run beside this one."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal

# What a row must have been measured with, by the beginning of its name; "rate" is common to all but the restart.
WORKLOADS = {
	"counter": ("counter, 1 ids", "counter, 1000 ids", "counter, 100000 ids", "counter, 1000000 ids"),
	"chain": ("chain of three, 1000 ids",),
	"ingest": ("ingest, 1000 ids", "ingest, 1000000 ids"),
	"call": ("call, 1 connections, 1 in flight", "call, 1 connections, 16 in flight", "call, 64 connections, 1 in flight",
		"call, 64 connections, 16 in flight"),
	"steady": ("call at 100000/s",),
	"chain-calls": ("chain of three, 64 connections",),
	"restart": ("restart, 1000000 instances",),
	"swap": ("call at half load, 3 swaps, drain accepted", "call at half load, 3 swaps, drain running", "call at full load, 3 swaps"),
	"expiry": ("counter without idle_ttl", "counter with idle_ttl", "sweep of 100000 ended instances", "LevelDB rows taken away"),
	"timers": ("timers set, 200000 pending", "timers cancelled, 200000 pending", "timers fired, 200000 pending", "timers fired, heap",
		"timers fired, LevelDB"),
	"operations": ("operations started", "operations, pool", "operations, the same"),
	"tables": ("table entry set", "table entry read", "LevelDB put", "LevelDB get"),
}
VERDICTS = {"met", "not met", "void", "-"}


def run(test, *arguments, exit=0):
	command = [str(test.find("bin/sofun")), *arguments]
	done = subprocess.run(command, capture_output=True, timeout=300, cwd=test.dir)
	expect_equal(done.returncode, exit, f"exit of {' '.join(arguments)} ({done.stderr[-500:]!r})")
	return done


def on_tmpfs(folder):
	done = subprocess.run(["stat", "--file-system", "--format=%T", str(folder)], capture_output=True, check=True)
	return done.stdout.strip() == b"tmpfs"


def figures_check(report, names):
	for name in names:
		rows = [row for row in report["figures"] if row["name"].startswith(name)]
		expect(rows, f"a row of {name}")
		for row in rows:
			expect(row["unit"] == "restarts" or row["rate"]["median"] > 0, f"{name} was measured: {row}")


def swaps_check(test, report):
	"""What the client saw is told, and can be drawn: every swap is marked in the picture."""
	runs = report["details"]["swap"]
	expect_equal([run["name"] for run in runs], ["accepted", "running", "full"], "the runs with swaps")
	for run in runs:
		expect(1 <= len(run["swaps"]) <= 3, f"swaps of {run['name']}: {run['swaps']}")
		expect(all(0 < swap["asked_ms"] < swap["live_ms"] for swap in run["swaps"]), f"their times: {run['swaps']}")
		length_ms = len(run["bins"]) * run["bin_ms"]
		expect(length_ms > run["swaps"][-1]["live_ms"], f"answers come behind the last swap, until {length_ms} ms")
		expect(sum(bin[0] for bin in run["bins"]) > 0, f"{run['name']} was answered")
	source, picture = Path(test.dir) / "report.json", Path(test.dir) / "swap.svg"
	source.write_text(json.dumps(report), encoding="utf-8")
	plot = Path(__file__).resolve().parent / "plot.py"
	subprocess.run([sys.executable, str(plot), str(source), str(picture)], check=True, timeout=60)
	marks = ElementTree.parse(picture).findall(".//{http://www.w3.org/2000/svg}path[@class='swap']")
	expect_equal(len(marks), sum(len(run["swaps"]) + 1 for run in runs), "a mark a swap, and one where they lie over one another")
	source.unlink()
	picture.unlink()


def test_every_workload_is_measured(test):
	test.need_plain_build("it measures")
	left = set(os.listdir(test.dir))
	for workload, names in WORKLOADS.items():
		report = json.loads(run(test, "--json", "bench", "--quick", "--only", workload).stdout)
		expect(report["fdatasync_p50_us"] > 0, "the disk was measured")
		expect(report["baselines"], "the baselines were found in the build tree")
		expect(report["targets"], f"{workload} has targets")
		for target in report["targets"]:
			expect(target["verdict"] in VERDICTS and target["measured"], f"a judged row: {target}")
			expect(target["measured"] != "no baseline", f"a baseline: {target}")
		figures_check(report, names)
		if workload == "swap":
			swaps_check(test, report)
	expect_equal(set(os.listdir(test.dir)), left, "what is left behind")


def test_the_table_ends_the_text(test):
	test.need_plain_build("it measures")
	lines = run(test, "bench", "--quick", "--only", "chain-calls").stdout.decode().splitlines()
	heads = [i for i, line in enumerate(lines) if line.split() == ["work", "target", "measured", "ratio", "verdict"]]
	expect_equal(len(heads), 1, f"the table of targets in {lines}")
	expect("chain of three, 64 connections" in lines[heads[0] + 1], f"its row: {lines[heads[0] + 1]}")
	expect(any("durability sync, file system" in line for line in lines), "file system and durability are told")


def test_an_unknown_workload_is_a_usage_error(test):
	done = run(test, "bench", "--only", "nonsense", exit=2)
	expect(b"nonsense" in done.stderr, f"it is named: {done.stderr!r}")


def test_a_tmpfs_is_refused(test):
	if not on_tmpfs("/dev/shm"):
		raise harness.Skip("no tmpfs at /dev/shm to refuse")
	done = run(test, "bench", "--quick", "--only", "call", "--directory", "/dev/shm", exit=1)
	expect(b"tmpfs" in done.stderr and done.stdout == b"", f"the refusal says why: {done.stderr!r}")
	expect(not [name for name in os.listdir("/dev/shm") if name.startswith("sofun-bench")], "nothing is left there")


if __name__ == "__main__":
	harness.main(globals())
