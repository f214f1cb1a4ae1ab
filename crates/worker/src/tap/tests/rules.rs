//! Clients that are sent away, and what they hear then.

use std::time::Duration;

use wharf_protocol::ObservedStatus;

use super::*;
use crate::tap::frames::{client_frame, close, text};

pub(super) fn kept_alive() -> LaunchRequest {
    LaunchRequest {
        keep_alive: true,
        ..request(1)
    }
}

pub(super) async fn all_that_comes(client: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    soon(client.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

pub(super) async fn exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut received = vec![0; expected.len()];
    soon(stream.read_exact(&mut received)).await.unwrap();
    assert_eq!(received, expected);
}

const CLOSE: &[u8] = br#"{"id":3,"method":"Browser.close"}"#;

#[tokio::test]
async fn browser_close_of_a_session_that_is_kept_alive_is_a_disconnect() {
    let mut served = Served::start().await;
    served.staged.agent.launch(kept_alive()).await.unwrap();
    let (mut client, mut far) = served.connect(&kept_alive()).await;
    // A message of the browser is under way: its second frame has begun.
    let under_way = [b"\x01\x01a\x80\x01b".to_vec(), text("too late")].concat();
    far.stream.write_all(&under_way[..4]).await.unwrap();
    exactly(&mut client, &under_way[..4]).await;
    let before = client_frame(0x81, br#"{"id":1,"method":"Browser.getVersion"}"#);
    client
        .write_all(&[before.clone(), client_frame(0x81, CLOSE)].concat())
        .await
        .unwrap();
    exactly(&mut far.stream, &before).await;
    far.stream.write_all(&under_way[4..]).await.unwrap();
    let words = all_that_comes(&mut client).await;
    let answer = [
        text(r#"{"id":3,"result":{}}"#),
        close(1000, "disconnected: the session is kept alive"),
    ]
    .concat();
    assert_eq!(words, [b"\x01b".to_vec(), answer.clone()].concat());
    // The client says goodbye in its turn; the browser has heard nothing of it all.
    client
        .write_all(&client_frame(0x88, &1000_u16.to_be_bytes()))
        .await
        .unwrap();
    drop(client);
    assert_eq!(all_that_comes(&mut far.stream).await, b"");

    assert_eq!(
        served.staged.observed(&kept_alive()).status,
        ObservedStatus::Running
    );
    let (mut again, _far) = served.connect(&kept_alive()).await;
    again.write_all(&client_frame(0x81, CLOSE)).await.unwrap();
    assert_eq!(all_that_comes(&mut again).await, answer);
}

#[tokio::test]
async fn browser_close_of_another_session_is_the_browsers_business() {
    let mut served = Served::launched().await;
    let (mut client, mut far) = served.connect(&request(1)).await;
    let command = client_frame(0x81, CLOSE);
    client.write_all(&command).await.unwrap();
    exactly(&mut far.stream, &command).await;
}

#[tokio::test]
async fn a_client_that_ends_in_the_middle_of_a_message_has_its_half_passed_on() {
    let mut served = Served::start().await;
    served.staged.agent.launch(kept_alive()).await.unwrap();
    let (mut client, mut far) = served.connect(&kept_alive()).await;
    let half = &client_frame(0x81, CLOSE)[..20];
    client.write_all(half).await.unwrap();
    drop(client);
    assert_eq!(all_that_comes(&mut far.stream).await, half);
}

#[tokio::test]
async fn a_silent_client_is_closed_with_a_reason_and_its_session_follows_its_rule() {
    let rules = SessionRules {
        cdp_silence: Duration::from_millis(50),
        ..SessionRules::default()
    };
    let mut served = Served::with(FarEnd::answering(SWITCHING).await, rules).await;
    for (request, outlives) in [
        (request(2), false),
        (
            LaunchRequest {
                keep_alive: true,
                ..request(3)
            },
            true,
        ),
    ] {
        served.staged.agent.launch(request.clone()).await.unwrap();
        let (mut client, mut far) = served.connect(&request).await;
        // What the browser says does not make the client speak.
        far.stream.write_all(&text("event")).await.unwrap();
        let reason = "nothing has come from the client for 50ms";
        assert_eq!(
            all_that_comes(&mut client).await,
            [text("event"), close(1001, reason)].concat()
        );
        drop(client);
        if outlives {
            assert_eq!(all_that_comes(&mut far.stream).await, b"");
            assert_eq!(served.staged.observed(&request).status, ObservedStatus::Running);
        } else {
            assert_eq!(
                soon(served.staged.end_of(&request)).await,
                EndReason::Disconnected
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_from_the_last_byte() {
    let last_byte = crate::session::LastByte::now();
    let begun = tokio::time::Instant::now();
    let talk = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(59)).await;
            last_byte.touch(tokio::time::Instant::now());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = last_byte.silent_for(Duration::from_secs(60)) => {}
        () = talk => {}
    }
    assert_eq!(begun.elapsed().as_secs(), 5 * 59 + 60);
}

#[tokio::test]
async fn an_idle_session_ends_though_its_client_stays_and_its_browser_talks() {
    let mut served = Served::start().await;
    let request = LaunchRequest {
        idle_timeout: Some(wharf_domain::Millis(100)),
        ..kept_alive()
    };
    served.staged.agent.launch(request.clone()).await.unwrap();
    let (mut client, mut far) = served.connect(&request).await;
    far.stream.write_all(&text("event")).await.unwrap();
    exactly(&mut client, &text("event")).await;
    assert_eq!(soon(served.staged.end_of(&request)).await, EndReason::Idle);
    assert_eq!(all_that_comes(&mut client).await, b"");
}
