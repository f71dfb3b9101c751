"""Runs a Pulumi program in this process when the CLI asks for it.

The Pulumi SDK has such a server of its own (`pulumi.automation._server`). It sends what a program raised as text
through the engine, and when the engine is gone by then it fails itself and leaves its event loop open. Here the
exception is handed over as it is, and the loop is closed whatever happens.
"""

# ruff: noqa: N802 - the names of the methods are the protocol's

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeAlias

import grpc
from google.protobuf import empty_pb2
from pulumi.errors import RunError
from pulumi.runtime import reset_options, run_in_stack
from pulumi.runtime.proto import LanguageRuntimeServicer, language_pb2, plugin_pb2

Program: TypeAlias = Callable[[], None]
"""Declares resources; called in an event loop of the Pulumi SDK, in a thread of its own."""


class Language(LanguageRuntimeServicer):
    """The language runtime of one program.

    Args:
        program: what to run.
        report: told what the program raised, if it did.
    """

    def __init__(self, program: Program, report: Callable[[BaseException], None]) -> None:
        self._program = program
        self._report = report
        self._stop: Callable[[], None] = _nothing

    def stop(self) -> None:
        """End the program if it still runs: the engine is gone, and what it waits for will never come.

        That happens when the engine gives up in the middle, such as after a step of a preview that failed.
        """
        self._stop()

    def About(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        """Say which Python this is."""
        del request, context
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Name no plugin: providers are attached, or come with the version that their SDK names."""
        del request, context
        return language_pb2.GetRequiredPackagesResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Say nothing of a version."""
        del request, context
        return plugin_pb2.PluginInfo()

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run the program to its end."""
        del context
        # The SDK keeps its settings in context variables: each run has a context of its own.
        return contextvars.copy_context().run(self._run, request)

    def _run(self, request: language_pb2.RunRequest) -> language_pb2.RunResponse:
        reset_options(
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            monitor_address=request.monitor_address,
            engine_address=request.args[0] if request.args else "",
            parallel=request.parallel,
            preview=request.dryRun,
        )
        loop = asyncio.new_event_loop()
        # One thread waits for each registration under way; four for each step keep the engine busy.
        loop.set_default_executor(ThreadPoolExecutor(max(request.parallel, 1) * 4, "program"))
        loop.set_exception_handler(lambda _loop, _context: None)  # the engine tells of what failed
        task = loop.create_task(run_in_stack(self._program))
        self._stop = lambda: _cancel(loop, task)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            return language_pb2.RunResponse(error="the engine is gone")
        except BaseException as error:  # noqa: BLE001 - whatever the program raised is its caller's
            if not _said_by_engine(error):
                self._report(error)
            return language_pb2.RunResponse(error=f"{type(error).__name__}: {error}")
        finally:
            self._stop = _nothing
            _close(loop)
        return language_pb2.RunResponse()


def _said_by_engine(error: BaseException) -> bool:
    """Whether the error only echoes the engine: it refused a registration, or went away, and knows why itself."""
    # Of what the engine answers, the SDK makes a `RunError` when it is gone, and a bare `Exception` otherwise.
    return type(error) is Exception or isinstance(error, RunError | grpc.RpcError)


def _nothing() -> None:
    """No program runs."""


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with suppress(RuntimeError):  # it came to its end meanwhile, and closed its loop
        loop.call_soon_threadsafe(task.cancel)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(BaseException):
            loop.run_until_complete(task)
    loop.close()
