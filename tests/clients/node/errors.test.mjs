// Every error that the API has so far, as the SDK's own exceptions.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { Browserbase } from "@browserbasehq/sdk";

import { createTenant } from "./administration.mjs";
import { assertBody, refused } from "./refusals.mjs";
import { PROJECT_ID, client, create } from "./sessions.mjs";

const { AuthenticationError, BadRequestError, InternalServerError, NotFoundError } = Browserbase;

// How long a revoked key may still be believed.
const REVOKED_WITHIN_MS = 5_000;
const MEBIBYTE = 1 << 20;

test("400 names the field", async () => {
  const cases = [
    [{ api_timeout: 59 }, "body/timeout", "between 60 and 21600 seconds", "59"],
    [{ api_timeout: 21601 }, "body/timeout", "between 60 and 21600 seconds", "21601"],
    [{ api_timeout: "an hour" }, "body/timeout must be an integer"],
    // The wire's own name passes as well, next to another field: alone it would be the SDK's own request timeout.
    [{ timeout: 59, keepAlive: true }, "body/timeout", "between 60 and 21600 seconds", "59"],
    [{ region: "mars-1" }, "body/region", "us-west-2", "us-east-1", "eu-central-1", "ap-southeast-1"],
    [{ userMetadata: { a: "x".repeat(504) } }, "body/userMetadata must be shorter than 512 characters"],
    [{ userMetadata: { a: "😀".repeat(252) } }, "body/userMetadata must be shorter than 512 characters"],
    [{ userMetadata: "staging" }, "body/userMetadata must be an object"],
    [{ keepAlive: "yes" }, "body/keepAlive must be a boolean"],
    [{ browserSettings: { viewport: { width: "wide", height: 1 } } }, "body/browserSettings/viewport/width must be"],
    [{ proxies: "yes" }, "body/proxies must be a boolean or an array of rules"],
  ];
  for (const [body, ...texts] of cases) {
    await refused(() => client.sessions.create(body), BadRequestError, 400, ...texts);
  }
});

test("400 points at the column of a query", async () => {
  const cases = { "metadata['a']:'b'": 1, "user_metadata['a]:'b'": 20, "user_metadata['a']='b'": 19 };
  for (const [q, column] of Object.entries(cases)) {
    await refused(() => client.sessions.list({ q }), BadRequestError, 400, "querystring/q", `column ${column}`);
  }
});

test("400 for a status that does not exist", async (t) => {
  const all = "PENDING, RUNNING, ERROR, TIMED_OUT, COMPLETED";
  await refused(() => client.sessions.list({ status: "FINISHED" }), BadRequestError, 400, "querystring/status", all);
  const { id } = await create(t);
  const update = () => client.sessions.update(id, { status: "COMPLETED" });
  await refused(update, BadRequestError, 400, "body/status", "REQUEST_RELEASE");
});

test("400 for bodies that no SDK sends", async () => {
  const cases = [
    ["{", "body is not valid JSON"],
    ["[]", "body must be an object"],
    [JSON.stringify({ userMetadata: { a: "x".repeat(MEBIBYTE) } }), `body must not be larger than ${MEBIBYTE} bytes`],
  ];
  for (const [body, text] of cases) {
    const headers = { "content-type": "application/json", "x-bb-api-key": process.env.BROWSERBASE_API_KEY };
    const answer = await fetch(`${process.env.BROWSERBASE_BASE_URL}/v1/sessions`, { method: "POST", headers, body });
    assert.equal(answer.status, 400);
    assertBody(await answer.json(), 400, text);
  }
});

test("401 for a key that does not exist", async () => {
  for (const apiKey of ["wrong", `bb_live_${"a".repeat(48)}`]) {
    const stranger = new Browserbase({ apiKey, maxRetries: 0 });
    await refused(() => stranger.sessions.list(), AuthenticationError, 401, "the API key is not valid");
    await refused(() => stranger.sessions.create(), AuthenticationError, 401, "the API key is not valid");
  }
});

test("401 for a revoked key within five seconds", async () => {
  const tenant = createTenant("revoked, by Node");
  const revoked = tenant.client();
  assert.deepEqual(await revoked.sessions.list(), []);

  tenant.revokeKey();
  const deadline = performance.now() + REVOKED_WITHIN_MS;
  const untilRefused = async () => {
    while (performance.now() < deadline) await revoked.sessions.list();
  };
  await refused(untilRefused, AuthenticationError, 401, "the API key is not valid");
});

test("404 for a session that nobody has", async () => {
  for (const id of [randomUUID(), "no-uuid"]) {
    const update = () => client.sessions.update(id, { status: "REQUEST_RELEASE" });
    await refused(() => client.sessions.retrieve(id), NotFoundError, 404, `Session ${id} not found`);
    await refused(update, NotFoundError, 404, `Session ${id} not found`);
  }
});

test("404 for what another project has", async (t) => {
  const tenant = createTenant("stranger, to Node");
  const ours = await create(t);
  const theirs = tenant.client();
  await refused(() => theirs.sessions.retrieve(ours.id), NotFoundError, 404, `Session ${ours.id} not found`);
  const release = () => theirs.sessions.update(ours.id, { status: "REQUEST_RELEASE" });
  await refused(release, NotFoundError, 404, `Session ${ours.id} not found`);

  const message = `Project ${tenant.project} not found`;
  await refused(() => client.sessions.create({ projectId: tenant.project }), NotFoundError, 404, message);
  await refused(() => client.projects.retrieve(tenant.project), NotFoundError, 404, message);
  await refused(() => client.projects.usage(tenant.project), NotFoundError, 404, message);
  assert.equal((await client.sessions.retrieve(ours.id)).status, "RUNNING");
  assert.deepEqual(
    (await client.projects.list()).map((project) => project.id),
    [PROJECT_ID],
  );
});

test("404 for a route that does not exist", async () => {
  const path = "/_stainless_unknown_path";
  await refused(() => client.get(path), NotFoundError, 404, `GET:${path}`, "/docs");
  await refused(() => client.post(path, { body: {} }), NotFoundError, 404, `POST:${path}`, "/docs");
});

test("501 for what cannot be honoured yet, and the SDK asks once", async () => {
  for (const os of ["mac", "windows"]) {
    let requests = 0;
    const counting = (...request) => {
      requests += 1;
      return fetch(...request);
    };
    const eager = new Browserbase({ fetch: counting });
    assert.equal(eager.maxRetries, 2, "the client would try again");
    const create = () => eager.sessions.create({ browserSettings: { os } });
    const error = await refused(create, InternalServerError, 501, "body/browserSettings.os is not available", "leave it out");
    assert.equal(error.headers["x-should-retry"], "false");
    assert.equal(requests, 1);
  }
});
