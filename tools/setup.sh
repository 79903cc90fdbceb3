# Sourced by tools/demo, tools/test and .ci/run: installs what a bare Debian 12 lacks, and builds. Needs root or sudo only
# where something is missing.

set -euo pipefail
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export LC_ALL=C.UTF-8
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

build_packages=(gcc libc6-dev cmake make pkg-config libevent-dev libleveldb-dev libmsgpack-dev libjansson-dev libyaml-dev
	libelf-dev libssl-dev check python3)
# The tests speak to the host in Python and with curl, read its databases, compile headers as C++, mount small disks and look
# at links and symbols; openssl makes the certificates of a test.
test_packages=(python3-msgpack python3-plyvel curl openssl g++ binutils util-linux mount e2fsprogs procps)

say() {
	printf '%s\n' "$*"
}

fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		fail "needs root for: $*; run it as root, or install sudo"
	fi
}

# run_logged LOG COMMAND...: silent while it works; its last words if it does not.
run_logged() {
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		fail "failed: $* (all of it: $log)"
	fi
}

packages_missing() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
	done
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

# install_packages PACKAGE...: those that are missing. The lists are read anew first: a bare system has none, and old ones
# name files that the mirror has no more. A list of some other source that cannot be read does not matter.
install_packages() {
	local missing log
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	log=$(mktemp)
	say "installing: ${missing//$'\n'/ }"
	as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
	# shellcheck disable=SC2086
	run_logged "$log" apt_install $missing
	rm -f "$log"
}

# build_tree DIRECTORY [CMAKE ARGUMENT...]: configures, and builds all of it or only $build_targets.
build_targets=(all)
build_tree() {
	local build=$1
	shift
	say "building in $build"
	mkdir -p "$build"
	run_logged "$build/configure.log" cmake -S "$repository" -B "$build" "$@"
	run_logged "$build/build.log" cmake --build "$build" --target "${build_targets[@]}" --parallel "$(nproc)"
}

# json FILTER: FILTER is a Python expression over `value`, the JSON document on stdin.
json() {
	/usr/bin/python3 -c 'import json, sys; value = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}
