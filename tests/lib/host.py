"""One sofund under test: started in a folder of its own, killed, restarted, looked at from outside, always cleaned up."""

import base64
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lib.harness import Failed, expect_equal, patient, wait_until
from lib.http import Http, HttpError, id_quoted
from lib.rpc import Closed, Rpc

READY = re.compile(r"^sofund ready pid=(\d+) worker=(\d+) control=(\S+) data=(\S+)\s*$")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
	_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def id_of(json_id):
	"""str, or bytes if it is not UTF-8; a number of a dead letter as text."""
	return base64.b64decode(json_id["base64"]) if isinstance(json_id, dict) else str(json_id)


def _gone(pid):
	try:
		with open(f"/proc/{pid}/stat", "rb") as stat:
			return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
	except (FileNotFoundError, ProcessLookupError):
		return True


class Host:
	def __init__(self, test, plugins=("play",), shards=2, settings=None, data=None, flags=(), environment=None, wrapper=()):
		self.test = test
		self.shards = shards
		self.settings = dict(settings or {})
		self.flags = list(flags)
		self.environment = dict(environment or {})
		self.wrapper = list(wrapper)
		self.data = Path(data) if data else test.dir / f"d{len(test.hosts)}"
		self.process = None
		self.worker = None
		self.starts = 0
		self.http = None
		self.control = self.data / "control.sock"
		self.socket = self.data / "data.sock"
		test.hosts.append(self)
		for name in plugins:
			self.drop(name)

	# ---- life ----

	def command(self):
		line = [*self.wrapper, str(self.test.find("sofund")), "--data", str(self.data)]
		line += ["--set", f"shards={self.shards}"]
		for key, value in self.settings.items():
			line += ["--set", f"{key}={value}"]
		line += self.flags
		if self.test.arguments.mutant:
			line += ["--mutant", self.test.arguments.mutant]
		return line

	def stderr_path(self):
		return self.test.dir / f"{self.data.name}.{self.starts}.err"

	def spawn(self):
		"""Starts the process and does not wait for it to be ready."""
		self.starts += 1
		environment = dict(os.environ, **self.environment)
		with open(self.stderr_path(), "wb") as errors:
			self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL,
				env=environment, preexec_fn=_die_with_parent)
		os.set_blocking(self.process.stdout.fileno(), False)
		self.worker = None
		self.stdout = b""
		return self

	def _ready_line(self):
		try:
			self.stdout += os.read(self.process.stdout.fileno(), 4096)
		except BlockingIOError:
			pass
		if b"\n" in self.stdout:
			return True
		if self.process.poll() is not None:
			raise Failed(f"sofund ended with {self.process.returncode} before it was ready: {self.errors()[-600:]}")
		return False

	def wait_ready(self, deadline_s=None):
		if deadline_s is None:
			# To replay 64 MiB of journal takes 0.9 s of CPU, and 15 under ThreadSanitizer.
			deadline_s = 30.0 if not self.test.sanitizer() else 180.0
		wait_until(self._ready_line, deadline_s, "the ready line", every_s=0.001)
		match = READY.match(self.stdout.split(b"\n")[0].decode())
		if not match:
			raise Failed(f"not a ready line: {self.stdout!r}")
		self.worker = int(match[2])
		self.http = Http(self.control)
		return self

	def start(self, deadline_s=None):
		return self.spawn().wait_ready(deadline_s)

	def kill(self):
		"""SIGKILL to the started process; returns when it and its worker are gone."""
		self.process.kill()
		self.process.wait()
		self._forget()

	def stop(self, deadline_s=30.0):
		"""SIGTERM; the host must end by itself with 0."""
		self.process.terminate()
		deadline_s = patient(deadline_s)
		try:
			code = self.process.wait(deadline_s)
		except subprocess.TimeoutExpired as error:
			raise Failed(f"not stopped within {deadline_s} s of SIGTERM") from error
		self._forget()
		expect_equal(code, 0, "exit code after SIGTERM")

	def wait_exit(self, deadline_s=30.0):
		"""For a host that is to end by itself: its exit code."""
		deadline_s = patient(deadline_s)
		try:
			code = self.process.wait(deadline_s)
		except subprocess.TimeoutExpired as error:
			raise Failed(f"the host did not end within {deadline_s} s") from error
		self._forget()
		return code

	def _forget(self):
		if self.worker:
			wait_until(lambda: _gone(self.worker), 5.0, "the worker is gone with its parent")
		self.process.stdout.close()
		self.process = None
		if self.http:
			self.http.close()

	def restart(self, shards=None, settings=None):
		if shards:
			self.shards = shards
		self.settings.update(settings or {})
		return self.start()

	def end(self, orderly=False):
		"""Whatever state it is in; orderly: by SIGTERM, if it still can."""
		if self.process is not None:
			if orderly and self.process.poll() is None:
				self.process.terminate()
				try:
					self.process.wait(30)
				except subprocess.TimeoutExpired:
					self.test.note(f"{self.data.name} did not stop within 30 s of SIGTERM")
			if self.process.poll() is None:
				self.process.kill()
			self.process.wait()
			self.process.stdout.close()
			self.process = None

	def alive(self):
		return self.process is not None and self.process.poll() is None

	def errors(self):
		try:
			return self.stderr_path().read_text(errors="replace")
		except FileNotFoundError:
			return ""

	def last_words(self):
		"""What a failure's report shows of a host: its status, if it still answers, and the end of its stderr."""
		lines = self.errors().splitlines()[-25:]
		if self.alive() and self.http:
			try:
				lines.append(self.http.text("GET", "/v1/status"))
			except (OSError, HttpError, ValueError) as error:
				lines.append(f"no status: {error!r}")
		return "\n".join([f"--- stderr of {self.data.name}, start {self.starts}", *lines, "---"])

	# ---- plugins ----

	def plugins_dir(self):
		folder = self.data / "plugins"
		folder.mkdir(parents=True, exist_ok=True)
		return folder

	def drop(self, name, path=None):
		"""What a user's `cp` does."""
		shutil.copyfile(path or self.test.plugin(name), self.plugins_dir() / f"{name.split('/')[-1]}.so")

	def plugin(self, name):
		return next((plugin for plugin in self.status()["plugins"] if plugin["name"] == name), None)

	def wait_live(self, name, deadline_s=20.0):
		return wait_until(lambda: (self.plugin(name) or {}).get("state") == "live", deadline_s, f"{name} is live")

	# ---- questions ----

	def rpc(self, timeout=150.0):
		return Rpc(self.socket, timeout)

	def status(self):
		return self.http.get("/v1/status")

	def metrics(self):
		"""Name (with labels) → value."""
		lines = self.http.text("GET", "/metrics").splitlines()
		return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and not line.startswith("#")}

	def barrier(self, timeout_ms=150000):
		return self.http.post("/v1/barrier", {"timeout_ms": timeout_ms})["epoch"]

	def _pages(self, path, key, page):
		after = ""
		while True:
			answer = self.http.get(f"{path}?limit={page}{after}")
			yield from answer[key]
			if answer["next"] is None:
				return
			after = "&after=" + id_quoted(id_of(answer["next"]))

	def ids(self, type):
		return [id_of(instance["id"]) for instance in self._pages(f"/v1/state/{type}", "instances", 1000)]

	def values(self, type, id):
		return self.http.get(f"/v1/state/{type}/{id_quoted(id)}")["values"]

	def dump(self, type):
		"""id → values of all instances of a type."""
		return {id: self.values(type, id) for id in self.ids(type)}

	def settle(self, loaded):
		"""Until so many images are loaded and none is on its way out: then the next change of a version is taken. A sanitizer keeps
		the code of those that have gone mapped, for its reports: they are stuck then."""
		kept = bool(self.test.sanitizer())

		def settled():
			status = self.status()
			gone = status["images"]["stuck"] if kept else 0
			return status["images"]["loaded"] - gone == loaded and not any(
				row["state"] == "draining" or row["state"] == "stuck" and not kept for row in status["plugins"])
		wait_until(settled, 30, f"{loaded} images are loaded, and none leaves")

	def dead(self):
		return list(self._pages("/v1/dead", "dead", 500))

	def egress(self, name, page=1000):
		"""All records of an egress, checked to be numbered from the first without holes."""
		records, start = [], 0
		while True:
			try:
				answer = self.http.get(f"/v1/egresses/{name}?from={start}&limit={page}")
			except HttpError as error:
				if error.status == 404 and not records:
					return []
				raise
			got = answer["records"]
			for index, record in enumerate(got):
				expect_equal(record["offset"], start + index, f"offset in egress {name}")
			records += got
			start += len(got)
			if not got:
				return records

	def resident_bytes(self):
		"""Resident set of the worker: what the machine really gives. RssFile is shared pages of files, not memory that it holds."""
		text = Path(f"/proc/{self.worker}/status").read_text()
		fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
		return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")) * 1024

	def wait_answering(self, deadline_s=20.0):
		"""For a host that was started by someone else: until a connection is taken."""
		def answering():
			try:
				self.rpc().close()
				return True
			except Closed:
				return False
		return wait_until(answering, deadline_s, "the data socket answers")

	def timed(self, function):
		start = time.monotonic()
		value = function()
		return value, time.monotonic() - start
