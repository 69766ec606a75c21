_resjax() {
    local offer=
    local -a found
    _resjax_offer "$PREFIX" "${(@)words[2,CURRENT-1]}"
    found=(${(f)offer})
    if (( ! ${#found} )); then
        compset -P '*='
        _files
        return
    fi
    compadd -Q -S '' -- ${(M)found:#*[=./]}
    compadd -Q -- ${found:#*[=./]}
}
if [[ ${funcstack[1]} == _resjax ]]; then  # zsh has found this file by itself, in $fpath
    _resjax "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _resjax resjax
fi
