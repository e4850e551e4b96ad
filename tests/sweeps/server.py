"""A stand-in for W&B's server on loopback: what `wandb agent` and a run of its own ask for, and no more."""

import gzip
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

import yaml

ENTITY, PROJECT, SWEEP = "someone", "bpo-lab-test", "abcd1234"


class StandIn:
    """Hands out the grid of a sweep file and keeps what runs send.

    Attributes:
        runs: run id -> `summary`, `history`, `config` (JSON text), `group`, `sweep`, `exitcode`.
        unknown: operations it has no answer for.
    """

    def __init__(self, sweep: dict[str, Any] | None = None) -> None:
        self.sweep = sweep or {"parameters": {}}
        names, values = list(self.sweep["parameters"]), [p["values"] for p in self.sweep["parameters"].values()]
        self.jobs = [dict(zip(names, job, strict=True)) for job in itertools.product(*values)] if names else []
        self.runs: dict[str, dict[str, Any]] = {}
        self.unknown: list[str] = []
        self.started: list[str] = []
        self.seen: list[str] = []

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        operation = query.split("(")[0].split("{")[0].split()[-1]
        self.seen.append(operation)
        project = {"id": "p", "name": PROJECT, "entity": {"id": "e", "name": ENTITY}}
        if operation == "Viewer":
            return {"viewer": {"id": "v", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}
        if operation == "SweepWithRuns":
            config = yaml.safe_dump(self.sweep)
            sweep = {"id": "s", "name": SWEEP, "state": "RUNNING", "method": "grid", "config": config}
            return {"project": project | {"sweep": sweep | {"runs": {"edges": []}}}}
        if operation == "CreateAgent":
            return {"createAgent": {"agent": {"id": "agent"}}}
        if operation == "Heartbeat":
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(self.command(variables))}}
        if operation == "UpsertBucket":
            run = self.runs.setdefault(variables["name"], {"history": [], "summary": {}, "exitcode": None})
            run |= {key: variables.get(key) for key in ("config", "groupName", "sweep") if variables.get(key)}
            bucket = {"id": "b", "name": variables["name"], "displayName": "x", "config": "{}", "historyLineCount": 0}
            return {"upsertBucket": {"bucket": bucket | {"sweepName": SWEEP, "project": project}, "inserted": True}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation == "OrganizationCoreWeaveOrganizationID":
            return {"entity": {"organization": {"coreWeaveOrganizationId": ""}}}
        if operation == "RunResumeStatus":
            return {"model": {"bucket": None}}
        if operation == "ArtifactType":
            return {"project": {"artifact": None}}
        if operation == "CreateArtifact":
            # An artifact that is there already: nothing has to be sent.
            sequence = {"id": "q", "latestArtifact": {"id": "a", "versionIndex": 0}}
            return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}}
        self.unknown.append(operation)
        return {}

    def command(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        """One job after another; the end when the last one has ended."""
        if json.loads(variables.get("runState") or "{}"):
            return []
        if len(self.started) == len(self.jobs):
            return [{"type": "exit"}]
        job = self.jobs[len(self.started)]
        self.started.append(f"run{len(self.started)}")
        args = {name: {"value": value} for name, value in job.items()}
        return [{"type": "run", "run_id": self.started[-1], "program": self.sweep["program"], "args": args}]

    def stream(self, run_id: str, body: dict[str, Any]) -> None:
        run = self.runs[run_id]
        files = body.get("files", {})
        run["history"] += [json.loads(line) for line in files.get("wandb-history.jsonl", {}).get("content", [])]
        for line in files.get("wandb-summary.json", {}).get("content", []):
            run["summary"] |= json.loads(line)
        if body.get("complete"):
            run["exitcode"] = body.get("exitcode")


@contextmanager
def served(stand_in: StandIn) -> Iterator[ThreadingHTTPServer]:
    """The stand-in on a free port of loopback; its address is `stand_in.url`."""

    class Handler(BaseHTTPRequestHandler):
        # HTTP/1.0, one connection a request: a stand-in that has died does not live on in open connections.
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                raw = gzip.decompress(raw)
            path = urlparse(self.path).path
            answer: dict[str, Any] = {}
            if path == "/graphql":
                asked = json.loads(raw)
                answer = {"data": stand_in.graphql(asked["query"], asked.get("variables") or {})}
            elif path.endswith("/file_stream"):
                stand_in.stream(path.split("/")[-2], json.loads(raw))
                answer = {"limits": {}}
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_GET = _answer  # noqa: N815

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Clients that hang up are no news."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
