#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Colours on a terminal, unless NO_COLOR forbids them. Skipped (77) where there are none."""

import os
import pathlib
import pty
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402


def has_terminals():
    """False in a bare chroot, which has no devpts."""
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError:
        return False
    return True


def on_terminal(*arguments, env=None):
    """Runs the command on a pseudo terminal; everything that it writes there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(tool.command(*arguments), stdin=slave, stdout=slave, stderr=slave,
                               env={**os.environ, **(env or {})})
    os.close(slave)
    got = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        got += part
    process.wait()
    os.close(master)
    return got.decode()


def main():
    if not has_terminals():
        print("SKIPPED: this machine gives out no pseudo terminals")
        sys.exit(77)
    checks = tool.Checks()
    coloured = on_terminal("run", tool.TINY_CORE, "--no-record", env={"TERM": "xterm"})
    checks.that("\x1b[1;32mMATCH" in coloured, "no colour on a terminal")
    plain = on_terminal("run", tool.TINY_CORE, "--no-record",
                        env={"TERM": "xterm", "NO_COLOR": "1"})
    checks.that("\x1b[1;32m" not in plain, "NO_COLOR: colour on a terminal")
    checks.matches(plain, r"MATCH: ", "NO_COLOR")
    checks.finish()


if __name__ == "__main__":
    main()
