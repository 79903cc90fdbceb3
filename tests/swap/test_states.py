#!/usr/bin/python3
"""A swap in each state of the host: idle, under a large backlog, beside another plugin that is staged, while a canary runs, with a
drain past its deadline, while the host recovers, while it stops. Each with a SIGKILL somewhere, and exact counts behind it."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.campaign import play_counts
from lib.harness import Failed, expect, expect_equal, wait_until
from lib.http import Http, HttpError
from lib.swapping import VERSIONS, Stream, images_balance, live, other, swap, two_versions

FAN = 10000  # sends of one message: a backlog at once


def settled(host):
	host.settle(1)
	images_balance(host)


def swap_until_live(host, version, drain="accepted"):
	"""Whatever dies or drains meanwhile."""
	wait_until(lambda: live(host) == version or swap(host, version, drain), 30, f"{version} is live")
	expect_equal(live(host), version, "what is live")


def killed_within(test, host, seconds, action):
	"""Does it, with a SIGKILL at a random moment of that time; then the next life. The action's value."""
	killer = threading.Timer(test.random.random() * seconds, host.process.kill)
	killer.start()
	value = action()
	killer.join()
	host.kill()
	host.restart()
	expect(live(host) in VERSIONS, "a version is live")
	return value


def streaming(test, messages=12000, **more):
	host = two_versions(test, shards=2, **more)
	stream = Stream(test, host, messages)
	stream.start()
	return host, stream


def end(test, host, stream):
	stream.finish()
	settled(host)
	test.note(f"{stream.verify()} messages, {live(host)} is live")


def test_idle(test):
	host = two_versions(test, shards=2)
	with host.rpc() as rpc:
		for number in range(20):
			rpc.send("test/play", f"i{number}", {"add": 1})
	for _ in range(test.by_scale(4, 40)):
		version = other(host)
		if killed_within(test, host, 0.1, lambda: swap(host, version, "accepted")):
			expect_equal(live(host), version, "it was answered, so it is durable")
		swap_until_live(host, version)
		settled(host)
	with host.rpc() as rpc:
		for number in range(20):
			expect_equal(rpc.call("test/play", f"i{number}", {"add": 1, "reply": True}), 2, "counts")


def test_a_kill_within_a_drain_does_not_bring_the_left_version_back(test):
	"""Its file still stands in the plugins directory, and it is the newer one. Killed as soon as the swap is answered: the next life
	retires it before it has looked at any file."""
	host = two_versions(test, shards=2)
	for _ in range(3):
		swap_until_live(host, "1.1.0")
		settled(host)
		expect(swap(host, "1.0.0", "accepted"), "a swap to the older one")
		for _ in range(2):
			host.kill()
			host.restart()
			settled(host)
			expect_equal(live(host), "1.0.0", "what was answered as live")


def backlog(host, messages):
	"""Accepted and not handled: behind a message in backoff for each of a thousand addresses, many sends of few messages."""
	ids = [f"i{number}" for number in range(1000)]
	sends = [{"id": ids[number % 1000], "msg": {"add": 1}} for number in range(FAN)]
	with host.rpc() as rpc:
		numbers = [rpc.request("send", {"to": "test/play", "id": id, "payload": {"add": 1, "fail_times": 1}}) for id in ids]
		numbers += [rpc.request("send", {"to": "test/play", "id": f"fan{number}", "payload": {"add": 1, "send": sends}})
			for number in range(messages // FAN)]
		for number in numbers:
			rpc.answer(number)
	return {**{id: messages // 1000 + 1 for id in ids}, **{f"fan{number}": 1 for number in range(messages // FAN)}}


def under_backlog(test, drain):
	"""A loaded machine may need so long for the swaps that the backlog is gone: then it is made to wait for longer."""
	for backoff_ms in (2000, 8000, 30000):
		if swapped_under_backlog(test, drain, backoff_ms):
			return
	raise Failed("no backlog at each swap, however long it was made to wait")


def swapped_under_backlog(test, drain, backoff_ms):
	"""False if the backlog was gone too early to prove something."""
	host = two_versions(test, shards=2, settings={"retry.backoff_ms": backoff_ms, "retry.backoff_ms_max": backoff_ms})
	messages = test.by_scale(200000, 1000000)
	expected = backlog(host, messages)
	found = host.status()["in_flight"]
	version = other(host)
	killed_within(test, host, 0.1, lambda: swap(host, version, drain))
	left = host.status()["in_flight"]
	version = other(host)
	swap_until_live(host, version, drain)
	host.kill()
	host.restart()
	expect_equal(live(host), version, "it was answered, so it is durable")
	host.barrier()
	settled(host)
	got, gaps = play_counts(host)
	expect_equal(got, expected, "counts")
	expect_equal((gaps, host.dead()), ({}, []), "order, and nothing dead")
	test.note(f"{found} in flight at the first swap, {left} at the second")
	host.kill()
	return min(found, left) > messages // 2


def test_a_backlog_that_the_old_version_finishes(test):
	under_backlog(test, "accepted")


def test_a_backlog_that_the_new_version_gets(test):
	under_backlog(test, "running")


def test_another_plugin_is_staged(test):
	host, stream = streaming(test)
	for round in range(3):
		stream.feed()
		version = other(host)
		host.drop("counter")
		killed_within(test, host, 0.15, lambda: swap(host, version, "accepted"))
		swap_until_live(host, version)
		host.wait_live("counter")
		with host.rpc() as rpc:
			expect_equal(rpc.call("demo/counter", "a", 1), round + 1, "the other plugin's count")
		host.settle(2)
		host.http.json("DELETE", "/v1/plugins/counter")
	end(test, host, stream)


def test_a_canary_runs(test):
	host, stream = streaming(test)
	post = lambda action, **body: host.http.post(f"/v1/plugins/play/{action}", body)
	shares = lambda: {row["version"]: row["share_percent"] for row in host.status()["plugins"] if row["state"] == "live"}

	def tried(action, **body):
		try:
			return post(action, **body)
		except (HttpError, OSError):
			return None
	base, canary = live(host), other(host)
	for action, body, wanted in (("swap", {"version": canary, "canary": 30}, {base: 70, canary: 30}),
			("swap", {"version": canary, "canary": 60}, {base: 40, canary: 60}), ("rollback", {}, {base: 100}),
			("swap", {"version": canary, "canary": 30}, {base: 70, canary: 30}), ("promote", {}, {canary: 100})):
		stream.feed()
		killed_within(test, host, 0.15, lambda: tried(action, **body))
		wait_until(lambda: shares() == wanted or (tried(action, **body) and False), 30, f"after {action}: {wanted}", every_s=0.05)
	end(test, host, stream)


def test_a_drain_past_its_deadline(test):
	"""What is in backoff when the deadline comes goes to the new version, and is done there."""
	host, stream = streaming(test, settings={"retry.backoff_ms": 400, "retry.backoff_ms_max": 400})
	late = 0
	for _ in range(3):
		stream.feed()
		wait_until(lambda: host.status()["retrying"] > 0, 30, "something is in backoff")
		version = other(host)
		body = {"version": version, "deadline_ms": 20}
		killed_within(test, host, 0.15, lambda: _post(host, body))
		wait_until(lambda: live(host) == version or _post(host, body), 30, f"{version} is live", every_s=0.05)
		settled(host)
		late += "plugin_drain_late" in host.errors()
	test.note(f"{late} of 3 drains that ended late were of a life that went on")
	end(test, host, stream)


def _post(host, body):
	try:
		return host.http.post("/v1/plugins/play/swap", body)
	except (HttpError, OSError):
		return None


def asked_until_answered(control, body, deadline_s=20):
	"""The status of the first answer that a host gives to a swap, whenever it begins to listen."""
	end = time.monotonic() + deadline_s
	while time.monotonic() < end:
		try:
			Http(control).post("/v1/plugins/play/swap", body)
			return 200
		except HttpError as error:
			return error.status
		except OSError:
			time.sleep(0.001)
	raise Failed("nobody answers")


def test_during_recovery(test):
	"""Asked before the host is ready: it is done, or refused for now, and never half."""
	host, stream = streaming(test)
	answers = []
	for _ in range(test.by_scale(3, 20)):
		stream.feed()
		wait_until(lambda: host.status()["in_flight"] > 0, 30, "work on its way")
		version = other(host)
		host.kill()
		host.spawn()
		answers.append(asked_until_answered(host.control, {"version": version}))
		host.wait_ready()
		expect(answers[-1] in (200, 409, 503), f"the answer: {answers[-1]}")
		if answers[-1] == 200:
			expect_equal(live(host), version, "it was answered, so it is so")
			host.kill()
			host.restart()
			expect_equal(live(host), version, "and durable")
	test.note(f"answers during recovery: {answers}")
	end(test, host, stream)


def test_during_sigterm(test):
	"""Asked while the host stops: it is done, or refused; the stop comes to its end, and the next life is whole."""
	host, stream = streaming(test)
	answers = []
	for round in range(test.by_scale(3, 20)):
		stream.feed()
		wait_until(lambda: host.status()["in_flight"] > 0, 30, "work on its way")
		version, answer = other(host), []
		thread = threading.Thread(target=lambda: answer.append(_post(host, {"version": version})))
		asked_first = round % 2 == 0
		if asked_first:
			thread.start()
		host.process.terminate()
		if not asked_first:
			thread.start()
		if round == 1:
			host.process.kill()  # and killed over it
		code = host.process.wait(30)
		thread.join()
		host.kill()
		expect(code == 0 or (round == 1 and code == -9), f"how it ended: {code}")
		host.restart()
		answers.append(answer[0] is not None)
		if answers[-1]:
			expect_equal(live(host), version, "it was answered, so it is durable")
		expect(live(host) in VERSIONS, "a version is live")
		swap_until_live(host, version)
	test.note(f"swaps that were done while it stopped: {answers}")
	end(test, host, stream)


if __name__ == "__main__":
	harness.main(globals())
