#!/usr/bin/env bash
# Upgrades the cluster that site.yml has made, with nothing but ssh, kubectl and kubeadm's own upgrade.
# It is the yardstick for upgrade.yml: the same order, the same drains, the same backends out of HAProxy meanwhile, the
# same kubeadm calls, as kubeadm's documentation has them.
#
#   upgrade.sh MACHINES
#
# MACHINES: a file with one machine a line: kind (lb, control_plane, worker), name, address, zone.
# Environment: SSH_KEY, KUBE_VERSION, ETCD_VERSION, and BUNDLE, the release's directory on the machines.
set -euo pipefail

MACHINES=$1
: "${SSH_KEY:?}" "${KUBE_VERSION:?}" "${ETCD_VERSION:?}" "${BUNDLE:=/srv/bundles/$KUBE_VERSION}"
WORK=$(mktemp -d)

declare -A ADDRESS
LBS=() CONTROL_PLANES=() WORKERS=()
while read -r kind name address _zone; do
    ADDRESS[$name]=$address
    case $kind in
        lb) LBS+=("$name") ;;
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

began=$EPOCHREALTIME
phase() {
    awk -v now="$EPOCHREALTIME" -v began="$began" -v name="$1" 'BEGIN {printf "phase %6.1f %s\n", now - began, name}'
}

backend() {
    local lb
    for lb in "${LBS[@]}"; do
        on "$lb" "echo 'set server kube_api/$1 state $2' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"
    done
}

KUBECTL="kubectl --kubeconfig /etc/kubernetes/admin.conf"
SEED=${CONTROL_PLANES[0]}

drain() {
    on "$SEED" "$KUBECTL drain $1 --ignore-daemonsets --delete-emptydir-data --timeout=300s"
}

# The kubelet's new program, and the node Ready with it.
kubelet() {
    on "$1" "install $BUNDLE/bin/kubectl $BUNDLE/bin/kubelet /usr/bin/ && systemctl daemon-reload && systemctl restart kubelet"
    on "$SEED" "until [ \"\$($KUBECTL get node $1 -o 'jsonpath={.status.nodeInfo.kubeletVersion}')\" = v$KUBE_VERSION ]; do
        sleep 1; done; $KUBECTL wait --for=condition=Ready node/$1 --timeout=300s"
    on "$SEED" "$KUBECTL uncordon $1"
}

# ---------------------------------------------------------------- the upgrade

for name in "${CONTROL_PLANES[@]}" "${WORKERS[@]}"; do
    kinds="node control-plane"
    [[ " ${WORKERS[*]} " != *" $name "* ]] || kinds=node
    on "$name" "for kind in $kinds; do
        ctr -n k8s.io images import --local --label io.cri-containerd.pinned=pinned $BUNDLE/images/\$kind.tar >/dev/null; done"
done
phase images

on "$SEED" "$KUBECTL -n kube-system get configmap kubeadm-config -o yaml |
    sed -E 's/(imageTag: ).*-0/\\1$ETCD_VERSION-0/' | $KUBECTL apply -f - 2>/dev/null"
cat >"$WORK/upgrade.yaml" <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
apply: {kubernetesVersion: v$KUBE_VERSION, ignorePreflightErrors: [SystemVerification], imagePullPolicy: IfNotPresent}
node: {ignorePreflightErrors: [SystemVerification], imagePullPolicy: IfNotPresent}
EOF
for name in "${CONTROL_PLANES[@]}" "${WORKERS[@]}"; do
    "${SSH[@]}" "${ADDRESS[$name]}" 'cat >/run/upgrade.yaml' <"$WORK/upgrade.yaml"
done

for name in "${CONTROL_PLANES[@]}"; do
    backend "$name" drain
    drain "$name"
    on "$name" "install $BUNDLE/bin/kubeadm /usr/bin/"
    if [ "$name" = "$SEED" ]; then
        on "$name" "kubeadm upgrade apply --yes --config /run/upgrade.yaml"
    else
        on "$name" "kubeadm upgrade node --config /run/upgrade.yaml"
    fi
    kubelet "$name"
    backend "$name" ready
    phase "$name"
done
for name in "${WORKERS[@]}"; do
    drain "$name"
    on "$name" "install $BUNDLE/bin/kubeadm /usr/bin/ && kubeadm upgrade node --config /run/upgrade.yaml"
    kubelet "$name"
    phase "$name"
done
on "$SEED" "$KUBECTL -n kube-system rollout status deployment/coredns --timeout=300s
    $KUBECTL -n kube-system rollout status daemonset/kube-proxy --timeout=300s" >/dev/null
phase add-ons
