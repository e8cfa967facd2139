//! Every attack, by the way in that it tries.
#![allow(missing_docs)]

mod accounts;
mod authority;
mod backends;
mod connections;
mod messages;
mod orders;
mod rates;
mod tokens;
mod traces;

use std::process::ExitCode;

use attack::attacks;

fn main() -> ExitCode {
    attack::run(attacks![
        traces::a_context_that_is_too_long_for_others,
        traces::a_trace_of_ones_own_choice,
        traces::paths_and_methods_that_are_made_up,
        authority::tokens_of_what_one_was,
        authority::what_belongs_to_others,
        authority::rights_that_are_asked_for,
        authority::a_stolen_token_changes_no_rights,
        tokens::forged,
        tokens::elsewhere_than_in_the_header,
        tokens::refresh_tokens_that_were_copied,
        tokens::streams_that_go_on,
        accounts::passwords_that_everybody_tries,
        accounts::texts_that_nobody_sees,
        accounts::who_has_an_account,
        rates::guessing_ones_own_password,
        rates::guessing_from_headers_that_are_made_up,
        rates::guessing_from_everywhere,
        rates::guessing_from_networks_of_one_customer,
        rates::searching_all_the_time,
        orders::amounts_that_are_none,
        orders::one_order_twice,
        orders::one_delivery_twice,
        orders::stock_that_is_not_there,
        messages::requests_that_are_read_in_two_ways,
        messages::paths_that_lead_elsewhere,
        messages::bodies_that_are_no_json,
        messages::fields_that_are_none,
        messages::cursors_that_nobody_gave,
        messages::headers_that_hide_what_was_done,
        messages::pages_of_other_sites,
        connections::bodies_that_never_end,
        connections::heads_that_never_end,
        connections::answers_that_nobody_reads,
        connections::streams_by_the_thousand,
        backends::services_behind_the_gateway,
        backends::connections_behind_the_gateway,
        backends::the_broker,
    ])
}
