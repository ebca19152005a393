#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the DUT hosts of the tests into the test cache; a second run finds them there."""

import tool


def main():
    checks = tool.Checks()
    builds = [(tool.SNN_CORE, *tool.size_options(size)) for size in tool.SIZES]
    builds += [(tool.SNN_CORE, *tool.size_options("standard"), "--faults"), (tool.TINY_CORE,)]
    for arguments in builds:
        done = tool.run("build", *arguments, "--json", timeout=900)
        if checks.equal(done.status, 0, f"build {arguments}: {done.err}"):
            host = done.json()
            print(f"{'cached' if host['cached'] else 'built in %.0f s' % host['seconds']}: "
                  f"{host['host']}")
    checks.finish()


if __name__ == "__main__":
    main()
