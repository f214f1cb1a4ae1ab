// Sessions that do not outlive their test, and waiting for what happens to them.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { Browserbase } from "@browserbasehq/sdk";

export const PAGES_URL = process.env.PAGES_URL;
export const PROJECT_ID = process.env.BROWSERBASE_PROJECT_ID;

// How long a session may take to end after its last client has left.
const COMPLETED_WITHIN_MS = 2_000;

// The official client as `wharf up` tells it to be. It repeats nothing: a second attempt would hide a defect.
export const client = new Browserbase({ maxRetries: 0 });

/** Creates a session with the official client; it is released after the test. */
export async function create(test, body) {
  const session = await client.sessions.create(body);
  test.after(() => release(session.id));
  return session;
}

export function release(id, by = client) {
  return by.sessions.update(id, { status: "REQUEST_RELEASE" });
}

/** The session, once it has ended; within the time that a client's leaving allows. */
export async function ended(id) {
  const deadline = performance.now() + COMPLETED_WITHIN_MS;
  for (;;) {
    const session = await client.sessions.retrieve(id);
    if (!["PENDING", "RUNNING"].includes(session.status)) return session;
    assert.ok(performance.now() < deadline, `still ${session.status} after ${COMPLETED_WITHIN_MS} ms`);
    await pause(20);
  }
}

/** The one element of an array that must have one. */
export function only(array) {
  assert.equal(array.length, 1);
  return array[0];
}

/** The session was driven by a client that left, and its times are in order. */
export function assertCompleted(session) {
  assert.equal(session.status, "COMPLETED");
  assert.equal(session.endReason, "disconnected");
  const times = [session.createdAt, session.startedAt, session.endedAt, session.expiresAt];
  assert.ok(times.every((time) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(time)), `${times}`);
  assert.deepEqual(times, [...times].sort());
}

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export function assertPng(image) {
  assert.deepEqual([...image.subarray(0, PNG.length)], PNG);
}
