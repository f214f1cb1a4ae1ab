// Playwright for Node, as released.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chromium } from "playwright-core";

import { PAGES_URL, assertCompleted, assertPng, create, ended, only } from "./sessions.mjs";

test("a session is created, driven with Playwright, and completed", async (t) => {
  const session = await create(t);
  const browser = await chromium.connectOverCDP(session.connectUrl);
  const page = only(only(browser.contexts()).pages());
  await page.goto(`${PAGES_URL}/`);
  assert.equal(await page.title(), "Wharf test page");
  assertPng(await page.screenshot());
  await browser.close();
  assertCompleted(await ended(session.id));
});
