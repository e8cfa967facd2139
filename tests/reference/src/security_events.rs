//! Every event of security: the variants of `chassis::security::Event`, with what their comments say.

use anyhow::Context as _;
use chassis::security::Event;

use crate::{
    markdown::{self, cell, code},
    sources,
};

/// The page.
pub fn page() -> anyhow::Result<String> {
    let variants = sources::enumeration("services/chassis/src/security.rs", "Event")?.variants;
    let rows = Event::ALL.iter().map(|event| {
        let variant = format!("{event:?}");
        let described = variants.iter().find(|described| described.ident == variant);
        let meaning = sources::documentation(&described.with_context(|| variant.clone())?.attrs);
        anyhow::Ok(vec![code(event.name()), cell(meaning.trim_end_matches('.'))])
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut page = markdown::beginning(
        "Security events",
        "`services/chassis/src/security.rs`",
        "What the keepers of a shop may want to be woken for is a log line with an `event.name` that stays, and a count in the\n\
         metric `shop_security_events_total` under the same name (`event_name`). A line names the account (`user.id`), who did it\n\
         (`shop.actor.id`) and the address (`client.address`), as far as they are known, and nothing else of a person.\n",
    );
    markdown::table(&mut page, &["`event.name`", "what has happened"], &rows);
    Ok(page)
}
