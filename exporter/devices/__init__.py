"""Where readings come from: the GPUs of this machine, or simulated ones.

source        the seam: what a source tells, and whom
supervisor/   the service's side: starts worker processes and replaces them
protocol      what both sides say to each other
worker/       the process that touches GPUs: a thread for each, and one for AMD's library
amdsmi/  sysfs/   the two sources: AMD's library, and the kernel's own files
decode  identity  reconcile  plausibility   pure: tables become readings, two sources become one, nonsense is left out
economy       which of the ways to read a GPU is taken when: the dear, or the cheap that says the same
simulated/    GPUs for demo and tests
"""
