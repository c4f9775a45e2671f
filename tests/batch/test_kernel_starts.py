"""A kernel that could not start, as others drew the same port, is started anew; nothing has run in it."""

from types import SimpleNamespace

import nbformat
import pytest

from hitl_nb.batch.client import Client

DIED = "Kernel died before replying to kernel_info"
HANGS = "Kernel didn't respond in 60 seconds"


class Starts(Client):
    """Kernels that fail to start, one for each text, as nbclient tells of them."""

    def __init__(self, *told):
        super().__init__(SimpleNamespace(nb=nbformat.v4.new_notebook()))
        self.told, self.started = list(told), 0

    def create_kernel_manager(self):
        return self

    has_kernel = False

    def start_new_kernel(self, **_):
        self.started += 1

    def start_new_kernel_client(self):
        self.km = None
        if self.told:
            raise RuntimeError(self.told.pop(0))


@pytest.mark.parametrize(("told", "starts"), [((), 1), ((DIED,), 2), ((DIED, DIED), 3), ((HANGS,), 2), ((HANGS, DIED), 3)])
def test_a_kernel_that_did_not_come_up_is_started_anew(told, starts):
    client = Starts(*told)
    client._start_kernel()
    assert client.started == starts


@pytest.mark.parametrize(("told", "starts"), [((DIED,) * 3, 3), ((HANGS,) * 2, 2), (("no such kernel",), 1)])
def test_one_that_never_comes_up_is_told(told, starts):
    client = Starts(*told)
    with pytest.raises(RuntimeError, match=told[-1]):
        client._start_kernel()
    assert client.started == starts
