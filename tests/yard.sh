#!/usr/bin/env bash
# Sets up the test yard: the real authority, backends and clients that the tests work with. Everything lands in
# target/yard/; nothing of the system is changed, unless --install asks for missing tools to be taken from apt.
# Safe to run again, and at once when all is there. `cargo test` calls it, so does tests/run.
#
#   tests/yard.sh [--install] [--print]      --print writes the yard's folder as the last line
#
# What is unpacked rather than installed: Pebble (2.10 or newer: renewal information and profiles), a static program
# that only newer suites carry, and Knot DNS with its libraries, which would otherwise start as a service. The mirror is
# the one this machine's own apt sources name.
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

# --- Pebble --------------------------------------------------------------------------------------------------------

pebble_is_good() {
  [ -x "$yard/pebble/usr/bin/pebble" ] && [ -x "$yard/pebble/usr/bin/pebble-challtestsrv" ] && [ -e "$yard/pebble/version" ] &&
    dpkg --compare-versions "$(cat "$yard/pebble/version")" ge "$least"
}

# Mirrors with a suite and a component each, best guess first.
pebble_sources() {
  local uris uri
  uris=$(
    { grep -hE '^URIs:' /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^URIs://' | tr ' ' '\n' || true
      grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -E 's/\[[^]]*\]//' | awk '{print $2}' || true
    } | awk 'NF && !seen[$0]++')
  for uri in $uris; do
    case $uri in
      */debian | */debian/) echo "$uri forky main"; echo "$uri sid main" ;;
      */ubuntu | */ubuntu/ | */ubuntu-ports | */ubuntu-ports/) echo "$uri devel universe" ;;
    esac
  done
  # For a machine whose own mirror has none that is recent enough: any Debian mirror, named by whoever runs the tests.
  [ -z "${YARD_MIRROR:-}" ] || echo "$YARD_MIRROR forky main"
}

fetch_pebble_from() {
  local uri=$1 suite=$2 component=$3 apt=$yard/apt
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  case $uri in *ubuntu*) keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;; esac
  rm -rf "$apt"
  mkdir -p "$apt"/{lists/partial,archives/partial}
  : >"$apt/status"
  # A mirror that lags behind its valid-until date is new enough for a tool of the tests.
  local options=(-o Acquire::Check-Valid-Until=false -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache::archives="$apt/archives"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false)
  echo "deb [signed-by=$keyring] $uri $suite $component" >"$apt/sources.list"
  if ! apt-get "${options[@]}" update >"$apt/update.log" 2>&1 || grep -qE '^[EW]: .*(NO_PUBKEY|not signed|GPG error)' "$apt/update.log"; then
    say "this machine's keyring does not know the key of $suite: its list is taken unsigned, for the tests only"
    echo "deb [trusted=yes] $uri $suite $component" >"$apt/sources.list"
    apt-get "${options[@]}" update >"$apt/update.log" 2>&1 || return 1
  fi
  local version
  version=$(apt-cache "${options[@]}" policy pebble | awk '/Candidate:/ {print $2}')
  [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge "$least" || return 1
  (cd "$apt" && apt-get "${options[@]}" download pebble >"$apt/download.log" 2>&1) || return 1
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
  done < <(pebble_sources | awk '!seen[$0]++')
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
  is_stamped "$yard/node" "$here/yard/package.json" && [ -d "$yard/node/node_modules/ws" ] && return 0
  say "Node package ws"
  rm -rf "$yard/node"
  mkdir -p "$yard/node"
  cp "$here/yard/package.json" "$yard/node/"
  (cd "$yard/node" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >"$yard/npm.log" 2>&1) ||
    { tail -20 "$yard/npm.log" >&2; die "npm could not install tests/yard/package.json; see $yard/npm.log"; }
  stamp "$yard/node" "$here/yard/package.json"
}

install_missing
fetch_pebble
fetch_knot
fetch_python
fetch_node
ln -sfn "$(chromium_of_system)" "$yard/chromium"
if [ "$print" = yes ]; then echo "$yard"; fi
