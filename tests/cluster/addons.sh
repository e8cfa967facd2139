# shellcheck shell=bash
# What runs in the cluster from the start: names (CoreDNS) and volumes (local-path-provisioner). Sourced after state.sh.

install_addons() {
    local error
    error=$(kubectl apply --filename "$CLUSTER_FILES/manifests" 2>&1 >/dev/null) || fail "kubectl apply: $(tail -n 1 <<<"$error")"
}

addons_are_ready() {
    local deployment error
    for deployment in kube-system/coredns local-path-storage/local-path-provisioner; do
        error=$(kubectl --namespace "${deployment%/*}" rollout status "deployment/${deployment#*/}" --timeout=120s 2>&1) ||
            fail "$deployment does not become ready: $(tail -n 1 <<<"$error")"
    done
}
