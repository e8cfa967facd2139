# What dashboards are made of: functions that a dashboard's file puts together, and `dashboard` makes into what Grafana
# imports; what its schema asks for is all there (tests/observability/dashboards). See any of the .jq files beside this one; `deploy/observability/build` writes the JSON.
#
# In a query
#   @shop   stands for the labels that say which shops are looked at (the variables at the top of the page)
#   @rate   for the window of a rate, which Grafana chooses by what is on the screen
# and strings are in single quotes.

# A series, or several: `legend` is Grafana's, such as "{{job}}".
def query($expr; $legend):
    {
        expr: ($expr | gsub("@shop"; "namespace=~\"$namespace\",shop=~\"$shop\"") | gsub("@rate"; "$__rate_interval") | gsub("'"; "\"")),
        legendFormat: $legend
    };

# A panel. `unit` is Grafana's: s, reqps, short, percentunit, none.
def panel($type; $title; $unit; $description; $queries):
    {
        type: $type, title: $title, description: $description,
        datasource: { type: "prometheus", uid: "${datasource}" },
        fieldConfig: { defaults: { unit: $unit, min: 0 }, overrides: [] },
        targets: ($queries | to_entries | map(.value + {
            refId: ([65 + .key] | implode), datasource: { type: "prometheus", uid: "${datasource}" }
        }))
    };

# Curves over time. The description says what one should see, and what it means where one does not.
def graph($title; $unit; $description; $queries):
    panel("timeseries"; $title; $unit; $description; $queries)
    + { options: { legend: { showLegend: true, displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] }, tooltip: { mode: "multi", sort: "desc" } } };

# One number, which is red from `bad` on.
def number($title; $unit; $bad; $description; $queries):
    panel("stat"; $title; $unit; $description; $queries | map(. + { instant: true }))
    | .options = {
        colorMode: "background", reduceOptions: { calcs: ["lastNotNull"] }, graphMode: "none", textMode: "auto", orientation: "auto",
        justifyMode: "auto", wideLayout: true, showPercentChange: false, percentChangeColorMode: "standard"
    }
    | .fieldConfig.defaults.thresholds = {
        mode: "absolute", steps: [{ color: "green", value: null }, { color: "red", value: $bad }]
    };

# Bars, one below the other: how many came how far.
def funnel($title; $unit; $description; $queries):
    panel("bargauge"; $title; $unit; $description; $queries | map(. + { instant: true }))
    | .options = {
        orientation: "horizontal", displayMode: "basic", reduceOptions: { calcs: ["lastNotNull"] }, valueMode: "color",
        namePlacement: "auto", showUnfilled: true, sizing: "auto", minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300,
        legend: { showLegend: false, displayMode: "list", placement: "bottom", calcs: [] }
    };

# Words, in Markdown.
def text($content): { type: "text", title: "", options: { mode: "markdown", content: $content } };

# Leads from a series of HTTP requests to traces of the same route within the time that the page shows, in Jaeger.
def to_traces:
    .fieldConfig.defaults.links = [{
        title: "Traces of ${__field.labels.http_request_method} ${__field.labels.http_route}",
        targetBlank: true,
        url: "${traces:raw}/search?service=api-gateway&operation=${__field.labels.http_request_method}%20${__field.labels.http_route:percentencode}&start=${__from}000&end=${__to}000&limit=20"
    }];

# And from a series of calls, by the method that is called.
def to_calls:
    .fieldConfig.defaults.links = [{
        title: "Traces with ${__field.labels.rpc_method}",
        targetBlank: true,
        url: "${traces:raw}/search?service=${__field.labels.job}&operation=${__field.labels.rpc_method:percentencode}&start=${__from}000&end=${__to}000&limit=20"
    }];

# How wide and how high a panel is, of a page that is 24 wide.
def size($width; $height): . + { gridPos: { w: $width, h: $height } };

# A row of panels under a headline: each has its share of the width, unless it has a size.
def row($title; $panels):
    { title: $title, panels: ($panels | (24 / length | floor) as $width | map(if .gridPos then . else size($width; 8) end)) };

# Places rows one below the other.
def laid_out:
    reduce .[] as $row ({ y: 0, panels: [] };
        .y as $y
        | ($row.panels | map(.gridPos.h) | max) as $height
        | .panels += [{ type: "row", title: $row.title, collapsed: false, gridPos: { x: 0, y: $y, w: 24, h: 1 }, panels: [] }]
        | .panels += (reduce $row.panels[] as $panel ({ x: 0, panels: [] };
            .panels += [$panel | .gridPos += { y: ($y + 1) } | .gridPos.x = 0]
            | .panels[-1].gridPos.x = .x
            | .x += $panel.gridPos.w
          ) | .panels)
        | .y += $height + 1
    ) | .panels | to_entries | map(.value + { id: (.key + 1) });

def variable($name; $called; $query):
    {
        name: $name, label: $called, type: "query", datasource: { type: "prometheus", uid: "${datasource}" },
        query: { query: $query, refId: $name }, definition: $query,
        includeAll: true, multi: true, allValue: ".*", current: { text: "All", value: "$__all" }, refresh: 2, sort: 1
    };

# The whole page. `uid` is what its address ends in, and never changes.
def dashboard($uid; $title; $description; $rows):
    {
        uid: $uid, title: $title, description: $description, tags: ["shop"], editable: false, schemaVersion: 39, version: 1,
        time: { from: "now-1h", to: "now" }, refresh: "30s", timezone: "browser",
        links: [{ type: "dashboards", title: "Shop", tags: ["shop"], icon: "dashboard", tooltip: "", targetBlank: false, asDropdown: false, includeVars: true, keepTime: true }],
        annotations: { list: [{
            name: "Alerts", enable: true, iconColor: "red", datasource: { type: "prometheus", uid: "${datasource}" },
            expr: "ALERTS{alertstate=\"firing\",alertname=~\"Shop.*\"}", titleFormat: "{{alertname}}", textFormat: "{{job}}"
        }] },
        templating: { list: [
            { name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus", current: { text: "", value: "" } },
            variable("namespace"; "Namespace"; "label_values(up{shop!=\"\"}, namespace)"),
            variable("shop"; "Shop"; "label_values(up{namespace=~\"$namespace\", shop!=\"\"}, shop)"),
            { name: "traces", label: "Jaeger", type: "textbox", query: "http://localhost:16686", current: { text: "http://localhost:16686", value: "http://localhost:16686" } }
        ] },
        panels: ($rows | laid_out)
    };
