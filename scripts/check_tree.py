#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every source file for licence line, width and line ends, and pages for dead links.

    scripts/check_tree.py [ROOT]      exit code 0: clean, 1: findings (printed as file:line)
"""
import pathlib
import re
import subprocess
import sys

SPDX = "SPDX-License-Identifier: Apache-2.0"
COLUMNS = 100
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
# Suffixes (or whole names) of files that carry a licence line, and whether width is checked.
SOURCES = {
    ".hpp": True, ".cpp": True, ".h": True, ".c": True, ".sv": True, ".svh": True, ".vlt": True,
    ".py": True, ".sh": True, ".cmake": True, "CMakeLists.txt": True, ".toml": True, ".gp": True,
}  # fmt: skip


def tree_files(root):
    """Files that are in the repository or would be: tracked, or untracked and not ignored."""
    listing = subprocess.run(
        ["git", "-C", str(root), "-c", "safe.directory=*", "ls-files", "-z", "-co",
         "--exclude-standard"], capture_output=True, check=False,
    )  # fmt: skip
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        return sorted(root / name for name in names if name and (root / name).is_file())
    return sorted(path for path in root.rglob("*") if path.is_file())


def check_file(path, shown):
    kind = path.name if path.name in SOURCES else path.suffix
    if kind not in SOURCES:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        yield f"{shown}: not UTF-8 ({error.reason} at byte {error.start})"
        return
    lines = text.split("\n")
    first = 1 if lines[0].startswith("#!") else 0
    if len(lines) <= first or SPDX not in lines[first]:
        yield f"{shown}:{first + 1}: expected '{SPDX}' here"
    if "\r" in text:
        yield f"{shown}: has carriage returns"
    if text and not text.endswith("\n"):
        yield f"{shown}:{len(lines)}: the last line does not end"
    for number, line in enumerate(lines, start=1):
        if line != line.rstrip():
            yield f"{shown}:{number}: spaces at the end of the line"
        if SOURCES[kind] and len(line) > COLUMNS:
            yield f"{shown}:{number}: {len(line)} columns, at most {COLUMNS}"


def check_links(path, shown):
    """Relative links of a page must lead somewhere."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        for target in LINK.findall(line):
            if not (path.parent / target).exists():
                yield f"{shown}:{number}: the link to '{target}' leads nowhere"


def findings(root):
    found = []
    for path in tree_files(root):
        inside = path.relative_to(root)
        # Data of tests may be wrong on purpose.
        if "data" in inside.parts or "corpus" in inside.parts or inside.parts[0] == "build":
            continue
        found += check_file(path, inside)
        if path.suffix == ".md":
            found += check_links(path, inside)
    return found


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parents[1]
    found = findings(root.resolve())
    for line in found:
        print(line)
    if not found:
        print("every source file is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
