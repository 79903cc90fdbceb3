#!/usr/bin/python3
"""The metrics: Prometheus text without a fault, figures that are right, and a dashboard that asks for nothing else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, prometheus
from lib.harness import expect, expect_equal
from lib.host import Host
from lib.http import HttpError

DASHBOARD = harness.REPOSITORY / "tools" / "grafana" / "sofun.json"


def families(host):
	return prometheus.parse(host.http.text("GET", "/metrics"))


def of_function(host, name, function="test/play"):
	return families(host)[name].samples[(name, (("function", function),))]


def busy(test, **more):
	"""A host that has done a little of everything."""
	host = Host(test, plugins=("play", "counter"), settings={"retry.backoff_ms": 1, "retry.backoff_ms_max": 1}, **more).start()
	for number in range(200):
		host.http.post(f"/v1/functions/demo/counter/c{number % 7}", 1)
	host.http.post("/v1/functions/test/play/a", {"send": [{"id": "b", "msg": {"add": 1}}, {"id": "c", "msg": {"add": 1}}],
		"emit": {"egress": "play", "payload": 1}, "reply": True})
	host.http.post("/v1/functions/test/play/f?mode=send", {"fail_times": 2, "add": 1})
	harness.raised(HttpError, lambda: host.http.post("/v1/functions/test/play/g", {"fail": "always"}))
	host.barrier()
	return host


def test_the_text_has_no_fault(test):
	host = busy(test, shards=3)
	text = host.http.text("GET", "/metrics")
	found = prometheus.parse(text)
	for name in ("sofun_function_seconds", "sofun_commit_seconds", "sofun_journal_append_seconds", "sofun_checkpoint_seconds"):
		expect_equal(found[name].type, "histogram", name)
	for name in ("sofun_shard_backlog_bytes", "sofun_cache_bytes"):
		expect_equal(len(found[name].samples), 3, f"{name}: one a shard")
	expect_equal(set(dict(labels)["function"] for _, labels in found["sofun_function_messages_in_total"].samples),
		{"test/play", "demo/counter"}, "one a function")
	promtool = shutil.which("promtool")
	if promtool:
		checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
		expect_equal((checked.returncode, checked.stdout + checked.stderr), (0, ""), "promtool")
	else:
		test.note("promtool is not installed: only the reader of lib/prometheus.py looked")


def test_the_reader_refuses_what_is_wrong(test):
	good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="y"} 1\n'
	expect_equal(prometheus.parse(good)["a_total"].samples, {("a_total", (("x", "y"),)): 1.0}, "a good one")
	for wrong in (good[:-1], good.replace("counter", "gauge"), good.replace("A.", "A"), good + 'a_total{x="y"} 2\n', good + "b 1\n",
			good.replace('"y"', "y"), good.replace("} 1", "}  1"), good.replace("} 1", "} one"), good[:good.index("a_total{")],
			good.replace("# TYPE a_total counter\n", "")):
		harness.raised((prometheus.Refused, ValueError), lambda wrong=wrong: prometheus.parse(wrong))


def test_functions_are_counted(test):
	host = busy(test)
	expect_equal(of_function(host, "sofun_function_messages_in_total", "demo/counter"), 200, "counter in")
	expect_equal(of_function(host, "sofun_function_messages_in_total"), 3 + 3 + 5, "a, b, c; f three times; g five times")
	expect_equal(of_function(host, "sofun_function_messages_out_total"), 2, "out")
	expect_equal(of_function(host, "sofun_function_egress_records_total"), 1, "egress")
	expect_equal(of_function(host, "sofun_function_failures_total"), 2 + 5, "failures")
	expect_equal(of_function(host, "sofun_function_retries_total"), 2 + 4, "retries")
	samples = families(host)["sofun_function_seconds"].samples
	count = samples[("sofun_function_seconds_count", (("function", "demo/counter"),))]
	expect(200 / 64 - 2 <= count <= 200 / 64 + 2, f"one in 64 on each of two shards: {count}")


def test_a_slow_function_is_seen_in_its_histogram(test):
	host = Host(test, plugins=("sleeper",), shards=1).start()
	type = host.plugin("sleeper")["functions"][0]
	host.http.post(f"/v1/functions/{type}/a?mode=send", 300)
	host.barrier()
	samples = families(host)["sofun_function_seconds"].samples
	total = samples[("sofun_function_seconds_sum", (("function", type),))]
	expect(0.2 < total < 20, f"the first attempt is one of those that are measured: {total}")


def test_commits_cache_and_backlog_move(test):
	host = busy(test)
	found = families(host)
	epochs = found["sofun_epochs_total"].samples[("sofun_epochs_total", ())]
	expect(epochs > 10, f"epochs: {epochs}")
	expect_equal(found["sofun_commit_seconds"].samples[("sofun_commit_seconds_count", ())], epochs, "one commit an epoch")
	total = {name: sum(found[name].samples.values()) for name in found if found[name].type != "histogram"}
	expect(total["sofun_cache_instances"] >= 7 and total["sofun_cache_misses_total"] >= 7, "the cache")
	expect(total["sofun_cache_bytes"] > 0 and total["sofun_shard_backlog_bytes"] > 0, "memory")
	host.http.post("/v1/functions/test/play/a", {"add": 1, "reply": True})
	expect(sum(families(host)["sofun_shard_epoch_bytes"].samples.values()) > 0, "the size of an epoch")


def test_the_dashboard_asks_for_what_there_is(test):
	dashboard = json.loads(DASHBOARD.read_text())
	host = busy(test)
	there = set()
	for family in families(host).values():
		there.add(family.name)
		there.update(name for name, _ in family.samples)
	asked = set()
	for panel in dashboard["panels"]:
		for target in panel.get("targets", []):
			asked.update(re.findall(r"sofun_[a-z_]+", target["expr"]))
			expect(target["expr"].count("(") == target["expr"].count(")"), target["expr"])
	for variable in dashboard["templating"]["list"]:
		asked.update(re.findall(r"sofun_[a-z_]+", json.dumps(variable)))
	expect(len(asked) >= 50, f"the dashboard asks for {len(asked)} metrics")
	expect_equal(asked - there, set(), "every metric that it names exists")
	expect_equal(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]), "ids of panels")


if __name__ == "__main__":
	harness.main(globals())
