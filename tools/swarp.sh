#!/bin/sh
# Links swarp to where visir_img_reduce looks for it: a fixed path beside its library, where Debian's packages have
# nothing. Never fails.
set -u
swarp=$(command -v SWarp || command -v swarp) || exit 0
for library in /usr/lib/*/visir-[0-9]*; do
    { [ -d "$library" ] && [ ! -e "$library/bin/swarp" ]; } || continue
    if [ -w "$library" ]; then
        mkdir -p "$library/bin" && ln -sf "$swarp" "$library/bin/swarp"
    else
        echo "setup: visir_img_reduce finds no swarp; as root: mkdir -p $library/bin && ln -s $swarp $library/bin/swarp"
    fi
done
exit 0
