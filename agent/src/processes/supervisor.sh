#!/bin/sh
# Runs one command for one allocation and leaves its exit code in a file, so that the agent may come and go.
#
#   supervisor.sh DIRECTORY BOOT_ID PATH_OF_TOOLS WORKING_DIRECTORY COMMAND...
#
# A shell and not Node: hundreds of these live on one machine. The hard link to `owner` is made once or not at all,
# so a second supervisor for the same allocation, whoever started it, runs nothing.
#
# All variables here bear a prefix that no workload may set: an exported name of the workload's that is assigned
# here would be changed for it.
ASTRAGO_DIRECTORY=$1
ASTRAGO_BOOT=$2
ASTRAGO_WORKDIR=$4
# The tools below are the agent's, whatever PATH the workload asked for.
ASTRAGO_PATH=$PATH
PATH=$3
shift 4

# Caught, not ignored: what is ignored would be ignored by the command too.
trap : HUP INT QUIT TERM

read_start_time() {
  # After the last ')' of the name the third field comes first; the start time is the twenty-second.
  set -- ${1##*) }
  ASTRAGO_START=${20}
}

read -r ASTRAGO_STAT <"/proc/$$/stat" || exit 1
read_start_time "$ASTRAGO_STAT"

printf '%s %s %s\n' "$$" "$ASTRAGO_START" "$ASTRAGO_BOOT" >"$ASTRAGO_DIRECTORY/owner.$$" || exit 1
ln "$ASTRAGO_DIRECTORY/owner.$$" "$ASTRAGO_DIRECTORY/owner" 2>/dev/null
rm -f "$ASTRAGO_DIRECTORY/owner.$$"
# The file tells whose it is; the exit code of a tool that was killed does not.
read -r ASTRAGO_OWNER ASTRAGO_OWNER_START ASTRAGO_REST <"$ASTRAGO_DIRECTORY/owner" || exit 1
[ "$ASTRAGO_OWNER $ASTRAGO_OWNER_START" = "$$ $ASTRAGO_START" ] || exit 0

# `exec`, so that a command named like a builtin or a function of this shell is still a program.
(cd -- "$ASTRAGO_WORKDIR" && PATH=$ASTRAGO_PATH && exec "$@") </dev/null >>"$ASTRAGO_DIRECTORY/output.log" 2>&1
ASTRAGO_CODE=$?

# A full disk must not turn an exit code into a lost process.
while [ -d "$ASTRAGO_DIRECTORY" ]; do
  printf '%s\n' "$ASTRAGO_CODE" >"$ASTRAGO_DIRECTORY/exit.$$" && mv "$ASTRAGO_DIRECTORY/exit.$$" "$ASTRAGO_DIRECTORY/exit" && break
  sleep 1
done
