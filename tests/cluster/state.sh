# shellcheck shell=bash
# Where the cluster's state is, and the namespaces that it runs in. Sourced after processes.sh.
#
# The node is a set of namespaces (mounts, network, processes) with a process 1 of its own, as a node of kind is a
# container. Everything of the cluster runs inside: when process 1 is killed, the kernel ends every process in there,
# unmounts every mount, and removes every device and firewall rule, whatever state they were in. What is left to clean
# up is a folder, a network device and some control groups.

marker=.shop-cluster-state # a folder without it is not ours to remove

# use_cluster_dir: sets CLUSTER_DIR to its absolute name and makes sure that it is ours.
use_cluster_dir() {
    CLUSTER_DIR=${CLUSTER_DIR:-$ROOT/.shop-cluster}
    mkdir -p "$CLUSTER_DIR" || fail "cannot create $CLUSTER_DIR"
    CLUSTER_DIR=$(cd "$CLUSTER_DIR" && pwd -P)
    case $CLUSTER_DIR/ in
        # The node has other files than the machine there.
        /run/* | /var/lib/* | /var/log/* | /proc/* | /sys/*) fail "CLUSTER_DIR can't be in $CLUSTER_DIR: choose another place" ;;
        *[![:alnum:]/._-]*) fail "CLUSTER_DIR may have letters, digits and / . _ - only, not: $CLUSTER_DIR" ;;
    esac
    if [[ ! -e $CLUSTER_DIR/$marker ]]; then
        [[ -z $(ls -A "$CLUSTER_DIR") ]] || fail "$CLUSTER_DIR has other things in it: choose another CLUSTER_DIR"
        : >"$CLUSTER_DIR/$marker"
    fi
    use_directories "$CLUSTER_DIR/run" "$CLUSTER_DIR/logs"
    export KUBECACHEDIR=$CLUSTER_DIR/kubectl-cache # not in the user's home
}

# take_lock SECONDS: one up, down or load at a time. It ends with this process.
take_lock() {
    while true; do
        use_cluster_dir
        exec 9<"$CLUSTER_DIR"
        flock --wait "$1" 9 || fail "another command is at work on $CLUSTER_DIR"
        # Whoever had the lock may have removed the folder.
        [[ ! $CLUSTER_DIR -ef /dev/fd/9 ]] || return 0
    done
}

# node_start: starts the node's process 1, in namespaces of its own.
node_start() {
    mkdir -p "$CLUSTER_DIR"/node/{log,lib,lib-work,kubelet,volumes,tunables}
    start_process node root unshare --mount --propagation slave --net --pid --fork --kill-child=KILL \
        "$CLUSTER_FILES/node_init" "$ROOT" "$CLUSTER_DIR" 3>&-
    wait_for node 10 is_running init || fail "the node could not start: $(last_log_line node)"
}

# node_is_running: any process of it that we started.
node_is_running() {
    local file
    for file in "$RUN_DIR"/*.pid; do
        ! is_running "$(basename "$file" .pid)" || return 0
    done
    return 1
}

node_has_gone() { ! node_is_running; }

# node_stop: kills all of it. Process 1 is gone only when every process that it had is.
node_stop() {
    local name pid
    for name in init node; do
        ! pid=$(running_pid "$name") || kill -KILL "$pid" 2>/dev/null || true
    done
    wait_until 60 node_has_gone || fail "the node's processes do not end (pid $(running_pid init))"
}

# in_node COMMAND...: runs a command inside the node. It sees the machine's files, but the node's processes and network.
in_node() {
    local init
    init=$(running_pid init) || fail 'the node is not running'
    nsenter "--target=$init" --mount --net --pid -- "$@" 9>&-
}

# start_in_node NAME COMMAND...: a process that stays, with its output in $LOG_DIR/NAME.log.
start_in_node() {
    local init
    init=$(running_pid init) || fail "the node has died: $(last_log_line node)"
    start_process "$1" root nsenter "--target=$init" --mount --net --pid -- "${@:2}" 3>&-
}

# cluster_answers: as seen from outside, with the credentials that `up` hands out. `up` makes the file `ready` last.
cluster_answers() {
    [[ -e $CLUSTER_DIR/ready ]] && kubectl get --raw=/readyz --request-timeout=3s >/dev/null 2>&1
}

kubectl() { KUBECONFIG=$CLUSTER_DIR/kubeconfig "$CLUSTER_DIR/bin/kubectl" "$@" 9>&-; }

# cgroup_name: of this cluster's control groups, unlike another's.
cgroup_name() { printf 'shop-cluster-%s' "$(cksum <<<"$CLUSTER_DIR" | cut -d ' ' -f 1)"; }

# cgroup_roots: where control groups are made, one line each: a folder for each controller (version 1), or one for all.
cgroup_roots() {
    local folder
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        printf '%s\n' /sys/fs/cgroup
    else
        for folder in /sys/fs/cgroup/*/; do
            [[ ! -e $folder/cgroup.procs ]] || printf '%s\n' "${folder%/}"
        done
    fi
}

# make_cgroups: the kubelet wants to find its root in place.
make_cgroups() {
    local folder controller
    while read -r folder; do
        mkdir -p "$folder/$(cgroup_name)"
        [[ -e $folder/cgroup.controllers ]] || continue
        for controller in $(<"$folder/cgroup.controllers"); do
            printf '+%s' "$controller" >"$folder/cgroup.subtree_control" || true
            printf '+%s' "$controller" >"$folder/$(cgroup_name)/cgroup.subtree_control" || true
        done
    done < <(cgroup_roots)
}

# remove_cgroups: with no process left in them they are empty folders.
remove_cgroups() {
    local folder
    while read -r folder; do
        [[ ! -d $folder/$(cgroup_name) ]] || find "$folder/$(cgroup_name)" -depth -type d -exec rmdir {} +
    done < <(cgroup_roots)
}

# clean_up: leaves nothing of the cluster but its folder, which is then empty.
clean_up() {
    ! node_is_running || say 'stopping the cluster'
    node_stop
    disconnect_node
    remove_cgroups
    find "$CLUSTER_DIR" -mindepth 1 -maxdepth 1 ! -name "$marker" -exec rm -rf --one-file-system {} +
    use_cluster_dir
}
