"""When a dear way to read a GPU may give way to a cheap one that says the same.

A GPU can be read in several ways that cost very differently. Of one GPU, measured:

    the bindings' dict       0.4 to 1.3 ms   AMD's own answer: what everything else is held against
    the bindings' structure  0.03 to 0.6 ms  what that dict is built from, so without its building
    the kernel's file        0.02 ms         what AMD's library reads itself, decoded here

So the kernel's file is read where there is one, else the structure, and the dict is asked so that both are known to say
the same:

- The first readings are taken both ways. Once they have agreed `AGREEMENTS` times in a row the cheap way is enough.
- Every `Plan.check` seconds they are compared again.
- Where they differ, or the dear way fails, they are compared at each reading, until they have agreed as often again.

What is served of readings that differ is not decided here: of the kernel's file and the library by `reconcile`, which
also finds words for it; of structure and dict it is the dict. `worker.station` and `amdsmi.library` each hold an
`Economy` for every GPU. One that hangs, fails or differs makes no other dearer.
"""

from __future__ import annotations

AGREEMENTS = 3
"""In a row, before the cheap way is trusted."""


class Economy:
    """Tells of one GPU when its cheap way must be compared with the dear one. Times are CLOCK_MONOTONIC seconds.

    Args:
        every: seconds between comparisons while they agree.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._agreements = 0
        self._due = 0.0

    def must_compare(self, now: float) -> bool:
        """Tells whether this reading is to be taken both ways."""
        return self._agreements < AGREEMENTS or now >= self._due

    def compared(self, now: float, *, agreed: bool) -> None:
        """Takes how a comparison ended; one that could not be made has not agreed."""
        self._agreements = self._agreements + 1 if agreed else 0
        self._due = now + self._every
