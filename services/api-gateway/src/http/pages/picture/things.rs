//! What stands on the table of a picture: shapes of which each is a little different every time.

use std::fmt::Write as _;

use super::Motif;

/// Where things stand.
const GROUND: f32 = 330.0;

/// A sequence of numbers that follows from a text.
pub(super) struct Sequence(u64);

impl Sequence {
    /// FNV-1a.
    pub(super) fn of(text: &str) -> Self {
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u8) -> u8 {
        u8::try_from(self.next() % u64::from(bound.max(1))).unwrap_or_default()
    }

    /// Between these, in 256 steps.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * f32::from(self.below(255)) / 254.0
    }
}

/// The things of a picture as they are drawn.
pub(super) struct Things {
    pub(super) svg: String,
    pub(super) shape: Sequence,
    pub(super) main: &'static str,
    pub(super) second: &'static str,
    pub(super) sun: &'static str,
}

impl Things {
    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        let _never_fails = self.svg.write_fmt(element);
    }

    pub(super) fn stand(&mut self, motif: Motif, x: f32) {
        let main = self.main;
        match motif {
            Motif::Cup => self.cup(x),
            Motif::Bottle => {
                let (height, wide) = (self.shape.between(170.0, 220.0), self.shape.between(34.0, 52.0));
                let neck = self.shape.between(10.0, 16.0);
                self.turned(
                    x,
                    height,
                    main,
                    &[
                        (0.0, neck),
                        (0.28, neck),
                        (0.45, wide * 0.9),
                        (0.6, wide),
                        (1.0, wide * 0.94),
                    ],
                );
                self.band(x, height, 0.62, 0.84, wide * 0.985);
            }
            Motif::Vase => {
                let (height, wide) = (self.shape.between(140.0, 200.0), self.shape.between(58.0, 84.0));
                let (neck, at) = (self.shape.between(16.0, 34.0), self.shape.between(0.45, 0.65));
                self.turned(
                    x,
                    height,
                    main,
                    &[
                        (0.0, neck + 8.0),
                        (0.14, neck),
                        (at, wide),
                        (0.85, wide * 0.78),
                        (1.0, wide * 0.5),
                    ],
                );
            }
            Motif::Jar => {
                let (height, wide) = (self.shape.between(120.0, 165.0), self.shape.between(56.0, 74.0));
                self.turned(
                    x,
                    height,
                    main,
                    &[(0.0, wide * 0.8), (0.12, wide), (0.88, wide), (1.0, wide * 0.9)],
                );
                self.band(x, height, 0.34, 0.74, wide);
                let (second, top) = (self.second, GROUND - height);
                let lid = wide * 0.86;
                self.put(format_args!(
                    "<rect x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"22\" rx=\"7\" fill=\"{second}\"/>\
                     <circle cx=\"{x:.0}\" cy=\"{:.0}\" r=\"9\" fill=\"{second}\"/>",
                    x - lid,
                    top - 18.0,
                    lid * 2.0,
                    top - 25.0
                ));
            }
            Motif::Plant => self.plant(x),
            Motif::Books => self.stack(x, 5, 3.0),
            Motif::Lamp => self.lamp(x),
            Motif::Textiles => self.stack(x, 4, 17.0),
        }
    }

    fn shadow(&mut self, x: f32, wide: f32) {
        self.put(format_args!(
            "<ellipse cx=\"{:.0}\" cy=\"{GROUND}\" rx=\"{:.0}\" ry=\"9\" opacity=\".13\"/>",
            x + wide * 0.3,
            wide * 1.15
        ));
    }

    /// What is round, by its radius at each height from above: with its shaded half.
    fn turned(&mut self, x: f32, height: f32, fill: &str, profile: &[(f32, f32)]) {
        let base = profile.last().map_or(0.0, |(_, radius)| *radius);
        self.shadow(x, base);
        let points: Vec<_> = profile
            .iter()
            .map(|(at, radius)| (*radius, GROUND - height + height * at))
            .collect();
        let right = curve(x, 1.0, &points);
        let mirrored: Vec<_> = points.iter().rev().copied().collect();
        let left = curve(x, -1.0, &mirrored);
        self.put(format_args!(
            "<path fill=\"{fill}\" d=\"M{right}L{left}z\"/><path opacity=\".14\" d=\"M{right}H{:.0}V{:.0}z\"/>",
            x + base * 0.1,
            GROUND - height
        ));
    }

    fn band(&mut self, x: f32, height: f32, from: f32, to: f32, wide: f32) {
        let (top, tall) = (GROUND - height + height * from, height * (to - from));
        let sun = self.sun;
        self.put(format_args!(
            "<path fill=\"{sun}\" opacity=\".85\" d=\"M{:.0} {top:.0}h{:.0}v{tall:.0}h-{:.0}z\"/>",
            x - wide,
            wide * 2.0,
            wide * 2.0
        ));
    }

    fn cup(&mut self, x: f32) {
        let (height, wide) = (self.shape.between(86.0, 122.0), self.shape.between(54.0, 74.0));
        let (main, sun, top) = (self.main, self.sun, GROUND - height);
        self.put(format_args!(
            "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"{:.0}\" fill=\"none\" stroke=\"{main}\" stroke-width=\"13\"/>",
            x + wide * 0.98,
            top + height * 0.42,
            height * 0.24
        ));
        let foot = self.shape.between(0.5, 0.82);
        self.turned(
            x,
            height,
            main,
            &[
                (0.0, wide),
                (0.4, wide * 0.97),
                (0.82, wide * foot.max(0.68)),
                (1.0, wide * foot),
            ],
        );
        self.put(format_args!(
            "<ellipse cx=\"{x:.0}\" cy=\"{top:.0}\" rx=\"{wide:.0}\" ry=\"9\" fill=\"{sun}\"/>"
        ));
    }

    fn plant(&mut self, x: f32) {
        let (main, second) = (self.main, self.second);
        let leaves = 5 + self.shape.below(3);
        for leaf in 0..leaves {
            let across = f32::from(leaf) / f32::from(leaves - 1) * 2.0 - 1.0;
            let (tip_x, tip_y) = (
                x + across * self.shape.between(80.0, 108.0),
                130.0 + across.abs() * self.shape.between(50.0, 80.0) - self.shape.between(0.0, 26.0),
            );
            let (fill, bend) = if leaf % 2 == 0 {
                (main, 30.0)
            } else {
                (second, 24.0)
            };
            self.put(format_args!(
                "<path fill=\"{fill}\" d=\"M{x:.0} 268Q{:.0} {:.0} {tip_x:.0} {tip_y:.0}Q{:.0} {:.0} {x:.0} 268z\"/>",
                x + across * 30.0 - bend,
                tip_y + 34.0,
                x + across * 62.0 + bend,
                tip_y + 66.0
            ));
        }
        let wide = self.shape.between(44.0, 56.0);
        let sun = self.sun;
        self.turned(
            x,
            86.0,
            sun,
            &[
                (0.0, wide + 8.0),
                (0.2, wide + 6.0),
                (0.24, wide),
                (1.0, wide * 0.74),
            ],
        );
    }

    fn stack(&mut self, x: f32, most: u8, round: f32) {
        self.shadow(x, 88.0);
        let mut top = GROUND;
        let colours = [self.main, self.second, self.sun];
        let layers = most - self.shape.below(2);
        for layer in 0..layers {
            let (tall, wide) = (self.shape.between(24.0, 40.0), self.shape.between(140.0, 186.0));
            let left = x - wide / 2.0 + self.shape.between(-9.0, 9.0);
            top -= tall;
            let fill = colours[usize::from(layer) % colours.len()];
            self.put(format_args!(
                "<rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"{wide:.0}\" height=\"{tall:.0}\" rx=\"{round}\" fill=\"{fill}\"/>\
                 <path opacity=\".16\" d=\"M{:.0} {:.0}h{:.0}v4h-{:.0}z\"/>",
                left + 18.0,
                top + tall * 0.62,
                wide - 36.0,
                wide - 36.0
            ));
        }
    }

    fn lamp(&mut self, x: f32) {
        let (main, second, sun) = (self.main, self.second, self.sun);
        let (height, wide) = (self.shape.between(180.0, 222.0), self.shape.between(62.0, 84.0));
        let (top, brim) = (GROUND - height, self.shape.between(0.35, 0.62));
        let shade = height * 0.42;
        self.shadow(x, 46.0);
        self.put(format_args!(
            "<path fill=\"{sun}\" opacity=\".35\" d=\"M{:.0} {:.0}L{:.0} {GROUND}H{:.0}L{:.0} {:.0}z\"/>\
             <path fill=\"{second}\" d=\"M{:.0} {:.0}h8v{:.0}h-8zM{:.0} {:.0}h84v9h-84z\"/>\
             <path fill=\"{main}\" d=\"M{:.0} {top:.0}H{:.0}L{:.0} {:.0}H{:.0}z\"/>\
             <path opacity=\".14\" d=\"M{x:.0} {top:.0}H{:.0}L{:.0} {:.0}H{x:.0}z\"/>",
            x - wide,
            top + shade,
            x - wide - 34.0,
            x + wide + 34.0,
            x + wide,
            top + shade,
            x - 4.0,
            top + shade,
            height - shade,
            x - 42.0,
            GROUND - 9.0,
            x - wide * brim,
            x + wide * brim,
            x + wide,
            top + shade,
            x - wide,
            x + wide * brim,
            x + wide,
            top + shade
        ));
    }

    /// Something small beside it.
    pub(super) fn companion(&mut self, x: f32) {
        let (second, sun) = (self.second, self.sun);
        match self.shape.below(4) {
            0 => {
                let radius = self.shape.between(19.0, 30.0);
                self.shadow(x, radius * 0.8);
                self.put(format_args!(
                    "<circle cx=\"{x:.0}\" cy=\"{:.0}\" r=\"{radius:.0}\" fill=\"{second}\"/>\
                     <path stroke=\"{second}\" stroke-width=\"4\" stroke-linecap=\"round\" fill=\"none\" d=\"M{x:.0} {:.0}q2-12 9-15\"/>",
                    GROUND - radius,
                    GROUND - radius * 2.0
                ));
            }
            1 => {
                let (height, wide) = (self.shape.between(52.0, 76.0), self.shape.between(20.0, 28.0));
                self.turned(
                    x,
                    height,
                    second,
                    &[
                        (0.0, wide * 0.5),
                        (0.3, wide * 0.45),
                        (0.65, wide),
                        (1.0, wide * 0.7),
                    ],
                );
            }
            2 => {
                let wide = self.shape.between(34.0, 44.0);
                self.turned(
                    x,
                    36.0,
                    second,
                    &[(0.0, wide), (0.5, wide * 0.86), (1.0, wide * 0.4)],
                );
            }
            _ => {
                self.shadow(x, 26.0);
                self.put(format_args!(
                    "<path fill=\"{second}\" d=\"M{:.0} {GROUND}h52v-26h-52z\"/>\
                     <path fill=\"{sun}\" d=\"M{:.0} {:.0}h40v-22h-40z\"/>",
                    x - 26.0,
                    x - 18.0,
                    GROUND - 26.0
                ));
            }
        }
    }
}

/// A smooth line (Catmull-Rom) through points at these distances from the axis, on one side of it.
fn curve(x: f32, side: f32, points: &[(f32, f32)]) -> String {
    let at = |index: usize| points.get(index).copied().unwrap_or_default();
    let mut line = String::new();
    let (radius, y) = at(0);
    let _never_fails = write!(line, "{:.0} {y:.0}", x + side * radius);
    for index in 1..points.len() {
        let (before, from, to) = (at(index.saturating_sub(2)), at(index - 1), at(index));
        let after = points.get(index + 1).copied().unwrap_or(to);
        let first = (from.0 + (to.0 - before.0) / 6.0, from.1 + (to.1 - before.1) / 6.0);
        let second = (to.0 - (after.0 - from.0) / 6.0, to.1 - (after.1 - from.1) / 6.0);
        let _never_fails = write!(
            line,
            "C{:.0} {:.0} {:.0} {:.0} {:.0} {:.0}",
            x + side * first.0,
            first.1,
            x + side * second.0,
            second.1,
            x + side * to.0,
            to.1
        );
    }
    line
}
