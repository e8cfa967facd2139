# shellcheck shell=bash
# A RabbitMQ of our own, on loopback ports, with its own epmd (Erlang's name service), cookie and data. Sourced after
# processes.sh.

RABBITMQ_SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server

# rabbitmq_user: the account that it runs as.
rabbitmq_user() {
    if ((EUID != 0)); then
        id -un
    elif id rabbitmq >/dev/null 2>&1; then
        printf 'rabbitmq\n'
    else
        printf 'nobody\n'
    fi
}

# epmd_start PORT: starts the name service as the process `epmd`. Nodes register again when it comes back.
epmd_start() { start_process epmd "$(rabbitmq_user)" epmd -address 127.0.0.1 -port "$1"; }

# rabbitmq_start DIR PORT DIST_PORT EPMD_PORT [MANAGEMENT_PORT]: starts the node as the process `rabbitmq`, with the
# management plugin if a port is given for it. The node's name never changes, so its data is found again on any port.
rabbitmq_start() {
    local dir=$1 port=$2 dist_port=$3 epmd_port=$4 management_port=${5:-} user plugins='' files
    user=$(rabbitmq_user)
    install -d -m 700 "$dir"
    {
        printf 'listeners.tcp.1 = 127.0.0.1:%s\n' "$port"
        printf 'log.console = true\nlog.console.use_colors = off\nlog.file = false\n'
        if [[ -n $management_port ]]; then
            printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n' "$management_port"
            plugins=rabbitmq_management
        fi
    } >"$dir/rabbitmq.conf"
    printf '[%s].\n' "$plugins" >"$dir/enabled_plugins"
    ((EUID != 0)) || chown -R "$user" "$dir"

    # Erlang allocates a table for all the files that it may open, so "unlimited" must not reach it.
    files=$(ulimit -Hn)
    [[ $files != unlimited ]] && ((files <= 65536)) || files=65536
    # Its schedulers would otherwise spin for work on cores that the services need (+sbwt).
    local environment=(
        "HOME=$dir" LANG=C.UTF-8
        ERL_EPMD_ADDRESS=127.0.0.1 "ERL_EPMD_PORT=$epmd_port"
        RABBITMQ_NODENAME=shop@localhost "RABBITMQ_DIST_PORT=$dist_port"
        "RABBITMQ_MNESIA_BASE=$dir/data" "RABBITMQ_LOG_BASE=$dir/log" "RABBITMQ_GENERATED_CONFIG_DIR=$dir/config"
        "RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null
        "RABBITMQ_ADVANCED_CONFIG_FILE=$dir/advanced.config" "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins"
        RABBITMQ_ALLOW_INPUT=1 # with -noinput: the script becomes the node, instead of waiting for it
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
    )
    start_process rabbitmq "$user" prlimit "--nofile=$files" env "${environment[@]}" "$RABBITMQ_SERVER"
}

# rabbitmq_stop: the node first, then the name service.
rabbitmq_stop() {
    stop_process rabbitmq TERM 30
    stop_process epmd TERM 5
}
