# shellcheck shell=bash
# A PostgreSQL and a RabbitMQ for as long as a script runs (tests/backends). Sourced after processes.sh and ports.sh.

# start_backends DIR POSTGRES_PORT RABBITMQ_PORT: as the process `backends`, on these ports or the next that are free, and
# exports what the tests read.
start_backends() {
    local port=$3
    until port_is_free "$port" && port_is_free $((port + 1)) && port_is_free $((port + 2)) && port_is_free $((port + 3)); do
        port=$((port + 4))
    done
    export POSTGRES_PORT RABBITMQ_PORT=$port
    POSTGRES_PORT=$(free_port "$2")
    start_process backends "$(id -un)" "$(dirname "${BASH_SOURCE[0]}")/backends" "$1"
    wait_for backends 120 grep -q TEST_RABBITMQ "$LOG_DIR/backends.log" || fail "tests/backends: $(last_log_line backends)"
    # shellcheck source=/dev/null
    source "$LOG_DIR/backends.log"
}
