"""A real ipykernel, spoken to over its sockets as a front end does."""

import os
import queue
import sys
import time
from contextlib import contextmanager

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

PYTHON = os.environ.get("HITL_NB_KERNEL_PYTHON", sys.executable)
"""Another interpreter tests another version of ipykernel."""


class Manager(KernelManager):
    @property
    def kernel_spec(self):
        return KernelSpec(argv=[PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"], display_name="test", language="python")


class Kernel:
    """One kernel and one client. Replies and outputs are kept by the id of the request that caused them."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client
        self.replies, self.outputs = {}, []

    def send(self, code, *, allow_stdin=True, **options):
        return self.client.execute(code, allow_stdin=allow_stdin, **options)

    @contextmanager
    def another_page(self):
        """What is sent here comes from another page: each has a session of its own."""
        client = self.client
        own, client.session = client.session, Session(key=client.session.key)
        try:
            yield
        finally:
            client.session = own

    def message(self, kind, **content):
        made = self.client.session.msg(kind, content)
        self.client.shell_channel.send(made)
        return made["header"]["msg_id"]

    def open_comm(self, comm_id, target):
        return self.message("comm_open", comm_id=comm_id, target_name=target, data={})

    def tell(self, comm_id, **data):
        return self.message("comm_msg", comm_id=comm_id, data=data)

    def reply(self, request, seconds=30):
        end = time.monotonic() + seconds
        while request not in self.replies:
            self._take(self.client.get_shell_msg, self._keep_reply, end, f"no reply to {request}")
        return self.replies[request]["content"]

    def until(self, found, seconds=30):
        """Read outputs until `found(message)`; returns that message."""
        end = time.monotonic() + seconds
        for message in self.outputs:
            if found(message):
                return message
        while True:
            self._take(self.client.get_iopub_msg, self.outputs.append, end, "the expected output did not come")
            if found(self.outputs[-1]):
                return self.outputs[-1]

    def begun(self, request):
        """Read outputs until the cell is executed."""
        self.until(lambda m: m["msg_type"] == "execute_input" and m["parent_header"]["msg_id"] == request)

    def idle(self, request):
        """Read outputs until the request is done; returns what it caused."""
        self.until(lambda m: m["parent_header"].get("msg_id") == request and m["content"].get("execution_state") == "idle")
        return [m for m in self.outputs if m["parent_header"].get("msg_id") == request]

    def printed(self, request):
        return "".join(m["content"]["text"] for m in self.idle(request) if m["msg_type"] == "stream")

    def run(self, code, **options):
        """What a cell printed; a cell that raises fails the test."""
        request = self.send(code, **options)
        reply = self.reply(request)
        assert reply["status"] == "ok", reply
        return self.printed(request)

    def _keep_reply(self, message):
        self.replies[message["parent_header"]["msg_id"]] = message

    @staticmethod
    def _take(get, keep, end, why):
        try:
            keep(get(timeout=max(0.01, end - time.monotonic())))
        except queue.Empty:
            pytest.fail(why)


@contextmanager
def started(folder, many=1):
    """Kernels that work in this folder, started side by side."""
    managers = [Manager() for _ in range(many)]
    kernels = []
    try:
        for manager in managers:
            manager.start_kernel(
                cwd=str(folder), env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.environ.get("HITL_NB_KERNEL_PATH", "")}
            )
            client = manager.client()
            client.start_channels()
            kernels.append(Kernel(manager, client))
        for one in kernels:
            one.client.wait_for_ready(timeout=60)
        yield kernels
    finally:
        for one in kernels:
            one.client.stop_channels()
        for manager in managers:
            manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path):
    with started(tmp_path) as (running,):
        yield running
