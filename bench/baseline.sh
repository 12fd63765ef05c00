#!/usr/bin/env bash
# Turns blank machines into the cluster that site.yml makes, with nothing but ssh, tar and the official tools.
# It is the yardstick for site.yml: the same files, the same kubeadm commands, the same order, the same parallelism.
#
#   baseline.sh MACHINES KUBECONFIG
#
# MACHINES: a file with one machine a line: kind (lb, control_plane, worker), name, address, zone.
# KUBECONFIG: where to put the administrator's kubeconfig.
# Environment: VIP, SSH_KEY, KUBE_VERSION, ETCD_VERSION, PAUSE_VERSION, FLANNEL_VERSION, AGNHOST_VERSION,
#   and BUNDLE, the release's directory on the machines (/srv/bundles/KUBE_VERSION).
set -euo pipefail

MACHINES=$1
KUBECONFIG_OUT=$2
: "${VIP:?}" "${SSH_KEY:?}" "${KUBE_VERSION:?}" "${ETCD_VERSION:?}" "${PAUSE_VERSION:?}" "${FLANNEL_VERSION:?}"
: "${AGNHOST_VERSION:?}" "${BUNDLE:=/srv/bundles/$KUBE_VERSION}"
HERE=$(cd "$(dirname "$0")" && pwd)/baseline
WORK=$(mktemp -d)
umask 077

declare -A ADDRESS ZONE
LBS=() CONTROL_PLANES=() WORKERS=()
while read -r kind name address zone; do
    ADDRESS[$name]=$address ZONE[$name]=$zone
    case $kind in
        lb) LBS+=("$name") ;;
        control_plane) CONTROL_PLANES+=("$name") ;;
        worker) WORKERS+=("$name") ;;
        *) echo "unknown kind of machine: $kind" >&2; exit 2 ;;
    esac
done <"$MACHINES"
SEED=${CONTROL_PLANES[0]}
NODES=("${CONTROL_PLANES[@]}" "${WORKERS[@]}")
ALL=("${LBS[@]}" "${NODES[@]}")

# ---------------------------------------------------------------- ssh

SSH=(ssh -i "$SSH_KEY" -o "ControlPath=$WORK/%C" -o ControlMaster=auto -o ControlPersist=300 -o LogLevel=ERROR
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -l root)

close_connections() {
    for name in "${ALL[@]}"; do "${SSH[@]}" -O exit "${ADDRESS[$name]}" 2>/dev/null || true; done
    rm -rf "$WORK"
}
trap close_connections EXIT

# on MACHINE FUNCTION ARGUMENTS: run one of the functions below on a machine. Standard input goes there too.
on() {
    local machine=$1 function=$2
    shift 2
    "${SSH[@]}" "${ADDRESS[$machine]}" \
        "bash -c $(printf '%q' "set -euo pipefail; umask 022; $(declare -f "$function"); $function ${*@Q}")"
}

# on_each FUNCTION MACHINES...: run a function of this script for each machine, side by side; fail when one fails.
on_each() {
    local function=$1 name pids=() failed=0
    shift
    for name in "$@"; do
        "$function" "$name" >"$WORK/$function.$name.log" 2>&1 &
        pids+=("$!:$name")
    done
    for name in "${pids[@]}"; do
        if ! wait "${name%%:*}"; then
            echo "$function failed on ${name#*:}:" >&2
            tail -n 30 "$WORK/$function.${name#*:}.log" >&2
            failed=1
        fi
    done
    return "$failed"
}

# One value for every @NAME@ in the files under baseline/. Reads standard input.
render() {
    local name=$1
    sed -e "s|@NAME@|$name|g" -e "s|@ADDRESS@|${ADDRESS[$name]}|g" -e "s|@ZONE@|${ZONE[$name]}|g" \
        -e "s|@VIP@|$VIP|g" -e "s|@VRID@|${VIP##*.}|g" -e "s|@PEERS@|$(peers "$name")|g" \
        -e "s|@KUBE_VERSION@|$KUBE_VERSION|g" -e "s|@ETCD_VERSION@|$ETCD_VERSION|g" \
        -e "s|@PAUSE_VERSION@|$PAUSE_VERSION|g" -e "s|@FLANNEL_VERSION@|$FLANNEL_VERSION|g" \
        -e "s|@AGNHOST_VERSION@|$AGNHOST_VERSION|g" -e "s|@TOKEN@|${TOKEN-}|g" -e "s|@CA_HASH@|${CA_HASH-}|g" \
        -e "s|@CERTIFICATE_KEY@|${CERTIFICATE_KEY-}|g"
}

# The other load balancers' addresses.
peers() {
    local name
    for name in "${LBS[@]}"; do
        [ "$name" = "$1" ] || printf '%s ' "${ADDRESS[$name]}"
    done
}

# files MACHINE DIRECTORIES...: the rendered files of these directories as a tar archive, one round trip's worth.
files() {
    local name=$1 tree=$WORK/files.$1 directory path
    shift
    rm -rf "$tree"
    for directory in "$@"; do
        while read -r path; do
            mkdir -p "$tree/$(dirname "$path")"
            render "$name" <"$HERE/$directory/$path" >"$tree/$path"
        done < <(cd "$HERE/$directory" && find . -type f)
    done
    if [ -f "$tree/etc/haproxy/haproxy.cfg" ]; then
        cp "$WORK/ca.crt" "$tree/etc/haproxy/kube-ca.crt"
        for directory in "${CONTROL_PLANES[@]}"; do
            echo "    server $directory ${ADDRESS[$directory]}:6443" >>"$tree/etc/haproxy/haproxy.cfg"
        done
    fi
    find "$tree" -type d -exec chmod 0755 {} +
    find "$tree" -type f -exec chmod 0644 {} +
    tar -C "$tree" --owner=0 --group=0 -cf - .
}

began=$EPOCHREALTIME
phase() {
    awk -v now="$EPOCHREALTIME" -v began="$began" -v name="$1" 'BEGIN {printf "phase %6.1f %s\n", now - began, name}'
}

# ---------------------------------------------------------------- what runs on the machines

# Standard input: files. Arguments: the machine's name, the packages it needs.
prepare_machine() {
    local name=$1 package missing=()
    shift
    [ "$(hostname)" = "$name" ] || { echo "$name" >/etc/hostname; hostname "$name"; }
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}"
    fi
    tar -C / --no-overwrite-dir -xf -
    # A module that is built in cannot be loaded; one that is missing is found by the next line.
    modprobe -q -a overlay br_netfilter nf_conntrack || true
    sysctl -q -p /etc/sysctl.d/99-kubernetes.conf
}

# Binaries whose checksums hold, the runtime, the images, the kubelet's unit. Argument: control_plane or worker.
prepare_node() {
    local kind=$1 bundle=$2 path install refs ref
    entries() { # files or images of this kind of node: what jq would do
        python3 -c '
import json, sys
kind, bundle, part = sys.argv[1:]
for entry in json.load(open(bundle + "/manifest.json"))[part]:
    if kind in entry["roles"]:
        refs = [ref["ref"] for ref in entry.get("refs", [])]
        print(entry["path"], entry["sha256"], entry.get("install", "-"), *refs)' "$kind" "$bundle" "$1"
    }
    { entries files; entries images; } | awk -v dir="$bundle" '{print $2 "  " dir "/" $1}' | sha256sum --quiet -c
    while read -r path _ install _; do
        install -D -m 0755 "$bundle/$path" "$install.new"
        mv "$install.new" "$install"
    done < <(entries files)
    chmod 0600 /etc/systemd/system/kubelet.service
    mkdir -p /etc/containerd/certs.d /etc/cni/net.d /etc/kubernetes
    install -d -m 0700 /etc/kubernetes/manifests /var/lib/kubelet
    systemctl daemon-reload
    systemctl enable -q --now containerd.service
    systemctl enable -q kubelet.service
    while read -r path _ _ refs; do
        ctr -n k8s.io images import --local --label io.cri-containerd.pinned=pinned "$bundle/$path" >/dev/null
        for ref in $refs; do
            ctr -n k8s.io images ls -q "name==$ref" | grep -qxF "$ref"
        done
    done < <(entries images)
}

# Standard input: the kubeadm configuration. Arguments: kubeadm's.
run_kubeadm() {
    local status=0
    install -m 0600 /dev/stdin /run/kubeadm.yaml
    kubeadm "$@" --config /run/kubeadm.yaml || status=$?
    rm -f /run/kubeadm.yaml
    if [ -f /var/lib/kubelet/config.yaml ]; then
        chmod 0600 /var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml
    fi
    return "$status"
}

public_ca() { cat /etc/kubernetes/pki/ca.crt; }

ca_hash() {
    openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1
}

# Standard input: files.
start_balancer() {
    tar -C / --no-overwrite-dir -xf -
    chmod 0600 /etc/keepalived/keepalived.conf
    chmod 0755 /etc/keepalived/check-haproxy
    haproxy -c -q -f /etc/haproxy/haproxy.cfg
    keepalived -t -f /etc/keepalived/keepalived.conf
    systemctl enable -q haproxy.service keepalived.service
    systemctl restart haproxy.service keepalived.service
}

# Standard input: files.
prepare_control_plane() {
    tar -C / --no-overwrite-dir -xf -
    install -d -m 0700 /etc/kubernetes/audit /etc/kubernetes/encryption /var/log/kubernetes /var/log/kubernetes/audit
    chmod 0600 /etc/kubernetes/audit/policy.yaml
}

make_encryption_key() {
    umask 077
    cat >/etc/kubernetes/encryption/config.yaml <<YAML
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox: {keys: [{name: key1, secret: $(head -c 32 /dev/urandom | base64)}]}
      - identity: {}
YAML
}

read_encryption_key() { cat /etc/kubernetes/encryption/config.yaml; }
write_encryption_key() { umask 077; cat >/etc/kubernetes/encryption/config.yaml; }
read_kubeconfig() { cat /etc/kubernetes/admin.conf; }
apply_manifest() { kubectl --kubeconfig /etc/kubernetes/admin.conf apply --server-side -f - >/dev/null; }

# No secret of the joins is left behind.
delete_join_secrets() {
    export KUBECONFIG=/etc/kubernetes/admin.conf
    kubectl -n kube-system delete secret --ignore-not-found kubeadm-certs
    kubectl -n kube-system delete secret --field-selector type=bootstrap.kubernetes.io/token
}

# Nodes Ready, CoreDNS available, etcd healthy, every API server ready; from a pod on every node to the next one's, to
# a Service and to its name. Standard input: the pods. Arguments: the number of nodes, the API servers' addresses.
verify() {
    local nodes=$1 address pods addresses service index pids=()
    shift
    export KUBECONFIG=/etc/kubernetes/admin.conf
    kubectl apply --server-side -f - >/dev/null
    until [ "$(kubectl get nodes -o name | wc -l)" -eq "$nodes" ]; do sleep 0.5; done
    kubectl wait --for=condition=Ready nodes --all --timeout=180s >/dev/null
    kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=180s >/dev/null
    etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt \
        --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key \
        endpoint health --cluster 2>/dev/null
    for address in "$@"; do
        kubectl --server="https://$address:6443" get --raw /readyz >/dev/null
    done
    kubectl -n baseline-verify rollout status daemonset/web --timeout=180s >/dev/null
    mapfile -t pods < <(kubectl -n baseline-verify get pods -o name | cut -d/ -f2)
    mapfile -t addresses < <(kubectl -n baseline-verify get pods -o jsonpath='{range .items[*]}{.status.podIP}{"\n"}{end}')
    service=$(kubectl -n baseline-verify get service web -o jsonpath='{.spec.clusterIP}')
    dial() { # a pod, whom it reaches
        local answer
        answer=$(kubectl get --raw "/api/v1/namespaces/baseline-verify/pods/$1:8080/proxy/dial?host=$2&port=$3&request=hostname&protocol=http&tries=1")
        case $answer in *'"responses"'*) ;; *) echo "from $1 to $2: $answer" >&2; return 1 ;; esac
    }
    for index in "${!pods[@]}"; do
        dial "${pods[$index]}" "${addresses[$(((index + 1) % ${#pods[@]}))]}" 8080 & pids+=($!)
        dial "${pods[$index]}" "$service" 80 & pids+=($!)
        dial "${pods[$index]}" web.baseline-verify.svc.cluster.local. 80 & pids+=($!)
    done
    for index in "${pids[@]}"; do wait "$index"; done
    kubectl delete namespace baseline-verify --wait=false >/dev/null
}

# ---------------------------------------------------------------- the order

kind_of() { case " ${CONTROL_PLANES[*]} " in *" $1 "*) echo control_plane ;; *) echo worker ;; esac; }

node() {
    files "$1" all node | on "$1" prepare_machine "$1" conntrack ethtool iproute2 iptables kmod nftables socat
    on "$1" prepare_node "$(kind_of "$1")" "$BUNDLE"
}
machine() {
    case " ${LBS[*]} " in
        *" $1 "*)
            files "$1" all | on "$1" prepare_machine "$1" conntrack ethtool iproute2 iptables kmod nftables socat \
                curl haproxy keepalived
            ;;
        *) node "$1" ;;
    esac
}
balancer() { files "$1" lb | on "$1" start_balancer; }
join_worker() { render "$1" <"$HERE/kubeadm/join-worker.yaml" | on "$1" run_kubeadm join; }
join_control_plane() {
    files "$1" control_plane | on "$1" prepare_control_plane
    on "$SEED" read_encryption_key | on "$1" write_encryption_key
    render "$1" <"$HERE/kubeadm/join-control-plane.yaml" | on "$1" run_kubeadm join
}

random_hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }
TOKEN=$(random_hex 3).$(random_hex 8)
CERTIFICATE_KEY=$(random_hex 32)

on_each machine "${ALL[@]}"
phase "machines prepared"

files "$SEED" control_plane | on "$SEED" prepare_control_plane
on "$SEED" make_encryption_key
render "$SEED" <"$HERE/kubeadm/init.yaml" | on "$SEED" run_kubeadm init phase certs ca >/dev/null
on "$SEED" public_ca >"$WORK/ca.crt"
CA_HASH=sha256:$(on "$SEED" ca_hash)
on_each balancer "${LBS[@]}"
phase "load balancers started"

render "$SEED" <"$HERE/kubeadm/init.yaml" |
    on "$SEED" run_kubeadm init --upload-certs --skip-token-print --skip-certificate-key-print >"$WORK/init.log" 2>&1 ||
    { tail -n 30 "$WORK/init.log" >&2; exit 1; }
on "$SEED" read_kubeconfig >"$KUBECONFIG_OUT"
render "$SEED" <"$HERE/flannel.yaml" | on "$SEED" apply_manifest
phase "first control plane and pod network"

for name in "${CONTROL_PLANES[@]:1}"; do
    on_each join_control_plane "$name"
done
phase "control planes joined"

on_each join_worker "${WORKERS[@]}"
phase "workers joined"

on "$SEED" delete_join_secrets >/dev/null
control_plane_addresses=()
for name in "${CONTROL_PLANES[@]}"; do control_plane_addresses+=("${ADDRESS[$name]}"); done
render "$SEED" <"$HERE/verify.yaml" | on "$SEED" verify "${#NODES[@]}" "${control_plane_addresses[@]}"
phase "verified"
