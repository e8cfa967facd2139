//! The steps of `orders` as a picture: orders a second beside pgbench's.

use std::path::Path;

use anyhow::anyhow;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Color as _, IntoDrawingArea as _, IntoFont as _, RGBColor,
    Rectangle, SVGBackend, SeriesLabelPosition, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::orders::Step;

const SIZE: (u32, u32) = (900, 420);
const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const PGBENCH: RGBColor = RGBColor(0xb0, 0xb0, 0xb0);
const TEXT: &str = "sans-serif";
/// Of the distance between two groups of bars.
const WIDTH: f64 = 0.38;

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Writes the picture there.
pub(crate) fn write(path: &Path, steps: &[Step]) -> anyhow::Result<()> {
    draw(path, steps).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn draw(path: &Path, steps: &[Step]) -> Result<(), Box<dyn std::error::Error>> {
    let highest = steps
        .iter()
        .map(|step| step.orders_per_second.max(step.pgbench_per_second))
        .fold(1.0, f64::max);
    let groups = f64::from(u32::try_from(steps.len())?);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Orders a second, and transactions of the same rows by pgbench",
            (TEXT, 20),
        )
        .margin(14)
        .y_label_area_size(60)
        // Below zero stand the names of the steps.
        .build_cartesian_2d(0.0..groups, -0.1 * highest..1.05 * highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .max_light_lines(1)
        .y_label_formatter(&|rate| {
            if *rate < 0.0 {
                String::new()
            } else {
                format!("{rate:.0}")
            }
        })
        .draw()?;
    bars(
        &mut chart,
        "orders",
        OURS,
        0.5 - WIDTH,
        steps.iter().map(|step| step.orders_per_second),
    )?;
    bars(
        &mut chart,
        "pgbench",
        PGBENCH,
        0.5,
        steps.iter().map(|step| step.pgbench_per_second),
    )?;
    let below = (TEXT, 15)
        .into_font()
        .color(&RGBColor(0x33, 0x33, 0x33))
        .pos(Pos::new(HPos::Center, VPos::Top));
    chart.draw_series((0..).zip(steps).map(|(group, step)| {
        Text::new(
            step.load.to_string(),
            (f64::from(group) + 0.5, -0.02 * highest),
            below.clone(),
        )
    }))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .label_font((TEXT, 15))
        .draw()?;
    area.present()?;
    Ok(())
}

/// One bar in each group, that far from its left.
fn bars(
    chart: &mut Chart<'_>,
    name: &str,
    color: RGBColor,
    offset: f64,
    heights: impl Iterator<Item = f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let bars: Vec<_> = (0..)
        .zip(heights)
        .map(|(group, height)| {
            let left = f64::from(group) + offset;
            Rectangle::new([(left, 0.0), (left + WIDTH, height)], color.filled())
        })
        .collect();
    chart
        .draw_series(bars)
        .map_err(|error| error.to_string())?
        .label(name)
        .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], color.filled()));
    Ok(())
}
