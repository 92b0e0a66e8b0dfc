"""The worker process: the one that touches GPUs, and may be killed for it.

`crew` is its main thread: it sends what is in the `outbox`, and watches the others. Each GPU has a `station`, which
reads the kernel's files when the `rota` gives it its turn. One thread goes round all stations; one that takes too long
keeps it, and another goes on. So a read that hangs in the kernel holds its own GPU only. All calls of AMD's library
are made by one more thread, the `desk`, and asked for there by the stations; one that hangs or fails leaves them the
kernel's files.
"""
