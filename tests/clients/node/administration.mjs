// The administrator's side: projects and keys, by the `wharf` command.

import { execFileSync } from "node:child_process";

import { Browserbase } from "@browserbasehq/sdk";

/** The rows that the command prints below its headings. WHARF_DATA_DIR tells it which Wharf is meant. */
function wharf(...command) {
  const printed = execFileSync(process.env.WHARF_BIN, command, { encoding: "utf8" });
  return printed
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/));
}

/** Makes a project and a key that opens it. Limits are options of the command, as in `{ concurrency: 1 }`. */
export function createTenant(name, limits = {}) {
  const options = Object.entries(limits).flatMap(([limit, value]) => [`--${limit}`, String(value)]);
  const [[project]] = wharf("project", "create", name, ...options);
  const [[keyId, key]] = wharf("key", "create", "--project", project);
  return {
    project,
    key,
    client: (options) => new Browserbase({ apiKey: key, maxRetries: 0, ...options }),
    revokeKey: () => wharf("key", "revoke", "--project", project, keyId),
  };
}
