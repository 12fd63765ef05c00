#!/usr/bin/env bash
# Goes back to a snapshot of etcd on all control planes, with nothing but ssh, etcdutl and the kubelets.
# It is the yardstick for restore_etcd.yml: the same snapshot on every member, the same flags, all stopped before.
#
#   restore.sh MACHINES HOST SNAPSHOT
#
# MACHINES: a file with one machine a line: kind (lb, control_plane, worker), name, address, zone. SNAPSHOT: its path on
# the control plane HOST. Environment: SSH_KEY.
set -euo pipefail

MACHINES=$1 SOURCE=$2 SNAPSHOT=$3
: "${SSH_KEY:?}"
WORK=$(mktemp -d)

declare -A ADDRESS
CONTROL_PLANES=() WORKERS=()
while read -r kind name address _zone; do
    ADDRESS[$name]=$address
    case $kind in
        lb) ;;
        control_plane) CONTROL_PLANES+=("$name") ;;
        worker) WORKERS+=("$name") ;;
        *) echo "unknown kind of machine: $kind" >&2; exit 2 ;;
    esac
done <"$MACHINES"

SSH=(ssh -i "$SSH_KEY" -o "ControlPath=$WORK/%C" -o ControlMaster=auto -o ControlPersist=900 -o LogLevel=ERROR
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -l root)

close_connections() {
    for name in "${!ADDRESS[@]}"; do "${SSH[@]}" -O exit "${ADDRESS[$name]}" 2>/dev/null || true; done
    rm -rf "$WORK"
}
trap close_connections EXIT

# on MACHINE COMMAND: run a shell command there.
on() {
    "${SSH[@]}" "${ADDRESS[$1]}" "bash -c $(printf '%q' "set -euo pipefail; $2")" </dev/null
}

# everywhere COMMAND MACHINE...: side by side, until all have ended well.
everywhere() {
    local command=$1 pids=() pid
    shift
    for name in "$@"; do on "$name" "$command" & pids+=($!); done
    for pid in "${pids[@]}"; do wait "$pid"; done
}

began=$EPOCHREALTIME
phase() {
    awk -v now="$EPOCHREALTIME" -v began="$began" -v name="$1" 'BEGIN {printf "phase %6.1f %s\n", now - began, name}'
}

MEMBERS=""
for name in "${CONTROL_PLANES[@]}"; do MEMBERS+="${MEMBERS:+,}$name=https://${ADDRESS[$name]}:2380"; done
TOKEN="bare-$(date +%s)"

"${SSH[@]}" "${ADDRESS[$SOURCE]}" "umask 077 && cat $SNAPSHOT" </dev/null >"$WORK/snapshot.db"
for name in "${CONTROL_PLANES[@]}"; do
    "${SSH[@]}" "${ADDRESS[$name]}" 'umask 077 && cat >/var/lib/etcd-snapshot.db' <"$WORK/snapshot.db" &
done
wait
phase copied

pids=()
for name in "${CONTROL_PLANES[@]}"; do
    on "$name" "etcdutl snapshot restore /var/lib/etcd-snapshot.db --data-dir /var/lib/etcd-bare --name $name \
        --initial-cluster $MEMBERS --initial-cluster-token $TOKEN --bump-revision 1000000000 --mark-compacted \
        --initial-advertise-peer-urls https://${ADDRESS[$name]}:2380 2>/dev/null" & pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
phase restored

everywhere "mkdir -p /var/lib/held && cd /etc/kubernetes/manifests &&
    mv kube-apiserver.yaml kube-controller-manager.yaml kube-scheduler.yaml /var/lib/held/
    while pgrep -x 'kube-apiserver|kube-controller|kube-scheduler' >/dev/null; do sleep 0.5; done
    mv etcd.yaml /var/lib/held/; while pgrep -x etcd >/dev/null; do sleep 0.5; done" "${CONTROL_PLANES[@]}"
phase stopped

everywhere "mv /var/lib/etcd/member /var/lib/etcd/member-removed-bare-\$(date +%s) &&
    mv /var/lib/etcd-bare/member /var/lib/etcd/ && rm -r /var/lib/etcd-bare /var/lib/etcd-snapshot.db &&
    mv /var/lib/held/etcd.yaml /etc/kubernetes/manifests/
    until curl -sf http://127.0.0.1:2381/health >/dev/null; do sleep 0.5; done" "${CONTROL_PLANES[@]}"
phase etcd

everywhere "systemctl restart kubelet" "${CONTROL_PLANES[@]}" "${WORKERS[@]}"
everywhere "mv /var/lib/held/*.yaml /etc/kubernetes/manifests/
    until curl -skf https://127.0.0.1:6443/readyz >/dev/null; do sleep 0.5; done" "${CONTROL_PLANES[@]}"
phase serving
