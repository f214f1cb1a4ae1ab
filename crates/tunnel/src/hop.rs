//! What a gateway adds to a client's bytes, so that its worker knows whether the *client* is gone or only the gateway.
//!
//! A session without keepAlive ends with its last client, at once. But the kernel closes the sockets of a killed gateway
//! exactly as the gateway closes them when its client leaves: an end of the stream proves nothing, whether FIN or reset.
//! So between a gateway and a worker the client's bytes travel in chunks, and the gateway says in a last one why no more
//! come:
//!
//! ```text
//! length, 16 bits, big endian, above 0 | that many bytes
//! 0, 16 bits                           | reason, 8 bits: 1 the client left, 2 the gateway stops
//! ```
//!
//! | how the stream ends | what happened | what the worker does |
//! |---|---|---|
//! | reason 1 | the client closed, broke off or was killed | the client has left |
//! | reason 2 | the gateway stops as planned | sends the client a close frame 1012 (the gateway parses no frames and cannot), and expects it back |
//! | without a reason | the gateway was killed, or the network failed | expects the client back |
//!
//! A worker keeps a session whose client it expects back for a grace, and ends it after that. From worker to gateway
//! bytes travel bare. Both sides name [`HOP_HEADER`] in the handshake; if either does not, the bytes upwards are bare too,
//! and an end of the stream is the client's leaving. So it is in a single process as well, where there is no hop.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header in which gateway and worker agree on chunks; its value is the version.
const HOP_HEADER: HeaderName = HeaderName::from_static("x-wharf-hop");
const VERSION: HeaderValue = HeaderValue::from_static("1");

/// The size of a chunk's length.
pub(super) const LENGTH_SIZE: usize = 2;

/// Why a gateway sends no more of a client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopEnd {
    /// The client has gone, in whatever way.
    ClientLeft,
    /// The gateway stops; the client is still there.
    GatewayStops,
}

/// Offers, or accepts, the hop's chunks.
pub fn name_hop(headers: &mut HeaderMap) {
    headers.insert(HOP_HEADER, VERSION);
}

/// Whether the other side offered, or accepted, the hop's chunks.
pub fn names_hop(headers: &HeaderMap) -> bool {
    headers.get(HOP_HEADER) == Some(&VERSION)
}

impl HopEnd {
    pub(super) const fn chunk(self) -> [u8; LENGTH_SIZE + 1] {
        match self {
            Self::ClientLeft => [0, 0, 1],
            Self::GatewayStops => [0, 0, 2],
        }
    }

    const fn from_reason(reason: u8) -> Option<Self> {
        match reason {
            1 => Some(Self::ClientLeft),
            2 => Some(Self::GatewayStops),
            _ => None,
        }
    }
}

/// A part of what a gateway sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'input> {
    /// The client's bytes, never none.
    Bytes(&'input [u8]),
    /// No more bytes come. `None` for a reason that this version does not know.
    End(Option<HopEnd>),
}

/// Takes a gateway's chunks apart, however the network cut them.
#[derive(Debug, Default)]
pub struct HopReader(Expected);

#[derive(Debug, Default)]
enum Expected {
    #[default]
    Length,
    LengthEnd(u8),
    Bytes(usize),
    Reason,
    Nothing,
}

impl HopReader {
    /// The next part of `input`, which is moved on; `None` once it is used up. What follows an end is ignored.
    pub fn next<'input>(&mut self, input: &mut &'input [u8]) -> Option<Piece<'input>> {
        loop {
            if let Expected::Bytes(left) = self.0 {
                let (bytes, rest) = input.split_at(left.min(input.len()));
                if bytes.is_empty() {
                    return None;
                }
                *input = rest;
                self.0 = match left - bytes.len() {
                    0 => Expected::Length,
                    left => Expected::Bytes(left),
                };
                return Some(Piece::Bytes(bytes));
            }
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            self.0 = match self.0 {
                Expected::LengthEnd(high) => match u16::from_be_bytes([high, byte]) {
                    0 => Expected::Reason,
                    length => Expected::Bytes(length.into()),
                },
                Expected::Reason => {
                    self.0 = Expected::Nothing;
                    return Some(Piece::End(HopEnd::from_reason(byte)));
                }
                Expected::Nothing => Expected::Nothing,
                Expected::Length | Expected::Bytes(_) => Expected::LengthEnd(byte),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(chunks: &[Vec<u8>], end: Option<HopEnd>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for chunk in chunks {
            bytes.extend(
                u16::try_from(chunk.len())
                    .expect("a chunk is small")
                    .to_be_bytes(),
            );
            bytes.extend(chunk);
        }
        bytes.extend(end.into_iter().flat_map(HopEnd::chunk));
        bytes
    }

    fn unwrapped(bytes: &[u8], cuts: &[prop::sample::Index]) -> (Vec<u8>, Option<Option<HopEnd>>) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (mut reader, mut received, mut end) = (HopReader::default(), Vec::new(), None);
        for range in cuts.windows(2) {
            let mut input = &bytes[range[0]..range[1]];
            while let Some(piece) = reader.next(&mut input) {
                match piece {
                    Piece::Bytes(bytes) => received.extend(bytes),
                    Piece::End(reason) => end = Some(reason),
                }
            }
            assert!(input.is_empty());
        }
        (received, end)
    }

    fn ends() -> impl Strategy<Value = Option<HopEnd>> {
        prop_oneof![
            Just(None),
            Just(Some(HopEnd::ClientLeft)),
            Just(Some(HopEnd::GatewayStops))
        ]
    }

    proptest! {
        #[test]
        fn bytes_and_end_arrive_however_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            end in ends(),
            cuts: [prop::sample::Index; 5],
        ) {
            let (received, ended) = unwrapped(&wrapped(&chunks, end), &cuts);
            prop_assert_eq!(received, chunks.concat());
            prop_assert_eq!(ended, end.map(Some));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cuts: [prop::sample::Index; 3]) {
            unwrapped(&bytes, &cuts);
        }
    }

    #[test]
    fn a_reason_of_another_version_is_an_end_all_the_same() {
        assert_eq!(unwrapped(&[0, 0, 9, 0, 1, 7], &[]), (vec![], Some(None)));
    }
}
