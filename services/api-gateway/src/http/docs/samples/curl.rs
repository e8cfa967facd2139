//! For a shell.

use super::{
    Answers, Call,
    literal::{Syntax, quoted},
};

const JSON: Syntax = Syntax {
    pad: "",
    null: "null",
    truth: ["false", "true"],
    key: quoted,
    variable: |name| format!("\"${name}\""),
};

/// One command. A body with variables in it is a here-document, in which they stand as they are.
pub(super) fn write(call: &Call) -> String {
    let options = if call.answers == Answers::Events {
        "-sSN"
    } else {
        "-sS"
    };
    let usual = if call.body.is_some() { "post" } else { "get" };
    let method = if call.method == usual {
        String::new()
    } else {
        format!(" -X {}", call.method.to_uppercase())
    };
    let target = call.target(|name| format!("${name}"));
    let mut lines = vec![format!("curl {options}{method} \"$SHOP_URL{target}\"")];
    if call.needs_token {
        lines.push("-H \"authorization: Bearer $SHOP_TOKEN\"".to_owned());
    }
    if call.takes_key {
        lines.push("-H \"idempotency-key: $(uuidgen)\"".to_owned());
    }
    let mut after = String::new();
    if let Some(body) = &call.body {
        let body = JSON.write(body, 0);
        if body.contains('$') {
            lines.push("--json @- <<BODY".to_owned());
            after = format!("\n{body}\nBODY");
        } else {
            lines.push(format!("--json '{body}'"));
        }
    }
    lines.join(" \\\n  ") + &after
}
