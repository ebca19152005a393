#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which module uses which: every #include line and every CMake link line of the modules.

The table MAY_USE is the one of docs/architecture.md. A use that it does not list is an error, as
is a third-party header in a public header.

    scripts/check_layers.py [ROOT]      exit code 0: clean, 1: findings (printed as file:line)
"""
import pathlib
import re
import sys

# Module -> what it may use. "bridge/link" allows only that part of bridge.
MAY_USE = {
    "base": set(),
    "trace": {"base"},
    "golden": {"base", "trace"},
    "bridge": {"base", "trace"},
    "manifest": {"base", "trace", "golden"},
    "lockstep": {"base", "trace"},
    "sim": {"base", "trace", "manifest", "bridge/link"},
    "analysis": {"base", "trace", "golden", "lockstep"},
    "campaign": {
        "base", "trace", "golden", "bridge", "manifest", "lockstep", "sim", "analysis",
    },
    "app": {
        "base", "trace", "golden", "bridge", "manifest", "lockstep", "sim", "analysis", "campaign",
    },
}

# Modules that use nothing beyond the standard library and POSIX, in any file.
STANDARD_ONLY = {"base"}

CPP_SUFFIXES = {".hpp", ".h", ".cpp", ".cc", ".inc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CMAKE_CALL = re.compile(r"\b(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
CMAKE_DEFINES = {"spikelock_add_module", "add_library", "add_executable"}
CMAKE_LINKS = {"spikelock_add_module", "target_link_libraries", "add_dependencies"}

POSIX_HEADERS = {
    "dirent.h", "dlfcn.h", "elf.h", "fcntl.h", "glob.h", "grp.h", "link.h", "netdb.h", "poll.h",
    "pthread.h", "pwd.h", "sched.h", "spawn.h", "syslog.h", "termios.h", "ucontext.h", "unistd.h",
}  # fmt: skip


def is_standard(header):
    """True for headers of the C++ standard library, POSIX and Linux, and CPU intrinsics."""
    if header in POSIX_HEADERS or header.startswith(("sys/", "linux/", "netinet/", "arpa/")):
        return True
    if header in {"immintrin.h", "arm_neon.h", "x86intrin.h"}:
        return True
    return "/" not in header and not header.endswith((".h", ".hpp", ".hh"))


def allowed(module, used, part):
    """Whether `module` may use `used`; `part` is the first folder below it in the use."""
    if used == module:
        return True
    may = MAY_USE[module]
    return used in may or f"{used}/{part}" in may


def check_includes(root, module):
    for path in sorted((root / module).rglob("*")):
        if path.suffix not in CPP_SUFFIXES or not path.is_file():
            continue
        inside = path.relative_to(root)
        public = inside.parts[1] == "include"
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, header = match.groups()
            parts = header.split("/")
            if parts[0] == "spikelock":
                used = parts[1] if len(parts) > 2 else "app"
                part = parts[2] if len(parts) > 3 else ""
                if used not in MAY_USE:
                    yield f"{inside}:{number}: no module '{used}' (in \"{header}\")"
                elif not allowed(module, used, part):
                    yield f'{inside}:{number}: {module} may not use {used} ("{header}")'
            elif quote == '"':
                if public:
                    yield f'{inside}:{number}: public header includes a private one ("{header}")'
                target = (path.parent / header).resolve()
                if ".." in parts and not target.is_relative_to((root / module).resolve()):
                    yield f'{inside}:{number}: {module} reaches out of its folder ("{header}")'
            elif (public or module in STANDARD_ONLY) and not is_standard(header):
                where = "a public header" if public else module
                yield f"{inside}:{number}: {where} may not use a third party's <{header}>"


def cmake_calls(path):
    """Yields (line number, lower-case command, argument words) of a CMake file."""
    text = path.read_text(encoding="utf-8")
    # Comments go, line ends stay, so that positions hold.
    text = re.sub(r"#[^\n]*", "", text)
    for match in CMAKE_CALL.finditer(text):
        words = [word.strip('"') for word in match.group(2).split()]
        yield text.count("\n", 0, match.start()) + 1, match.group(1).lower(), words


def module_targets(root):
    """Maps each target that a module's CMake files define to (module, folder below the module)."""
    targets = {}
    for module in MAY_USE:
        for path in sorted((root / module).rglob("CMakeLists.txt")):
            folder = path.parent.relative_to(root / module).parts
            part = folder[0] if folder else ""
            for _, command, words in cmake_calls(path):
                if command not in CMAKE_DEFINES or not words:
                    continue
                if command == "spikelock_add_module":
                    # bridge_link is the part `link` of bridge.
                    own = part or words[0].removeprefix(module).lstrip("_")
                    targets[f"spikelock_{words[0]}"] = (module, own)
                    targets[f"spikelock::{words[0]}"] = (module, own)
                else:
                    targets[words[0]] = (module, part)
    return targets


def check_links(root, module, targets):
    for path in sorted((root / module).rglob("CMakeLists.txt")):
        inside = path.relative_to(root)
        for number, command, words in cmake_calls(path):
            if command not in CMAKE_LINKS:
                continue
            for word in words[1:]:
                name = re.sub(r"^\$<(?:BUILD_INTERFACE|INSTALL_INTERFACE|LINK_ONLY):(.*)>$", r"\1",
                              word)
                if name == "spikelock_warnings":
                    continue
                if name in targets:
                    used, part = targets[name]
                elif re.match(r"^spikelock(::|_)\w+$", name):
                    used = re.split(r"::|_", name, maxsplit=1)[1]
                    used, _, part = used.partition("_")
                    if used not in MAY_USE:
                        yield f"{inside}:{number}: no module owns the target '{name}'"
                        continue
                else:
                    continue
                if not allowed(module, used, part):
                    yield f"{inside}:{number}: {module} may not link {name}"


def findings(root):
    root = pathlib.Path(root)
    targets = module_targets(root)
    found = []
    for module in MAY_USE:
        if (root / module).is_dir():
            found += check_includes(root, module)
            found += check_links(root, module, targets)
    return found


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parents[1]
    if not any((root / module).is_dir() for module in MAY_USE):
        print(f"{root}: holds none of the modules", file=sys.stderr)
        return 2
    found = findings(root)
    for line in found:
        print(line)
    if not found:
        print("the modules use each other as the table says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
