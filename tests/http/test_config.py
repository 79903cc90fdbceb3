#!/usr/bin/python3
"""The settings: refused with file, line and column; looked at without starting; shown; changed while the host runs, by a
request and by SIGHUP."""

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError

failure = partial(harness.raised, HttpError)


def sofund(test, *arguments):
	return subprocess.run([str(test.find("sofund")), *arguments], capture_output=True, text=True, timeout=20, check=False)


def setting(host, key):
	return next(one for one in host.http.get("/v1/config")["settings"] if one["key"] == key)


def test_check_config_names_the_place(test):
	file = test.dir / "sofun.yaml"
	for text, words in (
			("shards: 1\nlimits:\n  memory_byte: 1\n", ("sofun.yaml:3:3:", "unknown setting", "did you mean limits.memory_bytes?")),
			("limits:\n  nesting: deep\n", ("sofun.yaml:2:12:", "limits.nesting", "from 1 to 1024")),
			("listen.http:\n- nowhere\n", ("sofun.yaml:2:3:", "tcp:HOST:PORT")),
			("a: [\n", ("sofun.yaml:2:1:", "not YAML"))):
		file.write_text(text)
		for check in (("--check-config",), ()):
			ended = sofund(test, *check, "--config", str(file), "--data", str(test.dir / "none"))
			expect_equal(ended.returncode, 2, f"exit for {text!r}")
			for word in words:
				expect(word in ended.stderr, f"{word!r} in {ended.stderr!r}")
	file.write_text("retry: {attempts: 2}\n")
	ended = sofund(test, "--check-config", "--config", str(file), "--set", "shards=1")
	expect_equal((ended.returncode, ended.stderr), (0, ""), "a good file")
	expect(not (test.dir / "none").exists(), "nothing was made")


def test_the_documents_are_made_from_the_table(test):
	yaml, man = sofund(test, "--settings", "yaml"), sofund(test, "--settings", "man")
	expect_equal((yaml.returncode, man.returncode), (0, 0), "exits")
	usage = sofund(test, "--help").stdout
	host = Host(test, plugins=()).start()
	for one in host.http.get("/v1/config")["settings"]:
		for name, text in (("help", usage), ("yaml", yaml.stdout), ("man", man.stdout)):
			expect(one["key"] in text and one["meaning"] in text, f"{one['key']} is in the {name}")
		expect(one["reason"] in yaml.stdout and one["reason"] in man.stdout, f"why {one['key']} is so")
	expect_equal(sofund(test, "--settings", "runes").returncode, 2, "another form")


def test_the_example_file_is_good_with_every_setting_in_it(test):
	file = test.dir / "sofun.yaml"
	bare = re.sub(r"^#(?=\S)", "", sofund(test, "--settings", "yaml").stdout, flags=re.MULTILINE)
	expect(bare.count("\n") > 100 and "\nshards: " in bare, "the settings")
	file.write_text(bare)
	ended = sofund(test, "--check-config", "--config", str(file))
	expect_equal((ended.returncode, ended.stderr), (0, ""), "taken as it is")


def test_a_request_changes_a_setting_at_once(test):
	host = Host(test, settings={"call.timeout_ms": 20000}).start()
	expect_equal((setting(host, "call.timeout_ms")["source"], setting(host, "retry.attempts")["source"]), ("flag", "default"), "sources")
	answer = host.http.post("/v1/config", {"call.timeout_ms": 150, "limits": {"message_bytes": "64KiB"}})
	expect_equal([(one["key"], one["from"], one["to"]) for one in answer["changed"]],
		[("limits.message_bytes", "1MiB", "64KiB"), ("call.timeout_ms", "20000", "150")], "what changed")
	expect_equal(failure(lambda: host.http.post("/v1/functions/test/play/a", {"add": 1})).status, 408, "the new timeout")
	expect_equal(failure(lambda: host.http.post("/v1/functions/test/play/a", {"x": "y" * 70000})).status, 413, "the new limit")
	shown = setting(host, "call.timeout_ms")
	expect_equal((shown["value"], shown["source"], shown["live"], shown["unit"], shown["default"]),
		(150, "request", True, "ms", "30000"), "shown")
	answer = host.http.post("/v1/config", {"call.timeout_ms": None})
	expect_equal((setting(host, "call.timeout_ms")["value"], len(answer["changed"])), (20000, 1), "taken back")


def test_a_crash_takes_no_setting_along(test):
	host = Host(test, settings={"call.timeout_ms": 20000})
	host.data.mkdir(parents=True, exist_ok=True)
	(host.data / "sofun.yaml").write_text("retry.attempts: 3\n")
	host.start()
	host.http.post("/v1/config", {"call.timeout_ms": 150, "plugins.policy": "manual", "egress.retention_bytes": "1MiB", "log.level": "debug", "retry.factor": 2})
	host.http.post("/v1/config", {"retry.factor": None})
	(host.data / "sofun.yaml").write_text("retry.attempts: 4\ncall.timeout_ms: 7\n")
	for round in range(2):
		worker = host.status()["worker_pid"]
		os.kill(worker, signal.SIGKILL)
		wait_until(lambda: host.status()["worker_pid"] != worker, what="another worker")
		shown = {one["key"]: (one["value"], one["source"]) for one in host.http.get("/v1/config")["settings"]}
		expect_equal([shown[key] for key in ("call.timeout_ms", "plugins.policy", "egress.retention_bytes", "log.level", "retry.factor", "retry.attempts")],
			[(150 + round, "request"), ("manual", "request"), (1 << 20, "request"), ("debug", "request"), (4, "default"), (4, "file")], f"settings behind crash {round}")
		host.http.post("/v1/config", {"call.timeout_ms": 151})
	expect(failure(lambda: host.http.post("/v1/functions/test/play/a", {"add": 1})).status == 408, "the setting acts")
	expect("settings_kept count=4" in host.errors(), "the log says so")
	host.stop()
	host.start()
	expect_equal((setting(host, "call.timeout_ms")["value"], setting(host, "call.timeout_ms")["source"]), (20000, "flag"), "a start is a start")


def test_what_needs_a_restart_says_so(test):
	host = Host(test).start()
	for body in ({"shards": 1}, {"retry.attempts": 2, "durability": "none"}, {"limits.memory_bytes": "1GiB"}):
		error = failure(lambda body=body: host.http.post("/v1/config", body))
		expect_equal((error.status, error.code), (409, "conflict"), f"{body}")
		expect("start the host again" in error.error["hint"], f"the remedy: {error.error}")
	expect_equal(setting(host, "retry.attempts")["value"], 5, "nothing changed")
	for body in ({"retry.attempts": 0}, {"retry.attempts": "many"}, {"retry.atempts": 1}, {"retry": 5}, {"retry.attempts": [1]}):
		error = failure(lambda body=body: host.http.post("/v1/config", body))
		expect_equal((error.status, error.code), (400, "bad_request"), f"{body}")
	expect_equal(failure(lambda: host.http.post("/v1/config/reload", {"x": 1})).status, 400, "reload takes nothing")


def test_hangup_reads_the_file_again(test):
	host = Host(test)
	host.data.mkdir(parents=True, exist_ok=True)
	file = host.data / "sofun.yaml"
	file.write_text("retry.attempts: 3\n")
	host.start()
	expect_equal((setting(host, "retry.attempts")["value"], setting(host, "retry.attempts")["source"]), (3, "file"), "at the start")
	file.write_text("retry.attempts: 4\nlimits.memory_bytes: 1GiB\n")
	os.kill(host.process.pid, signal.SIGHUP)
	wait_until(lambda: setting(host, "retry.attempts")["value"] == 4, what="the change")
	expect("setting_needs_restart key=limits.memory_bytes" in host.errors(), "the log says what was not changed")
	file.write_text("retry.attempts: 0\n")
	os.kill(host.process.pid, signal.SIGHUP)
	wait_until(lambda: "settings_refused" in host.errors(), what="the refusal")
	expect("sofun.yaml:1:17" in host.errors(), "with its place")
	expect_equal(setting(host, "retry.attempts")["value"], 4, "nothing changed")
	expect_equal(failure(lambda: host.http.post("/v1/config/reload")).status, 400, "the same by a request")
	file.write_text("retry.attempts: 6\nshards: 1\n")
	answer = host.http.post("/v1/config/reload")
	expect_equal([one["key"] for one in answer["changed"]], ["retry.attempts"], "changed")
	host.stop()


if __name__ == "__main__":
	harness.main(globals())
