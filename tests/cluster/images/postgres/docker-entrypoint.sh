#!/usr/bin/env bash
# What the official image's entrypoint does, as far as anybody here relies on it: on an empty PGDATA it makes a cluster
# with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, and runs what is in /docker-entrypoint-initdb.d; then it
# becomes the server.
set -euo pipefail

fail() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

main() {
    [[ ${1:-} != -* ]] || set -- postgres "$@"
    if [[ ${1:-} == postgres ]]; then
        if ((EUID == 0)); then
            prepare_folders
            exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
        fi
        prepare_folders
        [[ -s $PGDATA/PG_VERSION ]] || create_cluster
    fi
    exec "$@"
}

prepare_folders() {
    mkdir -p "$PGDATA" /var/run/postgresql || true
    chmod 700 "$PGDATA" || true
    ((EUID != 0)) || chown postgres:postgres "$PGDATA" /var/run/postgresql
}

# from_file VARIABLE DEFAULT: takes it from the file that VARIABLE_FILE names, if there is one.
from_file() {
    local file=$1_FILE
    if [[ -n ${!file:-} ]]; then
        [[ -z ${!1:-} ]] || fail "both $1 and $file are set (but are exclusive)"
        printf -v "$1" '%s' "$(<"${!file}")"
    fi
    printf -v "$1" '%s' "${!1:-$2}"
    unset "$file"
}

create_cluster() {
    local arguments method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS ''
    [[ -n $POSTGRES_PASSWORD || $method == trust ]] ||
        fail 'Database is uninitialized and superuser password is not specified. You must specify POSTGRES_PASSWORD.'
    read -ra arguments <<<"$POSTGRES_INITDB_ARGS"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") "${arguments[@]}"
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"

    # A server that only we can reach.
    pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
    export PGPASSWORD=$POSTGRES_PASSWORD
    if [[ $POSTGRES_DB != postgres ]]; then
        query --dbname=postgres --set=name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
    fi
    run_scripts
    unset PGPASSWORD
    pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

query() { psql --set=ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --no-password "$@"; }

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) bash "$script" ;;
            *.sql) query --dbname="$POSTGRES_DB" --file="$script" ;;
        esac
    done
}

main "$@"
