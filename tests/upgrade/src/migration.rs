//! What a migration may not do in one step, since the version before runs on the same tables while it is applied, and
//! after it, and may be rolled back to.
//!
//! A change of the schema is three: *expand* (add what the new version needs, in a way that the old one doesn't notice),
//! *migrate* (the new version writes both, and fills in what is missing, a few rows at a time), and in a later release
//! *contract* (take away what nobody uses any more). [`findings`] lets pass what is known to expand, and finds fault with
//! all else, also with what it doesn't know. A table that the migration makes itself is nobody's yet: with it everything
//! may be done.
//!
//! A statement that is right nevertheless has a comment right before it that says why, for the next who reads it:
//!
//! ```sql
//! -- contract: no version since 1.4 reads this column
//! ALTER TABLE orders DROP COLUMN note;
//! ```

use std::{collections::BTreeSet, fmt};

use sqlparser::{
    ast::{
        AlterColumnOperation, AlterTableOperation, ColumnDef, ColumnOption, CreateIndex, Delete, Expr,
        FromTable, ObjectName, SetExpr, Statement, TableConstraint, TableFactor, TableWithJoins, Update,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace},
};

const ALLOWED: &str = "contract:";
/// sqlx's: with it at its beginning a migration is no transaction.
const NO_TRANSACTION: &str = "-- no-transaction";
const STATEMENT_SHOWN: usize = 100;

/// A statement that may not stand in a migration as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it begins, from 1.
    pub line: u64,
    /// Its beginning.
    pub statement: String,
    /// Why not, and what to do.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.statement, self.why)
    }
}

/// Everything that is wrong with a migration.
pub fn findings(sql: &str) -> Vec<Finding> {
    let tokens = match Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(error) => {
            return vec![Finding {
                line: error.location.line,
                statement: String::new(),
                why: format!("it is no SQL: {}", error.message),
            }];
        }
    };
    let pieces = pieces(&tokens);
    let mut migration = Migration {
        alone_outside_of_a_transaction: sql.starts_with(NO_TRANSACTION) && pieces.len() == 1,
        ..Migration::default()
    };
    let mut findings = Vec::new();
    for piece in pieces {
        let faults = match Parser::new(&PostgreSqlDialect {})
            .with_tokens_with_locations(piece.tokens)
            .parse_statement()
        {
            Ok(statement) => migration.faults(&statement),
            Err(error) => vec![format!(
                "it can't be read ({error}), so nobody knows what it does to the version before"
            )],
        };
        if !piece.is_allowed {
            findings.extend(faults.into_iter().map(|why| Finding {
                line: piece.line,
                statement: piece.text.clone(),
                why,
            }));
        }
    }
    findings
}

/// One statement's tokens.
struct Piece {
    line: u64,
    text: String,
    is_allowed: bool,
    tokens: Vec<TokenWithSpan>,
}

fn pieces(tokens: &[TokenWithSpan]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut line_of_the_last_end = 0;
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        let is_space = |token: &&TokenWithSpan| matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let Some(first) = tokens.iter().find(|token| !is_space(token)) else {
            continue;
        };
        let line = first.span.start.line;
        // A comment on the line where the statement before ends is about that one.
        let mut comments = tokens
            .iter()
            .take_while(is_space)
            .filter(|token| token.span.start.line > line_of_the_last_end)
            .filter_map(comment);
        let is_allowed = comments.any(|comment| {
            let reason = comment.trim().strip_prefix(ALLOWED);
            reason.is_some_and(|why| !why.trim().is_empty())
        });
        let end = tokens.iter().rfind(|token| !is_space(token));
        line_of_the_last_end = end.map_or(line, |end| end.span.end.line);
        let written = tokens.iter().filter(|token| comment(token).is_none());
        let text = written.map(|token| token.token.to_string()).collect::<String>();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        pieces.push(Piece {
            line,
            text: text.chars().take(STATEMENT_SHOWN).collect(),
            is_allowed,
            tokens: tokens.to_vec(),
        });
    }
    pieces
}

fn comment(token: &TokenWithSpan) -> Option<&str> {
    match &token.token {
        Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => Some(comment),
        _ => None,
    }
}

/// What is known of a migration from its statements so far.
#[derive(Default)]
struct Migration {
    created: BTreeSet<String>,
    constrained: BTreeSet<String>,
    alone_outside_of_a_transaction: bool,
}

impl Migration {
    fn faults(&mut self, statement: &Statement) -> Vec<String> {
        let fault = |why: &str| vec![why.to_owned()];
        match statement {
            Statement::CreateTable(table) => {
                // Where it may be there already it may also be large, and in use.
                if !table.if_not_exists {
                    self.created.insert(name(&table.name));
                }
                Vec::new()
            }
            Statement::CreateIndex(index) => self.faults_of_index(index),
            Statement::AlterTable(alter) => {
                let table = name(&alter.name);
                let operations = alter.operations.iter();
                operations
                    .filter_map(|operation| self.fault_of_alteration(&table, operation))
                    .collect()
            }
            Statement::Drop { names, .. } if names.iter().all(|dropped| self.is_new(dropped)) => Vec::new(),
            Statement::Truncate(truncate)
                if truncate.table_names.iter().all(|table| self.is_new(&table.name)) =>
            {
                Vec::new()
            }
            Statement::Update(update) if is_bounded(update.selection.as_ref()) || self.is_new_in(update) => {
                Vec::new()
            }
            Statement::Delete(delete)
                if is_bounded(delete.selection.as_ref()) || self.is_new_from(delete) =>
            {
                Vec::new()
            }
            Statement::Query(query) if query.with.is_none() && matches!(*query.body, SetExpr::Select(_)) => {
                Vec::new()
            }
            Statement::CreateFunction(function) if !function.or_replace => Vec::new(),
            Statement::Insert(_)
            | Statement::CreateType { .. }
            | Statement::CreateDomain(_)
            | Statement::CreateSequence { .. }
            | Statement::CreateSchema { .. }
            | Statement::CreateExtension(_)
            | Statement::Comment { .. }
            | Statement::Set(_) => Vec::new(),
            Statement::Drop { .. } => fault("the version before may use it: to drop is for a later release"),
            Statement::Truncate(_) => fault("it takes the rows from the version before, and locks the table"),
            Statement::Update(_) | Statement::Delete(_) => fault(
                "without WHERE it holds every row locked until the migration ends: do it in the service, some rows at a time",
            ),
            Statement::AlterType(_) => fault("the version before doesn't know the type's new form"),
            _ => fault("it is not known to leave the version before alone"),
        }
    }

    fn is_new(&self, table: &ObjectName) -> bool {
        self.created.contains(&name(table))
    }

    fn is_new_in(&self, update: &Update) -> bool {
        self.is_new_table(&update.table)
    }

    fn is_new_from(&self, delete: &Delete) -> bool {
        let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
        tables.iter().all(|table| self.is_new_table(table))
    }

    fn is_new_table(&self, table: &TableWithJoins) -> bool {
        matches!(&table.relation, TableFactor::Table { name, .. } if self.is_new(name))
    }

    fn faults_of_index(&self, index: &CreateIndex) -> Vec<String> {
        if self.is_new(&index.table_name) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        if !index.concurrently {
            faults.push(
                "nobody can write to the table while it is built: CREATE INDEX CONCURRENTLY, alone in a migration that \
                 begins with `-- no-transaction`"
                    .to_owned(),
            );
        } else if !self.alone_outside_of_a_transaction {
            faults.push(
                "CONCURRENTLY needs a migration of its own, which begins with `-- no-transaction`".to_owned(),
            );
        }
        if index.unique {
            faults.push("the version before may write what it refuses".to_owned());
        }
        faults
    }

    fn fault_of_alteration(&mut self, table: &str, operation: &AlterTableOperation) -> Option<String> {
        use AlterTableOperation as Operation;
        if self.created.contains(table) {
            return None;
        }
        let why = match operation {
            Operation::AddColumn { column_def, .. } => return fault_of_column(column_def),
            Operation::AddConstraint {
                constraint,
                not_valid,
            } => {
                self.constrained.insert(table.to_owned());
                match constraint {
                    TableConstraint::Check(_) | TableConstraint::ForeignKey(_) if *not_valid => return None,
                    TableConstraint::Check(_) | TableConstraint::ForeignKey(_) => {
                        "the table is locked while all of it is checked: NOT VALID here, VALIDATE CONSTRAINT in another migration"
                    }
                    _ => {
                        "the table is locked while an index is built, and the version before may write what it refuses"
                    }
                }
            }
            Operation::ValidateConstraint { .. } if !self.constrained.contains(table) => return None,
            Operation::ValidateConstraint { .. } => {
                "the lock of ADD CONSTRAINT is held until the migration ends: VALIDATE CONSTRAINT in another one"
            }
            Operation::AlterColumn { op, .. } => match op {
                AlterColumnOperation::SetDefault { .. } => return None,
                AlterColumnOperation::SetNotNull => {
                    "the table is locked while all of it is checked, and the version before may write none"
                }
                AlterColumnOperation::SetDataType { .. } => {
                    "the table is written anew under a lock, and the version before reads another type"
                }
                AlterColumnOperation::DropNotNull => "the version before may not expect none",
                AlterColumnOperation::DropDefault => "the version before may write rows without it",
                _ => "it is not known to leave the version before alone",
            },
            Operation::DropColumn { .. } | Operation::DropConstraint { .. } => {
                "the version before may use it: to drop is for a later release"
            }
            Operation::RenameColumn { .. }
            | Operation::RenameTable { .. }
            | Operation::RenameConstraint { .. } => {
                "the version before knows it by its old name: add the new, write both, and drop the old in a later release"
            }
            _ => "it is not known to leave the version before alone",
        };
        Some(format!("{operation}: {why}"))
    }
}

fn fault_of_column(column: &ColumnDef) -> Option<String> {
    let (mut not_null, mut default) = (false, None);
    let mut why = None;
    for option in &column.options {
        match &option.option {
            ColumnOption::Null | ColumnOption::Comment(_) | ColumnOption::Collation(_) => {}
            ColumnOption::NotNull => not_null = true,
            ColumnOption::Default(value) => default = Some(value),
            ColumnOption::Check(_) | ColumnOption::ForeignKey(_) => {
                why = Some(
                    "the table is locked while all of it is checked: ADD CONSTRAINT … NOT VALID for itself",
                );
            }
            ColumnOption::Unique(_) | ColumnOption::PrimaryKey(_) => {
                why = Some("the table is locked while an index is built");
            }
            _ => why = Some("it is not known to leave the version before alone, nor the table unwritten"),
        }
    }
    if not_null && default.is_none() {
        why = Some("the version before writes rows without it: DEFAULT, or no NOT NULL");
    }
    if default.is_some_and(|value| !is_constant(value)) {
        why = Some("a default that is not constant writes the whole table anew under a lock");
    }
    if column.data_type.to_string().to_lowercase().contains("serial") {
        why = Some("a serial column writes the whole table anew under a lock");
    }
    why.map(|why| format!("ADD COLUMN {column}: {why}"))
}

/// Whether PostgreSQL evaluates it once, and keeps it beside the table.
fn is_constant(value: &Expr) -> bool {
    match value {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        Expr::Function(function) => matches!(name(&function.name).as_str(), "now" | "current_timestamp"),
        _ => false,
    }
}

/// Whether there is a condition that looks at the rows.
fn is_bounded(condition: Option<&Expr>) -> bool {
    condition.is_some_and(|condition| !matches!(condition, Expr::Value(_)))
}

/// The last part of a name, as PostgreSQL folds it.
fn name(object: &ObjectName) -> String {
    let last = object.0.last().and_then(|part| part.as_ident());
    last.map_or_else(String::new, |ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    })
}
