//! What is billed is what ran, and a report that arrives twice, or late, changes nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wharf_testkit::{ApiClient, Cdp};

use crate::browsers;
use crate::dice::Dice;
use crate::outcome::Outcome;
use crate::run::Conditions;
use crate::stage::{Crew, FAKE, Stage, create, release, until_ended};

const HEARTBEAT: &[u8] = b"POST /upcall/v1/heartbeat";
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const EXACT_WITHIN: f64 = 1.0;

pub async fn run(conditions: Conditions) -> anyhow::Result<Outcome> {
    let crew = Crew {
        apis: 2,
        gateways: 1,
        fakes: 1,
        reals: 0,
        warm: 0,
    };
    let stage = Stage::set(&conditions, crew).await?;
    let tenant = stage.tenant("usage", 1_000).await?;
    let api = stage.fleet.client(0, &tenant)?;
    let dice = Dice::new(conditions.seed, 3);
    let mut outcome = Outcome::default();
    stage.links.reports[0].record();
    let sessions = conditions.choose(20, 500);
    let mut created = Vec::new();
    for _ in 0..sessions {
        created.push(create(&api, FAKE, dice.percent(50)).await?.id);
        let last = created.last().context("one was created")?.clone();
        end_somehow(&stage, &api, &last, &dice).await?;
    }
    outcome.creates += sessions;
    outcome.sessions += sessions;
    for id in &created {
        until_ended(&api, id, Instant::now(), PATIENCE).await?;
    }
    // A worker reports an end until it was stored.
    sleep(Duration::from_secs(2)).await;
    let wrong: Vec<String> = stage
        .audit
        .sessions()
        .await?
        .iter()
        .filter(|session| {
            session
                .ran
                .is_none_or(|ran| (ran - session.billed).abs() > EXACT_WITHIN)
        })
        .map(|session| {
            format!(
                "I4: session {} ran {:?} s and is billed {}",
                session.id, session.ran, session.billed
            )
        })
        .collect();
    outcome.exactly(
        "sessions billed wrongly by more than a second",
        wrong.len(),
        0,
        sessions,
    );
    wrong.into_iter().take(5).for_each(|what| outcome.violation(what));
    replay(&stage, &dice, &mut outcome).await?;
    for left in stage.strike().await? {
        outcome.violation(left);
    }
    Ok(outcome)
}

/// Lets it run for a moment, and ends it in one of the ways in which sessions end.
async fn end_somehow(stage: &Stage, api: &ApiClient, id: &str, dice: &Dice) -> anyhow::Result<()> {
    let path = format!("/v1/sessions/{id}");
    let session = api.call(reqwest::Method::GET, &path, None).await?;
    let kept_alive = session.body["keepAlive"] == true;
    sleep(dice.between(Duration::ZERO, Duration::from_millis(600))).await;
    match dice.below(3) {
        0 => {
            let running = browsers::running(&stage.worker_pids());
            let browser = running
                .iter()
                .find(|browser| browser.session().is_some_and(|session| session.to_string() == id));
            match browser {
                Some(browser) => browser.kill(),
                None => drop(release(api, id).await?),
            }
        }
        1 if !kept_alive => {
            let mut client = Cdp::connect(session.text("connectUrl")).await?;
            client.count_up().await?;
            client.close().await?;
        }
        _ => drop(release(api, id).await?),
    }
    Ok(())
}

/// Sends every recorded report again, in any order, to either api.
async fn replay(stage: &Stage, dice: &Dice, outcome: &mut Outcome) -> anyhow::Result<()> {
    let streams = stage.links.reports[0].recorded();
    let mut reports: Vec<&[u8]> = streams.iter().flat_map(|stream| requests(stream)).collect();
    reports.retain(|request| request.starts_with(HEARTBEAT));
    for index in (1..reports.len()).rev() {
        reports.swap(index, dice.below(index + 1));
    }
    let before = stage.audit.reported_rows().await?;
    let mut refused = 0;
    for (index, report) in reports.iter().enumerate() {
        let api = stage.fleet.apis[index % stage.fleet.apis.len()].address();
        let mut connection = TcpStream::connect(api).await?;
        connection.write_all(report).await?;
        let mut answer = [0; 512];
        let length = timeout(ANSWER_WITHIN, connection.read(&mut answer)).await??;
        refused += usize::from(!answer[..length].starts_with(b"HTTP/1.1 200"));
    }
    let after = stage.audit.reported_rows().await?;
    let changed: Vec<&String> = after.iter().filter(|row| !before.contains(row)).collect();
    outcome.fault("report sent again", reports.len());
    outcome.told(
        "reports sent again that were refused",
        refused.to_string(),
        reports.len(),
    );
    outcome.push(
        "rows that a full replay of reports has changed",
        changed.len().to_string(),
        "= 0".to_owned(),
        reports.len(),
        changed.is_empty() && before.len() == after.len() && !reports.is_empty(),
    );
    for row in changed.iter().take(5) {
        outcome.violation(format!("I4: after a replay there is {row}"));
    }
    Ok(())
}

/// The whole requests in what a client has said on one connection.
fn requests(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(head) = stream.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        let text = String::from_utf8_lossy(&stream[..head]).to_ascii_lowercase();
        let body = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())
            .unwrap_or(0);
        let length = head + 4 + body;
        if length > stream.len() {
            break;
        }
        found.push(&stream[..length]);
        stream = &stream[length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_and_half_a_one_is_none() {
        let stream = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\nPOST /c HTTP/1.1\r\ncontent-length: 9\r\n\r\nx";
        let found: Vec<usize> = requests(stream).iter().map(|request| request.len()).collect();
        assert_eq!(found.len(), 2);
        assert!(requests(stream)[0].ends_with(b"abc"));
    }
}
