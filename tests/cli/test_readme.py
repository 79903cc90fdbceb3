#!/usr/bin/python3
"""README.md to the letter: its five minutes are run as they stand, in a folder that looks like the tree after a build."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, expect, expect_equal


def test_five_minutes(test):
	block, = re.findall(r"^```sh\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
	(test.dir / "build").mkdir()
	(test.dir / "build" / "bin").symlink_to(test.find("bin/sofund").parent)
	(test.dir / "plugin-api").symlink_to(REPOSITORY / "plugin-api")
	shell = subprocess.Popen(["bash", "-eu", "-c", block + "wait\n"], cwd=test.dir, stdout=subprocess.PIPE, text=True,
		start_new_session=True)
	try:
		printed, _ = shell.communicate(timeout=120)
	finally:
		try:
			os.killpg(shell.pid, signal.SIGKILL)  # a host that a failing step left behind
		except ProcessLookupError:
			pass
	expect_equal(shell.returncode, 0, "exit of the commands")
	answers = [line for line in printed.splitlines() if line.isdigit()]
	expect_equal(answers, ["1", "2", "3"], "what the calls answer")
	expect("recovered crash" in printed and "demo/visits" in printed, f"the status: {printed}")


def test_links_lead_somewhere(test):
	for link in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / "README.md").read_text()):
		expect((REPOSITORY / link).exists(), f"README.md names {link}")


if __name__ == "__main__":
	harness.main(globals())
