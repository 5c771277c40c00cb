#!/bin/sh
# Runs in the throwaway systemd, once for each of its boots: does to the service what happens to services, and notes in
# /out what systemd tells of it then.
unit=reconciler.service
config=/etc/reconciler/config.yaml
state=/var/lib/reconciler

get() { systemctl show --property="$1" --value $unit; }
note() { systemctl show $unit >"/out/$1"; }

# wait_for PROPERTY PATTERN: for 30 s at the most; what is noted next tells if it was in vain.
wait_for() {
    for _ in $(seq 150); do
        # shellcheck disable=SC2254
        case $(get "$1") in $2) return ;; esac
        sleep 0.2
    done
}

# wait_for_another PID: until the service is up in another process.
wait_for_another() {
    for _ in $(seq 150); do
        now=$(get MainPID)
        [ "$now" = 0 ] || [ "$now" = "$1" ] || [ "$(get ActiveState)" != active ] || return 0
        sleep 0.2
    done
}

# As if somebody pulled the plug: nothing is asked to end.
finish() {
    journalctl --quiet --unit=$unit --output=cat >"/out/$1"
    systemctl poweroff --force --force
}

if [ -e /opt/rebooted ]; then
    wait_for ActiveState active
    note rebooted
    runuser -u reconciler -- reconciler resume VirtualMachine/web-1 --state-dir $state >/out/resumed 2>&1
    finish journal-rebooted
    exit
fi

systemctl start $unit
note running
stat --format='%U %a %n' $state /var/lib/reconciler/* >/out/state
systemctl stop $unit
note stopped

# From here on systemd is less patient than the unit as it is shipped.
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=3s\nRestartSec=300ms\nTimeoutAbortSec=2s\n' >/run/systemd/system/$unit.d/hasty.conf
systemctl daemon-reload
systemctl start $unit

echo 'shutdownTimeout: 5m' >>$config
systemctl reload $unit
echo "$?" >/out/reload
journalctl --sync
cp $config /opt/config.yaml
echo 'flete: typo' >>$config
systemctl reload $unit
echo "$?" >/out/reload-refused
note after-reloads

systemctl restart $unit
note misconfigured
cp /opt/config.yaml $config
systemctl start $unit

runuser -u reconciler -- reconciler pause VirtualMachine/web-1 --state-dir $state
pid=$(get MainPID)
kill -KILL "$pid"
wait_for_another "$pid"
note killed

pid=$(get MainPID)
kill -STOP "$pid"
wait_for_another "$pid"
note hung

systemctl stop $unit
mount -t tmpfs -o size=2m,mode=0700,uid="$(id -u reconciler)",gid="$(id -g reconciler)" tmpfs $state
systemctl start $unit
head -c 4M /dev/zero >$state/filler 2>/dev/null
touch /etc/reconciler/specs/again.yaml
systemctl kill --kill-whom=main --signal=HUP $unit
wait_for StatusText '*no space*'
note full
systemctl restart $unit
wait_for StatusText '*o space*'
note full-at-start
rm $state/filler
wait_for SubState running
wait_for StatusText '*VMs*'
note freed

systemctl stop $unit
mount -o remount,ro $state
systemctl start $unit
wait_for StatusText '*ead-only*'
note read-only
mount -o remount,rw $state
wait_for SubState running
wait_for StatusText '*VMs*'
note writable
umount --lazy $state

systemctl add-wants probe.target $unit
touch /opt/rebooted
sync
finish journal
