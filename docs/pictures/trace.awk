# Draws the trace that the demonstration prints:
#   NO_COLOR=1 ./start-services.sh --demo --once | awk -f docs/pictures/trace.awk >docs/pictures/trace.svg
# A row for each span: what it is, indented below what caused it, whose it is, and when it was at work.

BEGIN {
    row = 24; top = 48; names = 16; services = 352; bars = 486; width = 1000
    colour["api-gateway"] = "#8e44ad"; colour["order-service"] = "#2471a3"; colour["inventory-service"] = "#1e8449"
    colour["producer-service"] = "#117a8b"; colour["consumer-service"] = "#b9770e"; colour["user-service"] = "#b03a2e"
}

/^trace / { inside = 1; next }
inside && /^$/ { inside = 0 }
inside {
    # The branches of the tree are a character each.
    gsub(/│|├|└|─/, " ")
    match($0, /[^ ]/)
    depth[++spans] = (RSTART - 1) / 3
    split(substr($0, RSTART), column, /  +/)
    name[spans] = column[1]; service[spans] = column[2]
    begin[spans] = substr(column[4], 2) + 0; took[spans] = column[5] + 0
    if (begin[spans] + took[spans] > end) end = begin[spans] + took[spans]
}

END {
    if (!spans) { print "trace.awk: there is no trace in that" >"/dev/stderr"; exit 1 }
    height = top + spans * row + 16
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"11\">\n", width, height
    print "<title>One order as one trace: from the HTTP request to the stock and back</title>"
    printf "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height
    step = end > 400 ? 100 : end > 160 ? 50 : end > 80 ? 20 : 10
    for (at = 0; at <= end; at += step) {
        x = bars + at / end * (width - bars - 70)
        printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#dddddd\"/>", x, x, top - 8, height - 12
        printf "<text x=\"%.1f\" y=\"%d\" fill=\"#666666\" text-anchor=\"middle\">%d ms</text>\n", x, top - 16, at
    }
    for (i = 1; i <= spans; i++) {
        y = top + (i - 1) * row
        x = bars + begin[i] / end * (width - bars - 70)
        w = took[i] / end * (width - bars - 70)
        printf "<text x=\"%d\" y=\"%d\" fill=\"#222222\">%s</text>", names + depth[i] * 9, y + 15, short(name[i])
        printf "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>", services, y + 15, colour[service[i]], service[i]
        printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\" rx=\"2\" fill=\"%s\"/>", x, y + 4, w < 2 ? 2 : w, colour[service[i]]
        printf "<text x=\"%.1f\" y=\"%d\" fill=\"#444444\">%.1f ms</text>\n", x + (w < 2 ? 2 : w) + 5, y + 15, took[i]
    }
    print "</svg>"
}

# A method without its package, which is its service's.
function short(name) { sub(/^shop[.][a-z]+[.]v[0-9]+[.]/, "", name); return name }
