//! Tells a Rust file's code, comments and string literals apart, which is all that the rules need of a parser.

/// One file in two texts of the same shape: what does not belong to a text is blank in it, so that line numbers
/// and columns hold in both.
#[derive(Debug, Default)]
pub struct RustSource {
    /// Without comments and without the insides of string and character literals.
    pub code: String,
    /// Comments only, with their slashes.
    pub comments: String,
    pub literals: Vec<Literal>,
}

/// A string literal's inside, escapes as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Literal {
    /// Counts from 1: where the literal opens.
    pub line: usize,
    pub text: String,
}

impl RustSource {
    pub fn parse(text: &str) -> Self {
        let mut scanner = Scanner {
            characters: text.chars().collect(),
            at: 0,
            line: 1,
            source: RustSource::default(),
        };
        while scanner.at < scanner.characters.len() {
            scanner.step();
        }
        scanner.source
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

struct Scanner {
    characters: Vec<char>,
    at: usize,
    line: usize,
    source: RustSource,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.characters.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Moves over `count` characters of one kind.
    fn take(&mut self, count: usize, kind: Kind) {
        for _ in 0..count {
            let Some(&character) = self.characters.get(self.at) else {
                return;
            };
            let is_end = character == '\n';
            let shown = |wanted| if is_end || kind == wanted { character } else { ' ' };
            self.source.code.push(shown(Kind::Code));
            self.source.comments.push(shown(Kind::Comment));
            self.line += usize::from(is_end);
            self.at += 1;
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.at < self.characters.len() && self.peek(0) != '\n' {
                    self.take(1, Kind::Comment);
                }
            }
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(0, false),
            ('r', '"' | '#') if self.starts_a_token() => self.raw_string(),
            ('\'', '\\') => self.escaped_character(),
            ('\'', _) if self.peek(2) == '\'' => self.take(3, Kind::Literal),
            _ => self.take(1, Kind::Code),
        }
    }

    /// Whether the character here begins a word, allowing for the prefixes of `br".."` and `cr".."`.
    fn starts_a_token(&self) -> bool {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .map_or(' ', |index| self.characters[index])
        };
        let in_word = |character: char| character.is_alphanumeric() || character == '_';
        !in_word(before(1)) || (matches!(before(1), 'b' | 'c') && !in_word(before(2)))
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.characters.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.take(1, Kind::Comment);
                    continue;
                }
            }
            self.take(2, Kind::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn escaped_character(&mut self) {
        // The quote, the backslash and what it escapes, which may itself be a quote.
        self.take(3, Kind::Literal);
        while self.at < self.characters.len() && self.peek(0) != '\'' {
            self.take(1, Kind::Literal);
        }
        self.take(1, Kind::Literal);
    }

    /// At `r`: a raw string, or a raw identifier such as `r#type`.
    fn raw_string(&mut self) {
        let hashes = self.characters[self.at + 1..]
            .iter()
            .take_while(|&&character| character == '#')
            .count();
        self.take(1 + hashes, Kind::Code);
        if self.peek(0) == '"' {
            self.string(hashes, true);
        }
    }

    /// At the opening quote. A raw string ends at a quote with as many hashes as it began with.
    fn string(&mut self, hashes: usize, raw: bool) {
        let line = self.line;
        self.take(1, Kind::Code);
        let start = self.at;
        while self.at < self.characters.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            if closes {
                break;
            }
            self.take(if self.peek(0) == '\\' && !raw { 2 } else { 1 }, Kind::Literal);
        }
        let text = self.characters[start..self.at].iter().collect();
        self.source.literals.push(Literal { line, text });
        self.take(1 + hashes, Kind::Code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<(usize, String)> {
        RustSource::parse(text)
            .literals
            .into_iter()
            .map(|literal| (literal.line, literal.text))
            .collect()
    }

    #[test]
    fn code_and_comments_keep_their_places() {
        let source = RustSource::parse("let a = \"b\"; // c\n/* d /* e */\nf */ g");
        assert_eq!(source.code, "let a = \" \";     \n            \n     g");
        assert_eq!(source.comments, "             // c\n/* d /* e */\nf */  ");
    }

    #[test]
    fn every_form_of_string_is_a_literal() {
        assert_eq!(
            literals("\"a\\\"b\"\nr#\"c\"d\"# br\"e\\\" b\"f\" c\"g\""),
            [(1, "a\\\"b"), (2, "c\"d"), (2, "e\\"), (2, "f"), (2, "g")]
                .map(|(line, text)| (line, text.to_owned()))
        );
    }

    #[test]
    fn quotes_that_open_no_string() {
        let source = RustSource::parse(r#"fn a<'b>(r#type: &'b str) { ('"', '\'', '\u{22}', "c") }"#);
        assert_eq!(
            source.literals,
            [Literal {
                line: 1,
                text: "c".to_owned()
            }]
        );
        assert!(
            source.code.starts_with("fn a<'b>(r#type: &'b str) { ("),
            "{}",
            source.code
        );
    }

    #[test]
    fn what_is_cut_short_ends_with_the_file() {
        assert_eq!(literals("\"open"), [(1, "open".to_owned())]);
        assert_eq!(RustSource::parse("/* open").comments, "/* open");
        assert_eq!(RustSource::parse("'\\").code, "  ");
    }
}
