# shellcheck shell=bash
# What the files of deploy/observability say: their queries, alerts and commands, and whether they fit together. Sourced, with
# `root` and `here` set.
: "${root:?}" "${here:?}"

rule_files() { printf '%s\n' "$here"/prometheus/rules/*.yaml; }

# alerts: their names.
alerts() { sed -n 's/^ *- alert: *//p' "$here/prometheus/rules/alerts.yaml" | sort; }

# panel_queries: a line for each, the panel and the query, with what Grafana would put in for its variables.
panel_queries() {
    jq --raw-output '
        .title as $page | .panels[] | .title as $panel | .targets[]?
        | (.expr | gsub("\\$__rate_interval"; "30s") | gsub("\\$__range"; "5m") | gsub("\\$(namespace|shop)"; ".*")) as $query
        | "\($page), \($panel)\t\($query)"' "$here"/dashboards/*.json
}

# rule_selectors: a line for each series that a rule records or asks for, with the rule. Without the names of labels that series are
# summed and matched by, what is left and followed by `{`, `[`, `)` or a space and has an underscore or a colon is a series'.
rule_selectors() {
    promtool_rules | jq --raw-output '
        .[] | .name as $rule
        | (.record // empty | [$rule, .] | @tsv),
          (.query
            | gsub("\\b(by|on|without|ignoring)\\s*\\([^)]*\\)"; " ")
            | gsub("\\b(histogram_quantile|[a-z]+_over_time)\\b"; " ")
            | [scan("(?:^|[^\\w:\"])(up|[a-z]+[_:][a-z0-9_:]+)(\\{[^}]*\\})?") | join("")] | unique[]
            | "\($rule)\t\(.)")'
}

# promtool_rules: the rules as Prometheus has read them, in JSON.
promtool_rules() {
    curl --silent --show-error --max-time 20 "$PROMETHEUS/api/v1/rules" |
        jq '[.data.groups[].rules[] | {name, query, record: (if .type == "recording" then .name else null end)}]'
}

well_formed() {
    local files
    mapfile -t files < <(rule_files)
    promtool check rules "${files[@]}" && promtool check config "$here/prometheus/prometheus.yml" && amtool check-config "$here/alertmanager.yml"
}

# In the file of cases an alert's name is followed by the time, and that by what is seen then unless it is nothing.
both_cases() {
    local name missing=0 cases
    cases=$(awk '
        function done() { if (name) print name, fires ? "fires" : "silent"; name = "" }
        /- expr: ALERTS/ { done(); match($0, /alertname="[A-Za-z]+/); name = substr($0, RSTART + 11, RLENGTH - 11); fires = 0 }
        /exp_samples:/ { fires = 1 }
        END { done() }' "$root/tests/observability/alerts_test.yaml")
    for name in $(alerts); do
        grep -qx "$name fires" <<<"$cases" || { printf '%s: no case in which it fires\n' "$name" && missing=1; }
        grep -qx "$name silent" <<<"$cases" || { printf '%s: no case in which it does not\n' "$name" && missing=1; }
    done
    return "$missing"
}

runbooks_are_those_of_alerts() {
    local named
    named=$(sed -n 's/^ *runbook_url: *deploy\/observability\/runbooks\/\(.*\)\.md$/\1/p' "$here/prometheus/rules/alerts.yaml" | sort)
    diff <(alerts) <(printf '%s\n' "$named") &&
        diff <(alerts) <(cd "$here/runbooks" && printf '%s\n' *.md | sed 's/[.]md$//' | grep -v '^README$' | sort)
}

# blocks FILE INFO: the code blocks with that info string, each ended by a null byte.
blocks() {
    awk -v info="$2" '
        /^```/ { if (inside) { inside = 0; printf "%c", 0 } else if (substr($0, 4) == info) inside = 1; else skipping = !skipping; next }
        inside { print }' "$1"
}

runbooks_parse() {
    local file block info number=0 wrong=0 word
    for file in "$here"/runbooks/*.md; do
        for info in bash 'bash cluster'; do
            while IFS= read -r -d '' block; do
                number=$((number + 1))
                bash -n -c "$block" || { printf '%s:\n%s\n' "${file##*/}" "$block" && wrong=1; }
                [[ $info != bash ]] || continue
                word=$(grep -vE '^(kubectl |#|$)' <<<"$block") || continue
                printf '%s: no command for a cluster: %s\n' "${file##*/}" "$word" && wrong=1
            done < <(blocks "$file" "$info")
        done
    done
    ((number > 30 && wrong == 0))
}

# The operator needs a Kubernetes, which this run has not. Its instruments have the names that are asked for, as the exporter
# writes them: dots become underscores, units and kinds of metrics are added.
operator_metrics() {
    local name names instruments missing=0
    instruments=$(grep -rhoE '"shop_operator\.[a-z_.]+"' "$root/operator/src" | tr -d '"' | tr . _ | sort -u)
    [[ -n $instruments ]] || return 1
    names=$(cat "$here"/dashboards/operator.json "$here"/prometheus/rules/*.yaml | grep -oE 'shop_operator_[a-z_]+' |
        sed -E 's/_(bucket|sum|count|total)$//; s/_seconds$//' | sort -u)
    for name in $names; do
        grep -qx "$name" <<<"$instruments" || { printf 'there is no %s\n' "$name" && missing=1; }
    done
    return "$missing"
}
