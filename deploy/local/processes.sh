# shellcheck shell=bash
# Starting, recognising and stopping processes of our own. Sourced.
#
# A process that we start writes $RUN_DIR/<name>.pid itself, before it becomes the program: boot id, pid and start time.
# The three together belong to one process for ever, so what a killed script left behind is recognised without
# guessing by name, and a pid that the kernel has since given to somebody else is never signalled.
#
# The caller calls use_directories first. File descriptor 9 is the caller's lock, and is not handed on.

# use_directories RUN LOG: where pid files and logs go.
use_directories() {
    RUN_DIR=$1 LOG_DIR=$2
    mkdir -p "$RUN_DIR" "$LOG_DIR"
    chmod 700 "$RUN_DIR" "$LOG_DIR"
}

# fail MESSAGE...: one clear line, and out.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# say MESSAGE...: one line with the time. A terminal that has gone stops nothing.
say() { printf '%(%T)T %s\n' -1 "$*" 2>/dev/null || true; }

# identity_of PID: "boot-id pid start-time" of a running process; fails for one that is gone or a zombie.
identity_of() {
    local boot stat fields
    { read -r boot </proc/sys/kernel/random/boot_id && read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }" # the name before the last parenthesis may hold anything
    [[ ${fields[0]} != [ZX] ]] || return 1
    printf '%s %s %s\n' "$boot" "$1" "${fields[19]}"
}

# running_pid NAME: prints the pid of the process that was started as NAME; fails if it no longer runs.
running_pid() {
    local identity pid
    { read -r identity <"$RUN_DIR/$1.pid"; } 2>/dev/null || return 1
    read -r _ pid _ <<<"$identity"
    [[ $(identity_of "$pid") == "$identity" ]] && printf '%s\n' "$pid"
}

is_running() { running_pid "$1" >/dev/null; }
has_stopped() { ! is_running "$1"; }

# as_user USER COMMAND...: runs COMMAND as USER if we are root (PostgreSQL refuses to run as root, and RabbitMQ has no
# need to), else as ourselves.
as_user() {
    local prefix
    user_prefix "$1"
    (cd / && "${prefix[@]}" "${@:2}") # our own folder may be closed to it
}

# user_prefix USER: sets the caller's array `prefix` to what runs a command as USER.
user_prefix() {
    prefix=(env)
    if ((EUID == 0)) && [[ $1 != root ]]; then
        prefix=(setpriv "--reuid=$1" "--regid=$(id -g "$1")" --init-groups --inh-caps=-all --)
    fi
}

# start_process NAME USER COMMAND...: runs COMMAND in the background as USER, in a session of its own (Ctrl-C is ours to
# pass on, in order), with its output in $LOG_DIR/NAME.log.
start_process() {
    local name=$1 prefix
    user_prefix "$2"
    rm -f "$RUN_DIR/$name.pid"
    (
        self=$BASHPID
        identity_of "$self" >"$RUN_DIR/$name.pid"
        cd /
        exec setsid -- "${prefix[@]}" "${@:3}" </dev/null >>"$LOG_DIR/$name.log" 2>&1 8>&- 9>&-
    ) &
    until [[ -s $RUN_DIR/$name.pid ]] || ! child_runs $!; do pause 0.01; done
}

child_runs() { kill -0 "$1" 2>/dev/null; }

# stop_process NAME [SIGNAL [SECONDS]]: sends SIGNAL (TERM), waits up to SECONDS (15), then kills it and its children.
stop_process() {
    local name=$1 signal=${2:-TERM} seconds=${3:-15} pid
    if pid=$(running_pid "$name"); then
        kill "-$signal" "$pid" 2>/dev/null || true
        if ! wait_until "$seconds" has_stopped "$name"; then
            say "$name did not stop within $seconds s: killed"
            kill -KILL -- "-$pid" 2>/dev/null || true
            wait_until 5 has_stopped "$name" || true
        fi
    fi
    rm -f "$RUN_DIR/$name.pid"
}

# wait_until SECONDS COMMAND...: tries COMMAND ten times a second until it succeeds; fails when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1 + 1))
    until "${@:2}"; do
        ((SECONDS < deadline)) || return 1
        pause 0.1
    done
}

# wait_for NAME SECONDS COMMAND...: like wait_until, but gives up at once when the process NAME has died.
wait_for() {
    local name=$1
    wait_until "$2" succeeded_or_stopped "${@:3}" && is_running "$name"
}
succeeded_or_stopped() { "$@" || has_stopped "$name"; }

# pause SECONDS: a sleep that costs no process: nothing is ever written to descriptor 8.
exec 8<> <(:)
pause() {
    pausing=true
    read -rt "$1" <&8 || true
    pausing=false
    [[ -z $interrupted ]] || exit "$interrupted"
}
pausing=false interrupted=

# exit_on_signals: so that the exit trap runs. Not from within `read`, where bash 5.2 crashes.
exit_on_signals() {
    trap 'interrupt 130' INT
    trap 'interrupt 143' TERM
    trap 'interrupt 129' HUP
    trap 'interrupt 141' PIPE
}

interrupt() {
    interrupted=$1
    $pausing || exit "$1"
}

# ignore_signals: for the way out.
ignore_signals() {
    trap '' INT TERM HUP PIPE
    interrupted=
}

# rotate_log NAME: keeps the log of the run before as NAME.log.1, so that two runs' logs are all there is.
rotate_log() { [[ ! -s $LOG_DIR/$1.log ]] || mv -f "$LOG_DIR/$1.log" "$LOG_DIR/$1.log.1"; }

# last_log_line NAME: the last line that the process wrote.
last_log_line() { tail -n 1 "$LOG_DIR/$1.log" 2>/dev/null || true; }
