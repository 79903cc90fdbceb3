"""What the tests of this folder share: compilers, and what a built plugin says of itself, by binutils."""

import pathlib
import shutil
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = TREE / "plugin-api" / "include"
FROZEN = TREE / "tests" / "abi" / "frozen-1.0" / "include"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
LINK = ["-shared", "-fPIC", "-Wl,-z,defs"]


def compilers():
    """(command line, file suffix) of each language and compiler that this machine has. Says which it has not."""
    wanted = [("cc", "c"), ("gcc", "c"), ("clang", "c"), ("c++", "cc"), ("g++", "cc"), ("clang++", "cc")]
    found = []
    for name, suffix in wanted:
        if shutil.which(name):
            language = ["-std=c11"] if suffix == "c" else ["-std=c++17", "-x", "c++"]
            found.append(([name, *language], suffix))
        else:
            print(f"skipped: {name} is not here")
    if not any(suffix == "c" for _, suffix in found):
        sys.exit("no C compiler: apt-get install gcc")
    return found


def run(*command, **settings):
    """The command's output; a failure ends the program with all that it said."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **settings)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def expect_refused(why, *command):
    """The compiler must not take it, and say why."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    if done.returncode == 0 or why not in done.stdout:
        sys.exit(f"not refused with \"{why}\": {' '.join(map(str, command))}\n{done.stdout}")


def manifest_lines(plugin, folder):
    """The manifest as ABI.md tells to read it, sorted."""
    text = pathlib.Path(folder) / "manifest"
    run("objcopy", "-O", "binary", "--only-section=.sofun.manifest", plugin, text)
    lines = text.read_bytes().replace(b"\0", b"\n").decode("ascii").split("\n")
    return sorted(line for line in lines if line)


def exported(plugin):
    """Names of the symbols that others can see, with nm's letter."""
    symbols = (line.split() for line in run("nm", "-D", "--defined-only", plugin).splitlines())
    return [(symbol[1], symbol[2]) for symbol in symbols]


def dynamic(plugin, tag):
    """The values of a tag of the dynamic section."""
    found = []
    for line in run("readelf", "-dW", plugin).splitlines():
        if f"({tag})" in line:
            found.append(line.split("[")[1].split("]")[0] if "[" in line else line.split(")")[1].strip())
    return found


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {found}, expected {wanted}")
