#!/usr/bin/python3
"""`sofun new`, and the template it renders: each builds alone against the installation, and passes its own test."""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness
from lib.harness import REPOSITORY, expect, expect_equal


def sofun(test, *arguments, exit=0):
	done = subprocess.run([test.find("bin/sofun"), *arguments], cwd=test.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
		text=True)
	expect_equal(done.returncode, exit, f"exit of sofun {arguments}, which said {done.stdout}{done.stderr}")
	return done


def build_alone(test, source, name):
	"""The plugin in the folder `source`, built and tested against an installation of this tree; the built file."""
	prefix, build = test.dir / "prefix", test.dir / f"build-{name}"
	if not prefix.exists():
		subprocess.run(["cmake", "--install", test.build, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
	for step in (["cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror"],
			["cmake", "--build", build], ["ctest", "--test-dir", build, "--output-on-failure"]):
		done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
		expect_equal(done.returncode, 0, f"{step}: {done.stdout}")
	return build / f"{name}.so"


def test_the_template_builds_alone(test):
	test.need_plain_build("a plugin built alone has not the sanitizer's library")
	plugin = build_alone(test, REPOSITORY / "plugins" / "template", "my-plugin")
	facts = json.loads(sofun(test, "--json", "inspect", plugin).stdout)
	expect_equal((facts["name"], facts["functions"]), ("my-plugin", ["demo/my-plugin"]), "the template")


def test_a_new_plugin_bears_its_name_everywhere(test):
	test.need_plain_build("a plugin built alone has not the sanitizer's library")
	answer = json.loads(sofun(test, "--json", "new", "my-2nd_one", "here").stdout)
	files = sorted(path.name for path in (test.dir / "here").iterdir())
	expect_equal(sorted(answer.pop("files")), files, "files told and written")
	expect_equal(answer, {"name": "my-2nd_one", "directory": "here"}, "the rest")
	expect("my_2nd_one.c" in files and "test_my_2nd_one.c" in files, f"names of files: {files}")
	for name in files:
		text = (test.dir / "here" / name).read_text()
		expect("my-plugin" not in text and "my_plugin" not in text, f"{name} still names the template")
	plugin = build_alone(test, test.dir / "here", "my-2nd_one")
	facts = json.loads(sofun(test, "--json", "inspect", plugin).stdout)
	expect_equal((facts["name"], facts["functions"]), ("my-2nd_one", ["demo/my-2nd_one"]), "the new plugin")


def test_what_is_there_is_left_alone(test):
	for name in ("", "Upper", "1st", "a b", "../up", "x" * 64):
		sofun(test, "new", name, "somewhere", exit=2)
	expect(not (test.dir / "somewhere").exists(), "nothing made for a bad name")
	(test.dir / "empty").mkdir()
	sofun(test, "new", "fits", "empty")
	before = {path: path.read_bytes() for path in (test.dir / "empty").iterdir()}
	expect("not empty" in sofun(test, "new", "again", "empty", exit=1).stderr, "says why")
	expect_equal({path: path.read_bytes() for path in (test.dir / "empty").iterdir()}, before, "files")
	sofun(test, "new", "deep", "no/such/folder", exit=1)


if __name__ == "__main__":
	harness.main(globals())
