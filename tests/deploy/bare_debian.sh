#!/bin/bash
# Installs, runs, reinstalls and uninstalls in a bare Debian that systemd boots, and prints what happens.
# Needs root, debootstrap, systemd-container and a way to the Debian and Python registries; leaves nothing behind.
set -euo pipefail

source_tree=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
tree=$work/debian
container=''

step() { printf '\n== %s\n' "$*"; }

expect() { # WHAT COMMAND…
    local what=$1
    shift
    "$@" >/dev/null 2>&1 || { echo "EXPECTED: $what" && exit 1; }
    echo "ok: $what"
}

inside() {
    local settings
    mapfile -t settings < <(env | grep '^PIP_' || :)
    nsenter --target "$leader" --mount --uts --ipc --pid --cgroup -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${settings[@]}" "$@"
}

finish() {
    if [ -n "$container" ]; then
        kill "$container" || :
        wait "$container" || :
    fi
    rm -rf "$work"
}
trap finish EXIT

boot() {
    # Its own registration would need a systemd outside.
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=$(stat -fc %T /sys/fs/cgroup | grep -c cgroup2fs || :) \
        systemd-nspawn --quiet --directory "$tree" --register=no --keep-unit --console=passive --boot >"$work/boot.log" &
    container=$!
    until leader=$(pgrep --parent "$container") && inside systemctl is-system-running --wait >/dev/null 2>&1; do
        kill -0 "$container"
        sleep 0.2
    done
}

step "A bare Debian"
# shellcheck disable=SC2016  # apt's own fields
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | grep --max-count 1 '/debian/*$')}
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates \
    bookworm "$tree" "$mirror" >"$work/debootstrap.log"
# Registries may be reached through this machine's own certificate authorities and name servers.
cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
cp --dereference /etc/resolv.conf "$tree/etc/"
mkdir "$tree/root/source"
git -C "$source_tree" ls-files -z | tar --create --null --directory "$source_tree" --files-from - |
    tar --extract --directory "$tree/root/source"
boot
inside cat /etc/debian_version

step "install.sh --dry-run"
inside /root/source/deploy/install.sh --dry-run node report
expect "nothing was installed" test ! -e "$tree/opt/mi300x-exporter"

step "install.sh"
inside /root/source/deploy/install.sh node report
expect "the service runs" inside systemctl is-active mi300x-exporter.service
expect "the timer waits" inside systemctl is-active mi300x-report.timer

step "With simulated GPUs"
sed -i 's/^  source: [a-z]*/  source: simulated/' "$tree/etc/mi300x-exporter/config.yaml"
inside systemctl restart mi300x-exporter.service
metrics='import urllib.request as u; print(u.urlopen("http://127.0.0.1:9942/metrics").read().decode())'
# The first readings come a moment after the start.
until inside python3 -c "$metrics" | grep '^amdgpu_up{'; do sleep 0.2; done
inside systemctl status --no-pager mi300x-exporter.service
inside /root/source/deploy/install.sh --check

step "The daily report, though nobody answers"
expect "the report fails" test "$(inside systemctl start mi300x-report.service >/dev/null 2>&1 || echo failed)" = failed
inside journalctl --no-pager --output=cat --unit=mi300x-report | tee "$work/report.log"
expect "it says that Prometheus does not answer" grep 127.0.0.1:9090 "$work/report.log"

step "install.sh again"
touch "$work/before"
inside /root/source/deploy/install.sh | tee "$work/again"
expect "nothing has changed, it says" grep 'Nothing has changed' "$work/again"
expect "nothing has changed" test -z "$(find "$tree/opt" "$tree/etc" -newer "$work/before" -type f)"
expect "the config is kept" grep 'source: simulated' "$tree/etc/mi300x-exporter/config.yaml"

step "install.sh of another version"
echo "# changed" >>"$tree/root/source/exporter/__init__.py"
before=$(readlink "$tree/opt/mi300x-exporter/current")
inside /root/source/deploy/install.sh
expect "another version is in use" test "$(readlink "$tree/opt/mi300x-exporter/current")" != "$before"
expect "the old one is gone" test ! -e "$tree$before"
expect "the service runs" inside systemctl is-active mi300x-exporter.service

step "install.sh --uninstall"
inside /root/source/deploy/install.sh --uninstall
expect "the program is gone" test ! -e "$tree/opt/mi300x-exporter"
expect "the config is kept" test -e "$tree/etc/mi300x-exporter/config.yaml"
expect "the service is gone" test -z "$(inside systemctl list-unit-files --no-legend 'mi300x*')"

step "install.sh --uninstall --purge"
inside /root/source/deploy/install.sh --uninstall --purge
expect "nothing is left" test -z "$(find "$tree/etc" "$tree/opt" "$tree/var/lib" -name '*mi300x*')"
expect "nor the user" test -z "$(grep mi300x "$tree/etc/passwd")"
