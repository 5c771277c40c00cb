#!/bin/sh
# Boot a throwaway systemd over a copy-on-write view of this machine, and run the service in it.
# Wants: NAME, REPOSITORY, VENV, PROBE (a script that is run in it, at each of its two boots), OUT (an empty folder, for
# what that found). Runs in mount and PID namespaces of its own, and all that it mounts and starts ends with it.
set -eu
work=$OUT/work
mkdir -p "$work"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/overlay" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
root=$work/root

rm -f "$root/etc/machine-id"
: >"$root/etc/machine-id"
mkdir -p "$root/opt/venv" "$root/opt/reconciler" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
make --silent --directory="$REPOSITORY" install-files DESTDIR="$root"
systemd-sysusers --root="$root" reconciler.conf
systemd-tmpfiles --root="$root" --create reconciler.conf
cp -r "$REPOSITORY/specs/." "$root/etc/reconciler/specs/"
(umask 077 && echo password-of-h1 >"$root/etc/reconciler/credentials/h1-bmc")

printf '#!/bin/sh\nPYTHONPATH=/opt/reconciler exec /opt/venv/bin/python -m reconciler "$@"\n' >"$root/usr/bin/reconciler"
chmod 755 "$root/usr/bin/reconciler"

# ExecStartPre runs under the service's own restrictions.
mkdir "$root/etc/systemd/system/reconciler.service.d"
cat >"$root/etc/systemd/system/reconciler.service.d/probe.conf" <<'EOT'
[Service]
ExecStartPre=/bin/sh /opt/inside.sh
EOT
cat >"$root/opt/inside.sh" <<'EOT'
echo "user: $(id --user --name)"
echo "credential: $(cat "$CREDENTIALS_DIRECTORY/secret_h1-bmc")"
echo "original of the credential: $(cat /etc/reconciler/credentials/h1-bmc 2>/dev/null || echo hidden)"
echo "socket of the group libvirt: $(cat /opt/group-libvirt)"
echo "etc: $(touch /etc/probe 2>/dev/null && echo writable || echo read-only)"
echo "ssh: $(ssh -V 2>&1 | cut -c1-7)"
ssh -G example | grep '^userknownhostsfile'
echo "git: $(git --version | cut -c1-11)"
EOT
echo readable >"$root/opt/group-libvirt"
chroot "$root" chown root:libvirt /opt/group-libvirt
chmod 0640 "$root/opt/group-libvirt"

cp "$PROBE" "$root/opt/probe.sh"
cat >"$root/etc/systemd/system/probe.service" <<'EOT'
[Service]
Type=oneshot
ExecStart=/bin/sh /opt/probe.sh
TimeoutStartSec=2min
EOT
cat >"$root/etc/systemd/system/probe.target" <<'EOT'
[Unit]
Requires=probe.service basic.target
After=basic.target
EOT
for unit in libvirtd.socket virtlockd.socket virtlogd.socket systemd-udevd.service systemd-networkd-wait-online.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

boot() {
    systemd-nspawn --quiet --directory="$root" --machine="$NAME" --register=no --keep-unit --private-network \
        --bind-ro="$VENV:/opt/venv" --bind-ro="$REPOSITORY/reconciler:/opt/reconciler/reconciler" --bind="$OUT:/out" \
        --boot systemd.unit=probe.target </dev/null
}

boot
# A second time, after the power was cut.
boot
