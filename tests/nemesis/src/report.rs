//! How long it took. Printed, never asserted.

use std::{fmt, time::Duration};

/// A chapter's figures.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its faults.
    pub chapter: String,
    /// Orders answered with 201, from the first order to the last.
    pub acknowledged: usize,
    /// Of those the ones while the fault lasted.
    pub meanwhile: usize,
    /// Answers that asked for another try, or none at all.
    pub again: u64,
    /// Answers that were neither success nor "try again".
    pub wrong: u64,
    /// The longest time between two answered orders.
    pub longest_gap: Duration,
    /// From the last healing until an order was answered.
    pub first_answer: Option<Duration>,
    /// How long an order waited for its decision at most, counted from the last healing or from its answer, whichever
    /// came later.
    pub decided: Option<Duration>,
    /// Orders rejected and cancelled.
    pub rejected_and_cancelled: (usize, usize),
    /// Services that ended by themselves and were started again.
    pub restarts: u32,
    /// Whether the books balance.
    pub balanced: bool,
}

const HEADINGS: [&str; 11] = [
    "faults",
    "orders",
    "meanwhile",
    "tried again",
    "wrong",
    "longest gap",
    "first answer",
    "all decided",
    "rejected/cancelled",
    "restarts",
    "books",
];

impl Row {
    fn cells(&self) -> [String; 11] {
        let (rejected, cancelled) = self.rejected_and_cancelled;
        [
            self.chapter.clone(),
            self.acknowledged.to_string(),
            self.meanwhile.to_string(),
            self.again.to_string(),
            self.wrong.to_string(),
            seconds(Some(self.longest_gap)),
            seconds(self.first_answer),
            seconds(self.decided),
            format!("{rejected}/{cancelled}"),
            self.restarts.to_string(),
            if self.balanced { "balanced" } else { "NOT BALANCED" }.to_owned(),
        ]
    }
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or_else(
        || "never".to_owned(),
        |duration| format!("{:.2} s", duration.as_secs_f64()),
    )
}

/// All chapters, as a table.
#[derive(Clone, Debug, Default)]
pub struct Report(pub Vec<Row>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADINGS.map(ToOwned::to_owned)];
        rows.extend(self.0.iter().map(Row::cells));
        let widths: [usize; 11] = std::array::from_fn(|column| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        });
        for row in rows {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Names to the left, figures to the right.
                if column == 0 {
                    write!(f, "{cell:<width$}")?;
                } else {
                    write!(f, "  {cell:>width$}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_what_never_came_is_said() {
        let row = Row {
            chapter: "kill-postgres".to_owned(),
            acknowledged: 120,
            longest_gap: Duration::from_millis(2_340),
            first_answer: None,
            decided: Some(Duration::from_secs(1)),
            ..Row::default()
        };
        let text = Report(vec![row]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len());
        let cells: Vec<&str> = lines[1]
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect();
        assert_eq!(
            cells,
            [
                "kill-postgres",
                "120",
                "0",
                "0",
                "0",
                "2.34 s",
                "never",
                "1.00 s",
                "0/0",
                "0",
                "NOT BALANCED"
            ]
        );
    }
}
