#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what a task needs and the machine lacks, on Debian 12 and 13, as root or through sudo.
#
#   scripts/setup.sh [run|test|bench|fuzz|lint|all]...     (default: run)
#   scripts/setup.sh --list [GROUP]...                     print the packages, install nothing
#
# Without anything to install it returns at once and touches neither apt nor the network.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# One word is one package; alternatives are tried from left to right. `name>=version` asks for more
# than the name.
readonly RUN_PACKAGES=(
  g++ make cmake ninja-build ccache mold pkgconf   # to build the command
  verilator zlib1g-dev                             # to build cores (zlib: FST waveforms)
  libhdf5-dev libisal-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libfmt-dev
)
readonly TEST_PACKAGES=(
  "catch2>=3" python3 python3-numpy python3-h5py hdf5-tools graphviz yosys iverilog procps ghdl
  clang-format-19
)
readonly BENCH_PACKAGES=(
  libbenchmark-dev python3 "clang-19|clang-16|clang" time
  gtkwave  # vcd2fst and fst2vcd, which reading waveforms is measured against
)
readonly FUZZ_PACKAGES=(clang-19 libclang-rt-19-dev)  # the version that the preset names
readonly LINT_PACKAGES=(clang-format-19 clang-tidy-19)

wanted_packages() {
  local group
  for group in "$@"; do
    case $group in
      run) printf '%s\n' "${RUN_PACKAGES[@]}" ;;
      test) printf '%s\n' "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" ;;
      bench) printf '%s\n' "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}" ;;
      fuzz) printf '%s\n' "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${FUZZ_PACKAGES[@]}" ;;
      lint) printf '%s\n' "${RUN_PACKAGES[@]}" "${LINT_PACKAGES[@]}" ;;
      all) wanted_packages test bench fuzz lint ;;
      *) fail "no group '$group': expected run, test, bench, fuzz, lint or all" ;;
    esac
  done | awk '!seen[$0]++'
}

# Reads wanted packages, writes those that are not installed; one dpkg-query for all.
missing_packages() {
  local -A version=()
  local name installed
  while IFS=$'\t' read -r name installed; do
    version[$name]=$installed
  done < <(dpkg-query -W -f='${db:Status-Status}\t${Package}\t${Version}\n' 2>/dev/null |
    sed -n 's/^installed\t//p')
  local want alternative least
  while read -r want; do
    local found=
    for alternative in ${want//|/ }; do
      name=${alternative%%>=*}
      installed=${version[$name]:-}
      [[ -n $installed ]] || continue
      if [[ $alternative == *'>='* ]]; then
        least=${alternative##*>=}
        dpkg --compare-versions "$installed" ge "$least" || continue
      fi
      found=1
    done
    [[ -n $found ]] || printf '%s\n' "$want"
  done
}

# apt_try COMMAND...: waits for other package managers, tries three times, and shows what apt wrote
# only if it fails; that stays in $apt_log.
apt_log=''
apt_try() {
  local attempt
  [[ -n $apt_log ]] || apt_log=$(mktemp)
  for attempt in 1 2 3; do
    if DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 \
      -o Acquire::Retries=1 -o Dpkg::Use-Pty=0 -o APT::Update::Error-Mode=any \
      "$@" </dev/null >"$apt_log" 2>&1; then
      return 0
    fi
    if ((attempt < 3)); then
      printf '   attempt %d of 3 failed, again in %d s: %s\n' "$attempt" $((attempt * 5)) \
        "$(grep -m1 '^E: ' "$apt_log" || echo 'no reason given')"
      sleep $((attempt * 5))
    fi
  done
  tail -n 20 "$apt_log" >&2
  return 1
}

# A source that does not answer is no reason to give up where others do: they may have it all.
update_lists() {
  apt_try update && return 0
  grep -qE '^(Hit|Get):' "$apt_log" || return 1
  printf '   going on with the lists that could be fetched\n'
}

candidate_of() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p'; }

# Debian 12 has Catch2 2; version 3 is in its backports, which are added only where no such source
# is there yet, with a priority that lets nothing else be taken from them.
add_backports() {
  local codename=$1 uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=''
  if [[ -n $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    "Codename: $codename-backports") ]]; then
    return 0
  fi
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" |
    head -n 1)
  [[ -n $uri ]] || fail "no apt source for $codename is set up, so its backports cannot be found"
  [[ -r $keyring ]] && options="[signed-by=$keyring] "
  printf 'deb %s%s %s-backports main\n' "$options" "$uri" "$codename" \
    >/etc/apt/sources.list.d/spikelock-backports.list
  printf 'Package: *\nPin: release n=%s-backports\nPin-Priority: 1\n' "$codename" \
    >/etc/apt/preferences.d/spikelock-backports
  apt_try update -o Dir::Etc::sourcelist=sources.list.d/spikelock-backports.list \
    -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
}

# Turns wanted packages into what apt-get install takes.
resolve() {
  local want alternative name least candidate codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  for want in "$@"; do
    local chosen=
    for alternative in ${want//|/ }; do
      name=${alternative%%>=*}
      candidate=$(candidate_of "$name")
      [[ -n $candidate && $candidate != '(none)' ]] || continue
      if [[ $alternative == *'>='* ]]; then
        least=${alternative##*>=}
        if ! dpkg --compare-versions "$candidate" ge "$least"; then
          add_backports "$codename" >&2 ||
            fail "$name $least or newer needs $codename-backports, which did not answer"
          chosen=$name/$codename-backports
          break
        fi
      fi
      chosen=$name
      break
    done
    [[ -n $chosen ]] || fail "no apt source has ${want//|/ or }; is this Debian 12 or 13?"
    printf '%s\n' "$chosen"
  done
}

install_as_root() {
  local -a missing packages
  # Two set-ups at once would trip over the lock of the package lists, which apt does not wait for.
  trap 'rm -f "$apt_log"' EXIT
  exec 9>/run/spikelock-setup.lock
  flock --timeout 1800 9 || fail "another set-up has held /run/spikelock-setup.lock for 30 minutes"
  mapfile -t missing < <(wanted_packages "$@" | missing_packages)
  ((${#missing[@]})) || return 0
  step "update the package lists" update_lists ||
    fail "the package lists could not be fetched; is the network up? (apt-get update)"
  mapfile -t packages < <(resolve "${missing[@]}")
  ((${#packages[@]} == ${#missing[@]})) || exit "$EXIT_USAGE"
  step "install ${#packages[@]} packages: ${packages[*]}" \
    apt_try install --no-install-recommends "${packages[@]}" ||
    fail "the packages could not be installed; by hand: apt-get install ${packages[*]}"
}

main() {
  local -a groups=() missing
  local list=
  while (($#)); do
    case $1 in
      --list) list=1 ;;
      -h | --help)
        sed -n '3,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      *) groups+=("$1") ;;
    esac
    shift
  done
  ((${#groups[@]})) || groups=(run)
  wanted_packages "${groups[@]}" >/dev/null || exit "$EXIT_USAGE"
  if [[ -n $list ]]; then
    wanted_packages "${groups[@]}"
    exit 0
  fi
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    printf 'setup.sh: this is no Debian; install these, or what they are called here:\n'
    wanted_packages "${groups[@]}" | tr '\n' ' '
    printf '\n'
    exit "$EXIT_USAGE"
  fi
  mapfile -t missing < <(wanted_packages "${groups[@]}" | missing_packages)
  ((${#missing[@]})) || exit 0
  if ((EUID == 0)); then
    install_as_root "${groups[@]}"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n -- "$PWD/scripts/setup.sh" "${groups[@]}"
  else
    printf 'setup.sh: %d packages are missing: %s\n' "${#missing[@]}" "${missing[*]}" >&2
    printf 'setup.sh: installing them needs root; run this once, then try again:\n\n' >&2
    if command -v sudo >/dev/null; then
      printf '    sudo %s/scripts/setup.sh %s\n\n' "$PWD" "${groups[*]}" >&2
    else
      printf "    su -c '%s/scripts/setup.sh %s'\n\n" "$PWD" "${groups[*]}" >&2
    fi
    exit "$EXIT_USAGE"
  fi
}

main "$@"
