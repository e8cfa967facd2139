# shellcheck shell=bash
# A Prometheus for the shop of this machine: what `--observe` of start-services.sh adds. Sourced after processes.sh and
# ports.sh.

# prometheus_configure DIR FROM SERVICE=PORT...: its configuration in DIR, that of FROM (deploy/observability/prometheus) with the
# services' own admin ports. Rules stay where they are: after a change of theirs send the process a SIGHUP. An Alertmanager is
# used where DIR/alertmanagers.json names one, in the form of targets.json.
prometheus_configure() {
    local dir=$1 from=$2 target targets=()
    install -d -m 700 "$dir" || return 1
    cp "$from/prometheus.yml" "$dir/" || return 1
    ln -sfn "$from/rules" "$dir/rules" || return 1
    for target in "${@:3}"; do
        targets+=("{\"targets\": [\"127.0.0.1:${target#*=}\"], \"labels\": {\"job\": \"${target%=*}\", \"namespace\": \"local\", \"shop\": \"local\"}}")
    done
    (IFS=, && printf '[%s]\n' "${targets[*]}" >"$dir/targets.json.new") && mv "$dir/targets.json.new" "$dir/targets.json"
}

# prometheus_start DIR PORT: starts it as the process `prometheus`, with what it has measured for two weeks in DIR.
prometheus_start() {
    start_process prometheus "$(id -un)" prometheus "--config.file=$1/prometheus.yml" "--storage.tsdb.path=$1/data" \
        --storage.tsdb.retention.time=15d "--web.listen-address=127.0.0.1:$2"
}
