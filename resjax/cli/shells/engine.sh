# For bash and zsh. $1: the word at the cursor; the others: the words before it, without resjax.
# Sets `offer`: whole words, a line each.
_resjax_offer() {
    [ -n "${ZSH_VERSION-}" ] && emulate -L sh
    local at=$1 way= last= runs=runs found= start= word place
    shift
    for word in "$@"; do
        [ "$last" = --runs ] && runs=$word
        case $word in
            --runs=* | runs=*) runs=${word#*=} ;;
            -* | *=*) ;;
            *) _resjax_table "below$way" && case " $found " in *" $word "*) way="$way $word" ;; esac ;;
        esac
        last=$word
    done
    case $at in
        --*=*) start=${at%%=*}= && _resjax_table "value$way ${at%%=*}" ;;
        -*) _resjax_table "options$way" ;;
        *=*) _resjax_values ;;
        *) _resjax_table "value$way $last" || _resjax_words ;;
    esac
    offer=
    for word in $found; do
        case $word in
            @files) ;;
            @sweeps) _resjax_sweeps ;;
            @runs) _resjax_sweeps && _resjax_runs ;;
            @settings) _resjax_settings ;;
            *) _resjax_add "$word" ;;
        esac
    done
}

# The values after a =; of a list a,b,c of the word after the last comma.
_resjax_values() {
    local name=${at%%=*}
    start=$name=
    case ${at#*=} in *,*) start=${at%,*}, ;; esac
    _resjax_table "set$way $name" && return
    _resjax_table "words$way"
    case " $found " in
        *" @settings "*) _resjax_table "set $name" ;;
        *) found= ;;
    esac
}

_resjax_words() {
    local below
    _resjax_table "below$way"
    below=$found
    _resjax_table "words$way"
    found="$below $found"
}

# By section, until a dot is typed.
_resjax_settings() {
    case $at in
        *.*) _resjax_table settings ;;
        *) _resjax_table sections ;;
    esac
    for word in $found; do _resjax_add "$word"; done
}

_resjax_sweeps() {
    for place in "$runs"/*/; do
        place=${place%/}
        [ -d "$place" ] && _resjax_add "${place##*/}"
    done
    return 0
}

# Runs, as SWEEP/RUN, once there is a / in the word.
_resjax_runs() {
    case $at in */*) ;; *) return ;; esac
    for place in "$runs/${at%%/*}"/*/run.json; do
        place=${place%/run.json}
        [ -d "$place" ] && _resjax_add "${at%%/*}/${place##*/}"
    done
}

_resjax_add() {
    case $start$1 in
        "$at"*) offer="$offer$start$1
" ;;
    esac
}
