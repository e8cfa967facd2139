# What the keepers of a shop may want to be woken for. docs/reference/security-events.md lists the events.
include "panels";

dashboard("shop-security"; "Shop: security"; "Logins refused, and all other events of security"; [
    row("Logins"; [
        graph("Logins refused"; "short"; "A second: with a wrong email, password or code, and those that were not looked at since too many before had failed.";
            [query("sum by (event_name) (rate(shop_security_events_total{@shop,event_name=~'security[.](login|back_off|proof)[.].*'}[@rate]))"; "{{event_name}}")]),
        graph("Logins and registrations, by answer"; "reqps"; "Where the refused are most of all, somebody guesses.";
            [query("sum by (http_route, http_response_status_code) (rate(http_server_request_duration_seconds_count{@shop,http_route=~'/auth/.*'}[@rate]))"; "{{http_route}} {{http_response_status_code}}")])
    ]),
    row("Accounts"; [
        graph("Spent refresh tokens that came again"; "short"; "Within the time that the page shows. Each session of such a token was ended: somebody may have had a copy.";
            [query("sum(increase(shop_security_events_total{@shop,event_name='security.refresh_token.reused'}[$__range]))"; "reused")]),
        graph("Changes of accounts"; "short"; "Within the time that the page shows: passwords, roles, locks, second factors. Who and whose: `GET /audit`.";
            [query("sum by (event_name) (increase(shop_security_events_total{@shop,event_name=~'security[.](password|role|account|second_factor|recovery_code)[.].*'}[$__range]))"; "{{event_name}}")])
    ]),
    row("Between services"; [
        graph("Calls by services that have no reason to"; "short"; "Within the time that the page shows. Always zero.";
            [query("sum by (job) (increase(shop_security_events_total{@shop,event_name='security.call.refused'}[$__range]))"; "{{job}}")]),
        graph("Requests refused by a limit"; "reqps"; "429, by route.";
            [query("sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{@shop,http_response_status_code='429'}[@rate]))"; "{{http_request_method}} {{http_route}}")]),
        graph("Requests refused for who asks"; "reqps"; "401: no token that is worth anything. 403: not allowed to this account.";
            [query("sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{@shop,http_response_status_code=~'401|403'}[@rate]))"; "{{http_response_status_code}}")])
    ]),
    row("Log lines"; [
        text("Each of these is also a log line with `event.name`, the account (`user.id`), who did it (`shop.actor.id`), the address (`client.address`) and the `trace_id` of the request:\n\n```\ngrep -h security.login.refused .shop/logs/user-service.log\nkubectl logs deployment/SHOP-user-service | grep security.login.refused\n```")
        | size(24; 5)
    ])
])
