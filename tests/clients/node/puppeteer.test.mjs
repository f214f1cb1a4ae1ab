// Puppeteer, as released.

import assert from "node:assert/strict";
import { test } from "node:test";

import puppeteer from "puppeteer-core";

import { PAGES_URL, PROJECT_ID, client, create, ended, only, release } from "./sessions.mjs";
import { assertCompleted, assertPng } from "./sessions.mjs";

const connect = (session) => puppeteer.connect({ browserWSEndpoint: session.connectUrl, defaultViewport: null });

test("a session is created, driven with Puppeteer, and completed", async (t) => {
  const session = await create(t, { projectId: PROJECT_ID });
  assert.equal(session.status, "RUNNING");

  const browser = await connect(session);
  only(browser.browserContexts());
  const page = only(await browser.pages());
  assert.equal(page.url(), "about:blank");
  await page.goto(`${PAGES_URL}/`);
  assert.equal(await page.title(), "Wharf test page");
  assertPng(await page.screenshot());
  await browser.close();

  assertCompleted(await ended(session.id));
});

test("a client that disconnects ends the session as well", async (t) => {
  const session = await create(t);
  const browser = await connect(session);
  await browser.disconnect();
  assertCompleted(await ended(session.id));
});

test("a session that is kept alive has the same page for the next client", async (t) => {
  const session = await create(t, { keepAlive: true });
  assert.equal(session.keepAlive, true);

  const first = await connect(session);
  const left = only(await first.pages());
  await left.goto(`${PAGES_URL}/`);
  await left.evaluate("window.left = 'by the first'");
  const target = left.target()._targetId;
  await first.disconnect();

  const second = await connect(session);
  assert.equal((await client.sessions.retrieve(session.id)).status, "RUNNING");
  const found = only(await second.pages());
  assert.equal(found.target()._targetId, target);
  assert.equal(found.url(), `${PAGES_URL}/`);
  assert.equal(await found.evaluate("window.left"), "by the first");

  const disconnected = new Promise((resolve) => second.once("disconnected", resolve));
  assert.equal((await release(session.id)).status, "COMPLETED");
  await disconnected;
  assert.equal((await ended(session.id)).endReason, "released");
});

test("pages can be opened and closed", async (t) => {
  const browser = await connect(await create(t));
  const page = await browser.newPage();
  await page.goto(`${PAGES_URL}/scripted`);
  assert.equal(await page.title(), "Set by a script");
  assert.equal((await browser.pages()).length, 2);
  await page.close();
  assert.equal((await browser.pages()).length, 1);
  await browser.close();
});

test("allowed domains hold beside a client's own interception", async (t) => {
  const session = await create(t, { browserSettings: { allowedDomains: ["127.0.0.1"] } });
  const browser = await connect(session);
  const seen = [];
  const intercepted = async () => {
    const page = await browser.newPage();
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      seen.push(request.url());
      void request.continue();
    });
    return page;
  };
  const page = await intercepted();
  await page.goto(`${PAGES_URL}/`);
  assert.equal(await page.title(), "Wharf test page");
  const elsewhere = `http://localhost:${new URL(PAGES_URL).port}/`;
  for (const url of [elsewhere, `${PAGES_URL}/redirect`]) {
    // Each in another page: the browser's own page about it comes after the error, and into the way of what is next.
    await assert.rejects((await intercepted()).goto(url), /ERR_BLOCKED_BY_CLIENT/);
  }
  assert.ok(seen.includes(elsewhere), `${seen}`);
  await browser.close();
});
