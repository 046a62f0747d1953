#!/bin/bash
# A study on nodes that Slurm allots: `sbatch clusters/slurm.sh studies/demo.yaml --out /shared/results/demo`, from the
# top of the checkout. What follows the script's name are arguments of `l2rw-ray run`. The checkout, its environment
# and the study folder are on a file system that all nodes see. The same command resumes a job that ended too early.
# Options of sbatch before the script's name override these.
#SBATCH --job-name=l2rw-ray
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# Add --gpus-per-node=N for GPUs. --exclusive stays: `ray symmetric-run` ends with `ray stop`, which also ends the
# processes of your other jobs on the same node.
set -euo pipefail

if [[ $# -eq 0 || -z "${SLURM_JOB_ID:-}" ]]; then
    echo "usage: sbatch [options of sbatch] clusters/slurm.sh STUDY [options of l2rw-ray run]" >&2
    exit 2
fi
# Slurm runs a copy of this script, in the folder of the submission.
# shellcheck disable=SC1091
source "${L2RW_RAY_VENV:-.venv}/bin/activate"

# The batch script runs on the job's first node. Its address is compared with those of each node's interfaces: that of
# the head must be one of them, which its name in /etc/hosts often is not.
head_ip="${L2RW_RAY_HEAD_IP:-$(hostname -I | cut -d' ' -f1)}"
address="$head_ip:$((20000 + SLURM_JOB_ID % 10000))"

# Other users reach the ports of these nodes: nobody without this job's token gets in.
RAY_AUTH_TOKEN="$(python -c 'import secrets; print(secrets.token_hex(32))')"
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
export RAY_TMPDIR="${TMPDIR:-/tmp}/ray-$SLURM_JOB_ID" # /tmp/ray may be another user's
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300     # imports over a network file system take their time
export RAY_gcs_rpc_server_reconnect_timeout_s=30      # after which the other nodes follow the head
ulimit -n "$(ulimit -Hn)"

# What Ray says on the other nodes goes to files of their own. Since Slurm 22.05 steps do not inherit --cpus-per-task.
# shellcheck disable=SC2016
on_node='mkdir -p "$RAY_TMPDIR"
    [[ "$SLURM_PROCID" == 0 ]] || exec > "l2rw-ray-$SLURM_JOB_ID-node$SLURM_PROCID.log" 2>&1
    exec "$@"'
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    bash -c "$on_node" on_node \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats \
    -- l2rw-ray run "$@" --address "$address"
