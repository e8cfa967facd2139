# shellcheck shell=bash
# Everything that can happen to an order, to a login and to an event, on a shop that runs: each leaves its mark in the metrics.
# Sourced after processes.sh and postgres.sh, with SHOP_DIR and `gateway` set.
: "${SHOP_DIR:?}" "${gateway:?}"

# api PATH [CURL ARGUMENTS...]
api() {
    curl --silent --show-error --fail-with-body --max-time 20 --header 'content-type: application/json' "${@:2}" "$gateway$1"
}

# status_of PATH [CURL ARGUMENTS...]: the status of the answer, which may be any.
status_of() {
    curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}\n' --header 'content-type: application/json' \
        "${@:2}" "$gateway$1"
}

# log_in: sets `admin` and `customer`, the headers of both, and `email`, the customer's.
log_in() {
    local answer
    set -a
    # shellcheck source=/dev/null
    source "$SHOP_DIR/admin.env"
    set +a
    email=observed-$RANDOM$RANDOM@shop.example
    answer=$(jq -n '{email: env.ADMIN_EMAIL, password: env.ADMIN_PASSWORD}' | api /auth/login --data @-) || return 1
    admin="authorization: Bearer $(jq -re .token <<<"$answer")"
    answer=$(api /auth/register --data "{\"email\": \"$email\", \"password\": \"a passphrase of a customer\"}") || return 1
    customer="authorization: Bearer $(jq -re .token <<<"$answer")"
}

# place QUANTITY: an order of `product`, and prints its id.
place() {
    api /orders --header "$customer" --data "{\"items\": [{\"product_id\": \"$product\", \"quantity\": $1}]}" | jq -re .id
}

has_status() { [[ $(api "/orders/$1" --header "$customer" | jq -r .status) == "$2" ]]; }

# placed_until QUANTITY STATUS: an order, and waits until that is its status; prints its id.
placed_until() {
    local order
    order=$(place "$1") && wait_until 20 has_status "$order" "$2" && printf '%s\n' "$order"
}

# change ORDER STATUS: by the admin.
change() {
    api "/orders/$1" --request PATCH --header "$admin" --data "{\"status\": \"$2\"}" >/dev/null && has_status "$1" "$2"
}

every_kind_of_order() {
    local order
    product=$(api /products --header "$admin" \
        --data "{\"name\": \"Observed cup\", \"price\": 10.99, \"currency\": \"EUR\", \"stock\": 1000}" | jq -re .id) || return 1
    for _ in {1..5}; do order=$(placed_until 1 confirmed) || return 1; done
    change "$order" completed || return 1
    order=$(placed_until 2 confirmed) && change "$order" cancelled || return 1
    placed_until 5000 rejected || return 1
    placed_until 5000 rejected
}

# A wrong password until the next has to wait, a token that is none, and a refresh token that is used twice.
every_kind_of_refusal() {
    local answer
    for _ in {1..12}; do
        answer=$(status_of /auth/login --data "{\"email\": \"$email\", \"password\": \"not that passphrase\"}")
    done
    [[ $answer == 429 ]] || { printf 'the twelfth wrong password: %s\n' "$answer" && return 1; }
    [[ $(status_of /orders --header 'authorization: Bearer none') == 401 ]] || return 1
    [[ $(status_of /users --header "$customer") == 403 ]]
}

# A customer's order whose service does not answer meanwhile: 503, calls that fail, calls that are tried again, and, since many
# ask at once, calls that are refused.
a_service_that_hangs() {
    local pid statuses
    pid=$(RUN_DIR=$SHOP_DIR/run running_pid order-service) || return 1
    kill -STOP "$pid"
    statuses=$(at_once 290)
    kill -CONT "$pid"
    printf '%s\n' "$statuses"
    [[ $statuses == *50[34]* ]]
}

# More at once than a service may have at work (MAX_CONCURRENT_CALLS), which refuses the rest.
too_many() { at_once 290 | grep 503; }

# at_once COUNT: so many requests for the customer's orders; the statuses of the answers, and how many had each.
at_once() {
    local number
    for ((number = 0; number < $1; number++)); do printf 'url = "%s/orders"\noutput = "/dev/null"\n' "$gateway"; done |
        curl --silent --parallel --parallel-immediate --parallel-max "$1" --max-time 15 --header "$customer" \
            --write-out '%{http_code}\n' --config - 2>/dev/null | sort | uniq -c || true
}

# start-services.sh starts it again; until then calls fail at once, and are tried again for as long as the budget lasts.
a_service_that_dies() {
    local pid
    pid=$(RUN_DIR=$SHOP_DIR/run running_pid order-service) || return 1
    kill -9 "$pid"
    for _ in {1..5}; do at_once 10; done
    wait_until 30 placed_until 1 confirmed
}

# For longer than producer-service waits for a confirm: an order is taken all the same, and confirmed when the broker is back.
a_broker_that_hangs() {
    local pid order
    pid=$(RUN_DIR=$SHOP_DIR/run running_pid rabbitmq) || return 1
    kill -STOP -- "-$pid"
    order=$(place 1)
    sleep 4
    kill -CONT -- "-$pid"
    wait_until 90 has_status "$order" confirmed
}

# put_into_outbox TYPE DATA: an event that order-service would not write, and that was refused often before.
put_into_outbox() {
    local url
    url=$(<"$SHOP_DIR/run/orders.database-url")
    postgres_script "$url" "type=$1" "data=$2" <<'SQL'
INSERT INTO outbox_events (event_id, subject, type, data, traceparent, tracestate, occurred_at, attempts)
VALUES (gen_random_uuid(), gen_random_uuid(), :'type', :'data', '', '', now(), 100);
SQL
}

a_dead_letter() { put_into_outbox order.created '{"not": "an order"}'; }
a_poison_event() { put_into_outbox order.confirmed 'this is no JSON'; }
