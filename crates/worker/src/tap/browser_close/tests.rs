use proptest::prelude::*;

use super::*;
use crate::tap::frames::client_frame as frame;

/// A message in some frames, with a ping between them.
fn message(text: &str, frames: usize) -> Vec<u8> {
    let size = text.len().div_ceil(frames).max(1);
    let mut parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
    if parts.is_empty() {
        parts.push(b"");
    }
    let mut bytes = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            bytes.extend(frame(0x89, b"ping"));
        }
        let last = if number + 1 == parts.len() { 0x80 } else { 0 };
        bytes.extend(frame(last | u8::from(number == 0), part));
    }
    bytes
}

/// What came through, the command that was held back, and the held rest.
fn sifted(bytes: &[u8], cuts: &[prop::sample::Index]) -> (Vec<u8>, Option<BrowserClose>, Vec<u8>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let (mut sieve, mut passed) = (Sieve::default(), Vec::new());
    for range in cuts.windows(2) {
        let sifted = sieve.sift(&bytes[range[0]..range[1]]);
        passed.extend(sifted.passed.bytes());
        if sifted.close.is_some() {
            return (passed, sifted.close, sieve.rest());
        }
        assert!(sieve.held.len() <= MOST_BYTES, "{} are held", sieve.held.len());
    }
    (passed, None, sieve.rest())
}

const CLOSE: &str = r#"{"id":7,"method":"Browser.close"}"#;

/// Messages that are no `Browser.close`, though some look like it.
fn harmless() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z{}\":]{0,60}",
        Just(String::new()),
        Just(r#"{"id":1,"method":"Browser.getVersion"}"#.to_owned()),
        Just(r#"{"id":1,"method":"Runtime.evaluate","params":{"expression":"'Browser.close'"}}"#.to_owned()),
        Just(r#"{"id":1,"method":"Runtime.evaluate","params":{"method":"Browser.close"}}"#.to_owned()),
        Just(r#"{"id":1,"method":"\u0050age.enable","x":1}"#.to_owned()),
        (3_900..4_300_usize).prop_map(|size| format!("{CLOSE}{}", "x".repeat(size))),
        Just("y".repeat(70_000)),
    ]
}

fn messages() -> impl Strategy<Value = Vec<(String, usize)>> {
    prop::collection::vec((harmless(), 1..4_usize), 0..6)
}

fn bytes_of(messages: &[(String, usize)]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|(text, frames)| message(text, *frames))
        .collect()
}

proptest! {
    #[test]
    fn everything_else_passes_unchanged(messages in messages(), cuts: [prop::sample::Index; 8]) {
        let bytes = bytes_of(&messages);
        let (passed, close, rest) = sifted(&bytes, &cuts);
        prop_assert!(passed == bytes);
        prop_assert_eq!((close, rest), (None, vec![]));
    }

    #[test]
    fn browser_close_is_held_back_and_all_before_it_passes(
        before in messages(), after in messages(), frames in 1..5_usize, cuts: [prop::sample::Index; 8],
    ) {
        let expected = bytes_of(&before);
        let bytes = [expected.clone(), message(CLOSE, frames), bytes_of(&after)].concat();
        let (passed, close, _) = sifted(&bytes, &cuts);
        prop_assert!(passed == expected);
        prop_assert_eq!(close.map(|close| close.answer()), Some(r#"{"id":7,"result":{}}"#.to_owned()));
    }

    #[test]
    fn no_bytes_make_it_panic_or_are_lost(bytes: Vec<u8>, cuts: [prop::sample::Index; 4]) {
        let (mut passed, close, rest) = sifted(&bytes, &cuts);
        prop_assert_eq!(close, None);
        passed.extend(rest);
        prop_assert!(passed == bytes);
    }

    #[test]
    fn a_frame_that_no_client_may_send_ends_the_looking(
        malformed in prop_oneof![
            Just(b"\x81\x02{}".to_vec()), Just(frame(0xc1, b"{}")), Just(frame(0x83, b"{}")), Just(frame(0x80, b"{}")),
            Just(frame(0x09, b"ping")), Just(frame(0x89, &[0; 126])), Just(vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        ],
        cuts: [prop::sample::Index; 4],
    ) {
        let bytes = [frame(0x81, b"{}"), malformed, frame(0x81, CLOSE.as_bytes())].concat();
        let (passed, close, rest) = sifted(&bytes, &cuts);
        prop_assert!(passed == bytes);
        prop_assert_eq!((close, rest), (None, vec![]));
    }
}

#[test]
fn every_spelling_of_the_command_is_understood() {
    for text in [
        r#"{"method":"Browser.close"}"#,
        r#" { "params" : {} , "method" : "Browser.close" , "id" : 1, "sessionId": "A" } "#,
        r#"{"id":1,"method":"\u0042rowser.close"}"#,
        r#"{"id":1,"method":"Page.enable","method":"Browser.close"}"#,
    ] {
        let (passed, close, _) = sifted(&message(text, 1), &[]);
        assert!(passed.is_empty() && close.is_some(), "{text}");
    }
    let (_, close, _) = sifted(
        &frame(0x82, br#"{"sessionId":"A","method":"Browser.close","id":3}"#),
        &[],
    );
    let answer: Value = serde_json::from_str(&close.unwrap().answer()).unwrap();
    assert_eq!(answer, json!({ "id": 3, "result": {}, "sessionId": "A" }));
}

#[test]
fn a_message_that_waits_for_its_end_is_held_and_the_next_close_frame_frees_it() {
    let beginning = frame(0x01, br#"{"id":1,"#);
    let mut sieve = Sieve::default();
    assert!(sieve.sift(&beginning).passed.bytes().is_empty());
    let close = frame(0x88, &[]);
    let sifted = sieve.sift(&close);
    assert_eq!(sifted.passed.bytes(), [beginning, close.clone()].concat());
}
