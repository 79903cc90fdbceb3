#!/usr/bin/python3
"""The names that others rely on, in one place, against what the programs say of themselves: --help, the man pages and the
shell's completion. Fixed names must be there; whatever else there is must be the same in all three."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal

GLOBAL_OPTIONS = {"--data", "--control", "--json"}

# Command → its fixed options.
COMMANDS = {
	"status": set(),
	"load": set(),
	"unload": set(),
	"swap": {"--drain", "--deadline", "--canary"},
	"rollback": set(),
	"versions": set(),
	"wait": {"--timeout"},
	"send": set(),
	"call": {"--timeout"},
	"state": {"--limit", "--after"},
	"ingest": {"--producer", "--batch"},
	"tail": {"--from", "--follow", "--count"},
	"dead": {"--all"},
	"inspect": set(),
	"new": set(),
	"bench": {"--only", "--quick"},
	"top": set(),
}

HOST_FLAGS = {"--data", "--plugins", "--config", "--set", "--test-clock", "--keep-images", "--check-config"}

SETTINGS = {"listen.data", "listen.http", "shards", "durability", "ingresses.<name>.format", "retry.attempts", "retry.backoff_ms",
	"retry.factor", "retry.backoff_ms_max", "stage.patience_ms", "plugins.policy", "limits.message_bytes", "limits.value_bytes",
	"limits.frame_bytes", "limits.nesting", "limits.memory_bytes", "limits.invocation_warn_ms", "egress.retention_bytes",
	"egress.retention_s", "producer.expiry_s", "idempotency.expiry_s", "call.timeout_ms"}

EXIT_CODES = {"sofun": range(7), "sofund": range(5)}


def said(test, program, *arguments, fails=False):
	done = subprocess.run([test.find(f"bin/{program}"), *arguments], stdout=subprocess.PIPE, text=True)
	expect(fails or done.returncode == 0, f"exit of {program} {arguments}: {done.returncode}")
	return done.stdout


def section(text, head):
	"""The lines behind the line `head`, until an empty one."""
	return re.search(rf"^{head}\n((?:.+\n)*)", text, re.MULTILINE)[1]


def listed(text):
	"""The first words of indented lines."""
	return set(re.findall(r"^  (\S+)", text, re.MULTILINE))


def options_of_help(text):
	return listed(section(text, "options:")) if "\noptions:" in text else set()


def unescaped(page):
	return page.replace("\\-", "-").replace("\\e", "\\")


def man_parts(page):
	"""The text of each subsection of COMMANDS, and of the section OPTIONS."""
	page = unescaped(page)
	commands = page.split(".SH COMMANDS\n")[1].split(".SH ")[0]
	parts = dict(re.findall(r"^\.SS (\S+)\n(.*?)(?=^\.SS |\Z)", commands, re.MULTILINE | re.DOTALL))
	return parts, page.split(".SH OPTIONS\n")[1].split(".SH ")[0]


def options_of_page(text):
	return set(re.findall(r"^\.TP\n\\fB(--[\w-]+)", text, re.MULTILINE))


def completed(test, *words):
	"""What could stand behind the words."""
	place = len(words) - 1
	return set(said(test, "sofun", "--complete", str(place), *words, fails=True).split())


def test_commands(test):
	help = said(test, "sofun", "--help")
	commands = listed(section(help, "commands:"))
	parts, options = man_parts(said(test, "sofun", "--man"))
	expect(set(COMMANDS) <= commands, f"missing in --help: {set(COMMANDS) - commands}")
	expect_equal(set(parts), commands, "commands of sofun(1)")
	expect_equal(completed(test, ""), commands, "commands that are completed")
	expect(GLOBAL_OPTIONS <= options_of_help(help), f"options in {help}")
	expect_equal(options_of_page(options), options_of_help(help), "options of sofun(1)")


def test_options_of_each_command(test):
	commands = listed(section(said(test, "sofun", "--help"), "commands:"))
	parts, _ = man_parts(said(test, "sofun", "--man"))
	common = options_of_help(said(test, "sofun", "--help"))
	for name in sorted(commands):
		help = said(test, "sofun", name, "--help")
		options = options_of_help(help)
		expect(COMMANDS.get(name, set()) <= options, f"{name} lacks {COMMANDS.get(name, set()) - options}")
		expect_equal(options_of_page(parts[name]), options, f"options of {name} in sofun(1)")
		expect_equal(completed(test, name, "--") - common, options - common, f"options of {name} that are completed")
		usage = re.search(r"^usage: sofun (.*)$", help, re.MULTILINE)[1]
		page = " ".join(unescaped(said(test, "sofun", "--man")).split())
		expect(f".B sofun {' '.join(usage.split())}" in page, f"the usage of {name} in sofun(1): {usage}")


def test_exit_codes_are_told(test):
	told = re.search(r"^exit codes: (.*)$", said(test, "sofun", "--help"), re.MULTILINE)[1]
	expect_equal([int(code) for code in re.findall(r"(\d) \w", told)], list(EXIT_CODES["sofun"]), "codes of sofun --help")
	page = said(test, "sofun", "--man").split(".SH EXIT STATUS\n")[1].split(".SH")[0]
	expect_equal([int(code) for code in re.findall(r"(\d) \w", page)], list(EXIT_CODES["sofun"]), "codes of sofun(1)")
	told = said(test, "sofund", "--help").split("exit: ")[1]
	expect_equal([int(code) for code in re.findall(r"(\d) \w", told)], list(EXIT_CODES["sofund"]), "codes of sofund --help")
	page = test.find("sofund.8").read_text().split(".SH EXIT STATUS\n")[1].split(".SH")[0]
	expect_equal([int(code) for code in re.findall(r"(\d) \w", page)], list(EXIT_CODES["sofund"]), "codes of sofund(8)")


def test_the_host(test):
	help = said(test, "sofund", "--help")
	flags = {word for word in listed(help) if word.startswith("--")}
	settings = listed(help.split("\nsettings")[1]) - flags
	expect(HOST_FLAGS <= flags, f"missing in sofund --help: {HOST_FLAGS - flags}")
	expect_equal(settings & SETTINGS, SETTINGS, "settings in sofund --help")
	expect_equal(options_of_page(unescaped(test.find("sofund.8").read_text())), flags, "flags of sofund(8)")
	page = unescaped(test.find("sofun.yaml.5").read_text())
	expect_equal(set(re.findall(r"^\.TP\n\.B (\S+)$", page, re.MULTILINE)), settings, "settings of sofun.yaml(5)")


if __name__ == "__main__":
	harness.main(globals())
