#!/usr/bin/python3
"""README.md and plugin-api/README.md to the letter: their code blocks are run in their order, in an empty folder. A block of
a file (```c, ```cmake) is written to the name that stands before it; ```sh is run."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, expect, expect_equal

BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?^```(sh|c|cmake)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def script_of(page):
	"""All of the page's blocks as one shell script."""
	parts = []
	for name, language, text in BLOCK.findall((REPOSITORY / page).read_text()):
		if language == "sh":
			parts.append(text)
		else:
			expect(name, f"a block of {page} has no file name before it: {text[:60]}")
			parts.append(f"cat > {name} <<'END_OF_FILE'\n{text}END_OF_FILE\n")
	return "".join(parts)


def run(test, page):
	"""Runs the page with an empty folder as home and place; what it printed."""
	environment = dict(os.environ, HOME=str(test.dir))
	shell = subprocess.Popen(["bash", "-eu", "-c", script_of(page) + "wait\n"], cwd=test.dir, env=environment, text=True,
		stdout=subprocess.PIPE, start_new_session=True)
	try:
		printed, _ = shell.communicate(timeout=180)
	finally:
		try:
			os.killpg(shell.pid, signal.SIGKILL)  # a host that a failing step left behind
		except ProcessLookupError:
			pass
	expect_equal(shell.returncode, 0, f"exit of the commands, which printed {printed}")
	return printed


def test_readme(test):
	(test.dir / "build").mkdir()
	(test.dir / "build" / "bin").symlink_to(test.find("bin/sofund").parent)
	(test.dir / "plugin-api").symlink_to(REPOSITORY / "plugin-api")
	printed = run(test, "README.md")
	answers = [line for line in printed.splitlines() if line.isdigit()]
	expect_equal(answers, ["1", "2", "3"], "what the calls answer")
	expect("recovered crash" in printed and "demo/visits" in printed, f"the status: {printed}")


def test_plugin_api_readme(test):
	test.need_plain_build("a plugin of one's own has not the sanitizer's library")
	subprocess.run(["cmake", "--install", test.build, "--prefix", test.dir / "sofun"], check=True, stdout=subprocess.DEVNULL)
	printed = run(test, "plugin-api/README.md")
	expect("100% tests passed" in printed, f"the new plugin's test: {printed}")
	answer, state = printed.index("\n2\n"), printed.index("total")
	expect(answer < state and re.search(r"total\s+\S+\s+4\b", printed), f"the call and the state: {printed}")
	expect(printed.index("\n9\n") > state and re.search(r"greeter +0\.2\.0 +live", printed), f"the newer version, with the state: {printed}")
	expect("demo/hello" in printed, f"inspect: {printed}")


def test_links_lead_somewhere(test):
	for page in ("README.md", "plugin-api/README.md", "plugins/README.md", "tests/README.md"):
		for link in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / page).read_text()):
			expect(((REPOSITORY / page).parent / link).exists(), f"{page} names {link}")


if __name__ == "__main__":
	harness.main(globals())
