#!/usr/bin/python3
"""`sofun top` against a host whose figures are known: a small one of ours that answers /metrics and /v1/status."""

import http.server
import json
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal

STATUS = {"version": "9.9.9", "pid": 1, "worker_pid": 2, "uptime_ms": 1000, "shards": 2, "durability": "sync", "epoch": 5, "time_ms": 1,
	"recovered": "none", "accepted": 1, "handled": 1, "in_flight": 3, "retried": 0, "dead": 0, "memory_bytes": 1 << 20,
	"waiting": [{"type": "a/slow", "messages": 70, "reason": "no_live_version"}],
	"plugins": [{"name": "p", "version": "1.2.3", "state": "live", "functions": ["a/fast", "a/slow"]}]}

FIRST = """# HELP sofun_messages_handled_total Handled.
# TYPE sofun_messages_handled_total counter
sofun_messages_handled_total 1000
sofun_cpu_seconds_total 10.5
sofun_function_messages_in_total{function="a/fast"} 500
sofun_function_messages_in_total{function="a/slow"} 500
sofun_function_seconds_bucket{function="a/fast",le="0.001"} 100
sofun_function_seconds_bucket{function="a/fast",le="0.01"} 100
sofun_function_seconds_bucket{function="a/fast",le="+Inf"} 100
sofun_shard_backlog_bytes{shard="1"} 0
"""
SECOND = """sofun_messages_handled_total 3000
sofun_cpu_seconds_total 11.5
sofun_function_messages_in_total{function="a/fast"} 2500
sofun_function_messages_in_total{function="a/slow"} 500
sofun_function_seconds_bucket{function="a/fast",le="0.001"} 190
sofun_function_seconds_bucket{function="a/fast",le="0.01"} 200
sofun_function_seconds_bucket{function="a/fast",le="+Inf"} 200
sofun_instances{type="a/fast",schema="1"} 40
sofun_instances{type="a/fast",schema="2"} 2
sofun_shard_backlog_bytes{shard="1"} 2048
"""


class Answers(http.server.BaseHTTPRequestHandler):
	def do_GET(self):
		if self.path == "/metrics":
			body = (FIRST if self.server.looks == 0 else SECOND).encode()
			self.server.looks += 1
		else:
			body = json.dumps({**STATUS, **self.server.more}).encode()
		self.send_response(200)
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def address_string(self):
		return "unix"

	def log_message(self, *_):
		pass


class Server(socketserver.UnixStreamServer):
	looks = 0
	more = {}


def served(test):
	server = Server(str(test.dir / "control.sock"), Answers)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	return server


def top(test, *arguments):
	command = [test.find("bin/sofun"), "--control", test.dir / "control.sock", *arguments]
	return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def near(found, expected):
	return abs(found - expected) <= expected * 0.2


def test_rates_and_quantiles(test):
	served(test)
	all = json.loads(top(test, "--json", "top", "--interval", "0.5"))
	seconds = all["interval_s"]
	expect(near(all["handled_per_s"], 2000 / seconds) and near(all["cpus"], 1 / seconds), f"rates: {all}")
	fast, slow = all["functions"]
	expect(near(fast["in_per_s"], 2000 / seconds) and slow["in_per_s"] == 0, f"in: {fast} {slow}")
	# 100 within the interval, 90 of them below 1 ms, 10 of them between 1 and 10 ms
	expect(near(fast["p50_s"], 0.001 * 50 / 90) and near(fast["p99_s"], 0.001 + 0.009 * 9 / 10), f"quantiles: {fast}")
	expect_equal((slow["p50_s"], slow["p99_s"], slow["out_per_s"]), (None, None, None), "what nobody measured")
	expect_equal((fast["instances"], fast["waiting"], slow["waiting"]), (42, 0, 70), "of both schemas; what waits")
	expect_equal([row["backlog_bytes"] for row in all["shards"]], [None, 2048], "shards")
	expect_equal((all["version"], all["in_flight"], all["accepted_per_s"]), ("9.9.9", 3, None), "the host")


def test_the_table(test):
	server = served(test)
	text = top(test, "top", "--interval", "0.5")
	rows = [line.split() for line in text.splitlines() if line.startswith("a/")]
	expect_equal([row[0] for row in rows], ["a/fast", "a/slow"], f"rows of {text}")
	expect_equal((rows[1][2], rows[1][3], rows[1][-2]), ("0", "-", "70"), f"cells of {rows[1]}")
	expect("SHARD" in text and "\n1      2.0 " in text, f"shards in {text}")
	expect("operations" not in text and "blocked" not in text, f"nothing is held up: {text}")
	server.looks = 0
	expect_equal(len(top(test, "--json", "top", "--interval", "0.1", "--count", "3").splitlines()), 3, "so many")


def test_what_is_held_up_has_a_line(test):
	server = served(test)
	cases = (({"operations": {"running": 3, "queued": 2}}, "operations 3 running, 2 queued"),
		({"blocked": {"count": 1}, "undecided": {"count": 4}}, "addresses 1 blocked, 4 undecided"),
		({"operations": {"running": 0, "queued": 7}, "undecided": {"count": 5}},
			"operations 0 running, 7 queued  addresses 0 blocked, 5 undecided"))
	for more, line in cases:
		server.looks, server.more = 0, more
		expect(line in top(test, "top", "--interval", "0.1").splitlines(), f"{line}: for {more}")
		server.looks = 0
		all = json.loads(top(test, "--json", "top", "--interval", "0.1"))
		expect_equal(all["undecided"], more.get("undecided", {}).get("count"), "as JSON")


def test_a_process_that_began_anew_counts_from_nothing(test):
	server = served(test)
	server.looks = 0
	global FIRST, SECOND
	FIRST, SECOND = SECOND, "sofun_messages_handled_total 100\n"
	all = json.loads(top(test, "--json", "top", "--interval", "0.5"))
	expect(near(all["handled_per_s"], 100 / all["interval_s"]), f"rate: {all['handled_per_s']}")


if __name__ == "__main__":
	harness.main(globals())
