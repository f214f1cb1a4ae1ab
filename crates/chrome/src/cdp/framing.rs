//! Messages on the pipe end with a NUL byte.

/// The largest message kept, in bytes. We ask for nothing large; a larger one is an event nobody waits for.
const MESSAGE_LIMIT: usize = 4 << 20;

/// Puts messages together from chunks. A message over the limit is skipped whole, and the next one is read.
#[derive(Debug)]
pub(super) struct Decoder {
    message: Vec<u8>,
    limit: usize,
    skipping: bool,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::with_limit(MESSAGE_LIMIT)
    }
}

impl Decoder {
    fn with_limit(limit: usize) -> Decoder {
        Decoder {
            message: Vec::new(),
            limit,
            skipping: false,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) {
        for part in chunk.split_inclusive(|&byte| byte == 0) {
            let ends = part.ends_with(&[0]);
            let text = if ends { &part[..part.len() - 1] } else { part };
            self.skipping |= self.message.len() + text.len() > self.limit;
            if self.skipping {
                self.message = Vec::new();
            } else {
                self.message.extend_from_slice(text);
            }
            if ends {
                if !self.skipping {
                    each(&self.message);
                }
                self.message.clear();
                self.skipping = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(limit: usize, stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let (mut decoder, mut messages) = (Decoder::with_limit(limit), Vec::new());
        let (mut rest, mut cuts) = (stream, cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            decoder.push(chunk, |message| messages.push(message.to_owned()));
            rest = after;
        }
        messages
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_messages_within_the_limit(
            sent in prop::collection::vec(prop::collection::vec(1..=255u8, 0..30), 0..20),
            unfinished in prop::collection::vec(1..=255u8, 0..30),
            cuts in prop::collection::vec(1..50usize, 1..20),
            limit in 0..30usize,
        ) {
            let mut stream: Vec<u8> = sent.iter().flat_map(|message| [message.as_slice(), &[0]].concat()).collect();
            stream.extend(unfinished);
            let expected: Vec<_> = sent.into_iter().filter(|message| message.len() <= limit).collect();
            prop_assert_eq!(decode(limit, &stream, &cuts), expected);
        }
    }
}
