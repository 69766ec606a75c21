_resjax() {
    local offer= word at kept= line=${COMP_LINE:0:COMP_POINT}
    local -a typed
    IFS=$' \t\n' read -ra typed <<< "$line"
    case $line in *[[:space:]]) typed+=('') ;; esac
    while [[ ${#typed[@]} -gt 1 && ${typed[0]##*/} != resjax ]]; do typed=("${typed[@]:1}"); done
    at=${typed[${#typed[@]} - 1]}
    _resjax_offer "$at" "${typed[@]:1:${#typed[@]}-2}"
    # Bash takes a = for the end of a word, and puts in what follows it alone.
    case $COMP_WORDBREAKS in *=*) kept=${at%"${at##*=}"} ;; esac
    COMPREPLY=()
    while IFS= read -r word; do [[ -n $word ]] && COMPREPLY+=("${word#"$kept"}"); done <<< "$offer"
    case ${COMPREPLY[0]-} in *[=./]) [[ ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace 2> /dev/null ;; esac
    return 0
}
complete -o default -F _resjax resjax
