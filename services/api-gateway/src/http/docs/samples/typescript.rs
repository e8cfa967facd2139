//! With the client that the gateway serves (`services/api-gateway/client`).

use serde_json::Value;

use super::{
    Answers, Call, Piece,
    literal::{Syntax, quoted},
};

const OBJECT: Syntax = Syntax {
    pad: " ",
    null: "null",
    truth: ["false", "true"],
    key: |name| {
        let is_identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_identifier {
            name.to_owned()
        } else {
            quoted(name)
        }
    },
    variable: |name| format!("process.env.{name}!"),
};

/// A module of its own.
pub(super) fn write(call: &Call) -> String {
    let token = if call.needs_token {
        ", token: process.env.SHOP_TOKEN"
    } else {
        ""
    };
    let operation = &call.operation;
    let input = input(call);
    let input = input.map_or_else(String::new, |input| OBJECT.write(&input, 0));
    let called = format!("shop.{operation}({input})");
    let statement = match call.answers {
        Answers::Json => format!("const answer = await {called};\nconsole.log(answer);"),
        Answers::Nothing => format!("await {called};"),
        Answers::Events => format!("for await (const event of {called}) console.log(event);"),
    };
    format!(
        "import {{ createShop }} from \"./shop.mjs\";\n\n\
         const shop = createShop({{ url: process.env.SHOP_URL{token} }});\n{statement}\n"
    )
}

fn input(call: &Call) -> Option<Value> {
    let parameters = call.path.iter().filter_map(|piece| match piece {
        Piece::Parameter { name, value } => Some((name.clone(), value.clone())),
        Piece::Text(_) => None,
    });
    let parts = [
        ("path", Value::Object(parameters.collect())),
        ("query", call.query_values.clone()),
        ("body", call.body.clone().unwrap_or_default()),
    ];
    let parts = parts.into_iter().filter(|(name, part)| {
        *name == "body" && !part.is_null() || part.as_object().is_some_and(|part| !part.is_empty())
    });
    let parts: serde_json::Map<String, Value> = parts.map(|(name, part)| (name.to_owned(), part)).collect();
    (!parts.is_empty()).then_some(Value::Object(parts))
}
