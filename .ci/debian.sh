# Sourced by .ci/chroot and .ci/package: an empty Debian 12 in a folder, and how to run something in it. Needs root.

suite=bookworm

# The mirror that apt uses here for the suite.
mirror_find() {
	apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null |
		awk -v suite=$suite '$1 == "Packages" && $2 == suite && $3 == "main" {print $4; exit}'
}

# How this machine's apt reaches the mirror: proxies, certificates, names.
network_copy() {
	local root=$1
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Check)' >"$root/etc/apt/apt.conf.d/90machine" || true
	cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
	if [ -d /etc/ssl/certs ] && [[ $mirror == https:* ]]; then
		mkdir -p "$root/etc/ssl"
		cp --recursive --dereference /etc/ssl/certs "$root/etc/ssl/"
	fi
}

# inside ROOT COMMAND: in a mount and process namespace of its own: all mounts and processes end with it.
inside() {
	local root=$1 command=$2
	unshare --mount --pid --fork --kill-child bash -c '
		set -eu
		mount --make-rprivate /
		mount --bind "$0" "$0" # a root that is a mount, as any machine has
		mount -t proc proc "$0/proc"
		mount -t sysfs sysfs "$0/sys" || true
		mount --rbind /dev "$0/dev"
		exec chroot "$0" /usr/bin/env -i /bin/bash -c "$1"
	' "$root" "$command"
}

debian_finish() {
	[ -z "${root-}" ] || rm -rf --one-file-system "$root"
}

# Makes it in $root, which goes when the script ends. Where $debian_kept names a folder, one is kept there, as debootstrap
# left it, for whoever needs the next.
debian_make() {
	local include=()
	trap debian_finish EXIT
	trap 'exit 1' INT TERM HUP
	[ "$(id -u)" = 0 ] || fail "needs root, to make a chroot"
	install_packages debootstrap git util-linux debian-archive-keyring
	mirror=$(mirror_find)
	[ -n "$mirror" ] || fail "apt knows no source of Debian $suite"
	root=$(mktemp -d /var/tmp/sofun-chroot.XXXXXX)
	[[ $mirror != https:* ]] || include=(--include=ca-certificates)
	if [ -d "${debian_kept:-/none}/base" ]; then
		say "an empty Debian 12, as it was made before"
		cp --archive "$debian_kept/base/." "$root"
	else
		say "making an empty Debian 12"
		run_logged "$root.log" debootstrap --variant=minbase "${include[@]}" $suite "$root" "$mirror"
		rm -f "$root.log"
		[ -z "${debian_kept-}" ] || cp --archive --one-file-system "$root" "$debian_kept/base"
	fi
	chmod 755 "$root" # mktemp made it for root alone; tests run as others too
	network_copy "$root"
}

# boot ROOT SECONDS: systemd as process 1 in it, until it powers off; what it says goes to ROOT/boot.log.
boot() {
	local root=$1 seconds=$2
	timeout "$seconds" unshare --mount --pid --fork --uts --ipc --cgroup --kill-child bash -c '
		set -eu
		mount --make-rprivate /
		mount --bind "$0" "$0"
		cd "$0"
		mount -t proc proc proc
		mount -t sysfs sysfs sys
		mount -t cgroup2 cgroup2 sys/fs/cgroup
		mount -t tmpfs tmpfs run
		mount -t tmpfs tmpfs dev
		for device in null zero full random urandom tty; do
			touch "dev/$device"
			mount --bind "/dev/$device" "dev/$device"
		done
		mkdir -p dev/shm old
		pivot_root . old
		umount -l /old
		exec /usr/bin/env -i container=chroot PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console
	' "$root" >"$root/boot.log" 2>&1 || true
}
