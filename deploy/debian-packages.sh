#!/bin/sh
# Installs the Debian packages named that are missing, without starting the services they bring.
set -eu

missing=
for package in "$@"; do
    dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing, and only root can install them:$missing" >&2; exit 1; }
    as_root=sudo
fi

echo "installing$missing" >&2
# Debian starts what it installs; a policy of 101 leaves a machine's ports as they were.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
log=$(mktemp)
as_root="$as_root env DEBIAN_FRONTEND=noninteractive"
get() {
    # shellcheck disable=SC2086  # the words are separate packages
    $as_root apt-get install --yes --fix-broken --no-install-recommends --option DPkg::Lock::Timeout=300 $missing
}
# apt refuses to go on where an earlier install was interrupted, as by a Ctrl-C here.
if ! { $as_root apt-get update && { get || { $as_root dpkg --configure --pending && get; }; }; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
rm -f "$log"
