#!/bin/bash
# A stand-in for nvidia-cuda-mps-control: commands on standard input, answers as NVIDIA documents them, one daemon a pipe
# directory. Its clients are the processes `sleep` of workloads whose environment leads them here. What it does wrong is
# said by files beside it: `hang-WORD` hangs commands that begin with that word, `broken` starts nothing.
here=$(dirname "$0")
dir=$CUDA_MPS_PIPE_DIRECTORY
read -r line
echo "${CUDA_VISIBLE_DEVICES:-} $* $line" | sed 's/^ *//; s/ *$//' >>"$here/calls"

word() { IFS= read -r -d '' first <"/proc/$1/cmdline" && echo "$first"; } 2>/dev/null
alive() { [ -n "$1" ] && [ -d "/proc/$1" ] && [ -n "$(word "$1")" ]; }
# By its name, as the real one is found by its socket: whoever else has the pid does not answer.
daemon() { read -r pid <"$dir/nvidia-cuda-mps-control.pid" && [ "$(word "$pid")" = "$here/nvidia-cuda-mps-control" ] && echo "$pid"; } 2>/dev/null
# Started as the daemon starts things: away from whoever asked.
launch() { (exec -a "$1" setsid -f bash -c 'exec -a "$0" sleep 1000000' "$1" </dev/null >/dev/null 2>&1); }
started() { grep -lszx "CUDA_MPS_PIPE_DIRECTORY=$dir" /proc/[0-9]*/environ; }
clients() {
  for environ in $(grep -lsz '^ASTRAGO_ALLOCATION_ID=' $(started) /dev/null); do
    pid=${environ#/proc/}; pid=${pid%/environ}
    read -r comm 2>/dev/null <"/proc/$pid/comm" && [ "$comm" = sleep ] && [ ! -e "$dir/terminated-$pid" ] && alive "$pid" && echo "$pid"
  done
}
named() { for environ in $(started); do pid=${environ#/proc/}; pid=${pid%/environ}; [ "$(word "$pid")" = "$1" ] && echo "$pid"; done; }
await() { until [ -n "$(named "$1")" ]; do sleep 0.02; done; named "$1" | head -1; }
server() {
  pid=$(cat "$dir/server" 2>/dev/null)
  if alive "$pid" && [ -e "$dir/fault" ] && [ -z "$(clients)" ]; then kill -9 "$pid"; rm -f "$dir/fault" "$dir/server"; pid=; fi
  if ! alive "$pid"; then
    rm -f "$dir/server"; pid=
    if [ -n "$(clients)" ]; then
      CUDA_VISIBLE_DEVICES=$(cat "$dir/visible") launch "$here/nvidia-cuda-mps-server"
      pid=$(await "$here/nvidia-cuda-mps-server")
      echo "$pid" >"$dir/server"
      cp "$dir/percent" "$dir/percent-$pid"; cp "$dir/memory" "$dir/memory-$pid" 2>/dev/null
    fi
  fi
  [ -n "$pid" ] && echo "$pid"
}

[ -e "$here/hang-${line%% *}" ] && exec sleep 1000000
[ -e "$here/hang-$1" ] && exec sleep 1000000
if [ "$1" = -d ]; then
  [ -e "$here/broken" ] && { echo 'MPS cannot be started here'; exit 1; }
  alive "$(daemon)" && { echo 'An instance of this daemon is already running'; exit 1; }
  launch "$here/nvidia-cuda-mps-control"
  echo "$CUDA_VISIBLE_DEVICES" >"$dir/visible"
  echo 100.0 >"$dir/percent"
  await "$here/nvidia-cuda-mps-control" >"$dir/nvidia-cuda-mps-control.pid"
  exit 0
fi
if ! alive "$(daemon)" || [ ${#dir} -gt 99 ]; then echo 'Cannot find MPS control daemon process'; exit 1; fi
set -- $line
case $1 in
get_server_list) server ;;
get_server_status) if [ -e "$dir/fault" ]; then echo FAULT; else echo ACTIVE; fi ;;
get_client_list) clients ;;
get_default_active_thread_percentage) cat "$dir/percent" ;;
set_default_active_thread_percentage) echo "$2.0" >"$dir/percent" ;;
get_default_device_pinned_mem_limit) cat "$dir/memory" 2>/dev/null ;;
set_default_device_pinned_mem_limit) echo "$3" >"$dir/memory" ;;
get_active_thread_percentage) cat "$dir/percent-$2" ;;
set_active_thread_percentage) echo "$3.0" >"$dir/percent-$2" ;;
get_device_pinned_mem_limit) cat "$dir/memory-$2" ;;
set_device_pinned_mem_limit) echo "$4" >"$dir/memory-$2" ;;
terminate_client) touch "$dir/terminated-$3"; echo 0 ;;
quit) kill -9 $(cat "$dir/server" 2>/dev/null) $(daemon) ;;
*) echo "unknown command $1" ;;
esac
exit 0
