//! Every kind of problem that the API answers with.

use api_gateway::problem_types::TYPES;

use crate::markdown::{self, cell, code};

/// The page.
pub fn page() -> anyhow::Result<String> {
    let mut page = markdown::beginning(
        "Problem types",
        "`services/api-gateway/src/problem_types.rs`",
        "An error of the API is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). The last part of its `type`\n\
         is stable, and one of these; `GET /problems` lists them too. [How errors are told](api-conventions.md#errors).\n",
    );
    let rows = TYPES.iter().map(|kind| {
        vec![
            kind.status.to_string(),
            code(kind.name),
            cell(kind.meaning),
            cell(kind.remedy),
        ]
    });
    markdown::table(
        &mut page,
        &["status", "type", "what it means", "what to do"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(page)
}
