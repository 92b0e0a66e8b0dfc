"""The worker process: the one that touches GPUs, and may be killed for it.

`crew` is its main thread: it sends what is in the `outbox`, and watches the others. Each GPU has a thread of its own,
its `station`, which reads the kernel's files; so a read that hangs in the kernel holds its own GPU only. All calls of
AMD's library are made by one more thread, the `desk`, and asked for there by the stations; one that hangs or fails
leaves them the kernel's files.
"""
