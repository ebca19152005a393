#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Follows docs/your_core_in_ten_minutes.md literally: runs its `sh` blocks one after the other in
an empty folder, and looks in what each prints for the lines of the `text` block that follows it,
in which `...` stands for anything."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

PAGE = ROOT / "docs/your_core_in_ten_minutes.md"


def main():
    checks = tool.Checks()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as home:
        (pathlib.Path(home) / "spikelock").symlink_to(ROOT)
        path = f"{pathlib.Path(tool.SPIKELOCK).resolve().parent}:{os.environ['PATH']}"
        shell = subprocess.Popen(["bash"], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True,
                                 env={**os.environ, "HOME": home, "PATH": path})
        shown, commands, expected = "", 0, 0
        for kind, text in blocks:
            if kind == "sh":
                commands += 1
                shell.stdin.write(f"set -e\n{{\n{text}}} </dev/null\necho END-OF-$((40 + 2))\n")
                shell.stdin.flush()
                shown = ""
                for line in shell.stdout:
                    if line == "END-OF-42\n":
                        break
                    shown += line
                else:
                    checks.that(False, f"this failed:\n{text}\nand printed:\n{shown}")
                    break
            elif kind == "text":
                for line in text.splitlines():
                    expected += 1
                    pattern = ".*".join(re.escape(p) for p in line.strip().split("..."))
                    checks.that(re.search(pattern, shown),
                                f"expected\n  {line}\nbut the commands before printed\n{shown}")
        shell.stdin.close()
        shell.wait()
    print(f"{commands} blocks of commands, {expected} lines expected of them")
    checks.that(commands >= 8 and expected >= 8, "the page has its commands and what they print")
    checks.finish()


if __name__ == "__main__":
    main()
