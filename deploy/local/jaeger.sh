# shellcheck shell=bash
# A Jaeger that keeps the traces of the shop of this machine: what `--observe` of start-services.sh adds. Sourced after
# processes.sh, with `root` set.

: "${root:?}"

GO_TOOLS=$root/deploy/local/tools
source "$root/tests/cluster/binaries.sh"

# provide_jaeger: sets `jaeger` to the program: the one of the PATH, or one that is built from its Go module, once for this
# machine. The shop runs without it, too: where there is none it says why, and `jaeger` is empty.
provide_jaeger() {
    jaeger=$(command -v jaeger) && return
    jaeger=$(tool_folder jaeger)/jaeger
    if [[ ! -x $jaeger ]]; then
        if ! command -v go >/dev/null; then
            say 'no Jaeger, so no traces: install Jaeger 2 (https://www.jaegertracing.io/download), or Go 1.26 or newer to build one with'
            jaeger=''
        elif ! (lock_cache && build_tool jaeger); then
            say 'no Jaeger, so no traces: it could not be built'
            jaeger=''
        fi
    fi
}

# jaeger_start FROM OTLP_PORT PORT [DEMO_PORT]: starts it as the process `jaeger` with the configuration in FROM
# (deploy/observability/jaeger). It takes spans at OTLP_PORT, hands them on to DEMO_PORT, and shows them at PORT.
jaeger_start() {
    local arguments=("--config=$1/config.yaml")
    # The interface is not in the Go module, but in the programs that Jaeger publishes.
    [[ $jaeger != "$TOOLS_CACHE"/* ]] || arguments+=("--config=$1/page.yaml")
    [[ -z ${4:-} ]] || arguments+=("--config=$1/demo.yaml")
    start_process jaeger "$(id -un)" env "JAEGER_OTLP_ADDR=127.0.0.1:$2" "JAEGER_ADDR=127.0.0.1:$3" "JAEGER_PAGE=$1/page" \
        "DEMO_OTLP_ADDR=127.0.0.1:${4:-}" "$jaeger" "${arguments[@]}"
}
