#!/usr/bin/python3
"""Sinks: an egress in a file, exactly once across kills and rotation; piped to a command, at least once."""

import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host


def emit(host, payloads):
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": "e", "payload": {"emit": {"egress": "play", "payload": payload}}})
			for payload in payloads]
		for number in numbers:
			rpc.answer(number)
	host.barrier()


def with_sink(test, sink, **more):
	return Host(test, settings={"egresses.play.sink": sink, **more.pop("settings", {})}, **more)


def rotated(path):
	numbers = [int(other.name.rsplit(".", 1)[1]) for other in path.parent.glob(path.name + ".*")]
	return [path.parent / f"{path.name}.{number}" for number in sorted(numbers)]


def lines(path):
	"""All whole lines, rotated files first."""
	parts = []
	for file in [*rotated(path), path]:
		try:
			parts.append(file.read_bytes())
		except FileNotFoundError:
			pass  # it is being rotated
	text = b"".join(parts)
	return [json.loads(line) for line in text.split(b"\n")[:-1]]


def offsets(path):
	return [line["offset"] for line in lines(path)]


def wait_lines(path, count):
	wait_until(lambda: len(offsets(path)) >= count, 20, f"{count} lines in {path.name}")


def test_a_file_gets_every_record(test):
	host = with_sink(test, "{file: out.jsonl}").start()
	out = host.data / "out.jsonl"
	emit(host, [0, "två", {"a": [1, None]}])
	wait_lines(out, 3)
	got = lines(out)
	expect_equal([line["payload"] for line in got], [0, "två", {"a": [1, None]}], "payloads")
	expect_equal(got, host.http.get("/v1/egresses/play")["records"], "as by HTTP")
	wait_until(lambda: host.http.get("/v1/egresses")["egresses"] == [{"egress": "play", "first": 0, "next": 3, "readers": 1,
		"sink": {"file": "out.jsonl", "next": 3, "state": "running"}}], 10, "the list of egresses")
	host.stop()
	host.restart()
	emit(host, [3])
	wait_lines(out, 4)
	expect_equal(offsets(out), [0, 1, 2, 3], "goes on after a restart")
	expect_equal(oct(out.stat().st_mode & 0o777), "0o600", "private, as the store is")


def test_a_file_exactly_once_across_kills_and_rotation(test):
	"""Twenty kills and more while records flow and files rotate: every offset once and in order in the end."""
	chance = random.Random(test.seed)
	where = test.dir / "logs"
	where.mkdir()
	out = where / "play.jsonl"
	host = with_sink(test, f"{{file: {out}, rotate_bytes: 32KiB}}").start()
	kills, sent, torn = 0, 0, 0
	while kills < test.by_scale(20, 100):
		rpc = host.rpc()
		end, enough = time.monotonic() + chance.uniform(0.05, 0.35), sent + 90
		while time.monotonic() < end or sent < enough:
			numbers = [rpc.request("send", {"to": "test/play", "id": f"i{n % 3}",
				"payload": {"emit": {"egress": "play", "payload": "x" * chance.randint(0, 300)}}}) for n in range(30)]
			for number in numbers:
				rpc.answer(number)
			sent += 30
		host.kill()
		kills += 1
		rpc.close()
		seen = offsets(out)
		wrong = next((index for index, offset in enumerate(seen) if offset != index), None)
		expect(wrong is None, f"at any moment the files hold each offset once: kill {kills}, place {wrong}: {seen[(wrong or 0):][:5]}")
		torn += len(seen) < sent
		host.restart(shards=chance.choice((1, 2, 4)))
	host.barrier()
	wait_lines(out, sent)
	expect(lines(out) == host.egress("play"), "what the egress has")
	test.note(f"{sent} records, {kills} kills, {torn} of them with records not written yet, {len(rotated(out))} rotated files")
	expect(len(rotated(out)) > 10 and torn > kills // 3, "the test did something")
	sizes = [path.stat().st_size for path in rotated(out)]
	expect(all(32768 <= size < 32768 + 600 for size in sizes), f"sizes {sizes}")


def test_what_was_not_recorded_is_cut_off(test):
	"""Lines behind the recorded length, and a rotation that was not recorded, as a crash leaves them."""
	host = with_sink(test, "{file: out.jsonl, rotate_bytes: 4KiB}").start()
	out = host.data / "out.jsonl"
	emit(host, range(10))
	wait_lines(out, 10)
	host.stop()
	with open(out, "ab") as file:
		file.write(b'{"offset":10,"torn')
	host.restart()
	emit(host, range(10, 20))
	wait_lines(out, 20)
	expect_equal(offsets(out), list(range(20)), "after a torn line")
	host.stop()
	os.rename(out, host.data / "out.jsonl.1")
	out.write_bytes(b'{"offset":20,"not":"recorded"}\n')
	host.restart()
	emit(host, range(20, 30))
	wait_lines(out, 30)
	expect_equal((offsets(out), rotated(out)), (list(range(30)), []), "the rotation is taken back")


def test_old_files_are_removed(test):
	host = with_sink(test, "{file: out.jsonl, rotate_bytes: 4KiB, keep: 3}").start()
	out = host.data / "out.jsonl"
	for start in range(0, 300, 20):
		emit(host, ["y" * 200] * 20)
		wait_until(lambda: out.exists() and offsets(out) and offsets(out)[-1] >= start + 19, 20, "written")
	numbers = [int(path.name.rsplit(".", 1)[1]) for path in rotated(out)]
	expect(len(numbers) <= 4 and numbers[0] > 5, f"kept {numbers}")
	kept = offsets(out)
	expect_equal(kept, list(range(kept[0], 300)), "what is kept has no hole")


def test_a_file_that_others_wrote_is_left_as_it_is(test):
	out = test.dir / "theirs.jsonl"
	out.write_text('{"mine": true}\n')
	(test.dir / "theirs.jsonl.7").write_text("old\n")
	host = with_sink(test, f"{{file: {out}, rotate_bytes: 4KiB}}").start()
	emit(host, ["z" * 100] * 60)
	wait_until(lambda: (test.dir / "theirs.jsonl.8").exists() and out.exists() and b"offset" in out.read_bytes(), 20, "rotated")
	expect_equal((test.dir / "theirs.jsonl.7").read_text(), "old\n", "another's file")
	expect((test.dir / "theirs.jsonl.8").read_text().startswith('{"mine": true}\n{"offset":0,'), "behind what was there")


def test_a_file_that_goes_away_is_begun_anew(test):
	host = with_sink(test, "{file: out.jsonl}").start()
	out = host.data / "out.jsonl"
	emit(host, range(5))
	wait_lines(out, 5)
	host.stop()
	out.unlink()
	host.restart()
	emit(host, range(5, 8))
	wait_lines(out, 3)
	expect_equal(offsets(out), [5, 6, 7], "goes on")
	expect("sink_file_short" in host.errors(), "and says what is missing")


def test_another_file_goes_on_where_the_last_one_ended(test):
	host = with_sink(test, "{file: one.jsonl}").start()
	emit(host, range(5))
	wait_lines(host.data / "one.jsonl", 5)
	host.stop()
	host.restart(settings={"egresses.play.sink": "{file: two.jsonl}"})
	emit(host, range(5, 9))
	wait_lines(host.data / "two.jsonl", 4)
	expect_equal((offsets(host.data / "one.jsonl"), offsets(host.data / "two.jsonl")), ([0, 1, 2, 3, 4], [5, 6, 7, 8]), "offsets")


def test_a_folder_that_is_not_there_is_waited_for(test):
	where = test.dir / "later"
	host = with_sink(test, f"{{file: {where}/out.jsonl}}").start()
	emit(host, range(5))
	wait_until(lambda: "sink_waits" in host.errors(), 10, "said")
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "nobody else is held up")
	where.mkdir()
	wait_lines(where / "out.jsonl", 5)


def test_a_command_gets_every_record(test):
	out = test.dir / "got"
	host = with_sink(test, f'{{command: "cat >> {out}"}}').start()
	emit(host, range(2000))
	wait_lines(out, 2000)
	expect_equal(offsets(out), list(range(2000)), "offsets")
	host.stop()
	expect_equal(len(offsets(out)), 2000, "an orderly stop repeats nothing")
	host.restart()
	emit(host, [2000])
	wait_lines(out, 2001)
	expect_equal(offsets(out), list(range(2001)), "after a restart")


def test_a_command_that_ends_is_started_again(test):
	out = test.dir / "got"
	host = with_sink(test, f'{{command: "head -n 3 >> {out}; exit 4"}}').start()
	for start in range(0, 9, 3):
		emit(host, range(start, start + 3))
		wait_until(lambda: out.exists() and start + 2 in offsets(out), 30, f"record {start + 2}")
	expect_equal(sorted(set(offsets(out))), list(range(9)), "each at least once")
	wait_until(lambda: "exit code 4" in host.errors(), 10, "said")


def test_a_command_at_least_once_across_kills(test):
	chance = random.Random(test.seed)
	out = test.dir / "got"
	host = with_sink(test, f'{{command: "cat >> {out}"}}').start()
	sent = 0
	for _ in range(test.by_scale(6, 30)):
		end = time.monotonic() + chance.uniform(0.05, 0.3)
		with host.rpc() as rpc:
			while time.monotonic() < end:
				numbers = [rpc.request("send", {"to": "test/play", "id": "e",
					"payload": {"emit": {"egress": "play", "payload": "x" * 500}}}) for _ in range(100)]
				for number in numbers:
					rpc.answer(number)
				sent += 100
		host.kill()
		host.restart()
	host.barrier()
	wait_until(lambda: len(set(offsets(out))) == sent, 30, "every offset is there")
	test.note(f"{sent} records, {len(offsets(out)) - sent} of them twice")


def test_a_command_that_does_not_read_holds_up_nobody(test):
	host = with_sink(test, '{command: "sleep 1000"}').start()
	emit(host, ["x" * 1000] * 500)
	with host.rpc() as rpc:
		expect_equal(rpc.call("test/play", "a", {"add": 1, "reply": True}), 1, "a call")
	start = time.monotonic()
	host.stop()
	expect(time.monotonic() - start < 8, "nor the stop")


def test_wrong_sinks_are_refused(test):
	for sink, text in (("{file: a, command: b}", "not whole"), ("{rotate_bytes: 1MiB}", "not whole"),
			("{command: b, keep: 3}", "not whole"), ("{file: a, rotate_bytes: 3}", "4KiB"), ("{file: ''}", "wrong value"),
			("{fil: a}", "egresses.<name>.sink.file"), ("x", "egresses.<name>.sink.file")):
		host = with_sink(test, sink).spawn()
		expect_equal(host.wait_exit(), 2, f"exit code of {sink}")
		expect(text in host.errors(), f"{sink}: {host.errors()}")
	host = with_sink(test, "{file: a}").start()
	status, _, body = host.http.raw("POST", "/v1/config", json.dumps({"egresses.play.sink.file": "b"}))
	expect_equal((status, b"at the start only" in body), (409, True), f"by a request: {body}")


if __name__ == "__main__":
	harness.main(globals())
