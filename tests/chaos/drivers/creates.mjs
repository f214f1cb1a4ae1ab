// Creates sessions with the unmodified client, each with a number of its own, and tells what came of each.

import { Browserbase } from "@browserbasehq/sdk";

const [first, count, parallel] = process.argv.slice(2).map(Number);
// As everybody makes it: what it repeats, and when, is its own affair.
const client = new Browserbase();

async function create(number) {
  const told = { create: number };
  try {
    const session = await client.sessions.create({
      projectId: process.env.BROWSERBASE_PROJECT_ID,
      keepAlive: true,
      timeout: 120,
      userMetadata: { create: number, by: "node" },
    });
    told.session = session.id;
  } catch (error) {
    told.error = `${error.constructor.name}: ${error.message}`.slice(0, 200);
  }
  console.log(JSON.stringify(told));
}

let next = first;
async function work() {
  while (next < first + count) await create(next++);
}
await Promise.all(Array.from({ length: parallel }, work));
