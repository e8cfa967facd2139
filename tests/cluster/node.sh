# shellcheck shell=bash
# The node: containerd, the kubelet and kube-proxy. Sourced after network.sh.

NODE_NAME=shop-node
CONTAINERD_SOCKET=/run/containerd/containerd.sock # inside the node

start_containerd() {
    mkdir -p "$CLUSTER_DIR/containerd"
    write_cni_config
    cat >"$CLUSTER_DIR/containerd.toml" <<END
version = 3
root = "$CLUSTER_DIR/containerd"
state = "/run/containerd"

[grpc]
address = "$CONTAINERD_SOCKET"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "$PAUSE_IMAGE"

[plugins.'io.containerd.cri.v1.runtime']
# To ask for a lower score than one's own takes a privilege that a container of a container does not have.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["$(cni_plugins)"]
conf_dir = "$CLUSTER_DIR/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
END
    rotate_log containerd
    start_in_node containerd env "PATH=$CLUSTER_DIR/bin:$PATH" containerd --config "$CLUSTER_DIR/containerd.toml"
    wait_for containerd 60 containerd_answers || cannot_start containerd
}

# shellcheck disable=SC2317 # wait_for calls it
containerd_answers() { ctr version >/dev/null 2>&1; }

# cni_plugins: where Debian puts them, or most others.
cni_plugins() {
    local folder
    for folder in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
        [[ ! -x $folder/bridge ]] || { printf '%s' "$folder" && return; }
    done
    return 1
}

# ctr ARGUMENT...: containerd's own client, on the images and containers of Kubernetes.
ctr() { in_node "$CLUSTER_DIR/bin/ctr" --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

start_kubelet() {
    : >"$CLUSTER_DIR/resolv.conf" # no name server outside: CoreDNS is all there is
    make_cgroups
    cat >"$CLUSTER_DIR/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  x509: { clientCAFile: $CLUSTER_DIR/pki/ca.crt }
  webhook: { enabled: true }
  anonymous: { enabled: false }
authorization: { mode: Webhook }
cgroupDriver: cgroupfs
cgroupRoot: /$(cgroup_name)
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
resolvConf: $CLUSTER_DIR/resolv.conf
clusterDNS: [$DNS_ADDRESS]
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/volume-plugins
maxPods: 250
# An image that was removed to save space could not be had again, and the disk is shared with everything else.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: { memory.available: 100Mi, nodefs.available: 500Mi, imagefs.available: 500Mi }
END
    rotate_log kubelet
    start_in_node kubelet env "PATH=$CLUSTER_DIR/bin:$PATH" kubelet --config "$CLUSTER_DIR/kubelet.yaml" \
        --kubeconfig "$CLUSTER_DIR/kubelet.conf" --hostname-override "$NODE_NAME" --node-ip "$NODE_ADDRESS"
}

start_kube_proxy() {
    cat >"$CLUSTER_DIR/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $NODE_NAME
clusterCIDR: $POD_SUBNET
oomScoreAdj: 0
clientConnection: { kubeconfig: $CLUSTER_DIR/admin.conf }
# These limits belong to the machine.
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
END
    rotate_log kube-proxy
    start_in_node kube-proxy env "PATH=$CLUSTER_DIR/bin:$PATH" kube-proxy --config "$CLUSTER_DIR/kube-proxy.yaml"
}

cannot_start() { fail "$1 could not start: $(last_log_line "$1") (log: $LOG_DIR/$1.log)"; }
