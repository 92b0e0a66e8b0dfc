#!/bin/sh
# Installs or upgrades mi300x-exporter on this machine from the source tree it stands in. `--help` says how.
#
# Each version gets a virtual environment of its own, /opt/mi300x-exporter/<fingerprint>, and `current` points
# to the one in use: an upgrade that fails half-way changes nothing.
set -eu
umask 022

app=/opt/mi300x-exporter
etc=/etc/mi300x-exporter
user=mi300x-exporter
units=/etc/systemd/system
tree=$(cd "$(dirname "$0")/.." && pwd)
needed_kib=500000

dry_run='' action=install purge='' roles='' given='' changed='' failed=''

usage() {
    cat <<'END'
Usage: deploy/install.sh [--dry-run] [--config FILE] [node] [report] [portal]
       deploy/install.sh [--dry-run] --uninstall [--purge]
       deploy/install.sh --check

  node         the exporter of a GPU node
  report       the daily report; on one machine that reaches Prometheus and the consumption API
  portal       the cluster's pages; on a machine that reaches Prometheus, best the one with the reports
               (none of these words: what is installed already, else node)
  --config     take this file for the config; one that is not usable changes nothing
  --dry-run    show what would be done
  --uninstall  remove the program and its units; keep config, token and reports
  --purge      with --uninstall: remove those too, and the user
  --check      run `exporter check` as the service's user

It can be run again at any time: what is up to date is left alone, and a config is only overwritten by --config.
END
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

run() {
    say "+ $*"
    [ -n "$dry_run" ] || "$@"
}

booted() { [ -d /run/systemd/system ]; }

wants() { case " $roles " in *" $1 "*) ;; *) return 1 ;; esac }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            node | report | portal) roles="$roles $1" ;;
            --config)
                [ $# -gt 1 ] || { usage >&2 && exit 2; }
                shift
                given=$1
                ;;
            --dry-run) dry_run=yes ;;
            --uninstall) action=uninstall ;;
            --purge) purge=yes ;;
            --check) action=check ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    if [ -n "$purge" ] && [ "$action" != uninstall ]; then usage >&2 && exit 2; fi
    if [ -n "$given" ] && [ "$action" != install ]; then usage >&2 && exit 2; fi
    [ ! -e "$units/mi300x-exporter.service" ] || roles="$roles node"
    [ ! -e "$units/mi300x-report.timer" ] || roles="$roles report"
    [ ! -e "$units/mi300x-portal.service" ] || roles="$roles portal"
    [ -n "$roles" ] || roles=node
}

require() {
    [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || die "needs root: sudo $0"
    for tool in systemctl systemd-sysusers systemd-tmpfiles runuser; do
        command -v "$tool" >/dev/null || die "$tool is not there: this needs a machine with systemd"
    done
    [ "$action" != install ] || [ ! -e /usr/lib/mi300x-exporter/bin/exporter ] ||
        die "the Debian package is installed: upgrade that, or apt-get remove mi300x-exporter (keeps config, token and reports)"
}

find_python() {
    found=''
    for python in python3 python3.13 python3.12 python3.11; do
        command -v "$python" >/dev/null || continue
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
        found=$python
        ! "$python" -c 'import ensurepip, venv' 2>/dev/null || return 0
    done
    [ -z "$found" ] || die "$found cannot make virtual environments: apt-get install $found-venv"
    die "no Python 3.11 or newer: apt-get install python3 python3-venv, or python3.11 python3.11-venv where python3 is older"
}

find_space() {
    existing=$app
    while [ ! -d "$existing" ]; do existing=$(dirname "$existing"); done
    free_kib=$(df -Pk "$existing" | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -ge "$needed_kib" ] ||
        die "$existing has $((free_kib / 1000)) MB free, $((needed_kib / 1000)) are needed"
}

# A file of the source tree, where it differs from what is there.
put() { # SOURCE TARGET
    if cmp -s "$1" "$2"; then
        say "= $2"
    else
        run install -D -m 0644 "$1" "$2"
        changed=yes
    fi
}

# Of all that goes into the environment.
fingerprint() {
    {
        "$python" -VV
        say "$extra"
        cd "$tree"
        find exporter pyproject.toml deploy/report_missing.py -type f ! -name '*.pyc' -exec sha256sum {} + | LC_ALL=C sort
    } | sha256sum | cut -c 1-12
}

install_program() {
    extra=''
    if wants report || wants portal; then extra='[report]'; fi
    venv=$app/$(fingerprint)
    if [ "$(readlink "$app/current" || :)" = "$venv" ] && [ -x "$venv/bin/exporter" ]; then
        say "= $venv"
        try_config
        return
    fi
    find_space
    run rm -rf "$venv"
    run "$python" -m venv "$venv"
    run "$venv/bin/pip" install --quiet --disable-pip-version-check "$tree$extra"
    run install -D -m 0644 "$tree/deploy/report_missing.py" "$venv/libexec/report_missing.py"
    try_config
    run ln -sfn "$venv" "$app/next"
    run mv -T "$app/next" "$app/current"
    changed=yes
}

# A copy of the config given, which may be a pipe, that nobody else can read.
read_config() {
    [ -n "$given" ] || return 0
    kept=$(umask 077 && mktemp)
    trap 'rm -f "$kept"' EXIT
    cat "$given" >"$kept" || die "$given cannot be read"
}

# By the version that is to read it.
try_config() {
    [ -n "$given" ] && [ -x "$venv/bin/python" ] || return 0
    "$venv/bin/python" -I - "$kept" "$given" <<'END' || die "nothing was changed"
import sys
from pathlib import Path
from exporter import config
from exporter.errors import ConfigError
try:
    config.load(Path(sys.argv[1]))
except ConfigError as error:
    sys.exit(str(error).replace(*sys.argv[1:]))
END
}

install_config() {
    if [ -n "$given" ]; then
        if cmp -s "$kept" "$etc/config.yaml"; then
            say "= $etc/config.yaml"
        else
            run install -m 0640 -g "$user" "$kept" "$etc/config.yaml"
            changed=yes
        fi
    elif [ -e "$etc/config.yaml" ]; then
        say "= $etc/config.yaml (yours)"
    else
        run install -m 0640 -g "$user" "$tree/config.example.yaml" "$etc/config.yaml"
    fi
}

install_files() {
    put "$tree/deploy/systemd/mi300x-exporter.sysusers.conf" /etc/sysusers.d/mi300x-exporter.conf
    put "$tree/deploy/systemd/mi300x-exporter.tmpfiles.conf" /etc/tmpfiles.d/mi300x-exporter.conf
    run systemd-sysusers /etc/sysusers.d/mi300x-exporter.conf
    run systemd-tmpfiles --create /etc/tmpfiles.d/mi300x-exporter.conf
    install_config
    if wants node; then put "$tree/deploy/systemd/mi300x-exporter.service" "$units/mi300x-exporter.service"; fi
    if wants report; then
        put "$tree/deploy/systemd/mi300x-report.service" "$units/mi300x-report.service"
        put "$tree/deploy/systemd/mi300x-report.timer" "$units/mi300x-report.timer"
    fi
    if wants portal; then put "$tree/deploy/systemd/mi300x-portal.service" "$units/mi300x-portal.service"; fi
}

start_units() {
    if wants node; then activate mi300x-exporter.service; fi
    if wants report; then activate mi300x-report.timer; fi
    if wants portal; then activate mi300x-portal.service; fi
}

activate() { # UNIT
    systemctl is-enabled --quiet "$1" 2>/dev/null || run systemctl enable --quiet "$1"
    booted || return 0
    if [ -n "$changed" ]; then
        run systemctl daemon-reload
        run systemctl restart "$1" || failed=yes
    else
        systemctl is-active --quiet "$1" || run systemctl start "$1" || failed=yes
    fi
}

remove_old_versions() {
    for version in "$app"/*/; do
        version=${version%/}
        case $version in "$venv" | "$app/current" | "$app/*") ;; *) run rm -rf "$version" ;; esac
    done
}

# The token goes through the environment, which only this user and root can see, never the command line.
check() {
    say "+ runuser -u $user -- $app/current/bin/exporter check --config $etc/config.yaml"
    [ -z "$dry_run" ] || return 0
    (
        cd /
        EXPORTER_TASKS_TOKEN=$(cat "$etc/tasks-token")
        export EXPORTER_TASKS_TOKEN
        runuser -u "$user" -- "$app/current/bin/exporter" check --config "$etc/config.yaml"
    )
}

install_all() {
    find_python
    read_config
    install_program
    install_files
    start_units
    remove_old_versions
    [ -n "$changed" ] || say "Nothing has changed."
    check || say "Installed. The check above found something to see to; then: $0 --check"
    [ -z "$failed" ] || die "installed, but it does not run: journalctl -u mi300x-exporter -u mi300x-portal"
}

uninstall() {
    for unit in mi300x-exporter.service mi300x-report.timer mi300x-report.service mi300x-portal.service; do
        [ -e "$units/$unit" ] || continue
        if booted; then run systemctl disable --quiet --now "$unit"; else run systemctl disable --quiet "$unit"; fi
        run rm "$units/$unit"
        changed=yes
    done
    if booted && [ -n "$changed" ]; then run systemctl daemon-reload; fi
    remove "$app" /etc/sysusers.d/mi300x-exporter.conf /etc/tmpfiles.d/mi300x-exporter.conf
    if [ -n "$purge" ]; then
        remove "$etc" /var/lib/mi300x-exporter /var/lib/systemd/timers/stamp-mi300x-report.timer
        ! id "$user" >/dev/null 2>&1 || run userdel "$user"
    else
        say "Kept: $etc, /var/lib/mi300x-exporter and the user $user (--purge removes them)."
    fi
}

remove() {
    for path; do
        [ ! -e "$path" ] || run rm -rf "$path"
    done
}

parse "$@"
require
case $action in
    install) install_all ;;
    uninstall) uninstall ;;
    check) check ;;
esac
