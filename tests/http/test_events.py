#!/usr/bin/python3
"""The stream of events: what happens to plugins is told as it happens, once, in order, and a client that comes back gets
what it missed, or hears that it cannot."""

import shutil
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.events import Events
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import HttpError


GONE = ("retired", "stuck")  # under a sanitizer nothing is unmapped


def test_the_life_of_a_plugin_is_told(test):
	host = Host(test, plugins=()).start()
	events = Events(host)
	expect_equal((events.status, events.headers["content-type"]), (200, "text/event-stream"), "the head")
	shutil.copy(test.plugin("play"), host.data / "plugins" / "play.so")
	kinds, live = events.until("live")
	expect_equal((kinds[0], kinds[-1], live["name"], live["version"]), ("stage", "live", "play", "1.0.0"), "it came")
	(host.data / "plugins" / "broken.so").write_bytes(b"no plugin at all" * 100)
	kinds, refused = events.until("refused")
	expect(refused["file"] == "broken.so", f"the refusal: {refused}")
	host.http.json("DELETE", "/v1/plugins/play")
	kinds, retired = events.until(*GONE)
	expect_equal(retired["name"], "play", "it went")
	expect(abs(retired["time_ms"] / 1000 - time.time()) < 60, "with its time")
	events.close()


def test_a_client_that_comes_back_gets_what_it_missed(test):
	host = Host(test, plugins=()).start()
	events = Events(host)
	host.drop("play")
	events.until("live")
	events.close()
	host.drop("counter")
	wait_until(lambda: len(host.status()["plugins"]) == 2, what="the second plugin")
	again = Events(host, last_id=events.last_id)
	kinds, live = again.until("live")
	expect_equal((live["name"], kinds.count("live")), ("counter", 1), "once, and nothing that it had")
	again.close()
	earliest = Events(host, query="?from=earliest")
	names = [earliest.until("live")[1]["name"] for _ in range(2)]
	expect_equal(names, ["play", "counter"], "all that is kept")
	earliest.close()
	fresh = Events(host)
	host.http.json("DELETE", "/v1/plugins/play")
	expect("live" not in fresh.until(*GONE)[0], "without an id: from now on")
	fresh.close()
	error = harness.raised(HttpError, lambda: host.http.get("/v1/events?from=7"))
	expect_equal((error.status, error.code), (400, "bad_request"), "another from")


def test_another_life_of_the_host_is_said(test):
	host = Host(test).start()
	events = Events(host)
	host.http.json("DELETE", "/v1/plugins/play")
	events.until(*GONE)
	events.close()
	host.kill()
	host.restart()
	for last in (events.last_id, "junk", "0-0"):
		again = Events(host, last_id=last)
		kind, data = again.next()
		expect_equal((kind, "another life" in data["reason"]), ("skipped", True), f"after {last}: {data}")
		again.close()


def test_a_stop_ends_the_streams(test):
	host = Host(test).start()
	events = [Events(host) for _ in range(20)]
	start = time.monotonic()
	host.stop()
	expect(time.monotonic() - start < 10, "nobody waits for a listener")
	for one in events:
		expect_equal(one.next(), None, "the end, as HTTP has it")
		one.close()


def test_listeners_come_and_go(test):
	host = Host(test, plugins=()).start()
	for _ in range(200):
		Events(host).close()
	with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as half:  # says that it sends no more, and goes on listening
		half.connect(str(host.control))
		half.sendall(b"GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n")
		half.recv(1000)
	host.drop("play")
	wait_until(lambda: host.status()["plugins"], what="the plugin")
	open_now = Events(host, query="?from=earliest")
	expect_equal(open_now.until("live")[1]["name"], "play", "still served")
	wait_until(lambda: host.metrics()["sofun_http_requests_open"] <= 1, what="no request is left open")
	open_now.close()


if __name__ == "__main__":
	harness.main(globals())
