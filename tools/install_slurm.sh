#!/usr/bin/env bash
# Slurm on this one machine, for the tests of the engine: installs it where apt is there, writes slurm.conf, starts
# munged, slurmctld and slurmd. Does nothing where a Slurm answers already; never overwrites a slurm.conf of others.
set -euo pipefail

CONF=/etc/slurm/slurm.conf
MARK="# Written by tools/install_slurm.sh: one machine, for tests."
PATH=$PATH:/usr/sbin:/sbin
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
answers() { command -v sinfo >/dev/null && [ -n "$(timeout 10 sinfo --noheader --states=idle,mixed,allocated 2>/dev/null)" ]; }
alive() { pgrep -x "$1" >/dev/null; }

answers && { echo "Slurm answers already"; exit 0; }
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
fi
if [ -e "$CONF" ] && ! grep -qxF "$MARK" "$CONF"; then
  echo "$CONF is of another Slurm, which does not answer: it is left as it is" >&2
  exit 1
fi

HOST=$(hostname -s)
getent hosts "$HOST" >/dev/null || echo "127.0.0.1 $HOST" | as_root tee -a /etc/hosts >/dev/null
MEMORY_MB=$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10))
as_root mkdir -p /etc/slurm /run/munge /var/log/munge /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
as_root tee "$CONF" >/dev/null <<CONFIGURATION
$MARK
ClusterName=local
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,batch_sched_delay=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
ReturnToService=2
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=5
DefMemPerCPU=1000
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$MEMORY_MB State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE State=UP
CONFIGURATION

if [ ! -s /etc/munge/munge.key ]; then
  as_root sh -c 'umask 077; head -c 128 /dev/urandom > /etc/munge/munge.key'
fi
as_root chown munge:munge /run/munge /var/log/munge /etc/munge/munge.key
as_root chmod 400 /etc/munge/munge.key
alive munged || as_root runuser -u munge -- /usr/sbin/munged
alive slurmctld || as_root slurmctld
alive slurmd || as_root slurmd
for _ in $(seq 30); do
  # a machine that was switched off comes back as DOWN, which only the administrator's word ends
  as_root scontrol update "NodeName=$HOST" State=RESUME 2>/dev/null || true
  answers && { sinfo; exit 0; }
  sleep 1
done
echo "Slurm was started and does not answer; see /var/log/slurm" >&2
exit 1
