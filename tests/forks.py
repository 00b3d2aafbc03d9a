"""Processes of jaxcam that start in no time: forks of one that has imported everything.

That one computes nothing, so that JAX begins in each fork as in any other process.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path


class Process:
    """A fork, in a session of its own."""

    def __init__(self, server, pid, log):
        self.server, self.pid, self.log, self.returncode = server, pid, log, None

    def poll(self):
        if self.returncode is None:
            self.returncode = self.server.ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout=600):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(self.said())
            time.sleep(0.01)
        return self.returncode

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def said(self):
        """What it wrote so far."""
        return self.log.read_text()

    def session(self):
        """Living processes of its session: itself and what it started."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:  # It ended just now.
                    continue
                if fields[0] != "Z" and int(fields[3]) == self.pid:
                    found.append(int(folder.name))
        return found


class Server:
    """The process that forks.

    Args:
      folder: Where what the forks write is kept.
      variables: Of its environment: what JAX reads when it is imported.
    """

    def __init__(self, folder, **variables):
        self.folder, self.started = folder, []
        root = {"PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env=os.environ | root | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments, **variables):
        """Forks `jaxcam ARGUMENTS`, or `python -c CODE ARGUMENTS`."""
        log = self.folder / f"{len(self.started)}.log"
        log.touch()
        asked = {
            "arguments": [str(argument) for argument in arguments],
            "environment": variables,
            "log": str(log),
        }
        self.started.append(Process(self, self.ask(asked), log))
        return self.started[-1]

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
        self.process.communicate()


def serve():
    import grain  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from jaxcam import cli, engines, evaluation, models, storage  # noqa: F401
    from jaxcam.data import shapes  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        if "pid" in asked:
            pid, status = os.waitpid(asked["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(begin(cli.main, **asked))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def begin(main, *, arguments, environment, log):
    os.setsid()
    os.environ.update(environment)
    for number, path, how in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY)):
        os.dup2(os.open(path, how), number)
    os.dup2(1, 2)
    code = 1
    try:
        if arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(arguments[1], {"__name__": "__main__"})
            code = 0
        else:
            code = main(arguments)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    serve()
