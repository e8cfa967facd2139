//! With `requests`.

use super::{
    Answers, Call,
    literal::{Syntax, quoted},
};

const DICT: Syntax = Syntax {
    pad: "",
    null: "None",
    truth: ["False", "True"],
    key: quoted,
    variable: str::to_lowercase,
};
const INDENT: usize = 4;

/// A script of its own.
pub(super) fn write(call: &Call) -> String {
    let mut imports = String::from("import os\n");
    let mut variables = vec!["shop = os.environ[\"SHOP_URL\"]\n".to_owned()];
    let mut headers = Vec::new();
    if call.needs_token {
        variables.push("token = os.environ[\"SHOP_TOKEN\"]\n".to_owned());
        headers.push("\"authorization\": f\"Bearer {token}\"");
    }
    if call.takes_key {
        imports += "import uuid\n";
        headers.push("\"idempotency-key\": str(uuid.uuid4())");
    }
    for name in call.variables() {
        variables.push(format!("{} = os.environ[\"{name}\"]\n", name.to_lowercase()));
    }
    let variables = variables.concat();
    let target = call.target(|name| format!("{{{}}}", name.to_lowercase()));
    let mut arguments = vec![format!("f\"{{shop}}{target}\"")];
    if !headers.is_empty() {
        arguments.push(format!("headers={{{}}}", headers.join(", ")));
    }
    if let Some(body) = &call.body {
        arguments.push(format!("json={}", DICT.write(body, INDENT)));
    }
    if call.answers == Answers::Events {
        arguments.push("stream=True".to_owned());
    }
    arguments.push("timeout=30".to_owned());
    let arguments = format!("    {},\n", arguments.join(",\n    "));
    let shown = match call.answers {
        Answers::Json => "print(answer.json())\n",
        Answers::Nothing => "print(answer.status_code)\n",
        Answers::Events => "for line in answer.iter_lines():\n    print(line.decode())\n",
    };
    format!(
        "{imports}\nimport requests  # pip install requests\n\n{variables}\n\
         answer = requests.{method}(\n{arguments})\nanswer.raise_for_status()\n{shown}",
        method = call.method,
    )
}
