# Whole words for the one at the cursor, a line each.
function __resjax_offer
    set -l at (commandline -ct)
    set -l typed (commandline -opc)[2..]
    set -l way ''
    set -l last ''
    set -l runs runs
    set -l start ''
    set -l found
    for word in $typed
        test "$last" = --runs; and set runs $word
        switch $word
            case '--runs=*' 'runs=*'
                set runs (string split -m 1 = -- $word)[2]
            case '-*' '*=*'
            case '*'
                contains -- $word (__resjax_table "below$way"); and set way "$way $word"
        end
        set last $word
    end
    set -l name (string split -m 1 = -- $at)[1]
    switch "$at"
        case '--*=*'
            set start $name=
            set found (__resjax_table "value$way $name")
        case '-*'
            set found (__resjax_table "options$way")
        case '*=*'
            set start $name=
            string match -q '*=*,*' -- $at; and set start (string replace -r '[^,]*$' '' -- $at)
            if not set found (__resjax_table "set$way $name")
                contains @settings (__resjax_table "words$way"); and set found (__resjax_table "set $name")
            end
        case '*'
            if not set found (__resjax_table "value$way $last")
                set found (__resjax_table "below$way") (__resjax_table "words$way")
            end
    end
    for word in $found
        switch $word
            case @files
                printf '%s\n' $start(__fish_complete_path (string replace -r '^[^=]*=' '' -- $at))
            case @sweeps @runs
                for place in $runs/*/
                    echo $start(basename $place)
                end
                if test $word = @runs; and string match -q '*/*' -- $at
                    for place in $runs/(string split -m 1 / -- $at)[1]/*/run.json
                        string replace "$runs/" '' -- (dirname $place)
                    end
                end
            case @settings
                if string match -q '*.*' -- $at
                    __resjax_table settings
                else
                    __resjax_table sections
                end
            case '*'
                echo $start$word
        end
    end
end
complete -c resjax -f -a '(__resjax_offer)'
