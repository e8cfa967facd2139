# shellcheck shell=bash
# TCP ports of this machine, and what answers there. Sourced after processes.sh.

# port_is_free PORT: nobody answers on it.
port_is_free() { ! (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_holder PORT: " by NAME (pid PID)" of the process that listens on it, if that can be known.
port_holder() {
    local listener
    listener=$(ss --no-header --listening --tcp --numeric --processes "sport = :$1" 2>/dev/null) || return 0
    [[ ! $listener =~ \(\(\"([^\"]+)\",pid=([0-9]+) ]] || printf ' by %s (pid %s)' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
}

# free_port FIRST: the first free port from FIRST on.
free_port() {
    local port
    for ((port = $1; port < $1 + 200 && port < 65536; port++)); do
        if port_is_free "$port"; then
            printf '%s\n' "$port"
            return
        fi
    done
    fail "no free port from $1 on"
}

# http_ok PORT PATH: an HTTP GET there answers 200.
http_ok() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
        read -rt 3 _ status _ <&3
        [[ $status == 200 ]]
    ) 2>/dev/null
}
