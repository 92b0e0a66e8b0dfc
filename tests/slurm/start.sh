#!/bin/sh
# Brings a Slurm cluster up in an unpacked Debian root; process 1 of namespaces of its own (mount, network, PID, UTS, IPC).
#
#   unshare --mount --net --pid --uts --ipc --fork sh start.sh SCRATCH ROOT SYS CONFIG PROJECT
#
# SCRATCH: an empty folder to mount on; what the cluster writes is in memory and lost with it. SYS: what it sees as
# /sys. CONFIG: laid over /etc/slurm. PROJECT: bound at /project. Ends with the process that started it.
set -eu
scratch=$1 root=$2 sys=$3 config=$4 project=$5

mount --make-rprivate /
mkdir "$scratch/upper" "$scratch/root"
mount -t tmpfs -o mode=755 tmpfs "$scratch/upper"
mkdir "$scratch/upper/changes" "$scratch/upper/work"
mount -t overlay -o "lowerdir=$config:$root,upperdir=$scratch/upper/changes,workdir=$scratch/upper/work" overlay "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount --rbind "$sys" sys
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/dri
chmod 1777 dev/shm tmp
for device in null zero random urandom; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
for minor in 128 129 136 137 144 145 152 153 160 168; do
    mknod "dev/dri/renderD$minor" c 226 "$minor"
done
mount --bind "$project" project
hostname gpu-node-1
ip link set lo up
ip addr add 10.99.0.1/32 dev lo
exec chroot . sh /project/tests/slurm/cluster.sh
