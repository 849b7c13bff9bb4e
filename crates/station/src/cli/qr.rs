//! Codes to scan: on a terminal, and in pages for printing.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around a code, as readers want them.
const MARGIN: usize = 4;

/// A code as a square of modules, `true` for dark ones.
pub(crate) struct Code {
    width: usize,
    dark: Vec<bool>,
}

impl Code {
    /// `None` when the text is too long for any code.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        Some(Self {
            width: code.width(),
            dark: code
                .to_colors()
                .into_iter()
                .map(|color| color == Color::Dark)
                .collect(),
        })
    }

    /// Module at a place that counts the margin.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let at = |place: usize| place.checked_sub(MARGIN).filter(|place| *place < self.width);
        matches!((at(x), at(y)), (Some(x), Some(y)) if self.dark[y * self.width + x])
    }

    /// Two modules above each other in one character; light ones are drawn, for terminals are dark.
    pub(crate) fn to_text(&self) -> String {
        let size = self.width + 2 * MARGIN;
        let rows = (0..size).step_by(2).map(|y| {
            let modules = (0..size).map(|x| match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
            modules.collect::<String>()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    /// As a picture for a page.
    pub(crate) fn to_svg(&self) -> String {
        let size = self.width + 2 * MARGIN;
        let mut path = String::new();
        for y in 0..size {
            for x in (0..size).filter(|x| self.is_dark(*x, y)) {
                path.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\"><path d=\"{path}\"/></svg>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_corners_and_margin() {
        let code = Code::of("lineside-checkpoint 1").unwrap();
        assert_eq!(code.width, 25);
        // The three corners of a code are 7 dark modules wide; the fourth is none.
        for (x, y) in [(0, 0), (18, 0), (0, 18)] {
            assert!(
                (0..7).all(|step| code.is_dark(MARGIN + x + step, MARGIN + y)),
                "{x},{y}"
            );
        }
        assert!(!(0..7).all(|step| code.is_dark(MARGIN + 18 + step, MARGIN + 18)));
        let text = code.to_text();
        assert_eq!(text.lines().count(), 17);
        assert!(text.lines().next().unwrap().chars().all(|c| c == '█'));
        assert!(code.to_svg().contains("viewBox=\"0 0 33 33\""));
        assert!(Code::of(&"x".repeat(3_000)).is_none());
    }
}
