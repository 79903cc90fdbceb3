#!/usr/bin/python3
"""Start and stop: `recovered`, exit codes, what is kept, in every durability and with every number of shards."""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, store
from lib.harness import expect, expect_equal, wait_until
from lib.host import Host


def test_recovered_says_how_the_last_life_ended(test):
	host = Host(test).start()
	expect_equal(host.status()["recovered"], "none", "a new store")
	host.stop()
	expect_equal(host.restart().status()["recovered"], "clean", "after SIGTERM")
	host.kill()
	expect_equal(host.restart().status()["recovered"], "crash", "after SIGKILL")
	host.stop()
	expect_equal(host.restart().status()["recovered"], "clean", "after SIGTERM again")


def test_state_survives_whatever_ends_the_host(test):
	for durability in ("sync", "interval=20", "none"):
		host = Host(test, plugins=("counter", "play"), settings={"durability": durability}).start()
		total = 0
		for round, end in enumerate((host.stop, host.kill, host.kill, host.stop)):
			with host.rpc() as rpc:
				numbers = [rpc.request("call", {"to": "demo/counter", "id": f"s{n}", "payload": n}) for n in range(100)]
				for number in numbers:
					rpc.answer(number)
				rpc.send("test/play", "e", {"emit": {"egress": "play", "payload": round}})
			total += 1
			end()
			host.restart(shards=(1, 4, 3, 2)[round])
			expect_equal({id: values["count"] for id, values in host.dump("demo/counter").items()},
				{f"s{n}": n * total for n in range(100)}, f"counts under {durability}")
			host.barrier()
			expect_equal([record["payload"] for record in host.egress("play")], list(range(total)), "egress")
		host.stop()


def test_sigterm_in_the_middle_of_traffic_loses_nothing(test):
	host = Host(test, plugins=("counter",), shards=2).start()
	answered = 0
	for round in range(test.by_scale(5, 40)):
		rpc = host.rpc()
		numbers = [rpc.request("ingest", {"ingress": "counter", "producer": f"p{round}", "first": 1 + 10 * n,
			"records": [f"t{k}" for k in range(10)]}) for n in range(200)]
		rpc.answer(numbers[test.random.randint(0, 100)])
		host.process.send_signal(signal.SIGTERM)
		expect_equal(host.wait_exit(), 0, "exit code")
		rpc.close()
		host.restart()
		with host.rpc() as rpc:
			answered += rpc.position("counter", f"p{round}")
	host.barrier()
	expect_equal(sum(values["count"] for values in host.dump("demo/counter").values()), answered, "counts = durable positions")


def test_sigterm_while_the_store_is_behind(test):
	"""The last epochs may have to wait until earlier ones are applied, and the shards have ended by then: it hung, mostly at the first or second."""
	host = Host(test, plugins=("bench",), shards=1, settings={"limits.memory_bytes": "32MiB"}).start()
	order = {"left": 1_000_000_000, "ids": 1_000_000, "seed": 1, "batch": 512, "delay_ms": 0, "target": "idle"}
	host.http.post("/v1/functions/bench/driver/d?mode=send", order)
	handled = 0
	for _ in range(test.by_scale(4, 20)):
		wait_until(lambda: host.status()["handled"] > handled + 200_000, 60, "messages are handled")
		host.stop()
		host.start()
		expect_equal(host.status()["recovered"], "clean", "it ended in order")
		handled = host.status()["handled"]


def test_two_hosts_do_not_share_a_data_directory(test):
	host = Host(test).start()
	other = Host(test, data=host.data, plugins=()).spawn()
	expect_equal(other.wait_exit(), 3, "exit code of the second")
	expect("lock" in other.errors().lower(), f"it says why: {other.errors()[-300:]}")
	expect_equal(host.status()["recovered"], "none", "the first goes on")


def test_a_start_waits_for_the_lock_of_a_host_that_is_going(test):
	host = Host(test, plugins=("counter",)).start()
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 1)
	other = Host(test, data=host.data, plugins=()).spawn()
	host.process.kill()
	other.wait_ready()
	with other.rpc() as rpc:
		expect_equal(rpc.call("demo/counter", "a", 1), 2, "the state")


def test_a_store_whose_time_is_far_ahead_is_refused_without_accept_clock(test):
	"""INVARIANTS 38. --test-clock plays the system clock that was wrong."""
	now_ms = int(time.time() * 1000)
	for ahead_ms, end in ((2 * 3600 * 1000, Host.kill), (2 * 3600 * 1000, Host.stop), (1800 * 1000, Host.kill)):
		host = Host(test, plugins=("counter",), flags=["--test-clock", str(now_ms + ahead_ms)]).start()
		with host.rpc() as rpc:
			rpc.call("demo/counter", "a", 1)
		end(host)
		host.flags = []
		if ahead_ms > 3600 * 1000:
			store.refused(host, ("--accept-clock",))
			host.flags = ["--accept-clock"]
		host.start()
		begin = time.monotonic()
		first = called_at(host)
		wait_until(lambda: called_at(host) > first, 10, "the time goes on")
		time_ms, took_ms = called_at(host), (time.monotonic() - begin) * 1000
		expect(now_ms + ahead_ms <= first, f"the time went back by {now_ms + ahead_ms - first} ms")
		expect(time_ms - first <= took_ms / 2 + 2, f"half speed: {time_ms - first} ms in {took_ms:.0f} ms")
		host.stop()


def called_at(host):
	"""The committed time of a call that is made now."""
	with host.rpc() as rpc:
		rpc.call("demo/counter", "a", 1)
	return host.status()["time_ms"]


def test_usage_errors_exit_2(test):
	for flags in (["--no-such-flag"], ["--set", "no.such=1"], ["--set", "shards=many"], ["--set", "durability=maybe"]):
		host = Host(test, plugins=(), flags=flags).spawn()
		expect_equal(host.wait_exit(), 2, f"exit code of {flags}")
		expect(host.errors().strip(), "it says what is wrong")


def test_a_config_file_and_its_precedence(test):
	host = Host(test, plugins=("play",), settings={"retry.attempts": 3, "retry.backoff_ms": 1})
	(host.data / "sofun.yaml").write_text("retry:\n  attempts: 7\n  factor: 1\ncall:\n  timeout_ms: 250\n")
	host.start()
	with host.rpc() as rpc:
		error = harness.raised(Exception, lambda: rpc.call("test/play", "a", {"fail": "never"}))
		expect_equal(error.code, "function_failed", "code")
		expect_equal(host.dead()[0]["attempts"], 3, "--set wins over the file")
		error, seconds = host.timed(lambda: harness.raised(Exception, lambda: rpc.call("test/play", "b", {"add": 1})))
		expect_equal(error.code, "timeout", "code")
		expect(seconds < 5, f"the file's call.timeout_ms holds: {seconds:.1f} s")


def test_a_socket_path_that_is_too_long_is_refused(test):
	host = Host(test, plugins=(), data=test.dir / ("x" * 120)).spawn()
	expect_equal(host.wait_exit(), 2, "exit code")


def test_sockets_are_for_their_owner_alone(test):
	host = Host(test, plugins=()).start()
	for path in (host.socket, host.control):
		expect_equal(oct(path.stat().st_mode & 0o777), "0o600", f"mode of {path.name}")


def test_folders_are_for_their_owner_alone(test):
	host = Host(test, data=test.dir / "deep" / "data", plugins=()).start()
	host.drop("play")
	host.wait_live("play")
	with host.rpc() as rpc:
		rpc.call("test/play", "a", {"add": 1, "reply": True, "emit": {"egress": "play", "payload": 1}})
	host.stop()  # a checkpoint makes the rest
	folders = [host.data, *(path for path in host.data.rglob("*") if path.is_dir())]
	expect({"runtime", "types", "journal", "images", "egress", "plugins"} <= {path.name for path in folders}, f"{folders}")
	expect_equal([str(path) for path in folders if path.stat().st_mode & 0o077], [], "folders that others may enter")


def test_health_and_status_are_whole(test):
	host = Host(test, shards=3).start()
	expect_equal(host.http.get("/healthz"), {"status": "ok"}, "healthz")
	status = host.status()
	wanted = ("version pid worker_pid uptime_ms shards durability epoch time_ms recovered accepted handled in_flight retried dead "
		"memory_bytes images plugins refused").split()
	expect_equal([field for field in wanted if field not in status], [], "fields that status lacks")
	expect_equal((status["shards"], status["durability"], status["pid"]), (3, "sync", host.process.pid), "shards, durability, pid")
	wait_until(lambda: any(name.startswith("sofun_") for name in host.metrics()), 5, "metrics")


if __name__ == "__main__":
	harness.main(globals())
