#!/usr/bin/python3
"""The headers, out of the tree: each alone, in C11 and C++17, with every warning an error; the layout, pinned; the
macros, and the manifest that they must leave whatever the optimizer and the linker take away.
"""

import argparse
import pathlib
import shutil
import tempfile

import compile as build

KINDS = ["raw", "int", "float", "str", "bool", "raw", "raw", "raw"]
WORDS = sorted(
    ["sofun-manifest 1", "abi 1.1", "plugin words 2.30.4", "function words/most.of-all_1 schema=7",
     "function words/one schema=1", "value words/one 0 only str", "function words/none schema=1",
     "function words/other schema=3", "value words/other 0 count int", "value words/other 1 name str",
     "function words/moved schema=5", "value words/moved 0 text str", "value words/moved 1 flag bool",
     "schema words/moved 1 up", "schema-value words/moved 1 0 number int", "schema words/moved 4 both",
     "schema-value words/moved 4 0 number int", "schema-value words/moved 4 1 text str",
     "function words/many schema=1", "value words/many 0 entries table", "value words/many 1 plain int",
     "value words/many 2 items list", "function words/whole schema=2", "value words/whole 0 number int",
     "value words/whole 1 brief str", "schema words/whole 1 down", "schema-value words/whole 1 0 number float",
     "function words/clerk schema=1",
     "router words line", "router words msgpack", "egress first", "egress second.egress"]
    + [f"value words/most.of-all_1 {i} {'abcdefgh'[i // 8]}{i % 8} {KINDS[i % 8]}" for i in range(64)])

# A value behind IDLE_TTL would have another number in the manifest than in the plugin.
MISPLACED = """#include <sofun/sofun.h>
SOFUN_FUNCTION(late, "words/late", 1, SOFUN_IDLE_TTL(1), SOFUN_VALUE(number, INT));
"""

SHRINKING = [
    ["-O0"],
    ["-O2"],
    ["-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
    ["-O2", "-flto"],
]


def headers_alone(compiler, suffix, include, folder):
    for header in sorted((include / "sofun").glob("*.h")):
        source = folder / f"alone.{suffix}"
        source.write_text(f"#include <sofun/{header.name}>\n#include <sofun/{header.name}>\ntypedef int alone;\n")
        build.run(*compiler, *build.STRICT, f"-I{include}", "-c", source, "-o", folder / "alone.o")


def layout(compiler, include, folder):
    source = build.TREE / "tests/abi/layout.c"
    build.run(*compiler, *build.STRICT, f"-I{include}", "-c", source, "-o", folder / "layout.o")


def words(compiler, suffix, folder):
    sources = []
    for name in "words", "words_other":
        sources.append(folder / f"{name}.{suffix}")
        shutil.copy(build.TREE / "tests/abi" / f"{name}.c", sources[-1])
    for flags in SHRINKING:
        if "-flto" in flags and "clang" in compiler[0]:
            continue  # needs an LLVM plugin for the linker, which Debian packages apart
        plugin = folder / "words.so"
        build.run(*compiler, *build.STRICT, *build.LINK, "-fvisibility=hidden", *flags, f"-I{build.INCLUDE}", *sources,
                  "-o", plugin)
        build.expect(f"manifest by {compiler} {flags}", build.manifest_lines(plugin, folder), WORDS)
        build.expect(f"exported by {compiler} {flags}", build.exported(plugin), [("D", "sofun_plugin_descriptor")])
    program = folder / "words"
    build.run(*compiler, *build.STRICT, "-DWORDS_MAIN", f"-I{build.INCLUDE}", *sources, "-o", program)
    build.run(program)
    misplaced = folder / f"misplaced.{suffix}"
    misplaced.write_text(MISPLACED)
    build.expect_refused("values stand before what else a function has", *compiler, *build.STRICT, f"-I{build.INCLUDE}", "-c",
                         misplaced, "-o", folder / "misplaced.o")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build")
    parser.add_argument("--seed")
    parser.add_argument("--scale")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for compiler, suffix in build.compilers():
            headers_alone(compiler, suffix, build.INCLUDE, folder)
            for include in build.INCLUDE, build.FROZEN:
                layout(compiler, include, folder)
            words(compiler, suffix, folder)
            print(f"{' '.join(compiler)}: headers, layout of 1.1 and of 1.0, words")


if __name__ == "__main__":
    main()
