# shellcheck shell=bash
# Whether a RabbitMQ can be used: a real AMQP 0.9.1 login in bash, because an open port says little, and a fresh machine
# has no client. Sourced.

# amqp_answers URL: the server takes the login of amqp://user:password@host:port/vhost.
amqp_answers() {
    local authority credentials=guest:guest host port=5672
    [[ $1 == amqp://* ]] || return 1
    authority=${1#amqp://}
    authority=${authority%%[/?]*}
    [[ $authority != *@* ]] || credentials=${authority%@*}
    authority=${authority##*@}
    [[ $authority != *:* ]] || port=${authority##*:}
    host=${authority%:*}
    # First in a process that can be stopped: connecting to a host that drops packets takes minutes.
    # shellcheck disable=SC2016 # the inner shell's arguments
    timeout 3 bash -c ': <>"/dev/tcp/$1/$2"' connect "${host:-localhost}" "$port" 2>/dev/null || return 1
    (amqp_login "${host:-localhost}" "$port" "$(url_decode "${credentials%%:*}")" "$(url_decode "${credentials#*:}")") 2>/dev/null
}

url_decode() { printf '%b' "${1//%/\\x}"; }

# amqp_login HOST PORT USER PASSWORD: connection.start → start-ok → tune. A wrong password gets anything but tune.
amqp_login() {
    local LC_ALL=C length=$((${#3} + ${#4} + 2))
    exec 3<>"/dev/tcp/$1/$2"
    printf 'AMQP\0\0\11\1' >&3
    [[ $(amqp_method) == 000a000a ]] || return 1
    {
        printf '\1\0\0'
        amqp_u32 $((24 + length))
        printf '\0\12\0\13\0\0\0\0\5PLAIN'
        amqp_u32 "$length"
        printf '\0%s\0%s\5en_US\316' "$3" "$4"
    } >&3
    [[ $(amqp_method) == 000a001e ]]
}

# amqp_method: reads a frame from descriptor 3 and prints the class and method of it, in hexadecimal.
amqp_method() {
    local header payload
    header=$(amqp_bytes 7) && ((${#header} == 14)) || return 1
    payload=$(amqp_bytes $((16#${header:6:8} + 1))) || return 1
    printf '%s\n' "${payload:0:8}"
}

amqp_bytes() { timeout 5 head -c "$1" <&3 | od -An -v -tx1 | tr -d ' \n'; }

# amqp_u32 NUMBER: four bytes, big-endian.
amqp_u32() { printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
