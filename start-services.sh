#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'END'
Usage: ./start-services.sh [--demo] [--demo-data] [--once] [--observe] [--stop] [--help]

Builds and starts the whole shop on this machine: PostgreSQL, RabbitMQ and the six services, each a process of its own.
Stays in the foreground until Ctrl-C, which stops everything it started. The data stays in .shop/.

Each service has a certificate, by which the others know it (mutual TLS), a role that owns its database and nothing else,
and, if it speaks to RabbitMQ, a user there that may do what it has to. No other account of the machine gets in.

  --demo       afterwards walks through register, log in, add a product, place an order, and shows each hop of the trace
  --demo-data  fills the shop: 60 products in 8 categories, six customers, whose logins are printed, and a week's orders in
               every state, all by the API, and so of the moment in which they were placed. What is there is left as it is
  --once       with these two: stops afterwards, with status 0 only if every step did what it should
  --observe    also a Prometheus that reads the metrics of all six, with the rules of deploy/observability, and a Jaeger that
               keeps their traces: the one of the PATH, or one that is built once with the Go that is here. Where neither
               is, the shop starts without
  --stop       stops a shop that runs in another terminal, or what a killed run has left
  --help       this text

Environment (all optional):
  DATABASE_URL      a PostgreSQL in which the databases users, inventory and orders exist or may be created
                    (postgres://user:password@host:port/postgres); otherwise an own one is started. A login that may make
                    roles gives each service its own there; otherwise all services use this login
  AMQP_URL          a RabbitMQ, whose login both services use; otherwise the one that answers at
                    amqp://guest:guest@localhost:5672/, likewise; otherwise an own one
  RATE_LIMIT=off    switches the gateway's rate limits off, for load tests
  MAX_OPEN_ORDERS   how many orders of one customer may be open; as many as a load test places as one (10000, up to 1000000)
  RUST_LOG, LOG_FORMAT, OTEL_*    reach the services unchanged (--demo receives the spans itself; with
                    OTEL_EXPORTER_OTLP_ENDPOINT --observe starts no Jaeger)
  ADMIN_EMAIL       the first admin, when .shop/admin.env is made (admin@shop.example)
  SHOP_DIR          where data, logs and credentials are kept (.shop)
  SHOP_PORT_OFFSET  added to every port, and no foreign RabbitMQ is looked for: with it and a SHOP_DIR of its own,
                    a second shop runs beside the first (0; up to 14000)
  SHOP_BIN_DIR      binaries to run instead of building them

Ports: 8080 gateway; 50051 orders, 50052 users, 50053 consumer, 50054 producer, 50055 inventory; 9080 and 9051-9055 health
and metrics; 5432 and 5672 for an own PostgreSQL and RabbitMQ, 9090 for Prometheus, 16686 and 4317 for Jaeger, or the next free
ones.
END
}

default_amqp_url=amqp://guest:guest@localhost:5672/

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$root/deploy/local/processes.sh"
source "$root/deploy/local/ports.sh"
source "$root/deploy/local/packages.sh"
source "$root/deploy/local/build.sh"
source "$root/deploy/local/supervise.sh"
source "$root/deploy/local/certificates.sh"
source "$root/deploy/local/postgres.sh"
source "$root/deploy/local/roles.sh"
source "$root/deploy/local/amqp.sh"
source "$root/deploy/local/rabbitmq.sh"
source "$root/deploy/local/prometheus.sh"
source "$root/deploy/local/jaeger.sh"

# In the order in which they start; each is stopped before those that it calls.
services=(producer-service user-service inventory-service order-service consumer-service api-gateway)
declare -A listen_ports=([api-gateway]=8080 [order-service]=50051 [user-service]=50052 [consumer-service]=50053 [producer-service]=50054 [inventory-service]=50055)
declare -A admin_ports=([api-gateway]=9080 [order-service]=9051 [user-service]=9052 [consumer-service]=9053 [producer-service]=9054 [inventory-service]=9055)
declare -A databases=([user-service]=users [inventory-service]=inventory [order-service]=orders)

main() {
    read_arguments "$@"
    make_directories
    if $stop; then
        stop_the_other
        return
    fi
    take_lock
    trap 'finish $?' EXIT
    exit_on_signals
    stop_leftovers
    check_ports
    install_missing
    choose_backends
    build
    ! $observe || find_jaeger
    prepare_certificates
    start_backends
    prepare_databases
    prepare_broker
    prepare_admin
    ! $demo || demo_port=$(free_port "$(port_of 4317)")
    [[ -z ${jaeger:-} ]] || start_jaeger
    start_services
    ! $observe || start_prometheus
    announce
    ! $demo || run_program demo "OTLP_LISTEN_ADDR=127.0.0.1:$demo_port"
    ! $demo_data || run_program demo-data
    ! $once || exit "$once_status"
    supervise_while true
}

read_arguments() {
    local argument
    demo=false demo_data=false once=false observe=false stop=false once_status=0
    for argument; do
        case $argument in
            --demo) demo=true ;;
            --demo-data) demo_data=true ;;
            --once) once=true ;;
            --observe) observe=true ;;
            --stop) stop=true ;;
            --help | -h) usage && exit 0 ;;
            *) fail "unknown argument $argument (see --help)" ;;
        esac
    done
    ! $stop || (($# == 1)) || fail '--stop stands alone (see --help)'
    ! $once || $demo || $demo_data || fail '--once belongs to --demo and --demo-data (see --help)'
    offset=${SHOP_PORT_OFFSET:-0}
    [[ $offset =~ ^[0-9]{1,5}$ && $offset -le 14000 ]] || fail "SHOP_PORT_OFFSET must be a number from 0 to 14000"
}

make_directories() {
    shop_dir=${SHOP_DIR:-$root/.shop}
    mkdir -p "$shop_dir" || fail "cannot create $shop_dir"
    shop_dir=$(cd "$shop_dir" && pwd)
    use_directories "$shop_dir/run" "$shop_dir/logs"
}

# One shop per folder. The lock ends with this process, however it ends.
take_lock() {
    exec 9>>"$RUN_DIR/lock"
    flock --wait 1 9 || fail "already running in $shop_dir (pid $(running_pid start-services || printf 'unknown')); --stop stops it"
    identity_of $$ >"$RUN_DIR/start-services.pid"
}

# shellcheck disable=SC2317 # the exit trap calls it
finish() {
    local status=$1
    set +e
    ignore_signals
    ((${#started[@]} == 0)) || say 'stopping'
    stop_process demo
    stop_process demo-data
    stop_supervised
    rm -f "$RUN_DIR/start-services.pid"
    exit "$status"
}

stop_the_other() {
    stop_process start-services TERM 120
    take_lock
    stop_leftovers
    rm -f "$RUN_DIR/start-services.pid"
}

# A run that was killed with -9 could stop nothing.
stop_leftovers() {
    local name left=()
    for name in epmd rabbitmq postgres jaeger "${services[@]}" prometheus demo demo-data; do
        ! is_running "$name" || left=("$name" "${left[@]}")
    done
    ((${#left[@]} == 0)) || say "stopping what an earlier run left: ${left[*]}"
    for name in "${left[@]}"; do stop "$name"; done
}

port_of() { printf '%s' $(($1 + offset)); }

check_ports() {
    local name port
    for name in "${services[@]}"; do
        for port in "${listen_ports[$name]}" "${admin_ports[$name]}"; do
            port=$(port_of "$port")
            port_is_free "$port" || fail "port $port, needed by $name, is in use$(port_holder "$port")"
        done
    done
}

rabbitmq_is_given() {
    [[ -n ${AMQP_URL:-} ]] || { ((offset == 0)) && amqp_answers "$default_amqp_url"; }
}

install_missing() {
    local packages=()
    if [[ -n ${DATABASE_URL:-} ]]; then
        command -v psql >/dev/null || packages+=(postgresql-client)
    else
        postgres_bin >/dev/null || packages+=(postgresql)
    fi
    [[ -x $RABBITMQ_SERVER ]] || rabbitmq_is_given || packages+=(rabbitmq-server)
    command -v openssl >/dev/null || packages+=(openssl)
    ! $observe || command -v prometheus >/dev/null || packages+=(prometheus)
    [[ -n ${SHOP_BIN_DIR:-} ]] || command -v cc >/dev/null || packages+=(gcc libc6-dev)
    install_packages "${packages[@]}"
}

# After the packages are in: Debian may have started a RabbitMQ with them.
choose_backends() {
    if [[ -z ${DATABASE_URL:-} ]]; then
        postgres_port=$(free_port "$(port_of 5432)")
    else
        postgres_database_url "$DATABASE_URL" x >/dev/null || fail "DATABASE_URL is not like postgres://user:password@host:port/database"
    fi
    if rabbitmq_is_given; then
        amqp_url=${AMQP_URL:-$default_amqp_url}
    else
        rabbitmq_port=$(free_port "$(port_of 5672)")
        # By the offset too: two shops that start at once would find the same port free.
        dist_port=$(free_port "$(port_of 16672)")
        epmd_port=$(free_port $((dist_port + 1)))
    fi
}

build() {
    local name arguments=() programs=("${services[@]}")
    ! $demo || programs+=(demo)
    ! $demo_data || programs+=(demo-data)
    bin_dir=${SHOP_BIN_DIR:-}
    if [[ -z $bin_dir ]]; then
        for name in "${programs[@]}"; do arguments+=(--bin "$name"); done
        say 'building: ten to fifteen minutes on two cores the first time, and then only what has changed'
        build_release "${arguments[@]}"
        bin_dir=$(release_folder "$(host_target)")
    fi
    bin_dir=$(cd "$bin_dir" && pwd)
    for name in "${programs[@]}"; do
        [[ -x $bin_dir/$name ]] || fail "there is no $name in $bin_dir"
    done
}

start_backends() {
    place_data
    if [[ -n ${postgres_port:-} ]]; then
        rotate_log postgres
        [[ -s $data/postgres.password ]] || write_secret "$data/postgres.password" "$(random_password)"
        postgres_create "$data/postgres" "$(<"$data/postgres.password")" || cannot_start postgres
        start_supervised postgres
        database_url=postgres://postgres:$(<"$data/postgres.password")@127.0.0.1:$postgres_port/postgres
    else
        database_url=$DATABASE_URL
    fi
    if [[ -n ${rabbitmq_port:-} ]]; then
        define_broker
        rotate_log epmd
        rotate_log rabbitmq
        start_supervised epmd
        start_supervised rabbitmq
    fi
    if [[ -n ${postgres_port:-} ]]; then
        wait_for postgres 120 postgres_answers "$database_url" || cannot_start postgres
    fi
    if [[ -n ${rabbitmq_port:-} ]]; then
        wait_for rabbitmq 120 amqp_answers "$amqp_url" || cannot_start rabbitmq
    elif [[ $amqp_url == amqp://* ]]; then
        wait_until 10 amqp_answers "$amqp_url" || fail 'the RabbitMQ of AMQP_URL does not take the login'
    fi
}

# The accounts of PostgreSQL and RabbitMQ can't enter a closed home such as /root: their data is then beside it.
place_data() {
    local elsewhere
    data=$shop_dir/data
    if [[ ! -e $data ]]; then
        if as_user "$(postgres_user)" test -x "$shop_dir"; then
            mkdir -p "$data"
        else
            elsewhere=/var/lib/shop/$(cksum <<<"$shop_dir" | cut -d ' ' -f 1)
            mkdir -p "$elsewhere"
            ln -sfn "$elsewhere" "$data"
            say "$shop_dir is closed to the database's account: its data is in $elsewhere"
        fi
    fi
    data=$(cd "$data" && pwd -P)
}

# The passwords of roles and users are made anew at each start, and kept in files for nobody else to read.
prepare_databases() {
    local error service name url password
    if ! error=$(postgres_query "$database_url" 'SELECT 1' 2>&1); then
        fail "PostgreSQL does not answer: ${error//$'\n'/ }"
    fi
    for service in "${!databases[@]}"; do
        name=${databases[$service]} password=$(random_password)
        url=$(postgres_database_url "$database_url" "$name")
        if error=$(own_database "$database_url" "$name" "$service" "$password"); then
            url=$(postgres_login_url "$url" "$service" "$password")
            [[ -n ${postgres_port:-} ]] || say "DATABASE_URL: the role $service was given the database $name, and is the only one to use it"
        else
            error=${error//$'\n'/ }
            [[ -z ${postgres_port:-} ]] || fail "the role $service and its database $name: $error"
            say "DATABASE_URL: its login can't give $service a role of its own ($error); $service uses that login itself, with all that it may do"
            create_database "$name"
        fi
        write_secret "$RUN_DIR/$name.database-url" "$url"
    done
    if [[ -n ${postgres_port:-} ]]; then
        error=$(shut_out_of "$database_url" postgres template1 2>&1) || fail "the database postgres: ${error//$'\n'/ }"
    fi
    write_secret "$RUN_DIR/administrator.database-url" "$database_url"
}

create_database() {
    local error
    [[ -z $(postgres_query "$database_url" "SELECT 1 FROM pg_database WHERE datname = '$1'") ]] || return 0
    error=$(postgres_query "$database_url" "CREATE DATABASE $1" 2>&1) || fail "the database $1: ${error//$'\n'/ }"
}

# What the operator lets a service's user do in a cluster (operator/src/provision/rabbitmq.rs), in our own RabbitMQ. Neither
# may declare anything: the administrator does that, once.
define_broker() {
    local administrator producer consumer events='^(shop\\.events)$' default='^(amq\\.default)$' # as JSON has them
    local queues='^(consumer-service\\.orders|consumer-service\\.orders\\.dead-letters)$'
    administrator=$(random_password) producer=$(random_password) consumer=$(random_password)
    rabbitmq_define "$data/rabbitmq" \
        "administrator:$administrator:administrator:.*:.*:.*" \
        "producer-service:$producer:::$events:" \
        "consumer-service:$consumer:::$default:$queues"
    amqp_url=amqp://administrator:$administrator@127.0.0.1:$rabbitmq_port/
    producer_amqp_url=amqp://producer-service:$producer@127.0.0.1:$rabbitmq_port/
    consumer_amqp_url=amqp://consumer-service:$consumer@127.0.0.1:$rabbitmq_port/
}

# AMQP knows no users to be made: a RabbitMQ that we were given is used with the login that we were given.
prepare_broker() {
    local error
    if [[ -z ${rabbitmq_port:-} ]]; then
        say "the RabbitMQ at ${amqp_url##*@} is not ours: producer-service and consumer-service share its login${AMQP_URL:+ of AMQP_URL}, and whoever else knows it can read and publish events, too"
        producer_amqp_url=$amqp_url consumer_amqp_url=$amqp_url
    fi
    write_secret "$RUN_DIR/administrator.amqp-url" "$amqp_url"
    write_secret "$RUN_DIR/producer-service.amqp-url" "$producer_amqp_url"
    write_secret "$RUN_DIR/amqp-url" "$consumer_amqp_url" # also for `consumer-service dead-letters`
    if [[ -n ${rabbitmq_port:-} ]]; then
        error=$(env -u AMQP_URL "AMQP_URL_FILE=$RUN_DIR/administrator.amqp-url" "$bin_dir/consumer-service" declare-topology 2>&1) ||
            fail "the queues: ${error//$'\n'/ }"
    fi
}

prepare_certificates() {
    tls=$shop_dir/tls
    rotate_log certificates
    certificates_create "$tls" "${services[@]}" || fail "the certificates in $tls: $(last_log_line certificates)"
}

# The first admin's credentials are made once; changing them here changes no account.
prepare_admin() {
    local key value file=$shop_dir/admin.env
    [[ -s $file ]] || write_secret "$file" "ADMIN_EMAIL=${ADMIN_EMAIL:-admin@shop.example}"$'\n'"ADMIN_PASSWORD=$(random_password)"$'\n'
    admin_email='' admin_password=''
    while IFS='=' read -r key value || [[ -n $key ]]; do
        case $key in
            ADMIN_EMAIL) admin_email=$value ;;
            ADMIN_PASSWORD) admin_password=$value ;;
        esac
    done <"$file"
    [[ -n $admin_email && -n $admin_password ]] || fail "$file has no ADMIN_EMAIL=… or no ADMIN_PASSWORD=…"
    write_secret "$RUN_DIR/admin-password" "$admin_password"
}

random_password() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# write_secret FILE VALUE: whole or not at all, and for nobody else to read.
write_secret() {
    (umask 077 && printf '%s' "$2" >"$1.new")
    mv "$1.new" "$1"
}

# Somebody who says where the spans go has what keeps them.
find_jaeger() {
    if [[ -n ${OTEL_EXPORTER_OTLP_ENDPOINT:-} ]]; then
        say 'OTEL_EXPORTER_OTLP_ENDPOINT says where traces go: no Jaeger of our own'
    else
        provide_jaeger
    fi
}

# Before the services, so that none of their spans is lost.
start_jaeger() {
    jaeger_otlp_port=$(free_port $((${demo_port:-$(port_of 4316)} + 1)))
    jaeger_port=$(free_port "$(port_of 16686)")
    rotate_log jaeger
    start_supervised jaeger
    wait_for jaeger 60 http_ok "$jaeger_port" /api/services || cannot_start jaeger
}

start_services() {
    local name
    # Jaeger hands them on to the demonstration.
    otlp_port=${jaeger_otlp_port:-${demo_port:-}}
    for name in "${services[@]}"; do
        rotate_log "$name"
        start_supervised "$name"
    done
    for name in "${services[@]}"; do
        wait_for "$name" 120 http_ok "$(port_of "${admin_ports[$name]}")" /readyz || cannot_start "$name"
    done
}

start_prometheus() {
    local name targets=()
    prometheus_port=$(free_port "$(port_of 9090)")
    for name in "${services[@]}"; do targets+=("$name=$(port_of "${admin_ports[$name]}")"); done
    rotate_log prometheus
    prometheus_configure "$shop_dir/prometheus" "$root/deploy/observability/prometheus" "${targets[@]}" ||
        fail "the configuration of Prometheus can't be written to $shop_dir/prometheus"
    start_supervised prometheus
    wait_for prometheus 60 http_ok "$prometheus_port" /-/ready || cannot_start prometheus
}

cannot_start() { fail "$1 could not start: $(last_log_line "$1") (log: $LOG_DIR/$1.log)"; }

# start NAME, stop NAME: what supervise.sh asks for.
start() {
    case $1 in
        postgres) postgres_start "$data/postgres" "$postgres_port" ;;
        epmd) epmd_start "$epmd_port" ;;
        rabbitmq) rabbitmq_start "$data/rabbitmq" "$rabbitmq_port" "$dist_port" "$epmd_port" ;;
        prometheus) prometheus_start "$shop_dir/prometheus" "$prometheus_port" ;;
        jaeger) jaeger_start "$root/deploy/observability/jaeger" "$jaeger_otlp_port" "$jaeger_port" "${demo_port:-}" ;;
        *) start_service "$1" ;;
    esac
}

stop() {
    case $1 in
        postgres) postgres_stop ;;
        rabbitmq) rabbitmq_stop ;;
        *) stop_process "$1" ;;
    esac
}

# A service's secrets are in files, which no list of processes shows. What only one service may have of our own
# environment is taken away from the others.
start_service() {
    local name=$1 variable environment=()
    for variable in {LISTEN,ADMIN}_ADDR {DATABASE,AMQP}_URL{,_FILE} AMQP_DECLARE_TOPOLOGY ADMIN_{EMAIL,PASSWORD,PASSWORD_FILE}; do
        environment+=(-u "$variable")
    done
    environment+=(
        NO_COLOR=1 # into a file
        "LISTEN_ADDR=127.0.0.1:$(port_of "${listen_ports[$name]}")" "ADMIN_ADDR=127.0.0.1:$(port_of "${admin_ports[$name]}")"
        "TLS_CERT_FILE=$tls/$name.crt" "TLS_KEY_FILE=$tls/$name.key" "TLS_CA_FILE=$tls/ca.crt"
        "USER_SERVICE_URL=$(service_url https user-service)"
        "INVENTORY_SERVICE_URL=$(service_url https inventory-service)"
        "ORDER_SERVICE_URL=$(service_url https order-service)"
        "PRODUCER_SERVICE_URL=$(service_url https producer-service)"
        "CONSUMER_SERVICE_URL=$(service_url https consumer-service)"
    )
    [[ -z ${databases[$name]:-} ]] || environment+=("DATABASE_URL_FILE=$RUN_DIR/${databases[$name]}.database-url")
    case $name in
        user-service) environment+=("ADMIN_EMAIL=$admin_email" "ADMIN_PASSWORD_FILE=$RUN_DIR/admin-password") ;;
        producer-service) environment+=("AMQP_URL_FILE=$RUN_DIR/producer-service.amqp-url") ;;
        consumer-service) environment+=("AMQP_URL_FILE=$RUN_DIR/amqp-url") ;;
    esac
    [[ -z ${rabbitmq_port:-} ]] || environment+=(AMQP_DECLARE_TOPOLOGY=false)
    [[ -z $otlp_port ]] || environment+=("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp_port" OTEL_BSP_SCHEDULE_DELAY=200)
    start_process "$name" "$(id -un)" env "${environment[@]}" "$bin_dir/$name"
}

# service_url SCHEME NAME
service_url() { printf '%s://127.0.0.1:%s' "$1" "$(port_of "${listen_ports[$2]}")"; }

announce() {
    cat <<END || true

The shop is running; Ctrl-C stops it.
  gateway   $(service_url http api-gateway)
  admin     $admin_email
  password  $admin_password
  logs      $LOG_DIR${prometheus_port:+
  metrics   http://127.0.0.1:$prometheus_port}${jaeger_port:+
  traces    http://127.0.0.1:$jaeger_port}

END
}

# run_program NAME [VARIABLE=VALUE...]: one that speaks to the shop and ends, while the shop is kept up.
run_program() {
    local name=$1 program status=0
    (
        identity_of "$BASHPID" >"$RUN_DIR/$name.pid"
        export GATEWAY_URL ADMIN_EMAIL=$admin_email ADMIN_PASSWORD=$admin_password "${@:2}"
        GATEWAY_URL=$(service_url http api-gateway)
        exec "$bin_dir/$name" </dev/null 9>&-
    ) &
    program=$!
    supervise_while child_runs "$program"
    wait "$program" || status=$?
    rm -f "$RUN_DIR/$name.pid"
    ((status == 0)) || say "$name failed with status $status"
    ((once_status != 0)) || once_status=$status
}

main "$@"
exit
