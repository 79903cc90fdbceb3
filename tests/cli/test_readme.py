#!/usr/bin/python3
"""README.md and plugin-api/README.md to the letter: their code blocks are run in their order, in an empty folder. A block of
a file (```c, ```cmake) is written to the name that stands before it; ```sh is run. Indented C is a part of a file: it must
compile once what it leaves out stands around it."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, expect, expect_equal

BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?^```(sh|c|cmake)\n(.*?)^```", re.MULTILINE | re.DOTALL)

INDENTED = re.compile(r"^\n((?:    .*\n|\n(?=    ))+)", re.MULTILINE)

# What the statements of examples name without declaring it.
SURROUNDINGS = """#include <sofun/sofun.h>
#include <sofun/testing.h>
static sofun_test *test;
static sofun_bytes user, prefix, from, line;
"""


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


def source_of(example):
	"""A file of an indented example: its declarations as they are, its statements inside an invoke, and an invoke for each
	function that shows none."""
	parts = example.split("\n\n")
	outside = [part for part in parts if part.startswith(("SOFUN_FUNCTION(", "SOFUN_STATELESS_FUNCTION(", "SOFUN_SCHEMA(", "static "))]
	statements = [part for part in parts if part not in outside]
	text = "\n\n".join(outside) + "\n"
	if not outside:
		text = 'SOFUN_STATELESS_FUNCTION(example, "demo/example");\n'
	functions = re.findall(r"^SOFUN_(?:STATELESS_)?FUNCTION\((\w+)", text, re.MULTILINE)
	for name in functions:
		if f"int {name}_invoke(" not in text:
			text += (f"static int {name}_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {{\n"
				"\t(void)context, (void)plugin_data, (void)message;\n" + "\n".join(statements) + "\nreturn 0;\n}\n")
	members = ", ".join([f"SOFUN_WITH_FUNCTION({name})" for name in functions] +
		[f"SOFUN_WITH_ROUTER({name})" for name in re.findall(r"^SOFUN_ROUTER\((\w+)", text, re.MULTILINE)] +
		[f"SOFUN_WITH_EGRESS({name})" for name in re.findall(r'sofun_emit\(context, ("\w+")', text)])
	return SURROUNDINGS + text + f'SOFUN_PLUGIN("example", "1.0.0", {members});\n'


def test_plugin_api_examples_compile(test):
	page = (REPOSITORY / "plugin-api" / "README.md").read_text()
	page = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
	examples = [textwrap.dedent(text).strip() for text in INDENTED.findall(page)]
	for word in ("SOFUN_ROUTER(", "SOFUN_EARLIER(", "SOFUN_ON_EXPIRE", "sofun_test_advance(", "send_after(", "SOFUN_TABLE(", "SOFUN_ON_RESULT"):
		expect(any(word in example for example in examples), f"an example with {word}")
	for example in examples:
		source = source_of(example)
		compiler = subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wno-unused", "-Werror",
			"-I", REPOSITORY / "plugin-api" / "include", "-x", "c", "-"], input=source, text=True, stderr=subprocess.PIPE)
		expect_equal(compiler.returncode, 0, f"{compiler.stderr} for {source}")


def test_links_lead_somewhere(test):
	for page in ("README.md", "plugin-api/README.md", "plugins/README.md", "tests/README.md"):
		for link in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / page).read_text()):
			expect(((REPOSITORY / page).parent / link).exists(), f"{page} names {link}")


if __name__ == "__main__":
	harness.main(globals())
