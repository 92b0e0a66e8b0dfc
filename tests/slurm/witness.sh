#!/bin/sh
# What the test goes by: which GPUs of this node each run of a job had, in its own words.
[ -n "$SLURM_JOB_GPUS" ] || exit 0
echo "$SLURM_SCRIPT_CONTEXT $SLURMD_NODENAME $SLURM_JOB_ID $SLURM_JOB_USER $SLURM_JOB_START_TIME $SLURM_JOB_END_TIME $SLURM_JOB_GPUS" >>/tmp/witness
exit 0
