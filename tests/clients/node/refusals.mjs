// What an error must look like, however it reached us.

import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";

/** `{statusCode, error, message}`, and a message that says these things. */
export function assertBody(body, status, ...texts) {
  assert.deepEqual(body, { statusCode: status, error: STATUS_CODES[status], message: body.message });
  for (const text of texts) assert.ok(body.message.includes(text), `${text} in ${body.message}`);
}

/** The call fails with an exception of this class of the SDK. Answers with the exception. */
export async function refused(call, ErrorClass, status, ...texts) {
  const error = await call().then(
    () => assert.fail(`refused with ${status} was expected`),
    (error) => error,
  );
  assert.ok(error instanceof ErrorClass, `${error.constructor.name}: ${error}`);
  assert.equal(error.status, status);
  assert.equal(error.headers["content-type"], "application/json");
  assertBody(error.error, status, ...texts);
  assert.equal(error.message, `${status} ${error.error.message}`);
  return error;
}
