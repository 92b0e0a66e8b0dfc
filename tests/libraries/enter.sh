#!/bin/sh
# Runs a command in an unpacked root whose /sys and /dev/dri are made up; to be started in a mount namespace of its own.
#
#   unshare --mount sh enter.sh SCRATCH ROOT SYS DRI PRELOAD PROJECT USER COMMAND…
#
# SCRATCH: an empty folder to mount on. DRI: names of device nodes, separated by commas, or nothing. PRELOAD: the object
# that answers for them. USER: a number. What the command changes in the root is lost with it; SCRATCH/changes, if it
# is there, is laid over the root.
set -eu
scratch=$1 root=$2 sys=$3 dri=$4 preload=$5 project=$6 user=$7
shift 7

mount --make-rprivate /
upper=$scratch/upper
mkdir -p "$upper" "$scratch/root"
mount -t tmpfs -o mode=755 tmpfs "$upper"
mkdir "$upper/changes" "$upper/work"
layers=$root
[ ! -d "$scratch/changes" ] || layers=$scratch/changes:$root
mount -t overlay -o "lowerdir=$layers,upperdir=$upper/changes,workdir=$upper/work" overlay "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount --rbind "$sys" sys
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm
chmod 1777 dev/shm tmp
for device in null zero random urandom; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
if [ -n "$dri" ]; then
    mkdir dev/dri
    for node in $(echo "$dri" | tr , ' '); do
        : >"dev/dri/$node"
        chmod 660 "dev/dri/$node"
    done
fi
mount --bind "$project" project
mkdir -p usr/lib/preload
: >usr/lib/preload/drm_node.so
mount --bind "$preload" usr/lib/preload/drm_node.so
# By file, as the variable would reach chroot itself, which is of another system.
echo /usr/lib/preload/drm_node.so >etc/ld.so.preload
exec chroot --userspec="$user:$user" . "$@"
