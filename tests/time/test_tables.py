#!/usr/bin/python3
"""Tables and lists on the true binary: entries one at a time, in order, all or nothing; across SIGKILL, another number of shards,
another schema and the end of their instance; as cheap in a table of a million as in one of ten, cleared at once, and the
space comes back."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.harness import expect, expect_equal, raised, wait_until
from lib.host import Host
from lib.http import HttpError
from lib.rpc import RpcError

BOOK = "ledger/book"
STEPS_MAX = 65_536  # entries that a message may write, and step over
FILL = 50_000  # entries of one message: an invocation may write 65,536


def ledger(test, **arguments):
	return Host(test, plugins=("ledger",), **arguments).start()


def call(host, id, *commands, type=BOOK):
	with host.rpc() as rpc:
		return rpc.call(type, id, list(commands))


def state(host, id, query="", type=BOOK):
	return host.http.get(f"/v1/state/{type}/{id}{query}")


def database_bytes(host):
	"""Tables of the function's database, in bytes: what a table that is no longer named leaves is not there any more."""
	return store.table_bytes(host.data)


def fill(host, id, count, bytes, type=BOOK):
	for start in range(0, count, FILL):
		call(host, id, ["fill", start, min(FILL, count - start), bytes], type=type)


def test_entries_are_read_in_the_order_of_their_keys(test):
	host = ledger(test)
	found = call(host, "a", ["set", "b", 2], ["set", "a", 1], ["set", "ba", {"deep": [3]}], ["set", "c", 4], ["get", "b"],
		["get", "none"], ["remove", "c"], ["get", "c"], ["scan", "", "", 10])
	expect_equal(found, [2, None, None, ["a", 1], ["b", 2], ["ba", {"deep": [3]}], None], "own writes, seen at once")
	host.kill()
	host.restart(shards=3)
	expect_equal(call(host, "a", ["scan", "b", "", 10]), [["b", 2], ["ba", {"deep": [3]}], None], "by prefix")
	expect_equal(call(host, "a", ["scan", "", "b", 1]), [["b", 2], None], "from a key on")
	expect_equal(call(host, "a", ["set", "bb", 5], ["remove", "b"], ["scan", "", "aa", 10]),
		[["ba", {"deep": [3]}], ["bb", 5], None], "own changes among what is stored")
	expect_equal(call(host, "a", ["clear"], ["scan", "", "", 10], ["set", "z", 0], ["scan", "", "", 10]),
		[None, ["z", 0], None], "behind clear")
	host.stop()
	host.start()
	expect_equal(call(host, "a", ["scan", "", "", 10]), [["z", 0], None], "after an orderly restart")


def test_items_are_numbered_from_the_oldest(test):
	host = ledger(test)
	expect_equal(call(host, "a", ["append", "x"], ["append", "y"], ["length"], ["at", 1], ["at", 2]), [2, "y", None], "own items")
	for number in range(100):
		call(host, "a", ["append", number])
	host.kill()
	host.restart(shards=1)
	expect_equal(call(host, "a", ["drop", 2], ["length"], ["at", 0], ["items", 97, 10]), [100, 0, 97, 98, 99], "dropped few")
	expect_equal(call(host, "a", ["drop", 90], ["items", 0, 3], ["length"]), [90, 91, 92, 10], "dropped many")
	expect_equal(call(host, "a", ["drop", 999], ["length"], ["append", "n"], ["at", 0]), [0, "n"], "dropped all")
	expect_equal(call(host, "a", ["forget"], ["length"]), [0], "forgotten")


def test_nothing_of_a_failed_message_happens(test):
	host = ledger(test, settings={"retry.attempts": 1})
	call(host, "a", ["set", "k", 1], ["append", 1], ["append", 2])
	for commands in ([["clear"]], [["set", "k", 2]], [["remove", "k"]], [["drop", 1]], [["forget"]], [["append", 3]], [["set", "new", 1]]):
		raised(RpcError, lambda: call(host, "a", *commands, ["fail"]))
	expect_equal(call(host, "a", ["scan", "", "", 10], ["items", 0, 10]), [["k", 1], None, 1, 2], "what was there before")
	error = raised(RpcError, lambda: call(host, "a", ["fill", 0, 65_537, 1]))
	expect("too large" in str(error), f"a limit is named: {error}")
	expect_equal(call(host, "a", ["scan", "", "", 10]), [["k", 1], None], "after a message with too many entries")


def test_how_far_a_message_may_step(test):
	host = ledger(test, settings={"retry.attempts": 1})
	call(host, "a", ["fill", 0, STEPS_MAX, 1], ["count"]) # its own
	expect_equal(call(host, "a", ["count"]), [STEPS_MAX], "as many as the limit, before they are in the store or behind")
	host.kill()
	host.restart()
	expect_equal(call(host, "a", ["count"]), [STEPS_MAX], "as many as the limit, of the store")
	call(host, "a", ["set", "one more", 1])
	error = raised(RpcError, lambda: call(host, "a", ["count"]))
	expect("too large" in str(error), f"a limit is named: {error}")


def test_state_shows_them_page_by_page(test):
	host = ledger(test)
	call(host, "a", *[["set", f"k{i:03}", i] for i in range(250)], *[["append", i] for i in range(250)])
	shown = state(host, "a")
	expect_equal((shown["values"], list(shown["tables"]), list(shown["lists"])), ({"times": 1}, ["entries"], ["lines"]), "names")
	expect_equal(shown["tables"]["entries"]["entries"][:2], [{"key": "k000", "value": 0}, {"key": "k001", "value": 1}], "first")
	expect_equal((len(shown["tables"]["entries"]["entries"]), shown["lists"]["lines"]["length"]), (10, 250), "how much is shown")
	seen, after = [], ""
	while after is not None:
		page = state(host, "a", f"?table=entries&limit=60{after}")["tables"]["entries"]
		seen += [(entry["key"], entry["value"]) for entry in page["entries"]]
		after = page["next"] and f"&after={page['next']}"
	expect_equal(seen, [(f"k{i:03}", i) for i in range(250)], "all pages of the table")
	page = state(host, "a", "?table=lines&limit=3&after=99")["lists"]["lines"]
	expect_equal((page["items"], page["next"]), ([100, 101, 102], 102), "a page of the list")
	expect_equal(raised(HttpError, lambda: state(host, "a", "?table=none")).status, 404, "no such table")
	expect_equal(raised(HttpError, lambda: state(host, "a", "?table=lines&after=x")).status, 400, "no index")
	call(host, "b", ["set", bytes([255, 0]), 1])
	expect_equal(state(host, "b")["tables"]["entries"]["entries"], [{"key": {"base64": "/wA="}, "value": 1}], "a key of bytes")


def clear_cost(host, id):
	"""Bytes of journal, which tell whether it is one row or all of them; and seconds, which another test's load makes more."""
	before = host.metrics()["sofun_journal_written_bytes_total"]
	_, seconds = host.timed(lambda: call(host, id, ["clear"]))
	return host.metrics()["sofun_journal_written_bytes_total"] - before, seconds


def read_cost(host, id, command):
	"""Rows and bytes that the databases were read for one message. The instance itself is warm."""
	call(host, id, ["length"])
	names = ("sofun_store_read_rows_total", "sofun_store_read_bytes_total")
	before = host.metrics()
	call(host, id, command)
	after = host.metrics()
	return tuple(int(after[name] - before[name]) for name in names)


def test_a_million_entries_cost_what_ten_do(test):
	count = test.by_scale(100_000, 1_000_000)
	host = ledger(test, shards=1)
	fill(host, "few", 10, 60)
	fill(host, "many", count, 60)
	host.stop()  # everything comes into the databases
	host.start()
	key = (7 ^ 1 << 63).to_bytes(8, "big")
	few, many = (read_cost(host, id, ["get", key]) for id in ("few", "many"))
	test.note(f"one entry of 10: {few[0]} rows, {few[1]} bytes read; of {count:,}: {many[0]} rows, {many[1]} bytes")
	expect(few[0] == many[0] == 1 and many[1] <= few[1] + 2, "one row is read for one entry")  # the id is a byte longer
	few, many = (read_cost(host, id, ["scan", "", key, 5]) for id in ("few", "many"))
	test.note(f"five entries of 10: {few[0]} rows; of {count:,}: {many[0]} rows, {many[1]} bytes")
	expect(many[0] <= few[0] + 2, "a cursor reads no more than is asked for")
	before = database_bytes(host)
	(few_written, few_s), (many_written, many_s) = (clear_cost(host, id) for id in ("few", "many"))
	test.note(f"clear of 10: {few_s * 1000:.1f} ms, of {count:,}: {many_s * 1000:.1f} ms; the database has {before:,} bytes")
	expect(many_written <= few_written + 16 * 4096, f"clearing {count:,} wrote {many_written} bytes of journal, ten {few_written}")
	expect_equal(call(host, "many", ["scan", "", "", 1]), [None], "nothing is left for a reader")
	wait_until(lambda: host.metrics()["sofun_store_reclaimed_rows_total"] >= count + 10, 120, "the rows are taken away")
	wait_until(lambda: database_bytes(host) < before / 10, 60, "the database shrinks")
	test.note(f"the database has {database_bytes(host):,} bytes")
	expect_equal(call(host, "few", ["set", "k", 1], ["scan", "", "", 5]), [["k", 1], None], "a table that was cleared")


def test_a_table_goes_to_another_schema_as_it_is(test):
	count = test.by_scale(20_000, 200_000)
	host = ledger(test, settings={"crash.probation_ms": 1})
	fill(host, "a", count, 60)
	call(host, "a", ["append", "gone"], ["append", "with it"])
	written = host.metrics()["sofun_journal_written_bytes_total"]
	host.drop("ledger", test.plugin("ledger_2"))
	wait_until(lambda: (host.plugin("ledger") or {}).get("version") == "2.0.0", 30, "the second version lives")
	expect_equal(call(host, "a", ["length"]), [0], "a list that was not carried")
	shown = state(host, "a")
	expect_equal((shown["schema"], list(shown["tables"])), (2, ["accounts"]), "its new name")
	expect(host.metrics()["sofun_journal_written_bytes_total"] - written < 4096 * 16, "nothing of the table was written anew")
	host.kill()
	host.restart(shards=3)
	call(host, "a", ["set", "new", 1])
	host.http.post("/v1/plugins/ledger/rollback", {})
	wait_until(lambda: (host.plugin("ledger") or {}).get("version") == "1.0.0", 30, "back")
	key = (count - 1 ^ 1 << 63).to_bytes(8, "big")
	found = call(host, "a", ["get", key], ["get", "new"], ["length"])
	expect_equal((len(found[0]), found[1], found[2]), (60, 1, 0), "the same table, under its old name")


def test_a_table_ends_so_long_after_what_was_last_written_in_it(test):
	"""Not after it was begun: an entry that is set or removed is a write, though nothing but its own row changes."""
	start_ms = 1_000_000_000
	host = ledger(test, shards=2, flags=["--test-clock", str(start_ms)])
	host.http.post(f"/v1/ttl/{BOOK}", {"values": {"entries": {"expire_after_write_ms": 1000}, "lines": {"expire_after_write_ms": 1000}}})
	def at(ms, *commands):
		host.http.post("/v1/clock", {"to_ms": start_ms + ms})
		return call(host, "a", *commands)
	at(0, ["set", "a", 1], ["append", 1])
	at(600, ["set", "b", 2], ["append", 2])
	at(1200, ["remove", "a"])
	expect_equal(state(host, "a")["expires"], {"entries": start_ms + 2200, "lines": start_ms + 1600}, "when each ends")
	shown = subprocess.run([test.find("bin/sofun"), "--control", host.control, "state", BOOK, "a"], check=True, text=True, capture_output=True).stdout
	expect("table entries: 1 entry, expires at " in shown and "list lines: 2 items, expires at " in shown, f"the command: {shown}")
	expect_equal(at(1599, ["length"]), [2], "the list, a millisecond before its end")
	expect_equal(at(1600, ["length"], ["scan", "", "", 9]), [0, ["b", 2], None], "the list has ended, a second behind its last item")
	host.kill()
	host.restart(shards=3)
	expect_equal(at(2199, ["scan", "", "", 9]), [["b", 2], None], "the table, a millisecond before its end")
	expect_equal(at(2200, ["scan", "", "", 9]), [None], "a second behind its last change")
	at(2300, ["set", "c", 3])
	expect_equal(at(3299, ["scan", "", "", 9]), [["c", 3], None], "the next one")
	expect_equal(at(3300, ["scan", "", "", 9]), [None], "and its end")


def test_what_ends_takes_its_entries_along(test):
	count = test.by_scale(20_000, 200_000)
	host = ledger(test, flags=["--test-clock", "1000000000"])
	fill(host, "a", count, 60, type="ledger/brief")
	call(host, "a", ["append", 1], type="ledger/brief")
	call(host, "a", ["set", "k", 1])
	host.http.post("/v1/clock", {"advance_ms": 59_999})
	expect_equal(call(host, "a", ["length"], type="ledger/brief"), [1], "a millisecond before the end")
	host.http.post("/v1/clock", {"advance_ms": 60_000})
	error = raised(HttpError, lambda: state(host, "a", type="ledger/brief"))
	expect_equal(error.status, 404, "state of what has ended")
	first = host.egress("ended")[0]["payload"]
	expect_equal(first[1], 1, "what on_expire saw of the list")
	host.kill()
	host.restart(shards=1)
	expect_equal(call(host, "a", ["scan", "", "", 1], ["length"], type="ledger/brief"), [None, 0], "begun anew")
	wait_until(lambda: host.metrics()["sofun_store_reclaimed_rows_total"] >= count + 1, 60, "the rows are taken away")
	expect_equal(call(host, "a", ["get", "k"]), [1], "another instance's")


if __name__ == "__main__":
	harness.main(globals())
