// How a connection is refused: strictly before the upgrade, with a body that says why.

import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import { test } from "node:test";

import puppeteer from "puppeteer-core";

import { assertBody } from "./refusals.mjs";
import { assertCompleted, create, ended } from "./sessions.mjs";

const KEY = process.env.BROWSERBASE_API_KEY;

/** What a client's opening handshake is answered with. An upgrade is a failure. */
function knock(query) {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  return new Promise((resolve, reject) => {
    const request = http.get(`${process.env.BROWSERBASE_BASE_URL}/?${query}`, { headers, agent: false });
    request.on("error", reject);
    request.on("upgrade", (_, socket) => {
      socket.destroy();
      reject(new Error(`${query} was let in`));
    });
    request.on("response", async (response) => {
      const body = (await response.toArray()).join("");
      resolve({ status: response.statusCode, type: response.headers["content-type"], body });
    });
  });
}

async function assertTurnedAway(query, status, ...texts) {
  const answer = await knock(query);
  assert.deepEqual([answer.status, answer.type], [status, "application/json"]);
  assertBody(JSON.parse(answer.body), status, ...texts);
}

/** Puppeteer passes on what its WebSocket says. */
function assertPuppeteerIsTold(url, status) {
  const told = (event) => event.message === `Unexpected server response: ${status}`;
  return assert.rejects(puppeteer.connect({ browserWSEndpoint: url }), told);
}

test("a wrong signing key is 401", async (t) => {
  const session = await create(t);
  const [head, claims, signature] = session.signingKey.split(".");
  const forged = `${head}.${claims}.${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
  await assertTurnedAway("signingKey=nonsense", 401, "signingKey", "connectUrl");
  await assertTurnedAway(`signingKey=${forged}`, 401, "signingKey", "connectUrl");
  await assertPuppeteerIsTold(session.connectUrl.replace(session.signingKey, forged), 401);
});

test("an ended session is 410", async (t) => {
  const session = await create(t);
  await (await puppeteer.connect({ browserWSEndpoint: session.connectUrl })).disconnect();
  assertCompleted(await ended(session.id));
  await assertTurnedAway(`signingKey=${session.signingKey}`, 410, "ended", "create a new one");
  await assertTurnedAway(`apiKey=${KEY}&sessionId=${session.id}`, 410, "ended", "create a new one");
  await assertPuppeteerIsTold(session.connectUrl, 410);
});

test("an unknown session is 404", async () => {
  const unknown = randomUUID();
  await assertTurnedAway(`apiKey=${KEY}&sessionId=${unknown}`, 404, unknown, "not found");
  await assertTurnedAway(`apiKey=${KEY}`, 404, "sessionId", "POST /v1/sessions");
});
