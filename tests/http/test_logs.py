#!/usr/bin/python3
"""The log: one line an event, for people or as JSON; what plugins say carries who said it; nobody can flood it."""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host
from lib.http import id_quoted

LINE = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) \w+( [\w.]+=("(?:[^"\\]|\\.)*"|[^ "]+))*')
NASTY = 'two\nlines "quoted" back\\slash \x01 zoë key=value'


def say(host, id, what):
	host.http.post(f"/v1/functions/chatty/say/{id_quoted(id)}", what)


def lines(host):
	return host.errors().splitlines()


def test_every_line_keeps_the_form(test):
	host = Host(test, plugins=("chatty", "play"), settings={"log.level": "debug"}).start()
	say(host, b"a\xff\n", NASTY)
	host.http.post("/v1/functions/test/play/f?mode=send", {"fail": 'x\n"y"'})
	(host.data / "plugins" / "bad.so").write_bytes(b"x" * 5000)
	wait_until(lambda: "plugin_refused" in host.errors(), what="a refusal")
	host.stop()
	for line in lines(host):
		expect(LINE.fullmatch(line), f"a line of the log: {line!r}")
	said = next(line for line in lines(host) if " plugin " in line)
	for part in ("plugin=chatty", "version=1.2.3", "function=chatty/say", r'id="a\xff\n"', r'text="two\nlines \"quoted\" back\\slash \x01 zoë'):
		expect(part in said, f"{part} in {said!r}")


def test_json_is_a_setting(test):
	host = Host(test, plugins=("chatty",), settings={"log.format": "json"}).start()
	say(host, b"a\xff", NASTY)
	host.stop()
	events = [json.loads(line) for line in lines(host)]
	expect(all({"time", "level", "event"} <= set(event) for event in events), "time, level, event")
	said = next(event for event in events if event["event"] == "plugin")
	expect_equal({key: said[key] for key in ("level", "plugin", "version", "function", "id", "text")}, {"level": "warn", "plugin": "chatty",
		"version": "1.2.3", "function": "chatty/say", "id": "a\ufffd", "text": NASTY}, "what a plugin said")
	ready = next(event for event in events if event["event"] == "ready")
	expect(isinstance(ready["start_ms"], int) and ready["recovered"] == "none", f"numbers are numbers: {ready}")


def test_a_flood_is_cut_short_and_counted(test):
	host = Host(test, plugins=("chatty",), settings={"log.lines_per_second": 20}).start()
	say(host, "a", 5000)
	expect("log_limited" in host.errors(), "it is said that lines are dropped")
	written = sum(" plugin " in line for line in lines(host))
	expect(20 <= written <= 100, f"{written} of 5000 lines")
	def counted():
		say(host, "a", 1)
		return sum(int(number) for number in re.findall(r"log_dropped .*lines=(\d+)", host.errors()))
	wait_until(lambda: counted() > 0, what="the count of what was dropped")
	written = sum(" plugin " in line for line in lines(host))
	dropped = counted()
	expect(5000 <= written + dropped <= 5300, f"all are written or counted: {written} + {dropped}")


def test_level_and_format_change_at_once(test):
	host = Host(test, plugins=("chatty",)).start()
	host.http.post("/v1/config", {"log.level": "error"})
	say(host, "a", "unheard")
	host.http.post("/v1/config", {"log.level": "info", "log.format": "json"})
	say(host, "a", "heard")
	expect("unheard" not in host.errors(), "below the level")
	said = [line for line in lines(host) if "heard" in line]
	expect_equal(json.loads(said[0])["text"], "heard", "as JSON")
	error = harness.raised(Exception, lambda: host.http.post("/v1/config", {"log.level": "loud"}))
	expect_equal(error.error["expected"], "debug, info, warn or error", "another level")


def test_a_router_that_wrote_to_the_log_ended_the_host(test):
	"""It had no image to be named by."""
	host = Host(test, plugins=("chatty",)).start()
	with host.rpc() as rpc:
		expect_equal(rpc.ingest("chatty", "p", 1, [b"one", b"two"]), 2, "durable")
	said = [line for line in lines(host) if " plugin " in line]
	expect_equal(len(said), 2, f"a line a record: {said}")
	expect("plugin=chatty version=1.2.3" in said[0] and 'text="heard one"' in said[0], f"who said it: {said[0]}")


if __name__ == "__main__":
	harness.main(globals())
