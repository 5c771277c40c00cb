#!/bin/sh
# Becomes the first process of a lab host, in fresh mount, UTS, IPC, PID and network namespaces.
# Wants: LAB (folder of the lab), HOST (name), ADDRESS (with prefix length), MAC, SWITCH (the lab's network namespace).
set -eu
folder=$LAB/hosts/$HOST

# /proc is still the outer one here, so this is our pid as the controller sees it.
read -r pid _ </proc/self/stat

ip link set lo up
ip link add eth0 address "$MAC" type veth peer name "$HOST" netns "$SWITCH"
nsenter --net="$SWITCH" ip link set "$HOST" master switch
[ -e "$folder/cable-out" ] || nsenter --net="$SWITCH" ip link set "$HOST" up
ip address add "$ADDRESS" dev eth0
ip link set eth0 up
hostname "$HOST"

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=0755 run /run
mkdir -p /run/lock /run/libvirt
mount --bind "$folder/hosts" /etc/hosts
mount --bind "$folder/etc" /etc/libvirt
mount --bind "$folder/lib" /var/lib/libvirt
mount --bind "$folder/log" /var/log/libvirt
mount --bind "$folder/cache" /var/cache/libvirt
mount --bind "$folder/local" "$LAB/local"

# A /dev without kvm: nested KVM can exist and yet hang guests.
mount -t tmpfs -o mode=0755 dev /dev
mkdir /dev/net /dev/pts /dev/shm
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/tty c 5 0
mknod -m 600 /dev/net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr

echo "$pid" >"$folder/pid.draft"
mv "$folder/pid.draft" "$folder/pid"
rm "$folder/booting"

virtlockd --daemon
# A QEMU about to begin registers its disks with virtlockd in a child that only forked: it waits for ever if another
# thread held the lock of GLib's slices then (before GLib 2.76), and everything on the host with it.
export G_SLICE=always-malloc
libvirtd --daemon --listen
touch /run/booted

# tini reaps orphans: without it a dead QEMU stays a zombie and libvirt takes 40 s to believe in its death.
exec tini -- sleep infinity
