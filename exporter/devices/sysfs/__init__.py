"""What the kernel itself says of its GPUs: needs neither library nor groups.

`tree` finds the GPUs and who they are, `gpu_metrics` decodes the table that a driver writes, `files` reads one GPU,
`processes` tells who holds VRAM.
"""
