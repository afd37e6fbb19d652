#!/usr/bin/env bash
# Sets up the test yard: the real authority, backends and clients that the tests work with. Everything lands in
# target/yard/; nothing of the system is changed, unless --install asks for missing tools to be taken from apt.
# Safe to run again, and at once when all is there. `cargo test` calls it, so does tests/run.
#
#   tests/yard.sh [--install] [--print]      --print writes the yard's folder as the last line
#
# What is unpacked rather than installed: Pebble (2.10 or newer: renewal information and profiles), a static program
# that only newer suites carry, Knot DNS with its libraries, which would otherwise start as a service, and Python 2.7,
# which only older suites carry, for Autobahn|Testsuite. The mirror is the one this machine's own apt sources name.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
mkdir -p "$target/yard"
yard=$(cd "$target/yard" && pwd)
install=no print=no
for word in "$@"; do
  case $word in
    --install) install=yes ;;
    --print) print=yes ;;
    *) echo "yard: unknown argument '$word'; known are --install and --print" >&2; exit 2 ;;
  esac
done
least=2.10

say() { echo "yard: $*" >&2; }
die() { say "$*"; exit 1; }

# One at a time: several test binaries may ask for the yard at once.
exec 9>"$yard/.lock"
flock -w 900 9 || die "another yard.sh has held $yard/.lock for 15 minutes; end it and run this again"

# --- tools of the system -------------------------------------------------------------------------------------------

chromium_of_system() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" && return 0
  done
  return 1
}

# Prints the packages whose tool is missing.
missing_packages() {
  local pair
  for pair in curl:curl openssl:openssl systemd-analyze:systemd dpkg-deb:dpkg certutil:libnss3-tools python3:python3 node:nodejs npm:npm gcc:gcc; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair##*:}"
  done
  [ -e /usr/include/stdlib.h ] || echo libc6-dev
  command -v python3 >/dev/null && { python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv; }
  command -v python3 >/dev/null || echo python3-venv
  if ! chromium_of_system >/dev/null; then
    if grep -qs '^ID=ubuntu' /etc/os-release; then echo chromium-browser; else echo chromium; fi
  fi
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  return 0
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_missing() {
  local packages
  packages=$(missing_packages | sort -u | tr '\n' ' ')
  [ -n "${packages// /}" ] || return 0
  if [ "$install" = no ]; then
    die "these packages are missing: ${packages}- run tests/run, which installs them, or: sudo apt-get install --no-install-recommends ${packages% }"
  fi
  command -v apt-get >/dev/null || die "these packages are missing, and this machine has no apt-get: $packages"
  say "installing $packages"
  local log=$yard/apt-install.log
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y update >"$log" 2>&1 || true
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $packages >>"$log" 2>&1 ||
    { tail -20 "$log" >&2; die "apt-get could not install $packages; the whole log is in $log"; }
}

# --- other suites --------------------------------------------------------------------------------------------------

# sources SUITE_OF_DEBIAN… -- SUITE_OF_UBUNTU…: mirrors with a suite and its components each, best guess first.
sources() {
  local uri suite debian=()
  while [ "$1" != -- ]; do debian+=("$1"); shift; done
  shift
  {
    { grep -hE '^URIs:' /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^URIs://' | tr ' ' '\n' || true
      grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -E 's/\[[^]]*\]//' | awk '{print $2}' || true
    } | awk 'NF' | while read -r uri; do
      case $uri in
        */debian | */debian/) for suite in "${debian[@]}"; do echo "$uri $suite"; done ;;
        */ubuntu | */ubuntu/ | */ubuntu-ports | */ubuntu-ports/) for suite in "$@"; do echo "$uri $suite"; done ;;
      esac
    done
    # For a machine whose own mirror has none of them: any Debian mirror, named by whoever runs the tests.
    [ -z "${YARD_MIRROR:-}" ] || for suite in "${debian[@]}"; do echo "$YARD_MIRROR $suite"; done
  } | awk '!seen[$0]++'
}

# open_suite FOLDER URI SUITE COMPONENT…: an apt in that folder that knows one suite alone; leaves its options in
# `apt_options`.
open_suite() {
  local apt=$1 uri=$2 suite=$3
  shift 3
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  case $uri in *ubuntu*) keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;; esac
  rm -rf "$apt"
  mkdir -p "$apt"/{lists/partial,archives/partial}
  : >"$apt/status"
  # A mirror that lags behind its valid-until date is new enough for a tool of the tests.
  apt_options=(-o Acquire::Check-Valid-Until=false -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache::archives="$apt/archives"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
  echo "deb [signed-by=$keyring] $uri $suite $*" >"$apt/sources.list"
  if ! apt-get "${apt_options[@]}" update >"$apt/update.log" 2>&1 || grep -qE '^[EW]: .*(NO_PUBKEY|not signed|GPG error)' "$apt/update.log"; then
    say "this machine's keyring does not know the key of $suite: its list is taken unsigned, for the tests only"
    echo "deb [trusted=yes] $uri $suite $*" >"$apt/sources.list"
    apt-get "${apt_options[@]}" update >"$apt/update.log" 2>&1 || return 1
  fi
}

# --- Pebble --------------------------------------------------------------------------------------------------------

pebble_is_good() {
  [ -x "$yard/pebble/usr/bin/pebble" ] && [ -x "$yard/pebble/usr/bin/pebble-challtestsrv" ] && [ -e "$yard/pebble/version" ] &&
    dpkg --compare-versions "$(cat "$yard/pebble/version")" ge "$least"
}

fetch_pebble_from() {
  open_suite "$yard/apt" "$@" || return 1
  local uri=$1 suite=$2 apt=$yard/apt version
  version=$(apt-cache "${apt_options[@]}" policy pebble | awk '/Candidate:/ {print $2}')
  [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge "$least" || return 1
  (cd "$apt" && apt-get "${apt_options[@]}" download pebble >"$apt/download.log" 2>&1) || return 1
  rm -rf "$yard/pebble"
  dpkg-deb -x "$apt"/pebble_*.deb "$yard/pebble"
  # Debian calls the two programs so; tell by running the first that it runs here at all.
  "$yard/pebble/usr/bin/pebble" -version >/dev/null 2>&1 || "$yard/pebble/usr/bin/pebble" -help >/dev/null 2>&1 || [ $? -le 2 ] || return 1
  echo "$version" >"$yard/pebble/version"
  rm -rf "$apt"
  say "Pebble $version from $uri $suite"
}

fetch_pebble() {
  pebble_is_good && return 0
  local source
  while read -r source; do
    # shellcheck disable=SC2086
    if fetch_pebble_from $source && pebble_is_good; then return 0; fi
    say "no Pebble $least or newer from: $source"
  done < <(sources 'forky main' 'sid main' -- 'devel universe')
  die "Pebble $least or newer could not be fetched; unpack the Debian package 'pebble' of a newer suite into $yard/pebble and write its version into $yard/pebble/version"
}

# --- Knot DNS ------------------------------------------------------------------------------------------------------

knot_is_good() { [ -x "$yard/knot/usr/sbin/knotd" ] && LD_LIBRARY_PATH="$yard/knot/lib" "$yard/knot/usr/sbin/knotd" -V >/dev/null 2>&1; }

# The server and those of its libraries that are packaged apart, from this machine's own suite; the C library is the machine's.
fetch_knot() {
  knot_is_good && return 0
  command -v apt-get >/dev/null || die "Knot DNS is taken from apt, and this machine has no apt-get; unpack its package into $yard/knot"
  local apt=$yard/apt-knot packages
  rm -rf "$apt" "$yard/knot"
  mkdir -p "$apt"/{lists/partial,archives/partial} "$yard/knot/lib"
  local options=(-o Dir::State::lists="$apt/lists" -o Dir::Cache::archives="$apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  apt-get "${options[@]}" update >"$apt/update.log" 2>&1 || { tail -5 "$apt/update.log" >&2; die "apt-get update failed; see $apt/update.log"; }
  packages=$(apt-cache "${options[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances knot |
    grep -E '^lib[a-z]' | grep -vE '^(libc6|libgcc|libcrypt1|libc-|libelogind)' | sort -u | tr '\n' ' ')
  # shellcheck disable=SC2086
  (cd "$apt" && apt-get "${options[@]}" download knot $packages >"$apt/download.log" 2>&1) ||
    { tail -5 "$apt/download.log" >&2; die "Knot DNS could not be fetched; see $apt/download.log"; }
  local file
  for file in "$apt"/*.deb; do dpkg-deb -x "$file" "$yard/knot"; done
  find "$yard/knot" -name '*.so.*' -not -path "$yard/knot/lib/*.so.*" -exec cp -d -t "$yard/knot/lib" {} +
  knot_is_good || die "Knot DNS does not run: $(LD_LIBRARY_PATH="$yard/knot/lib" "$yard/knot/usr/sbin/knotd" -V 2>&1 | tail -1)"
  rm -rf "$apt"
  say "Knot DNS $(LD_LIBRARY_PATH="$yard/knot/lib" "$yard/knot/usr/sbin/knotd" -V 2>&1 | head -1)"
}

# --- Python and Node -----------------------------------------------------------------------------------------------

# A stamp holds the sum of what was asked for, so that a changed pin is fetched again.
is_stamped() { [ -e "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$(cksum <"$2")" ]; }
stamp() { cksum <"$2" >"$1/.stamp"; }

fetch_python() {
  is_stamped "$yard/python" "$here/yard/requirements.txt" && "$yard/python/bin/python" -c 'import fastapi, grpc, uvicorn, websockets' 2>/dev/null && return 0
  say "Python packages: $(tr '\n' ' ' <"$here/yard/requirements.txt")"
  rm -rf "$yard/python"
  python3 -m venv "$yard/python"
  "$yard/python/bin/python" -m pip install -q --disable-pip-version-check -r "$here/yard/requirements.txt" >"$yard/pip.log" 2>&1 ||
    { tail -20 "$yard/pip.log" >&2; die "pip could not install tests/yard/requirements.txt; see $yard/pip.log"; }
  stamp "$yard/python" "$here/yard/requirements.txt"
}

fetch_node() {
  is_stamped "$yard/node" "$here/yard/package.json" && [ -d "$yard/node/node_modules/ws" ] && [ -d "$yard/node/node_modules/wscat" ] && return 0
  say "Node packages ws and wscat"
  rm -rf "$yard/node"
  mkdir -p "$yard/node"
  cp "$here/yard/package.json" "$yard/node/"
  (cd "$yard/node" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >"$yard/npm.log" 2>&1) ||
    { tail -20 "$yard/npm.log" >&2; die "npm could not install tests/yard/package.json; see $yard/npm.log"; }
  stamp "$yard/node" "$here/yard/package.json"
}

# --- Autobahn|Testsuite --------------------------------------------------------------------------------------------

# It speaks Python 2.7 only. Debian carried that up to bullseye and Ubuntu up to 22.04.
autobahn_is_good() { is_stamped "$yard/autobahn" "$here/yard/autobahn.txt" && "$yard/autobahn/wstest" --help >/dev/null 2>&1; }

fetch_python2_from() {
  local suite=$2 libraries="libssl1.1 libffi7" apt=$yard/apt-python2 file
  [ "$suite" = bullseye ] || libraries="libssl3 libffi8"
  open_suite "$apt" "$@" || return 1
  # shellcheck disable=SC2086
  (cd "$apt" && apt-get "${apt_options[@]}" download python2.7-minimal libpython2.7-minimal libpython2.7-stdlib $libraries >"$apt/download.log" 2>&1) || return 1
  for file in "$apt"/*.deb; do dpkg-deb -x "$file" "$yard/autobahn" || return 1; done
  rm -rf "$apt"
  python2 -c 'import hashlib, ssl' || return 1
  say "Python 2.7 from $1 $suite"
}

python2() { LD_LIBRARY_PATH=$(echo "$yard"/autobahn/usr/lib/*-linux-gnu*) "$yard/autobahn/usr/bin/python2.7" -W ignore "$@" 2>>"$yard/autobahn.log"; }

# What has a wheel is unpacked from it, and what has none is copied from its source: nothing of it needs a compiler.
fetch_autobahn_packages() {
  local folder=$yard/autobahn file first
  first=$(grep -E '^(incremental|pip|setuptools)==' "$here/yard/autobahn.txt")
  # shellcheck disable=SC2086
  "$yard/python/bin/python" -m pip download -q --disable-pip-version-check --no-deps --python-version 2.7 --only-binary :all: \
    -d "$folder/wheels" $first >>"$yard/autobahn.log" 2>&1 || return 1
  for file in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$file" "$folder/site" || return 1; done
  PYTHONPATH=$folder/site python2 -m pip download -q --disable-pip-version-check --no-deps --no-build-isolation \
    --no-binary autobahn,autobahntestsuite,twisted,txaio -d "$folder/wheels" -r "$here/yard/autobahn.txt" >>"$yard/autobahn.log" 2>&1 || return 1
  for file in "$folder"/wheels/*.whl; do python3 -m zipfile -e "$file" "$folder/site" || return 1; done
  for file in "$folder"/wheels/*.tar.*; do tar -xf "$file" -C "$folder/wheels" || return 1; done
  cp -r "$folder"/wheels/*/src/twisted "$folder"/wheels/{autobahn-*/autobahn,autobahntestsuite-*/autobahntestsuite,txaio-*/txaio} "$folder/site/" || return 1
  : >"$folder/site/zope/__init__.py"
  rm -rf "$folder/wheels"
}

fetch_autobahn() {
  autobahn_is_good && return 0
  local source found=no
  rm -rf "$yard/autobahn"
  : >"$yard/autobahn.log"
  while read -r source; do
    # shellcheck disable=SC2086
    if fetch_python2_from $source; then found=yes; break; fi
    cat "$yard"/apt-python2/*.log >>"$yard/autobahn.log" 2>/dev/null || true
    say "no Python 2.7 from: $source"
  done < <(sources 'bullseye main' -- 'jammy main universe')
  [ "$found" = yes ] || return 1
  fetch_autobahn_packages || return 1
  cat >"$yard/autobahn/wstest" <<'EOF'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
export LD_LIBRARY_PATH="$(echo "$here"/usr/lib/*-linux-gnu*)" PYTHONPATH="$here/site" PYTHONDONTWRITEBYTECODE=1
exec "$here/usr/bin/python2.7" -W ignore -c 'from autobahntestsuite.wstest import run; run()' "$@"
EOF
  chmod +x "$yard/autobahn/wstest"
  stamp "$yard/autobahn" "$here/yard/autobahn.txt"
  autobahn_is_good || return 1
  say "$(grep '^autobahntestsuite' "$here/yard/autobahn.txt")"
}

install_missing
fetch_pebble
fetch_knot
fetch_python
fetch_node
# One test needs it, and says so when it is missing; all others go on without.
fetch_autobahn || say "Autobahn|Testsuite could not be fetched, and tests/it/autobahn.rs will fail: it needs Python 2.7 of Debian bullseye (or Ubuntu 22.04).
  If your mirror has it no longer, set YARD_MIRROR to a Debian mirror that has, and run tests/yard.sh again; what failed is in $yard/autobahn.log"
ln -sfn "$(chromium_of_system)" "$yard/chromium"
if [ "$print" = yes ]; then echo "$yard"; fi
