//! With `reqwest` and `tokio`.

use super::{
    Answers, Call,
    literal::{Syntax, quoted},
};

const MACRO: Syntax = Syntax {
    pad: "",
    null: "null",
    truth: ["false", "true"],
    key: quoted,
    variable: str::to_lowercase,
};
const INDENT: usize = 8;

/// A program of its own.
pub(super) fn write(call: &Call) -> String {
    let mut crates = vec!["reqwest -F json", "tokio -F full"];
    let mut variables = vec!["    let shop = std::env::var(\"SHOP_URL\")?;\n".to_owned()];
    let mut request = Vec::new();
    for name in call.variables() {
        let variable = name.to_lowercase();
        variables.push(format!("    let {variable} = std::env::var(\"{name}\")?;\n"));
    }
    if call.needs_token {
        variables.push("    let token = std::env::var(\"SHOP_TOKEN\")?;\n".to_owned());
        request.push("        .bearer_auth(token)\n".to_owned());
    }
    if call.takes_key {
        crates.push("uuid -F v7");
        request.push("        .header(\"idempotency-key\", uuid::Uuid::now_v7().to_string())\n".to_owned());
    }
    if let Some(body) = &call.body {
        let body = MACRO.write(body, INDENT);
        request.push(format!("        .json(&serde_json::json!({body}))\n"));
    }
    if call.body.is_some() || call.answers == Answers::Json {
        crates.push("serde_json");
    }
    let (variables, request) = (variables.concat(), request.concat());
    let target = call.target(|name| format!("{{{}}}", name.to_lowercase()));
    let (binding, taken, shown) = match call.answers {
        Answers::Json => (
            "let answer: serde_json::Value",
            "\n        .json()\n        .await?;\n",
            "    println!(\"{answer:#}\");\n",
        ),
        Answers::Nothing => ("let answer", ";\n", "    println!(\"{}\", answer.status());\n"),
        Answers::Events => (
            "let mut answer",
            ";\n",
            "    while let Some(chunk) = answer.chunk().await? {\n        \
             print!(\"{}\", String::from_utf8_lossy(&chunk));\n    }\n",
        ),
    };
    let added = format!("// cargo add {}\n", crates.join("\n// cargo add "));
    format!(
        "{added}#[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{variables}    \
         {binding} = reqwest::Client::new()\n        .{method}(format!(\"{{shop}}{target}\"))\n{request}        \
         .send()\n        .await?\n        .error_for_status()?{taken}{shown}    Ok(())\n}}\n",
        method = call.method,
    )
}
