//! Pictures for products that have none of their own: a small still life, the same one for the same product always. The
//! category decides what stands on the table and in which colours, the id how it is shaped and where the sun is.

mod things;

use std::fmt::Write as _;

use proto::inventory::Product;

use things::{Sequence, Things};

/// Where the table begins, in a picture of 400 by 400.
const TABLE: f32 = 292.0;

/// Colours that go together.
struct Palette {
    wall: &'static str,
    sun: &'static str,
    table: &'static str,
    main: &'static str,
    second: &'static str,
}

const fn palette(colours: [&'static str; 5]) -> Palette {
    let [wall, sun, table, main, second] = colours;
    Palette {
        wall,
        sun,
        table,
        main,
        second,
    }
}

const PALETTES: [Palette; 8] = [
    palette(["#f3e3d3", "#e9b872", "#dcc3a6", "#b5533c", "#3f5e5a"]),
    palette(["#e3e8dc", "#f2d49b", "#c7d1ba", "#5f7f6a", "#b5623f"]),
    palette(["#dde6ec", "#f4c9a4", "#b9cad7", "#35597a", "#c98b4a"]),
    palette(["#efe1e4", "#e8b7a0", "#d8bfc7", "#7a3f55", "#4f6f6a"]),
    palette(["#f5ead0", "#e08a5c", "#e3d0a0", "#c2902e", "#3d4f63"]),
    palette(["#dcebe8", "#f0cf8e", "#b6d2cc", "#2a6f6b", "#c25b45"]),
    palette(["#ebe7df", "#dba98e", "#d2cabb", "#6d665c", "#2f5d57"]),
    palette(["#f7e1d9", "#f0b98d", "#e6c3b3", "#c4685a", "#54618a"]),
];

/// What stands on the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Motif {
    Cup,
    Bottle,
    Vase,
    Jar,
    Plant,
    Books,
    Lamp,
    Textiles,
}

/// Words of category names, in the languages of the pages, and what they are pictured as.
const MOTIFS: [(Motif, &[&str]); 8] = [
    (
        Motif::Cup,
        &["cup", "mug", "tasse", "becher", "tableware", "geschirr"],
    ),
    (
        Motif::Bottle,
        &["bottle", "wine", "bath", "care", "bad", "pflege", "flasche"],
    ),
    (Motif::Vase, &["vase", "ceramic", "keramik", "pottery", "decor"]),
    (
        Motif::Jar,
        &[
            "coffee", "tea", "pantry", "kitchen", "kaffee", "tee", "vorrat", "küche",
        ],
    ),
    (Motif::Plant, &["plant", "garden", "pflanze", "garten", "outdoor"]),
    (
        Motif::Books,
        &["book", "paper", "stationery", "buch", "bücher", "papier", "desk"],
    ),
    (Motif::Lamp, &["lamp", "light", "leuchte", "licht"]),
    (
        Motif::Textiles,
        &["textile", "linen", "blanket", "cloth", "decke", "leinen", "wool"],
    ),
];

/// An SVG document, or an element within a page: the same text.
pub(super) fn of(product: &Product) -> String {
    draw(&product.id, &product.category)
}

/// The picture of the product with that id, in that category.
pub(super) fn draw(id: &str, category: &str) -> String {
    let mut shape = Sequence::of(id);
    // What is in no category has nothing in common with anything.
    let common = if category.is_empty() { id } else { category };
    let mut style = Sequence::of(&common.to_lowercase());
    let palette = &PALETTES[usize::from(style.below(8))];
    let motif = motif(category, &mut style);
    let (main, second) = if shape.below(3) == 0 {
        (palette.second, palette.main)
    } else {
        (palette.main, palette.second)
    };
    let (wall, sun, table) = (palette.wall, palette.sun, palette.table);
    let (x, y, radius) = (
        shape.between(90.0, 310.0),
        shape.between(95.0, 170.0),
        shape.between(48.0, 86.0),
    );
    let mut svg = String::with_capacity(1_600);
    let _never_fails = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 400 400\" aria-hidden=\"true\" focusable=\"false\">\
         <path fill=\"{wall}\" d=\"M0 0h400v400H0z\"/><circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"{radius:.0}\" fill=\"{sun}\"/>\
         <path fill=\"{table}\" d=\"M0 {TABLE}h400v{:.0}H0z\"/>",
        400.0 - TABLE
    );
    let aside = if shape.below(2) == 0 { -1.0 } else { 1.0 };
    let mut things = Things {
        svg,
        shape,
        main,
        second,
        sun,
    };
    things.stand(motif, 200.0 - aside * 26.0);
    things.companion(200.0 + aside * 98.0);
    things.svg.push_str("</svg>");
    things.svg
}

fn motif(category: &str, style: &mut Sequence) -> Motif {
    let category = category.to_lowercase();
    let named = MOTIFS
        .iter()
        .find(|(_, words)| words.iter().any(|word| category.contains(word)));
    let other = usize::from(style.below(8));
    named.map_or(MOTIFS[other].0, |(motif, _)| *motif)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_one_picture_and_another_product_another() {
        let picture = draw("0190", "Cups");
        assert_eq!(picture, draw("0190", "Cups"));
        assert_ne!(picture, draw("0191", "Cups"));
        assert_ne!(picture, draw("0190", "Books"));
    }

    /// Neither a style nor a script, and nothing of what the shop was told.
    #[test]
    fn a_picture_is_shapes_and_colours_only() {
        for category in ["", "Books", "Lamps & light", "\"><script>alert(1)</script>", "Ü"] {
            for id in 0..50 {
                let picture = draw(&format!("{id}"), category);
                assert!(picture.len() < 3_000, "{picture}");
                for not_there in ["script", "style", "on", "href", "NaN", "inf"] {
                    let shapes = picture.replace("http://www.w3.org/2000/svg", "");
                    assert!(
                        !shapes
                            .replace("none", "")
                            .replace("round", "")
                            .contains(not_there),
                        "{not_there}: {shapes}"
                    );
                }
            }
        }
    }
}
