use super::*;
use serde_json::{Value, json};

/// Our client and the two ends a browser would hold.
fn connect() -> (CdpPipe, pipe::Receiver, pipe::Sender) {
    let (commands, browser_in) = pipe::pipe().unwrap();
    let (browser_out, answers) = pipe::pipe().unwrap();
    (CdpPipe::start(commands, answers), browser_in, browser_out)
}

async fn next_command(browser_in: &mut pipe::Receiver) -> Value {
    let mut bytes = Vec::new();
    loop {
        match browser_in.read_u8().await.unwrap() {
            0 => return serde_json::from_slice(&bytes).unwrap(),
            byte => bytes.push(byte),
        }
    }
}

async fn say(browser_out: &mut pipe::Sender, message: Value) {
    browser_out
        .write_all(format!("{message}\0").as_bytes())
        .await
        .unwrap();
}

#[tokio::test]
async fn answers_find_their_command_in_any_order() {
    let (client, mut browser_in, mut browser_out) = connect();
    let browser = async {
        let first = next_command(&mut browser_in).await;
        let second = next_command(&mut browser_in).await;
        assert_eq!(second["sessionId"], "S");
        say(
            &mut browser_out,
            json!({"method": "Never.heardOf", "params": {"new": [1]}}),
        )
        .await;
        say(
            &mut browser_out,
            json!({"id": second["id"], "result": {"is": second["method"]}, "sessionId": "S"}),
        )
        .await;
        say(&mut browser_out, json!({"id": 999, "result": {}})).await;
        say(
            &mut browser_out,
            json!({"id": first["id"], "result": {"is": first["method"]}}),
        )
        .await;
    };
    let (one, two, ()) = tokio::join!(
        client.call("One.one", json!({})),
        client.call_session(Some("S"), "Two.two", json!({})),
        browser
    );
    assert_eq!(one.unwrap().get(), r#"{"is":"One.one"}"#);
    assert_eq!(two.unwrap().get(), r#"{"is":"Two.two"}"#);
}

#[tokio::test]
async fn a_refusal_carries_chromiums_words() {
    let (client, mut browser_in, mut browser_out) = connect();
    let browser = async {
        let id = next_command(&mut browser_in).await["id"].clone();
        say(
            &mut browser_out,
            json!({"id": id, "error": {"code": -32601, "message": "not found"}}),
        )
        .await;
    };
    let (answer, ()) = tokio::join!(client.call("No.such", json!({})), browser);
    assert_eq!(
        answer.unwrap_err().to_string(),
        "No.such was refused: not found (-32601)"
    );
}

#[tokio::test]
async fn bytes_that_are_not_cdp_harm_nothing() {
    let (client, mut browser_in, mut browser_out) = connect();
    browser_out
        .write_all(b"\0not json\0[]\0{\"id\":\"x\"}\0\xff\xfe\0")
        .await
        .unwrap();
    let browser = async {
        let id = next_command(&mut browser_in).await["id"].clone();
        say(&mut browser_out, json!({"id": id, "result": {}})).await;
    };
    let (answer, ()) = tokio::join!(client.call("One.one", json!({})), browser);
    assert_eq!(answer.unwrap().get(), "{}");
}

#[tokio::test]
async fn a_closed_pipe_ends_every_call() {
    let (client, mut browser_in, browser_out) = connect();
    let browser = async {
        next_command(&mut browser_in).await;
        drop((browser_in, browser_out));
    };
    let (waiting, ()) = tokio::join!(client.call("One.one", json!({})), browser);
    assert!(matches!(waiting, Err(CdpError::Closed)), "{waiting:?}");
    assert!(matches!(
        client.call("Two.two", json!({})).await,
        Err(CdpError::Closed)
    ));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_in_a_timeout_that_leaves_nothing_behind() {
    let (client, _browser_in, _browser_out) = connect();
    let answer = client.call("One.one", json!({})).await;
    assert!(matches!(answer, Err(CdpError::Timeout { .. })), "{answer:?}");
    assert_eq!(client.shared.pending().as_ref().map(HashMap::len), Some(0));
}

#[tokio::test]
async fn events_reach_a_subscriber() {
    let (client, _browser_in, mut browser_out) = connect();
    let mut events = client.events();
    say(
        &mut browser_out,
        json!({"method": "Target.targetCreated", "params": {"a": 1}, "sessionId": "S"}),
    )
    .await;
    let event = events.recv().await.unwrap();
    assert_eq!(
        (event.method.as_str(), event.session.as_deref()),
        ("Target.targetCreated", Some("S"))
    );
    assert_eq!(event.params.get(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_queue_has_every_event_of_its_name_and_nobody_else_has() {
    let (client, browser_in, mut browser_out) = connect();
    let (mut queue, mut others) = (client.queue("Fetch.requestPaused"), client.events());
    let say_all = async {
        for number in 0..2_000 {
            let params = json!({ "number": number });
            say(
                &mut browser_out,
                json!({"method": "Fetch.requestPaused", "params": params}),
            )
            .await;
        }
        // A client's own, of a session.
        say(
            &mut browser_out,
            json!({"method": "Fetch.requestPaused", "params": {}, "sessionId": "S"}),
        )
        .await;
        drop((browser_in, browser_out));
    };
    let read_all = async {
        for number in 0..2_000 {
            let event = queue.next().await.unwrap();
            assert_eq!(event.params.get(), json!({ "number": number }).to_string());
        }
        assert!(queue.next().await.is_none());
    };
    tokio::join!(say_all, read_all);
    assert!(client.is_closed());
    assert_eq!(others.recv().await.unwrap().session.as_deref(), Some("S"));
}

#[tokio::test]
async fn a_queue_whose_reader_falls_too_far_behind_ends() {
    let (client, _browser_in, mut browser_out) = connect();
    let mut queue = client.queue("Fetch.requestPaused");
    let long = "x".repeat(1 << 20);
    for _ in 0..17 {
        say(
            &mut browser_out,
            json!({"method": "Fetch.requestPaused", "params": {"url": long}}),
        )
        .await;
    }
    let mut read = 0;
    while queue.next().await.is_some() {
        read += 1;
    }
    assert!((10..17).contains(&read), "{read}");
    assert!(!client.is_closed());
}
