# shellcheck shell=bash
# An OpenTelemetry Collector with deploy/observability/collector.yaml between the services and the shop's Jaeger, and what has
# become of an order's trace there. Sourced after processes.sh, ports.sh and jaeger.sh, with `here` and `work` set.
: "${here:?}" "${work:?}" "${SHOP_PORT_OFFSET:?}" "${jaeger=}" "${jaeger_api=}"

# start_collector: Jaeger is a Collector, and has all the components of collector.yaml but health_check, in whose stead it
# has the next version. The services send their spans and metrics there; what else they send goes to Jaeger.
start_collector() {
    local port spans services health
    port=$(free_port $((4327 + SHOP_PORT_OFFSET)))
    spans=$(free_port $((8890 + SHOP_PORT_OFFSET)))
    services=$(free_port $((spans + 1)))
    health=$(free_port $((13133 + SHOP_PORT_OFFSET)))
    collector_spans=http://127.0.0.1:$spans/metrics collector_services=http://127.0.0.1:$services/metrics
    sed "s/health_check/healthcheckv2/; s/0\.0\.0\.0:4317/127.0.0.1:$port/; s/0\.0\.0\.0:8890/127.0.0.1:$spans/
        s/0\.0\.0\.0:8889/127.0.0.1:$services/; s/0\.0\.0\.0:13133/127.0.0.1:$health/" "$here/collector.yaml" >"$work/collector.yaml"
    ! grep -F 0.0.0.0 "$work/collector.yaml" || fail 'these ports of the Collector would be taken as they are'
    # The demonstration has the first port of those for spans, and Jaeger the next.
    start_process collector "$(id -un)" env "TRACES_ENDPOINT=127.0.0.1:$((4318 + SHOP_PORT_OFFSET))" \
        "$jaeger" "--config=$work/collector.yaml" --config='yaml:service::telemetry::metrics::level: none'
    wait_for collector 30 http_ok "$health" / || fail "the Collector: $(last_log_line collector)"
    export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:$port OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:$port
    export OTEL_METRIC_EXPORT_INTERVAL=5000
}

# It sees the whole trace of its order, which comes through the Collector and Jaeger, or complains.
demonstrated() { grep -q 'Every step did what it should' "$LOG_DIR/start-services.log"; }

ask_jaeger() { curl --silent --show-error --fail-with-body --max-time 20 "$jaeger_api/$1"; }

# Over HTTP, gRPC, the outbox and RabbitMQ to the confirmation, in which stock is taken.
an_order_is_one_trace() {
    ask_jaeger 'traces?service=api-gateway&operation=POST%20%2Forders&limit=50' | jq --exit-status '
        ["api-gateway", "consumer-service", "inventory-service", "order-service", "producer-service", "user-service"] as $all
        | [.data[] | { services: [.processes[].serviceName] | unique, kinds: [.spans[].tags[] | select(.key == "span.kind").value] | unique }]
        | any(.[]; ($all - .services) - ["user-service"] == [] and (["server", "client", "producer", "consumer"] - .kinds) == [])'
}

# What a browser gets at an address to which the dashboards link; of a Jaeger of the PATH its own interface.
page_of_traces() {
    local page
    page=$(curl --silent --show-error --fail-with-body --max-time 20 "${jaeger_api%/api}/search?service=api-gateway")
    printf '%s\n' "$page" | head -n 20
    [[ $page == *'<title>Traces</title>'* || $page == *'<title>Jaeger UI</title>'* ]]
}

exemplars_lead_to_traces() {
    local trace
    trace=$(curl --silent --show-error --max-time 20 --header 'accept: application/openmetrics-text' "$collector_spans" |
        sed -nE '/_bucket\{.*http_route="\/orders".*# \{/s/.*# \{.*trace_id="([0-9a-f]{32})".*/\1/p' | head -n 1)
    [[ -n $trace ]] && ask_jaeger "traces/$trace" | jq --exit-status '.data[0].spans | length > 0'
}

# Of every service, by the label `job`.
collector_has_metrics() {
    local jobs
    jobs=$(curl --silent --show-error --max-time 20 "$collector_services" |
        sed -nE 's/^[a-z].*[{,]job="([^"]*)".*/\1/p' | sort -u | tr '\n' ' ')
    printf '%s\n' "$jobs"
    [[ $jobs == 'api-gateway consumer-service inventory-service order-service producer-service user-service ' ]]
}
