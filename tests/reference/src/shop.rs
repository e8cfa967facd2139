//! Every field of a Shop, of the operator's types.

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    markdown::{self, add, code},
    schema::{Enter, HEAD, fields, rows},
};

/// Fields whose types are Kubernetes' own.
const OF_KUBERNETES: [&str; 5] = ["affinity", "env", "resources", "tolerations", "conditions"];

/// The page.
pub fn page() -> anyhow::Result<String> {
    let definition: Value = serde_json::to_value(shop_operator::crd::definition())?;
    let names = &definition["spec"]["names"];
    let mut page = markdown::beginning(
        "The Shop resource",
        "`operator/src/crd/`",
        "`spec: {}` is a shop that works; every field has a default or may be left out. `kubectl explain shop.spec --recursive`\n\
         lists the same on a cluster, with what is inside the types of Kubernetes itself, and [deploy/examples](../../deploy/examples) has Shops to begin with.",
    );
    for version in definition["spec"]["versions"]
        .as_array()
        .context("it has no versions")?
    {
        add(
            &mut page,
            format_args!(
                "\n`apiVersion: {}/{}`, `kind: {}`; `kubectl get {}`.\n",
                text(&definition["spec"]["group"]),
                text(&version["name"]),
                text(&names["kind"]),
                text(&names["shortNames"][0])
            ),
        );
        let schema = &version["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            add(&mut page, format_args!("\n## {part}\n\n"));
            markdown::table(
                &mut page,
                &HEAD,
                &rows(&fields(
                    schema,
                    &schema["properties"][part],
                    Enter::AllBut(&OF_KUBERNETES),
                )),
            );
        }
        page.push_str("\n## What `kubectl get shops` shows\n\n");
        let columns = version["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten();
        let columns = columns.map(|column| vec![text(&column["name"]), code(&text(&column["jsonPath"]))]);
        markdown::table(&mut page, &["column", "of"], &columns.collect::<Vec<_>>());
    }
    Ok(page)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
