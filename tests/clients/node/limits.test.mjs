// A project's limits: how many sessions at once, and how many in a minute.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browserbase } from "@browserbasehq/sdk";

import { createTenant } from "./administration.mjs";
import { refused } from "./refusals.mjs";
import { release } from "./sessions.mjs";

// The window of the creation rate, in seconds.
const WINDOW = 60;

/** Creations allowed and left. The reset is within the window. */
function window(headers) {
  const reset = Number(headers["x-ratelimit-reset"]);
  assert.ok(reset >= 0 && reset <= WINDOW, `${reset}`);
  return [Number(headers["x-ratelimit-limit"]), Number(headers["x-ratelimit-remaining"])];
}

test("429 for one session too many", async () => {
  const client = createTenant("one at once, by Node", { concurrency: 1, "creates-per-minute": 10 }).client();
  const { data: first, response } = await client.sessions.create().withResponse();
  assert.deepEqual(window(Object.fromEntries(response.headers)), [10, 9]);

  const texts = ["You've exceeded your max concurrent sessions limit (limit 1, currently 1)", "Release a session"];
  const error = await refused(() => client.sessions.create(), Browserbase.RateLimitError, 429, ...texts);
  assert.deepEqual(window(error.headers), [10, 9]);
  const retryAfter = Number(error.headers["retry-after"]);
  assert.ok(retryAfter >= 1 && retryAfter <= 5, `${retryAfter}`);

  await release(first.id, client);
  await release((await client.sessions.create()).id, client);
});

test("a client that tries again gets the slot that was released", async () => {
  const tenant = createTenant("tried again, by Node", { concurrency: 1, "creates-per-minute": 10 });
  const client = tenant.client();
  const first = await client.sessions.create();
  const statuses = [];
  const releasing = async (...request) => {
    const response = await fetch(...request);
    statuses.push(response.status);
    if (response.status === 429) await release(first.id, client);
    return response;
  };

  const second = await tenant.client({ maxRetries: 2, fetch: releasing }).sessions.create();
  assert.deepEqual(statuses, [429, 201]);
  assert.equal(second.status, "RUNNING");
  await release(second.id, client);
});

test("429 for one creation too many", async () => {
  const client = createTenant("two a minute, by Node", { concurrency: 5, "creates-per-minute": 2 }).client();
  for (const left of [1, 0]) {
    const { data: session, response } = await client.sessions.create().withResponse();
    assert.deepEqual(window(Object.fromEntries(response.headers)), [2, left]);
    await release(session.id, client);
  }

  const texts = ["session creation limit (limit 2 per minute, currently 2)", "resets in", "creates-per-minute"];
  const error = await refused(() => client.sessions.create(), Browserbase.RateLimitError, 429, ...texts);
  assert.deepEqual(window(error.headers), [2, 0]);
  const retryAfter = Number(error.headers["retry-after"]);
  assert.ok(retryAfter >= 1 && retryAfter <= WINDOW, `${retryAfter}`);
});
