"""Creates sessions with the unmodified client, each with a number of its own, and tells what came of each."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from browserbase import Browserbase

first, count, parallel = map(int, sys.argv[1:])
# As everybody makes it: what it repeats, and when, is its own affair.
client = Browserbase()


def create(number: int) -> str:
    told = {"create": number}
    try:
        session = client.sessions.create(
            project_id=os.environ["BROWSERBASE_PROJECT_ID"],
            keep_alive=True,
            api_timeout=120,
            user_metadata={"create": number, "by": "python"},
        )
        told["session"] = session.id
    except Exception as error:
        told["error"] = f"{type(error).__name__}: {error}"[:200]
    return json.dumps(told)


with ThreadPoolExecutor(parallel) as pool:
    for line in pool.map(create, range(first, first + count)):
        print(line)
