#!/bin/sh
# Within the root: the daemons of a cluster, and its users; prints READY, and ends when its input does.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin

until_it_works() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "$* does not work" >&2; "$@" || exit 1; exit 1; }
        sleep 0.2
    done
}

# By the names that Debian's alternatives give: the daemons tell themselves apart by them.
for daemon in slurmctld slurmd slurmstepd; do ln -s "$daemon-wlm" "/usr/sbin/$daemon"; done
mkdir -p /run/munge /run/mysqld /var/log/slurm /var/log/munge /var/lib/munge /var/spool/slurmctld /var/lib/mysql /home/alice /home/bob
cat >/etc/passwd <<'END'
root:x:0:0:root:/root:/bin/sh
munge:x:101:101::/nonexistent:/usr/sbin/nologin
mysql:x:102:102::/nonexistent:/usr/sbin/nologin
slurm:x:64030:64030::/nonexistent:/usr/sbin/nologin
exporter:x:103:103::/nonexistent:/usr/sbin/nologin
alice:x:2001:2001::/home/alice:/bin/sh
bob:x:2002:2002::/home/bob:/bin/sh
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
END
sed -E 's/^([^:]*):x:[0-9]*:([0-9]*):.*/\1:x:\2:/' /etc/passwd >/etc/group
printf '127.0.0.1 localhost\n10.99.0.1 gpu-node-1 gpu-node-2\n' >/etc/hosts
printf 'passwd: files\ngroup: files\nhosts: files\n' >/etc/nsswitch.conf
dd if=/dev/urandom of=/etc/munge/munge.key bs=128 count=1 status=none
chown -R munge: /run/munge /var/log/munge /var/lib/munge /etc/munge
chmod 700 /etc/munge /var/log/munge /var/lib/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
chown alice: /home/alice
chown bob: /home/bob
chmod 600 /etc/slurm/slurmdbd.conf

setpriv --reuid munge --regid munge --clear-groups munged
mariadb-install-db --user=mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
chown -R mysql: /var/lib/mysql /run/mysqld
mariadbd --user=mysql --skip-networking --innodb-buffer-pool-size=64M >/var/log/slurm/mariadb.log 2>&1 &
until_it_works mariadb-admin ping
# It has been seen to give up on a database that is up, but has just begun.
until_it_works sh -c 'pgrep -x slurmdbd || slurmdbd; sacctmgr -n show cluster'
sacctmgr -i add cluster lab >/dev/null
sacctmgr -i add account biolab >/dev/null
sacctmgr -i add qos urgent >/dev/null
sacctmgr -i add user alice,bob account=biolab >/dev/null
sacctmgr -i modify user alice,bob set qos+=normal,urgent >/dev/null
slurmctld
slurmd -N gpu-node-1
slurmd -N gpu-node-2
# shellcheck disable=SC2016  # the inner shell's to expand
until_it_works sh -c 'test "$(sinfo --noheader --states=idle --Node | grep -c .)" -ge 4'
echo READY
read -r _ || true
