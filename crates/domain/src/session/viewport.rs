//! The size of a page.

use serde::{Deserialize, Serialize};

/// The size that pages are laid out in, in CSS pixels.
///
/// Any size from 100 to 8192: clients send far more sizes than Browserbase's list of supported ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewport {
    width: u32,
    height: u32,
}

/// A size that a browser window cannot have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be between {} and {} pixels, not {value}", Viewport::MIN, Viewport::MAX)]
pub struct InvalidViewport {
    /// Which side is wrong: `width` or `height`.
    pub side: &'static str,
    value: i64,
}

impl Viewport {
    /// The shortest side. Chromium's windows do not become smaller.
    pub const MIN: u32 = 100;
    /// The longest side: 8K.
    pub const MAX: u32 = 8_192;

    /// A viewport of this size.
    ///
    /// # Errors
    /// A side is outside the range.
    pub fn new(width: i64, height: i64) -> Result<Self, InvalidViewport> {
        let checked = |side, value| match u32::try_from(value) {
            Ok(pixels @ Self::MIN..=Self::MAX) => Ok(pixels),
            _ => Err(InvalidViewport { side, value }),
        };
        Ok(Self {
            width: checked("width", width)?,
            height: checked("height", height)?,
        })
    }

    /// Width in CSS pixels.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Height in CSS pixels.
    pub const fn height(self) -> u32 {
        self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_is_wrong_is_named() {
        assert_eq!(Viewport::new(1288, 99).unwrap_err().side, "height");
        assert_eq!(Viewport::new(-1, 711).unwrap_err().side, "width");
        assert!(Viewport::new(320, 568).is_ok());
    }
}
