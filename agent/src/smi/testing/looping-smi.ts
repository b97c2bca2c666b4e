import type { Reply } from './scripted-smi.ts';

/**
 * A reply that goes on: prints its text again and again until it is killed or nobody reads it. It looks at the files
 * `stop` (prints `stop-text` and ends with exit code 15), `mute` (prints nothing more) and `text` (prints that instead) in its directory.
 */
export function looping(text: string, everySeconds = 0.05): Reply {
  return {
    then: `cat > "$here/first.$$" <<'EOF'
${text}EOF
trap 'rm -f "$here/first.$$"' EXIT
echo $$ >> "$here/started"
while :; do
  if [ -e "$here/stop" ]; then cat "$here/stop-text"; exit 15; fi
  if [ ! -e "$here/mute" ]; then
    cat "$here/text" 2>/dev/null || cat "$here/first.$$" || exit 1
  fi
  sleep ${everySeconds}
done`,
  };
}
