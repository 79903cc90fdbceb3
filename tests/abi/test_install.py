#!/usr/bin/python3
"""The installed SDK, used as plugin-api/README.md says: its own example with plain cc and pkg-config, with CMake in C
and in C++, and what a plugin must not be: one with a missing symbol, one that exports more.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import compile as build

MANIFEST = sorted(["sofun-manifest 1", "abi 1.1", "plugin hello 1.0.0", "function demo/hello schema=1",
                   "value demo/hello 0 met int"])
# What a library header may bring along: a template's static variable is GNU_UNIQUE unless the flags prevent it, and
# what it marks visible leaves the plugin unless the version script prevents that.
LOUD = """
#define LOUD __attribute__((visibility("default")))
template <typename Kind> struct LOUD once { static Kind value; };
template <typename Kind> Kind once<Kind>::value = Kind();
LOUD int *loud() { return &once<int>::value; }
"""


def readme_blocks():
    """Language -> text of the README's first fenced example in it."""
    text = (build.TREE / "plugin-api" / "README.md").read_text()
    return {language: block for language, block in reversed(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))}


def judge(plugin, folder, needed):
    """What every way of building must lead to."""
    build.expect(f"manifest of {plugin}", build.manifest_lines(plugin, folder), MANIFEST)
    build.expect(f"exported by {plugin}", build.exported(plugin), [("D", "sofun_plugin_descriptor")])
    for tag in "SONAME", "RPATH", "RUNPATH":
        build.expect(f"{tag} of {plugin}", build.dynamic(plugin, tag), [])
    surplus = set(build.dynamic(plugin, "NEEDED")) - needed
    build.expect(f"libraries needed by {plugin}", surplus, set())


def by_pkg_config(prefix, folder, source):
    environment = {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = build.run("pkg-config", "--cflags", "--libs", "sofun", env=environment).split()
    hello = folder / "hello.c"
    hello.write_text(source)
    build.run("cc", "-O2", "-shared", "-fPIC", hello, "-o", folder / "hello.so", *flags)
    judge(folder / "hello.so", folder, {"libc.so.6"})
    (folder / "torn.c").write_text(source + "\nint missing(void);\nint torn(void) { return missing(); }\n")
    torn = subprocess.run(["cc", "-shared", "-fPIC", folder / "torn.c", "-o", folder / "torn.so", *flags],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if torn.returncode == 0 or "missing" not in torn.stderr:
        sys.exit(f"a plugin with a missing symbol was linked, or refused for another reason: {torn.stderr}")


def by_cmake(prefix, folder, source, rules, language):
    if language == "CXX":
        rules = rules.replace("project(hello C)", "project(hello CXX)").replace("hello.c", "hello.cc")
        rules += "target_compile_features(hello PRIVATE cxx_std_17)\n"
    (folder / "CMakeLists.txt").write_text(rules)
    (folder / ("hello.cc" if language == "CXX" else "hello.c")).write_text(
        source + LOUD if language == "CXX" else source)
    build.run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
              "-DCMAKE_BUILD_TYPE=Release")
    build.run("cmake", "--build", folder / "build")
    needed = {"libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6"} if language == "CXX" else {"libc.so.6"}
    plugin = folder / "build" / "hello.so"
    judge(plugin, folder, needed)
    for binary in [plugin, *(folder / "build").rglob("hello.c*.o")]:
        unique = [line for line in build.run("readelf", "-sW", binary).splitlines() if " UNIQUE " in line]
        build.expect(f"GNU_UNIQUE symbols in {binary}", unique, [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--seed")
    parser.add_argument("--scale")
    arguments = parser.parse_args()
    blocks = readme_blocks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prefix = folder / "prefix"
        build.run("cmake", "--install", pathlib.Path(arguments.build) / "plugin-api", "--prefix", folder / "first")
        shutil.move(folder / "first", prefix)  # an installation may be moved
        (folder / "plain").mkdir()
        by_pkg_config(prefix, folder / "plain", blocks["c"])
        print("pkg-config and cc: as it should be")
        for language in "C", "CXX":
            if language == "CXX" and not shutil.which("c++"):
                print("skipped: c++ is not here")
                continue
            (folder / language).mkdir()
            by_cmake(prefix, folder / language, blocks["c"], blocks["cmake"], language)
            print(f"CMake, {language}: as it should be")


if __name__ == "__main__":
    main()
