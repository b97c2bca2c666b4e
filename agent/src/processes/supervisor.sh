#!/bin/sh
# Runs one command for one allocation and leaves its exit code in a file, so that the agent may come and go.
#
#   supervisor.sh DIRECTORY BOOT_ID WORKING_DIRECTORY COMMAND...
#
# A shell and not Node: hundreds of these live on one machine. The hard link to `owner` is made once or not at all,
# so a second supervisor for the same allocation, whoever started it, runs nothing.
directory=$1
boot=$2
workdir=$3
shift 3

start_time() {
  stat=$(cat "/proc/$$/stat")
  # After the last ')' of the name the third field comes first; the start time is the twenty-second.
  set -- ${stat##*) }
  echo "${20}"
}

finish() {
  printf '%s\n' "$1" >"$directory/exit.$$" && mv "$directory/exit.$$" "$directory/exit"
  exit 0
}

printf '%s %s %s\n' "$$" "$(start_time)" "$boot" >"$directory/owner.$$" || exit 1
ln "$directory/owner.$$" "$directory/owner" 2>/dev/null
linked=$?
rm -f "$directory/owner.$$"
[ "$linked" -eq 0 ] || exit 0

cd "$workdir" 2>>"$directory/output.log" || finish 126
"$@" </dev/null >>"$directory/output.log" 2>&1
finish "$?"
