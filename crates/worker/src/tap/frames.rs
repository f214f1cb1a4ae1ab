//! WebSocket frames (RFC 6455, section 5), as far as a tap must know them: where they begin and end.

/// The longest header: two bytes, eight of length, four of mask.
const MOST_HEADER_BYTES: usize = 14;
/// The longest payload of a control frame.
const MOST_CONTROL_BYTES: u64 = 125;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    Reserved,
}

impl Opcode {
    const fn of(bits: u8) -> Self {
        match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => Self::Reserved,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether it is its message's last frame.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    /// The payload's length.
    pub(super) length: u64,
    /// The header's own length.
    pub(super) size: usize,
    extended: bool,
}

impl Header {
    /// The header that these bytes begin with; `None` when more of them are needed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (mask, rest) = rest.split_first_chunk()?;
                (Some(*mask), rest)
            }
        };
        Some(Self {
            last: first & 0x80 != 0,
            opcode: Opcode::of(first & 0x0f),
            mask,
            length,
            size: bytes.len() - rest.len(),
            extended: first & 0x70 != 0,
        })
    }

    /// Whether a client may send it: masked, without extensions, with an opcode that exists.
    pub(super) fn is_a_clients(&self) -> bool {
        let sane = match self.opcode {
            Opcode::Reserved => false,
            opcode if opcode.is_control() => self.last && self.length <= MOST_CONTROL_BYTES,
            _ => self.length <= i64::MAX.unsigned_abs(),
        };
        sane && self.mask.is_some() && !self.extended
    }
}

/// Follows a browser's frames as they pass by, to know where one of our own may stand between them.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    /// The beginning of a header that has not arrived whole.
    header: [u8; MOST_HEADER_BYTES],
    header_length: usize,
    /// What is left of the frame's payload.
    left: u64,
    /// Whether the frame, or one before it, is of a message that goes on.
    in_message: bool,
}

impl Boundaries {
    /// Whether neither a frame nor a message is under way.
    pub(super) const fn at_one(&self) -> bool {
        self.header_length == 0 && self.left == 0 && !self.in_message
    }

    /// Moves past all of `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// Moves to the first boundary in `bytes`, or past all of them; answers how far it moved.
    pub(super) fn seek(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.at_one() {
            at += self.step(&bytes[at..]);
        }
        at
    }

    /// Moves to the end of a header or of a frame, or past all of `bytes`, which are not empty.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.left > 0 {
            let passed = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= passed as u64;
            return passed;
        }
        if self.header_length == 0
            && let Some(header) = Header::parse(bytes)
        {
            self.enter(&header);
            return header.size;
        }
        // Byte by byte: this happens once in a while, when the network cuts a header.
        self.header[self.header_length] = bytes[0];
        self.header_length += 1;
        if let Some(header) = Header::parse(&self.header[..self.header_length]) {
            self.header_length = 0;
            self.enter(&header);
        }
        1
    }

    const fn enter(&mut self, header: &Header) {
        self.left = header.length;
        if !header.opcode.is_control() {
            self.in_message = !header.last;
        }
    }
}

/// A text frame, as a server sends it.
pub(super) fn text(payload: &str) -> Vec<u8> {
    server_frame(0x81, payload.as_bytes())
}

/// A close frame, as a server sends it. A reason is cut to the 123 bytes that fit.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    let end = reason.floor_char_boundary(usize::try_from(MOST_CONTROL_BYTES).unwrap_or(0) - 2);
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    server_frame(0x88, &payload)
}

fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A frame as a client sends it: masked, with this first byte.
#[cfg(test)]
pub(super) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = server_frame(first, payload);
    frame[1] |= 0x80;
    let mask = [0x5a, 0x00, 0xff, 0x31];
    let masked = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    frame.truncate(frame.len() - payload.len());
    frame.extend(mask);
    frame.extend(masked);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames of a server: the messages' sizes, each in some frames, with pings in between.
    fn stream(messages: &[Vec<usize>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut boundaries) = (Vec::new(), vec![0]);
        for frames in messages {
            for (number, &size) in frames.iter().enumerate() {
                let last = if number + 1 == frames.len() { 0x80 } else { 0 };
                let opcode = if number == 0 { 1 } else { 0 };
                bytes.extend(server_frame(last | opcode, &vec![b'x'; size]));
                if last != 0 {
                    boundaries.push(bytes.len());
                }
                bytes.extend(server_frame(0x89, b"ping"));
                if last != 0 {
                    boundaries.push(bytes.len());
                }
            }
        }
        (bytes, boundaries)
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let size = prop_oneof![Just(0), 0..130_usize, 65_530..65_540_usize];
        prop::collection::vec(prop::collection::vec(size, 1..4), 1..5)
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_the_bytes_are_cut(
            messages in messages(), cuts: [prop::sample::Index; 6],
        ) {
            let (bytes, boundaries) = stream(&messages);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.push(0);
            cuts.sort_unstable();
            let mut passed = Boundaries::default();
            for range in cuts.windows(2) {
                passed.pass(&bytes[range[0]..range[1]]);
                prop_assert_eq!(passed.at_one(), boundaries.contains(&range[1]));
            }
            let last = cuts[cuts.len() - 1];
            let next = boundaries.iter().find(|&&boundary| boundary >= last);
            prop_assert_eq!(Some(&(last + passed.seek(&bytes[last..]))), next);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut boundaries = Boundaries::default();
            boundaries.pass(&bytes);
            boundaries.seek(&bytes);
            if let Some(header) = Header::parse(&bytes) {
                prop_assert!(header.size <= bytes.len());
            }
        }
    }

    #[test]
    fn a_close_frame_has_its_code_and_as_much_of_its_reason_as_fits() {
        assert_eq!(close(1000, "bye"), b"\x88\x05\x03\xe8bye");
        let long = close(1001, &"ä".repeat(100));
        assert_eq!((long[1], long.len()), (124, 126));
    }
}
