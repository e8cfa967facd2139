//! Rows as structs.

/// Reads rows into structs whose fields are named as the columns: `from_row!(Backlog { rows, oldest_seconds })`. All fields,
/// or it does not compile. sqlx derives the same, with a macro that compiles sqlx a second time
/// ([`migrations!`](crate::migrations)).
#[macro_export]
macro_rules! from_row {
    ($row:ident { $($field:ident),+ $(,)? }) => {
        impl ::sqlx::FromRow<'_, ::sqlx::postgres::PgRow> for $row {
            fn from_row(row: &::sqlx::postgres::PgRow) -> ::sqlx::Result<Self> {
                Ok(Self {
                    $($field: ::sqlx::Row::try_get(row, stringify!($field).trim_start_matches("r#"))?,)+
                })
            }
        }
    };
}
