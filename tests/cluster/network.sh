# shellcheck shell=bash
# The network: a cable between the machine and the node. Sourced after state.sh.
#
# Pods and Services have addresses inside the node only, so two clusters may use the same ones. The machine reaches the
# node (the API server, NodePorts); a pod reaches the machine by the first address of the cable; nothing leads further.

POD_SUBNET=10.244.0.0/16
SERVICE_SUBNET=10.96.0.0/16
# shellcheck disable=SC2034 # node.sh
DNS_ADDRESS=10.96.0.10

# connect_node: sets NODE_ADDRESS and MACHINE_ADDRESS.
connect_node() {
    local number init error device='' subnet
    init=$(running_pid init) || fail "the node has died: $(last_log_line node)"
    for ((number = 0; number < 255; number++)); do
        subnet=${CLUSTER_SUBNET:-10.199.$number}
        if subnet_is_used "$subnet"; then
            [[ -z ${CLUSTER_SUBNET:-} ]] || fail "the addresses $subnet.0/24 are in use on this machine: choose another CLUSTER_SUBNET"
            continue
        fi
        # That a device of this name exists is found out by making it: another cluster may start at this moment.
        if error=$(ip link add "shop$number" type veth peer name uplink netns "$init" 2>&1); then
            device=shop$number
            break
        fi
        [[ $error == *'File exists'* ]] || fail "cannot make a network device: $error"
    done
    [[ -n $device ]] || fail 'no free network device from shop0 to shop254'
    MACHINE_ADDRESS=$subnet.1 NODE_ADDRESS=$subnet.2
    ip link set "$device" alias "$CLUSTER_DIR" # whose it is, should everything else be lost
    ip address add "$MACHINE_ADDRESS/24" dev "$device"
    ip link set "$device" up
    in_node ip address add "$NODE_ADDRESS/24" dev uplink
    in_node ip link set uplink up
    # A process of the node that calls a Service needs some route, or the packet never meets the rule that turns it.
    in_node ip route add "$SERVICE_SUBNET" via "$MACHINE_ADDRESS"
}

subnet_is_used() { ip -4 -oneline address show | grep -qF " inet $1."; }

# our_devices: those that `connect_node` made for this folder.
our_devices() {
    local device
    for device in /sys/class/net/shop*; do
        [[ ! -e $device/ifalias || $(<"$device/ifalias") != "$CLUSTER_DIR" ]] || printf '%s\n' "${device##*/}"
    done
}

# machine_address: the first address of the cable.
machine_address() {
    ip -4 -oneline address show dev "$(our_devices)" | sed -nE 's|.* inet ([0-9.]+)/.*|\1|p'
}

# disconnect_node: the kernel takes the cable away after the node, but not at once.
disconnect_node() {
    local device
    for device in $(our_devices); do
        ip link delete "$device" 2>/dev/null || true
    done
    wait_until 30 no_devices || fail "cannot remove the network device $(our_devices)"
}

no_devices() { [[ -z $(our_devices) ]]; }

# write_cni_config: how containerd connects a pod.
write_cni_config() {
    mkdir -p "$CLUSTER_DIR/cni"
    cat >"$CLUSTER_DIR/cni/10-pods.conflist" <<END
{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "pods",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{ "subnet": "$POD_SUBNET" }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
END
}
