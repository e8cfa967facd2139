# shellcheck shell=bash
# A PostgreSQL of our own, on a loopback port. Sourced after processes.sh.

# postgres_user: the account that it runs as.
postgres_user() {
    if ((EUID != 0)); then
        id -un
    elif id postgres >/dev/null 2>&1; then
        printf 'postgres\n'
    else
        printf 'nobody\n'
    fi
}

# postgres_bin [MAJOR]: the folder of its programs, of the newest version if none is asked for.
postgres_bin() {
    local bin
    bin=$(compgen -G "/usr/lib/postgresql/${1:-*}/bin/postgres" | sort -V | tail -n 1) || bin=$(command -v postgres) || return 1
    dirname "$bin"
}

# postgres_create DIR PASSWORD: makes the cluster in DIR unless it is there, with the superuser `postgres`. The cluster
# appears under its name only when it is complete.
postgres_create() {
    local dir=$1 user bin
    [[ ! -f $dir/PG_VERSION ]] || return 0
    user=$(postgres_user)
    bin=$(postgres_bin) || return 1
    rm -rf "$dir.new"
    install -d -m 700 "$dir.new"
    (umask 077 && printf '%s\n' "$2" >"$dir.new.password")
    ((EUID != 0)) || chown "$user" "$dir.new" "$dir.new.password"
    as_user "$user" "$bin/initdb" --pgdata="$dir.new" --username=postgres --pwfile="$dir.new.password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
        </dev/null >>"$LOG_DIR/postgres.log" 2>&1 || return 1
    rm "$dir.new.password"
    mv "$dir.new" "$dir"
}

# postgres_start DIR PORT [SETTING=VALUE...]: starts it as the process `postgres`.
postgres_start() {
    local dir=$1 port=$2 setting settings=() bin
    shift 2
    bin=$(postgres_bin "$(<"$dir/PG_VERSION")") || return 1
    for setting in listen_addresses=127.0.0.1 "port=$port" unix_socket_directories= max_connections=300 \
        shared_buffers=512MB effective_cache_size=1GB max_wal_size=4GB checkpoint_timeout=15min jit=off log_line_prefix='%m [%p] %d ' "$@"; do
        settings+=(-c "$setting")
    done
    start_process postgres "$(postgres_user)" env LC_ALL=C.UTF-8 "$bin/postgres" -D "$dir" "${settings[@]}"
}

# postgres_query URL SQL: runs one statement and prints its rows.
postgres_query() { postgres_client "$1" --command="$2"; }

# postgres_script URL [NAME=VALUE...]: runs the script on standard input, which stops at the first error, with these
# variables. A secret belongs into the script: other users of the machine can read a command line.
postgres_script() {
    local url=$1 variable variables=()
    for variable in "${@:2}"; do variables+=(--set="$variable"); done
    postgres_client "$url" --set=ON_ERROR_STOP=1 "${variables[@]}" --file=-
}

# postgres_client URL ARGUMENT...: psql. The URL's password goes by environment, for the same reason.
postgres_client() {
    local url=$1 password=${PGPASSWORD:-}
    if [[ $url =~ ^([a-z]+://[^:/?@]*):([^@]*)(@.*)$ ]]; then
        url=${BASH_REMATCH[1]}${BASH_REMATCH[3]}
        password=$(printf '%b' "${BASH_REMATCH[2]//%/\\x}")
    fi
    PGPASSWORD=$password PGCONNECT_TIMEOUT=5 psql --no-psqlrc --no-password --quiet --tuples-only --no-align \
        --dbname="$url" "${@:2}"
}

# postgres_answers URL: it takes a login and a statement.
postgres_answers() { postgres_query "$1" 'SELECT 1' >/dev/null 2>&1; }

# postgres_database_url URL NAME: the URL of another database of the same server.
postgres_database_url() {
    [[ $1 =~ ^(postgres(ql)?://[^/?]*)(/[^?]*)?(\?.*)?$ ]] || return 1
    printf '%s/%s%s\n' "${BASH_REMATCH[1]}" "$2" "${BASH_REMATCH[4]}"
}

# postgres_login_url URL USER PASSWORD: the URL with another login. Neither holds anything that a URL would have to escape.
postgres_login_url() {
    [[ $1 =~ ^(postgres(ql)?://)([^@/?]*@)?(.*)$ ]] || return 1
    printf '%s%s:%s@%s\n' "${BASH_REMATCH[1]}" "$2" "$3" "${BASH_REMATCH[4]}"
}

# postgres_stop: ends its clients' sessions and writes everything down (a `fast` shutdown).
postgres_stop() { stop_process postgres INT 30; }
