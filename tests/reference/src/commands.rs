//! The programs' subcommands: what they do instead of serving.

use clap::Command;

use crate::{
    markdown::{self, add, cell, code, shown},
    programs::programs,
};

/// The page.
pub fn page() -> anyhow::Result<String> {
    let mut page = markdown::beginning(
        "Commands",
        "the programs' command lines",
        "Without a command a service serves. With one it does that and ends: status 0 if it did, another if not. The programs are\n\
         in `target/*/release`; in a cluster each is `/program` in its pod. Flags beside [settings](configuration.md) are\n\
         listed here; `--help` of each says the same.",
    );
    for program in programs() {
        let mut command = program.command;
        command.build();
        let mut rows = Vec::new();
        walk(&command, program.name, &mut rows);
        if rows.is_empty() {
            continue;
        }
        add(&mut page, format_args!("\n## {}\n\n", program.name));
        if let Some(about) = command.get_about() {
            page.push_str(&shown(&about.to_string()));
            page.push_str("\n\n");
        }
        markdown::table(&mut page, &["command", "what it does"], &rows);
    }
    Ok(page)
}

fn walk(command: &Command, path: &str, rows: &mut Vec<Vec<String>>) {
    for inside in command
        .get_subcommands()
        .filter(|inside| inside.get_name() != "help")
    {
        let path = format!("{path} {}", inside.get_name());
        if inside.has_subcommands() {
            walk(inside, &path, rows);
            continue;
        }
        let about = inside.get_long_about().or(inside.get_about());
        let mut does = cell(&about.map(ToString::to_string).unwrap_or_default());
        let mut usage = path.clone();
        let own = |argument: &&clap::Arg| {
            argument.get_env().is_none() && !["help", "version"].contains(&argument.get_id().as_str())
        };
        for argument in inside.get_arguments().filter(own) {
            let value = argument.get_value_names().unwrap_or_default().join(" ");
            let shown = match argument.get_long() {
                None => format!("{value}…"),
                Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
                Some(long) => format!("--{long}"),
            };
            add(&mut usage, format_args!(" [{shown}]"));
            let help = argument
                .get_long_help()
                .or(argument.get_help())
                .map(ToString::to_string);
            let default = argument
                .get_default_values()
                .first()
                .map(|value| value.to_string_lossy());
            let default = default.map(|value| format!(" ({value})")).unwrap_or_default();
            add(
                &mut does,
                format_args!(
                    "<br>{}{default}: {}",
                    code(&shown),
                    cell(&help.unwrap_or_default())
                ),
            );
        }
        rows.push(vec![code(&usage), does]);
    }
}
