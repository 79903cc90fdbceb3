# bash completion for sofun: the command itself says what could stand next; it asks the host for plugins, types and egresses.
_sofun() {
	local words
	words=$("${COMP_WORDS[0]}" --complete $((COMP_CWORD - 1)) "${COMP_WORDS[@]:1}" 2>/dev/null) || compopt +o default
	COMPREPLY=()
	[ -z "$words" ] || mapfile -t COMPREPLY <<<"$words"
}
complete -o default -F _sofun sofun
