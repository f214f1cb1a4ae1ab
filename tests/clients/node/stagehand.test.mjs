// What Stagehand does with the SDK: its create call, resuming by id, releasing with the project's id.

import assert from "node:assert/strict";
import { test } from "node:test";

import puppeteer from "puppeteer-core";

import { PAGES_URL, PROJECT_ID, client, create, only } from "./sessions.mjs";

test("Stagehand's session: created, resumed by its id, listed by its metadata, released", async (t) => {
  const { id } = await create(t, {
    projectId: PROJECT_ID,
    keepAlive: true,
    browserSettings: { viewport: { width: 1288, height: 711 } },
    userMetadata: { stagehand: "true" },
  });

  const resumed = await client.sessions.retrieve(id);
  assert.deepEqual(resumed.userMetadata, { stagehand: "true" });
  assert.deepEqual(resumed.browserSettings, { viewport: { width: 1288, height: 711 } });
  const browser = await puppeteer.connect({ browserWSEndpoint: resumed.connectUrl, defaultViewport: null });
  const page = only(await browser.pages());
  await page.goto(`${PAGES_URL}/`);
  assert.deepEqual(await page.evaluate("[innerWidth, innerHeight]"), [1288, 711]);
  await browser.disconnect();

  const q = "user_metadata['stagehand']:'true'";
  assert.deepEqual((await client.sessions.list({ q, status: "RUNNING" })).map((session) => session.id), [id]);
  const released = await client.sessions.update(id, { status: "REQUEST_RELEASE", projectId: PROJECT_ID });
  assert.equal(released.status, "COMPLETED");
  assert.deepEqual(await client.sessions.list({ q, status: "RUNNING" }), []);
});
