# shellcheck shell=bash
# The control plane: etcd, the API server, the controllers and the scheduler, as processes of the node.
# Sourced after network.sh.

# make_certificates: kubeadm's, for an API server at the node's address.
make_certificates() {
    cat >"$CLUSTER_DIR/kubeadm.yaml" <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: $NODE_ADDRESS, bindPort: 6443 }
nodeRegistration: { name: $NODE_NAME, criSocket: "unix://$CONTAINERD_SOCKET" }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $(tool_version kubernetes k8s.io/kubernetes)
certificatesDir: $CLUSTER_DIR/pki
networking: { serviceSubnet: $SERVICE_SUBNET, podSubnet: $POD_SUBNET }
END
    local kind
    for kind in certs kubeconfig; do
        run_kubeadm "$kind"
    done
    install -m 600 "$CLUSTER_DIR/admin.conf" "$CLUSTER_DIR/kubeconfig"
}

run_kubeadm() {
    local arguments=(init phase "$1" all --config "$CLUSTER_DIR/kubeadm.yaml")
    [[ $1 != kubeconfig ]] || arguments+=(--kubeconfig-dir "$CLUSTER_DIR")
    "$CLUSTER_DIR/bin/kubeadm" "${arguments[@]}" >>"$LOG_DIR/kubeadm.log" 2>&1 9>&- 3>&- ||
        fail "kubeadm: $(last_log_line kubeadm) (log: $LOG_DIR/kubeadm.log)"
}

start_etcd() {
    rotate_log etcd
    # Nobody wants this data after a power failure. Thousands of objects in all their versions must fit.
    start_in_node etcd "$CLUSTER_DIR/bin/etcd" --data-dir "$CLUSTER_DIR/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --quota-backend-bytes $((8 << 30))
}

start_api_server() {
    local pki=$CLUSTER_DIR/pki
    rotate_log kube-apiserver
    start_in_node kube-apiserver "$CLUSTER_DIR/bin/kube-apiserver" \
        --advertise-address "$NODE_ADDRESS" --secure-port 6443 \
        --etcd-servers http://127.0.0.1:2379 \
        --service-cluster-ip-range "$SERVICE_SUBNET" \
        --allow-privileged \
        --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
        --client-ca-file "$pki/ca.crt" \
        --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
        --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" \
        --kubelet-client-key "$pki/apiserver-kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
        --proxy-client-cert-file "$pki/front-proxy-client.crt" --proxy-client-key-file "$pki/front-proxy-client.key" \
        --requestheader-client-ca-file "$pki/front-proxy-ca.crt" --requestheader-allowed-names front-proxy-client \
        --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
        --requestheader-extra-headers-prefix X-Remote-Extra-
}

start_controllers() {
    local pki=$CLUSTER_DIR/pki limits=()
    # Their own limits are for a control plane on many machines, and bound everything where a thousand pods start at once.
    [[ -z ${CLUSTER_API_QPS:-} ]] || limits=(--kube-api-qps "$CLUSTER_API_QPS" --kube-api-burst $((CLUSTER_API_QPS * 2)))
    rotate_log kube-controller-manager
    rotate_log kube-scheduler
    start_in_node kube-controller-manager "$CLUSTER_DIR/bin/kube-controller-manager" \
        --kubeconfig "$CLUSTER_DIR/controller-manager.conf" \
        --authentication-kubeconfig "$CLUSTER_DIR/controller-manager.conf" \
        --authorization-kubeconfig "$CLUSTER_DIR/controller-manager.conf" \
        --bind-address 127.0.0.1 --leader-elect=false --use-service-account-credentials \
        --controllers '*,bootstrapsigner,tokencleaner' \
        --client-ca-file "$pki/ca.crt" --root-ca-file "$pki/ca.crt" \
        --requestheader-client-ca-file "$pki/front-proxy-ca.crt" \
        --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
        --service-account-private-key-file "$pki/sa.key" "${limits[@]}"
    start_in_node kube-scheduler "$CLUSTER_DIR/bin/kube-scheduler" \
        --kubeconfig "$CLUSTER_DIR/scheduler.conf" \
        --authentication-kubeconfig "$CLUSTER_DIR/scheduler.conf" \
        --authorization-kubeconfig "$CLUSTER_DIR/scheduler.conf" \
        --bind-address 127.0.0.1 --leader-elect=false "${limits[@]}"
}

# admit_admin: what `kubeadm init` grants: to the administrators everything, to the API server the kubelet's logs.
admit_admin() {
    bind_role kubeadm:cluster-admins cluster-admin --group kubeadm:cluster-admins
    bind_role kube-apiserver-kubelet-client system:kubelet-api-admin --user kube-apiserver-kubelet-client
}

# bind_role NAME ROLE SUBJECT...: with the credentials of last resort, the only ones that have a right from the start.
bind_role() {
    local error
    error=$("$CLUSTER_DIR/bin/kubectl" --kubeconfig "$CLUSTER_DIR/super-admin.conf" \
        create clusterrolebinding "$1" --clusterrole "$2" "${@:3}" 2>&1) || fail "granting $2: ${error//$'\n'/ }"
}
