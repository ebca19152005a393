#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns ctest's JUnit file into the names of what failed and, last, `N passed, N failed`.

A test that ctest could not run counts as failed; one that skipped itself is listed with its reason
and counts as neither.
"""
import argparse
import sys
import xml.etree.ElementTree as ElementTree


def reason_of_skip(case):
    """What a skipped test says is the reason, or what ctest says."""
    output = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    for number, line in enumerate(output):
        said, mark, rest = line.partition("SKIPPED:" if "SKIPPED:" in line else "skipped:")
        if not mark or (said and not said.endswith(" ")):
            continue
        # Catch2 puts the reason below, after a line of its own words, on as many lines as it takes.
        reason = [rest.strip()] if rest.strip() else []
        for text in output[number + 1 :]:
            if (not text and reason) or set(text) == {"="} or set(text) == {"-"}:
                break
            if text and "with message" not in text:
                reason.append(text)
        if reason:
            return " ".join(reason)
    skipped = case.find("skipped")
    return skipped.get("message", "") if skipped is not None else ""


def summarise(root):
    """Returns (passed, failed names, [(skipped name, reason)]) of a <testsuite> element."""
    passed, failed, skipped = 0, [], []
    for case in root.iter("testcase"):
        status, name = case.get("status"), case.get("name")
        mark = case.find("skipped")
        if status == "run":
            passed += 1
        elif status == "notrun" and mark is not None and "SKIP" in mark.get("message", ""):
            skipped.append((name, reason_of_skip(case)))
        elif status == "disabled":
            skipped.append((name, "disabled"))
        else:
            failed.append(name)
    return passed, failed, skipped


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("junit")
    parser.add_argument("--ctest-status", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        passed, failed, skipped = summarise(ElementTree.parse(options.junit).getroot())
    except (OSError, ElementTree.ParseError) as error:
        print(f"{options.junit}: {error}\n0 passed, 1 failed")
        return 1
    for name, reason in skipped:
        print(f"skipped: {name}: {reason}")
    for name in failed:
        print(f"failed: {name}")
    if passed + len(failed) == 0:
        failed.append("nothing ran")
        print("no test ran")
    elif options.ctest_status != 0 and not failed:
        failed.append("ctest")
        print(f"ctest ended with exit code {options.ctest_status}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
