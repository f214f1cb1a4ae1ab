"""The administrator's side: projects and keys, by the `wharf` command."""

import os
import subprocess
from dataclasses import dataclass

from browserbase import Browserbase


@dataclass(frozen=True)
class Tenant:
    """A project and a key that opens it."""

    project: str
    key_id: str
    key: str

    def client(self, **options: object) -> Browserbase:
        return Browserbase(api_key=self.key, **{"max_retries": 0, **options})

    def revoke_key(self) -> None:
        wharf("key", "revoke", "--project", self.project, self.key_id)


def wharf(*arguments: str) -> list[list[str]]:
    """The rows that the command prints below its headings. WHARF_DATA_DIR tells it which Wharf is meant."""
    command = [os.environ["WHARF_BIN"], *arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split() for line in printed.splitlines()[1:]]


def create_tenant(name: str, **limits: int) -> Tenant:
    """Makes a project; limits are `concurrency` and `creates_per_minute`."""
    options = [text for limit, value in limits.items() for text in (f"--{limit.replace('_', '-')}", str(value))]
    [[project, *_]] = wharf("project", "create", name, *options)
    [[key_id, key]] = wharf("key", "create", "--project", project)
    return Tenant(project, key_id, key)
