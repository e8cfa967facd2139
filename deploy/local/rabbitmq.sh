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

# rabbitmq_define DIR USER:PASSWORD:TAG:CONFIGURE:WRITE:READ...: the users of the node in DIR from its next start on, with
# what each may do (patterns of names, as JSON has them), and `guest` without a password: nobody logs in as guest then. The
# node reads this at each start, so that passwords may be others each time.
rabbitmq_define() {
    local dir=$1 user name password tag configure write read users=() permissions=()
    install -d -m 700 "$dir"
    for user in "${@:2}"; do
        IFS=: read -r name password tag configure write read <<<"$user"
        users+=("$(rabbitmq_user_definition "$name" "$(rabbitmq_password_hash "$password")" "$tag")")
        permissions+=("{\"user\": \"$name\", \"vhost\": \"/\", \"configure\": \"$configure\", \"write\": \"$write\", \"read\": \"$read\"}")
    done
    users+=("$(rabbitmq_user_definition guest '' '')")
    (
        umask 077 && IFS=,
        printf '{"vhosts": [{"name": "/"}], "users": [%s], "permissions": [%s]}\n' "${users[*]}" "${permissions[*]}" \
            >"$dir/definitions.json"
    )
}

# rabbitmq_user_definition NAME HASH TAG: a user, in JSON.
rabbitmq_user_definition() {
    printf '{"name": "%s", "password_hash": "%s", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": [%s]}' \
        "$1" "$2" "${3:+\"$3\"}"
}

# rabbitmq_password_hash PASSWORD: base64 of a salt of four bytes and of the SHA-256 of both
# (https://www.rabbitmq.com/docs/passwords).
rabbitmq_password_hash() {
    local salt
    salt=$(openssl rand -hex 4 | sed 's/../\\x&/g')
    { printf '%b' "$salt" && { printf '%b' "$salt" && printf '%s' "$1"; } | openssl dgst -sha256 -binary; } | base64 --wrap=0
}

# rabbitmq_start DIR PORT DIST_PORT EPMD_PORT [MANAGEMENT_PORT]: starts the node as the process `rabbitmq`, with the
# management plugin if a port is given for it. The node's name never changes, so its data is found again on any port.
rabbitmq_start() {
    local dir=$1 port=$2 dist_port=$3 epmd_port=$4 management_port=${5:-} user plugins='' files
    user=$(rabbitmq_user)
    install -d -m 700 "$dir"
    {
        printf 'listeners.tcp.1 = 127.0.0.1:%s\n' "$port"
        printf 'log.console = true\nlog.console.use_colors = off\nlog.file = false\n'
        [[ ! -s $dir/definitions.json ]] || printf 'load_definitions = %s\n' "$dir/definitions.json"
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
