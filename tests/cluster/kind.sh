# shellcheck shell=bash
# The cluster as kind runs it, on a machine with Docker. Sourced after state.sh.

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# A folder of its own has a cluster of its own.
kind_name() { printf 'shop-%s' "$(cksum <<<"$CLUSTER_DIR" | cut -d ' ' -f 1)"; }

runs_in_kind() { [[ -e $CLUSTER_DIR/kind ]]; }

kind_up() {
    local arguments=()
    mkdir -p "$CLUSTER_DIR/bin"
    lock_cache
    provide_kind_tools
    unlock_cache
    [[ -z ${KIND_NODE_IMAGE:-} ]] || arguments=(--image "$KIND_NODE_IMAGE")
    # What an earlier run has left half done; nothing answers in it.
    [[ ! -e $CLUSTER_DIR/kind ]] || kind_down
    : >"$CLUSTER_DIR/kind"
    say 'starting the cluster with kind'
    "$CLUSTER_DIR/bin/kind" create cluster --name "$(kind_name)" --config "$ROOT/deploy/kind/cluster.yaml" --wait 180s \
        --kubeconfig "$CLUSTER_DIR/kubeconfig" "${arguments[@]}" 9>&- 3>&- || fail 'kind could not start the cluster'
    : >"$CLUSTER_DIR/ready"
    cluster_answers || fail 'the cluster that kind has started does not answer'
}

# kind_gateway: the address of this machine on the network that kind's nodes are in.
kind_gateway() {
    docker network inspect kind --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -F . | grep -vF : | head -n 1
}

kind_down() {
    docker_answers || fail "the cluster in $CLUSTER_DIR runs in Docker, which does not answer"
    "$CLUSTER_DIR/bin/kind" delete cluster --name "$(kind_name)" --kubeconfig "$CLUSTER_DIR/kubeconfig" 9>&- ||
        fail 'kind could not delete the cluster'
}
