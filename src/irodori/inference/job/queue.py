"""A queue of tasks: as many at a time as fit into memory, and none waits for a slow one."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Admission(Generic[T]):
    """A task that may run; shared: another one ran at the same time, at any moment."""

    task: T
    cost: int
    shared: bool = False


class AdmissionQueue(Generic[T]):
    """Hands tasks to threads, in their order but for those that don't fit yet.

    Args:
        tasks: what is to be done.
        cost: returns a task's bytes; called by the thread that asks for a task.
        budget: bytes of all tasks that run at a time; one that costs more runs alone.
        threads: that take tasks.
    """

    def __init__(
        self, tasks: Iterable[T], cost: Callable[[T], int], budget: int, threads: int
    ) -> None:
        self.cost, self.budget, self.threads = cost, budget, threads
        self._new = deque(tasks)
        self._deferred: list[Admission[T]] = []
        self._running: list[Admission[T]] = []
        self._changed = threading.Condition()

    def take(self) -> Admission[T] | None:
        """Wait for a task that fits, which runs until `release`; None: there are no more."""
        while True:
            with self._changed:
                if not self._new:
                    break
                task = self._new.popleft()
            admission = Admission(task, self.cost(task))
            with self._changed:
                if self._start(admission):
                    return admission
                self._deferred.append(admission)
        with self._changed:
            while self._deferred:
                for admission in self._deferred:
                    if self._start(admission):
                        self._deferred.remove(admission)
                        return admission
                self._changed.wait()
        return None

    def release(self, admission: Admission[T], retry: bool = False) -> None:
        """End a task; `retry`: memory ran out, it runs again alone and others in half the bytes."""
        with self._changed:
            self._running.remove(admission)
            if retry:
                self.budget = max(1, self.budget // 2)
                # More than any budget.
                self._deferred.append(Admission(admission.task, 1 << 62))
            self._changed.notify_all()

    def sharing(self, admission: Admission[T]) -> int:
        """Return how many tasks share the cores with one that runs, itself included."""
        with self._changed:
            if admission.cost >= self.budget:
                return 1
            known = len(self._running) + len(self._new) + len(self._deferred)
            return min(self.threads, known)

    def stop(self) -> None:
        """Hand out no more tasks."""
        with self._changed:
            self._new.clear()
            self._deferred.clear()
            self._changed.notify_all()

    def _start(self, admission: Admission[T]) -> bool:
        taken = sum(other.cost for other in self._running)
        if self._running and taken + admission.cost > self.budget:
            return False
        self._running.append(admission)
        if len(self._running) > 1:
            for running in self._running:
                running.shared = True
        return True
