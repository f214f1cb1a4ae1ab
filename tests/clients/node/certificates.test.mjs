// Certificates, by the official client. What they change is shown by the Python suite.

import assert from "node:assert/strict";
import { File } from "node:buffer";
import { execFileSync } from "node:child_process";
import { createReadStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Browserbase } from "@browserbasehq/sdk";

import { refused } from "./refusals.mjs";
import { PROJECT_ID, client } from "./sessions.mjs";

const { BadRequestError, NotFoundError } = Browserbase;

/** A certificate and its key, in files that go with the test. */
function certificate(t) {
  const folder = mkdtempSync(join(tmpdir(), "certificate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [pem, key] = ["ca.pem", "ca.key"].map((name) => join(folder, name));
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=ours";
  execFileSync("openssl", [...words.split(" "), "-keyout", key, "-out", pem], { stdio: "ignore" });
  return { pem, key };
}

test("a certificate is kept, listed and deleted", async (t) => {
  const { pem } = certificate(t);
  const created = await client.certificates.create({ file: createReadStream(pem) });
  assert.deepEqual([created.projectId, created.updatedAt], [PROJECT_ID, created.createdAt]);
  assert.deepEqual(await client.certificates.retrieve(created.id), created);
  assert.deepEqual(await client.certificates.list(), [created]);
  await client.certificates.delete(created.id);
  assert.deepEqual(await client.certificates.list(), []);
  await refused(() => client.certificates.retrieve(created.id), NotFoundError, 404, `Certificate ${created.id}`);
});

test("a private key is refused", async (t) => {
  const { key } = certificate(t);
  const file = new File([readFileSync(key)], "ca.pem");
  await refused(() => client.certificates.create({ file }), BadRequestError, 400, "private key");
});
