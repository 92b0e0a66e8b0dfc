#!/bin/sh
# Tells mi300x-exporter which GPUs of this node a job has, and to the second from when to when: even of jobs that begin
# and end between two of its questions to the controller. To be both Prolog and Epilog of slurmd (docs/sources.md).
#
# Each run of a job is one small file. It never fails or delays a job: whatever goes wrong, it says nothing and exits 0.

folder=/run/mi300x-exporter-slurm

[ -n "$SLURM_JOB_GPUS" ] || exit 0
{
    umask 022
    mkdir -p "$folder"
    draft=$folder/.$SLURM_JOB_ID.$$
    if {
        # Slurm's own names and words; a job's user can choose none of them.
        printf 'SLURM_JOB_ID=%s\nSLURM_JOB_USER=%s\nSLURM_JOB_UID=%s\n' "$SLURM_JOB_ID" "$SLURM_JOB_USER" "$SLURM_JOB_UID"
        printf 'SLURM_JOB_ACCOUNT=%s\nSLURM_JOB_PARTITION=%s\n' "$SLURM_JOB_ACCOUNT" "$SLURM_JOB_PARTITION"
        printf 'SLURM_JOB_QOS=%s\nSLURM_JOB_GPUS=%s\n' "$SLURM_JOB_QOS" "$SLURM_JOB_GPUS"
        printf 'SLURM_JOB_START_TIME=%s\n' "$SLURM_JOB_START_TIME"
        case $SLURM_SCRIPT_CONTEXT in epilog*) printf 'END=%s\n' "$SLURM_JOB_END_TIME" ;; esac
    } >"$draft"; then
        mv -f "$draft" "$folder/$SLURM_JOB_ID.$SLURM_JOB_START_TIME"
    else
        rm -f "$draft"
    fi
    # The exporter has read what is hours old; the Epilog of a job that runs for longer writes its file anew.
    case $SLURM_SCRIPT_CONTEXT in epilog*) find "$folder" -type f -mmin +180 -delete ;; esac
} >/dev/null 2>&1
exit 0
