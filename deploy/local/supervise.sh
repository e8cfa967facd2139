# shellcheck shell=bash
# Keeping processes up, and stopping them in the opposite order. Sourced after processes.sh.
#
# The caller defines `start NAME` and `stop NAME`.

started=()                                            # names, in the order of their first start
declare -A pids=() born=() delays=() restart_due=()   # of each name; times in milliseconds

# start_supervised NAME: starts it for the first time.
start_supervised() {
    started+=("$1")
    delays[$1]=200
    launch "$1"
}

launch() {
    start "$1"
    pids[$1]=$! born[$1]=$(now)
}

now() { printf '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# supervise_while COMMAND...: as long as COMMAND succeeds, starts again what has died: after 0.2 s, then after twice as
# long each time, up to 5 s, until it has lived for ten seconds.
supervise_while() {
    local name
    while "$@"; do
        for name in "${started[@]}"; do
            if [[ -n ${restart_due[$name]:-} ]]; then
                (($(now) < restart_due[$name])) || relaunch "$name"
            elif ! child_runs "${pids[$name]}"; then
                schedule_restart "$name"
            fi
        done
        pause 0.2
    done
} 2>/dev/null # where bash would say "Killed" in words of its own

schedule_restart() {
    local name=$1 delay
    (($(now) - born[$name] < 10000)) || delays[$name]=200
    delay=${delays[$name]}
    restart_due[$name]=$(($(now) + delay))
    delays[$name]=$((delay * 2 > 5000 ? 5000 : delay * 2))
    say "$name $(how_it_ended "$name"); starting it again"
}

relaunch() {
    unset "restart_due[$1]"
    launch "$1"
}

# how_it_ended NAME: "was killed by signal 9", or "stopped with status 1: the last line of its log".
how_it_ended() {
    local status=0
    wait "${pids[$1]}" 2>/dev/null || status=$?
    if ((status > 128)); then
        printf 'was killed by signal %s' $((status - 128))
    else
        printf 'stopped with status %s: %s' "$status" "$(last_log_line "$1")"
    fi
}

# stop_supervised: everything that was started, the last one first.
stop_supervised() {
    local i
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do stop "${started[i]}"; done
    started=()
}
