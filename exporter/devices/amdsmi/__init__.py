"""AMD's library through AMD's bindings.

`bindings` finds those of this node, `library` reads GPUs by them, and `structure` does so without their dicts.
The library is not thread-safe, can hang in the driver and can crash. So only one thread of a process that may be
killed comes here: `worker.desk`.
"""
