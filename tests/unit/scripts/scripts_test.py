#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The project's own checks must be able to fail: each is given a planted defect."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tree:
    """A small source tree in a temporary folder."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def __enter__(self):
        return self.root

    def __exit__(self, *_):
        self.folder.cleanup()


class LayersTestCase(unittest.TestCase):
    layers = load("check_layers")

    def found(self, files):
        with Tree(files) as root:
            return self.layers.findings(root)

    def check_one(self, files, *words):
        found = self.found(files)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_an_allowed_include_passes(self):
        self.assertEqual(
            self.found({
                "golden/src/a.cpp": '#include "spikelock/trace/shape.hpp"\n#include <fmt/core.h>\n',
                "golden/include/spikelock/golden/a.hpp": '#include "spikelock/base/result.hpp"\n',
                "sim/src/b.cpp": '#include "spikelock/bridge/link/frame.hpp"\n#include "c.hpp"\n',
                "app/src/main.cpp": '#include "spikelock/sim/host.hpp"\n',
            }),
            [],
        )  # fmt: skip

    def test_an_upward_include_is_found_with_its_line(self):
        self.check_one(
            {"trace/src/a.cpp": SPDX + '#include "spikelock/golden/network.hpp"\n'},
            "trace/src/a.cpp:2", "trace may not use golden",
        )  # fmt: skip

    def test_only_the_link_part_of_bridge_is_open_to_sim(self):
        self.check_one(
            {"sim/src/a.cpp": '#include "spikelock/bridge/vcd/reader.hpp"\n'}, "sim may not use"
        )

    def test_nothing_uses_app(self):
        self.check_one({"campaign/src/a.cpp": '# include "spikelock/app/cli.hpp"\n'}, "app")

    def test_a_third_party_header_in_a_public_header_is_found(self):
        self.check_one(
            {"golden/include/spikelock/golden/a.hpp": "#include <vector>\n#include <fmt/core.h>\n"},
            ":2", "fmt/core.h",
        )  # fmt: skip

    def test_base_may_use_no_third_party_anywhere(self):
        self.check_one({"base/src/a.cpp": "#include <unistd.h>\n#include <hdf5.h>\n"}, "hdf5.h")

    def test_a_relative_path_into_another_module_is_found(self):
        self.check_one({"trace/src/a.cpp": '#include "../../golden/src/b.hpp"\n'}, "reaches out")

    def test_a_private_header_in_a_public_one_is_found(self):
        self.check_one({"trace/include/spikelock/trace/a.hpp": '#include "b.hpp"\n'}, "private")

    def test_an_unknown_module_is_found(self):
        self.check_one({"trace/src/a.cpp": '#include "spikelock/tracer/b.hpp"\n'}, "no module")

    def test_a_forbidden_link_line_is_found(self):
        base = "spikelock_add_module(golden SOURCES src/a.cpp)\n"
        self.check_one(
            {
                "golden/CMakeLists.txt": base,
                "trace/CMakeLists.txt": "# ok\nspikelock_add_module(trace SOURCES a.cpp\n"
                "  DEPENDS spikelock::golden)\n",
            },
            "trace/CMakeLists.txt:2", "spikelock::golden",
        )  # fmt: skip
        self.check_one(
            {
                "golden/CMakeLists.txt": base,
                "trace/CMakeLists.txt": "target_link_libraries(spikelock_trace PRIVATE\n"
                "  $<BUILD_INTERFACE:spikelock_golden> spikelock_warnings)\n",
            },
            "trace may not link",
        )

    def test_a_link_line_to_a_part_of_a_module_is_told_from_the_whole(self):
        bridge = {
            "bridge/CMakeLists.txt": "spikelock_add_module(bridge SOURCES a.cpp)\n"
            "spikelock_add_module(bridge_link SOURCES b.cpp)\n"
        }
        sim = "spikelock_add_module(sim SOURCES a.cpp PRIVATE_DEPENDS spikelock::{})\n"
        self.assertEqual(self.found(bridge | {"sim/CMakeLists.txt": sim.format("bridge_link")}), [])
        self.check_one(bridge | {"sim/CMakeLists.txt": sim.format("bridge")}, "sim may not link")

    def test_comments_in_cmake_are_no_links(self):
        self.assertEqual(
            self.found({"trace/CMakeLists.txt": "# target_link_libraries(a spikelock::app)\n"}), []
        )

    def test_the_command_line_ends_in_one_for_findings(self):
        with Tree({"base/src/a.cpp": '#include "spikelock/app/b.hpp"\n'}) as root:
            done = subprocess.run(
                [sys.executable, ROOT / "scripts/check_layers.py", root],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("base/src/a.cpp:1: base may not use app", done.stdout)


class TreeTestCase(unittest.TestCase):
    tree = load("check_tree")

    def found(self, text, name="trace/src/a.cpp"):
        with Tree({name: text}) as root:
            return self.tree.findings(root)

    def test_a_file_in_order_passes(self):
        self.assertEqual(self.found(SPDX + "int a;\n"), [])
        self.assertEqual(self.found("#!/bin/sh\n# " + SPDX[3:], "scripts/a.sh"), [])

    def test_a_missing_licence_line_is_found(self):
        self.assertIn("a.cpp:1: expected 'SPDX", self.found("int a;\n")[0])

    def test_wide_and_unfinished_lines_are_found(self):
        self.assertIn("a.cpp:2: 101 columns", self.found(SPDX + "x" * 101 + "\n")[0])
        self.assertIn("a.cpp:2: spaces", self.found(SPDX + "int a; \n")[0])
        self.assertIn("does not end", self.found(SPDX + "int a;")[0])

    def test_a_dead_link_is_found(self):
        text = "[a](b.md) [c](https://example.org/x) [d](#here)\n[e](README.md#top)\n"
        self.assertEqual(
            self.found(text, "README.md"), ["README.md:1: the link to 'b.md' leads nowhere"]
        )

    def test_data_of_tests_is_left_alone(self):
        self.assertEqual(self.found("x" * 200, "tests/data/bad/a.toml"), [])


class SummaryTestCase(unittest.TestCase):
    summary = load("test_summary")

    def run_it(self, cases, status=0):
        with Tree({"j.xml": f"<testsuite>{cases}</testsuite>"}) as root:
            done = subprocess.run(
                [sys.executable, ROOT / "scripts/test_summary.py", root / "j.xml",
                 "--ctest-status", str(status)], capture_output=True, text=True, check=False,
            )  # fmt: skip
        return done.returncode, done.stdout.splitlines()

    def test_passed_and_failed_are_counted(self):
        code, lines = self.run_it(
            '<testcase name="a" status="run"/><testcase name="b" status="fail"><failure/>'
            '</testcase><testcase name="c" status="run"/>', 8,
        )  # fmt: skip
        self.assertEqual((code, lines[-1]), (1, "2 passed, 1 failed"))
        self.assertIn("failed: b", lines)

    def test_a_skipped_test_is_neither(self):
        code, lines = self.run_it(
            '<testcase name="a" status="run"/><testcase name="s" status="notrun">'
            '<skipped message="SKIP_RETURN_CODE=4"/><system-out>SKIPPED: no port</system-out>'
            "</testcase>"
        )
        self.assertEqual((code, lines[-1]), (0, "1 passed, 0 failed"))
        self.assertIn("skipped: s: no port", lines)
        catch2 = (
            '<testcase name="s" status="notrun"><skipped message="SKIP_RETURN_CODE=4"/><system-out>'
            "a.cpp:3: SKIPPED:\nexplicitly with message:\n  no data\n</system-out></testcase>"
        )
        self.assertIn("skipped: s: no data", self.run_it(catch2)[1])
        for output, reason in (
            (
                "a.cpp:7: SKIPPED:\nexplicitly with message:\n  no data; set\n  PLACE\n\n====",
                "no data; set PLACE",
            ),
            ("first\nskipped: no port here", "no port here"),
        ):
            long = (
                '<testcase name="s" status="notrun"><skipped message="SKIP_RETURN_CODE=4"/>'
                f"<system-out>{output}</system-out></testcase>"
            )
            self.assertIn(f"skipped: s: {reason}", self.run_it(long)[1])

    def test_a_test_that_could_not_run_has_failed(self):
        code, lines = self.run_it(
            '<testcase name="a" status="notrun"><skipped message="Unable to find executable"/>'
            "</testcase>"
        )
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed"))

    def test_nothing_run_is_no_success(self):
        self.assertEqual(self.run_it("")[0], 1)
        code, lines = self.run_it('<testcase name="a" status="run"/>', 8)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))


FAKE_BENCH = """#!/usr/bin/env python3
import json, sys
out = [a.split("=", 1)[1] for a in sys.argv if a.startswith("--benchmark_out=")][0]
runs = [{"run_name": n, "name": n, "run_type": "iteration", "rate": r * f}
        for n, r in (("fast/1", 80.0), ("base/1", 100.0)) for f in (0.9, 1, 1, 1, 1.1)]
json.dump({"benchmarks": runs}, open(out, "w"))
"""


class BenchTestCase(unittest.TestCase):
    def run_it(self, entries, *arguments):
        """Returns (exit code, stdout and stderr, the JSON list)."""
        files = {"entries.toml": entries, "bin/bench_fake": FAKE_BENCH, "CMakeCache.txt": ""}
        with Tree(files) as root:
            (root / "bin/bench_fake").chmod(0o755)
            done = subprocess.run(
                [sys.executable, ROOT / "scripts/bench.py", "--build", root, "--entries",
                 root / "entries.toml", "--json", root / "out.json", *arguments],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            out = root / "out.json"
            report = json.loads(out.read_text(encoding="utf-8")) if out.exists() else None
        return done.returncode, done.stdout + done.stderr, report

    def entry(self, bar, extra=""):
        return (
            f'[[entry]]\nname = "r"\nprogram = "bench_fake"\nmeasure = "fast/1"\n'
            f'against = "base/1"\ncounter = "rate"\nbar = "{bar}"\n{extra}'
        )

    def test_a_ratio_that_meets_its_bar_holds(self):
        code, _, report = self.run_it(self.entry(">= 4/5"))
        self.assertEqual(code, 0)
        self.assertEqual(
            report,
            [{"name": "r", "value": 0.8, "unit": "ratio", "bar": ">= 4/5", "holds": True,
              "command": "scripts/bench.sh --only r"}],
        )  # fmt: skip

    def test_a_missed_bar_ends_in_one(self):
        for bar in (">= 0.81", "<= 0.79"):
            code, text, report = self.run_it(self.entry(bar))
            self.assertEqual((code, report[0]["holds"]), (1, False))
            self.assertIn(" NO ", text)

    def test_a_bench_that_fails_is_not_lost(self):
        command = '[[entry]]\nname = "c"\ncommand = ["false"]\nunit = "s"\n'
        code, text, report = self.run_it(self.entry(">= 0.8") + command)
        self.assertEqual(code, 1)
        self.assertEqual([(e["name"], e["holds"]) for e in report], [("r", True), ("c", False)])
        self.assertIn("exit code 1", text)
        missing = self.entry(">= 0.8").replace("fast/1", "gone/1")
        self.assertIn("no benchmark 'gone/1'", self.run_it(missing)[1])

    def test_a_command_gives_its_value(self):
        command = (
            '[[entry]]\nname = "c"\nbar = "<= 1.1"\n'
            "command = [\"sh\", \"-c\", \"echo hello; echo '{\\\"value\\\": 1.05}'\"]\n"
        )
        code, _, report = self.run_it(command)
        self.assertEqual((code, report[0]["value"], report[0]["holds"]), (0, 1.05, True))

    def test_a_wrong_entry_is_refused(self):
        for entry, words in (
            (self.entry("> 0.8"), "expected '>= number'"),
            (self.entry(">= 0.8", "bra = 1\n"), "unknown key 'bra'"),
            (self.entry(">= 0.8").replace('against = "base/1"\n', ""), "only a ratio"),
        ):
            code, text, report = self.run_it(entry)
            self.assertEqual((code, report), (2, None))
            self.assertIn(words, text)


class SetupTestCase(unittest.TestCase):
    def run_setup(self, *arguments, path=None):
        environment = dict(os.environ, PATH=path) if path else None
        return subprocess.run(
            ["/bin/bash", ROOT / "scripts/setup.sh", *arguments], capture_output=True, text=True,
            check=False, env=environment,
        )  # fmt: skip

    def test_the_groups_hold_what_their_task_needs(self):
        run = self.run_setup("--list", "run").stdout.split()
        everything = self.run_setup("--list", "all").stdout.split()
        self.assertIn("verilator", run)
        self.assertNotIn("catch2>=3", run)
        self.assertLess(set(run), set(everything))
        self.assertEqual(len(everything), len(set(everything)))

    def test_an_unknown_group_is_refused(self):
        done = self.run_setup("--list", "rum")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no group 'rum'", done.stderr)

    def test_a_machine_without_apt_is_told_what_is_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("dirname", "awk", "tr", "basename", "nproc"):
                found = subprocess.run(["which", tool], capture_output=True, text=True, check=True)
                os.symlink(found.stdout.strip(), pathlib.Path(folder) / tool)
            done = self.run_setup("run", path=folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no Debian", done.stdout)
        self.assertIn("verilator", done.stdout)


if __name__ == "__main__":
    unittest.main()
